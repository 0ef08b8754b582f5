"""Ctrl-C, as the command hears it."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Interruption:
    """How often the operator asked to stop: once cuts the run short, twice skips the reports; deletes always happen."""

    count: int = 0

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """While inside, SIGINT and SIGTERM are counted instead of killing this process."""

        def note(_signal: int, _frame: FrameType | None) -> None:
            self.count += 1

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
