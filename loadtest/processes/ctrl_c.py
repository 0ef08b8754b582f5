"""Ctrl-C, as the command hears it; and the end of the process that it works for."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from types import FrameType

from loadtest.config.environment import OWNER


class Interruption:
    """How often the operator asked to stop: once cuts the run short, twice skips the reports; deletes always happen."""

    def __init__(self) -> None:
        self._signals = 0
        self._is_alone = False

    @property
    def count(self) -> int:
        """Signals, and one more where whoever started us is gone: nobody else would end the run."""
        return self._signals + self._is_alone

    @contextlib.contextmanager
    def heard(self, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
        """While inside, SIGINT and SIGTERM are counted instead of killing this process."""

        def note(_signal: int, _frame: FrameType | None) -> None:
            self._signals += 1

        if environ.get(OWNER) == "stdin":
            threading.Thread(target=self._outlive_owner, name="owner", daemon=True).start()
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _outlive_owner(self) -> None:
        """Until he closes our standard input, as every end of his does."""
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 1024):
                pass
        self._is_alone = True
