"""When a delete is tried again, by what it failed for."""

import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.session import patience
from loadtest.session.patience import Patience

S = 1_000_000_000
BACKOFFS = [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def refused(status: int, retry_after_s: float | None = None) -> StepError:
    return StepError(Kind.REJECTED, Code.OTHER, http_status=status, retry_after_s=retry_after_s)


def pauses(error: StepError, monkeypatch: pytest.MonkeyPatch, *, attempt_s: float = 0.0) -> list[float]:
    """All of them, where each attempt fails so after that time."""
    now_ns = 0
    monkeypatch.setattr(patience, "now_ns", lambda: now_ns)
    found: list[float] = []
    waiting = Patience(16.0)
    while True:
        now_ns += int(attempt_s * S)
        pause_s = waiting.pause_s(error, len(found) + 1)
        if pause_s is None:
            return found
        found.append(pause_s)
        now_ns += int(pause_s * S)


@pytest.mark.parametrize(
    ("error", "waited"),
    [
        (refused(500), BACKOFFS[:2]),
        (refused(404), BACKOFFS[:2]),
        (StepError(Kind.TIMEOUT, Code.TIMEOUT), BACKOFFS[:2]),
        (refused(401), []),
        (refused(403, retry_after_s=1), []),
        *((refused(status), BACKOFFS) for status in (409, 423, 425, 429, 502, 503, 504)),
        (StepError(Kind.TRANSPORT, Code.CONNECTION_LOST), BACKOFFS),
        (StepError(Kind.TRANSPORT, Code.CONNECT_FAILED, sent=False), BACKOFFS),
        (StepError(Kind.OWN_LIMIT, Code.OPEN_FILES, sent=False), BACKOFFS),
    ],
    ids=str,
)
def test_what_passes_by_itself_is_waited_for_longer(
    error: StepError, waited: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pauses(error, monkeypatch) == waited


@pytest.mark.parametrize(
    ("after_s", "waited"), [(6, [6.0, 6.0, 4.0]), (0, BACKOFFS), (3_600, [16.0, 0.5])], ids=["6 s", "now", "an hour"]
)
def test_a_target_is_left_alone_for_as_long_as_it_says_within_the_patience(
    after_s: float, waited: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pauses(refused(503, retry_after_s=after_s), monkeypatch) == waited


def test_attempts_that_take_long_are_no_more_than_three(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pauses(refused(503), monkeypatch, attempt_s=9.0) == BACKOFFS[:2]
