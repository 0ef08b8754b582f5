"""What came to the master's port and was turned away: counted for /metrics, told in its log, never raised."""

import logging
from typing import Final

from loadtest.events.vocabulary import Refused as Refused

ALL_UP_TO: Final = 20
"""So many of a kind are told one by one; then only at each doubling: a flood must not fill the disk."""
SHOWN: Final = 200

_log = logging.getLogger(__name__)


class Refusals:
    """Of one process. `counts` is cumulative."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {reason.value: 0 for reason in Refused}

    def note(self, reason: Refused, who: object, why: str) -> None:
        """`who` and `why` may be anything that a stranger has chosen: they are told in ASCII, in one line."""
        count = self.counts[reason] = self.counts[reason] + 1
        if count <= ALL_UP_TO or count & (count - 1) == 0:
            name, text = (ascii(str(each)[:SHOWN])[1:-1] for each in (who, why))
            _log.warning("refused (%s, %d so far): %s: %s", reason.value, count, name, text)


REFUSALS: Final = Refusals()
"""Of this process: Locust makes its sockets by itself, and knows nothing of ours."""
