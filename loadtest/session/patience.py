"""How often a delete is tried again, and how long is waited before: what is not deleted goes on costing."""

from typing import Final

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.system.clock import now_ns

ATTEMPTS: Final = 3
BACKOFF_S = 0.25
BACKOFF_LIMIT_S: Final = 4.0
PATIENT_ATTEMPTS: Final = 8
"""Of what passes by itself: our own machine's limits, since other sessions end meanwhile and make room; a target that
can't be reached, is busy with that session, or says to come later."""
_LATER: Final = (409, 423, 425, 429, 502, 503, 504)
_NOT_THERE: Final = (Code.CONNECT_FAILED, Code.CONNECTION_LOST)
_FINAL: Final = (401, 403)


class Patience:
    """With the delete of one session, or with those of one sweep: for so long from now on. Then no attempt begins but
    the first three."""

    def __init__(self, patience_s: float) -> None:
        self._until_ns = now_ns() + int(patience_s * 1e9)

    def pause_s(self, error: StepError, attempt: int) -> float | None:
        """Before the next attempt, after this one failed so; None: there is none. What the target says of its own
        return is waited for, as far as the patience goes."""
        if error.http_status in _FINAL:
            return None
        left_s = (self._until_ns - now_ns()) / 1e9
        passes = error.kind is Kind.OWN_LIMIT or error.code in _NOT_THERE or error.http_status in _LATER
        if attempt >= ATTEMPTS and not (passes and attempt < PATIENT_ATTEMPTS and left_s > 0):
            return None
        backoff_s = min(BACKOFF_S * (1 << (attempt - 1)), BACKOFF_LIMIT_S)
        pause_s = max(backoff_s, min(error.retry_after_s or 0.0, left_s))
        return pause_s if attempt < ATTEMPTS else min(pause_s, left_s)
