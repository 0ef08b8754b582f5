"""What a person sees while a run goes on: one live line on a terminal, a plain line every ten seconds elsewhere."""

import sys
import time
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from loadtest.config.settings import Settings
from loadtest.language.outlets import line, obeyed, terminal

PLAIN_EVERY_S = 10.0


def safe(text: str) -> str:
    """One line of it, of which the terminal obeys nothing."""
    return terminal(line(text))


class Progress:
    """Writes to stderr. Use as a context manager."""

    def __init__(self, settings: Settings, run_dir: Path) -> None:
        self._console = Console(file=obeyed(sys.stderr), highlight=False, markup=False, emoji=False)  # names are names
        self._duration_s = settings.load.duration
        self._status: Status | None = None
        self._next_plain_s = 0.0
        self.waiting_for: str | None = None
        """What the run had not begun without, when last heard of."""
        load, target = settings.load, settings.target
        much = f"{load.described()} for {self._duration_s:g} s"
        if settings.capacity is not None:
            much = f"looking for the limit, up to {settings.capacity.most:g} {settings.capacity.unit},"
        self.line(f"{much} on {target.avaturn_base_url}")
        self.line(f"writing {run_dir}")

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._status = self._console.status(Text("starting the session engines"))
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, now: dict[str, Any]) -> None:
        """`now` as loadtest/load/duties.py ships it each second."""
        self.waiting_for = now["waiting_for"]
        if self.waiting_for is not None:
            self._tell(f"waiting for {self.waiting_for}")
            return
        over_s = now["elapsed_s"] - self._duration_s
        clock = f"{now['elapsed_s']:.0f}/{self._duration_s:g} s" if over_s <= 0 else f"finishing for {over_s:.0f} s"
        text = (
            f"{clock} · open {now['open']} · ok {now['ok']}"
            f" · failed {now['failed']} · cancelled {now['cancelled']} · left behind {now['left']}"
        )
        if now["generator"] != "valid":
            text += f" · generator {now['generator']}"
        self._tell(text)

    def _tell(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(safe(text)))
        elif time.monotonic() >= self._next_plain_s:
            self._next_plain_s = time.monotonic() + PLAIN_EVERY_S
            self._console.print(safe(text), soft_wrap=True)

    def line(self, text: str) -> None:
        """Something to be kept: a line of its own."""
        self._console.print(safe(text), soft_wrap=True)

    def say(self, text: str) -> None:
        """What is being done now."""
        if self._status is not None:
            self._status.update(Text(safe(text)))
