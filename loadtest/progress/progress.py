"""What a person sees while a run goes on: a live table on a terminal, a plain line every ten seconds elsewhere."""

import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from loadtest.config.settings import Settings
from loadtest.criteria.words import load_words
from loadtest.progress.glance import Glance
from loadtest.progress.screen import Plan, plain, rows, safe
from loadtest.text.durations import in_words
from loadtest.text.outlets import columns, obeyed

PLAIN_EVERY_S = 10.0
_ALL = ("0.0.0.0", "::")  # noqa: S104  # nothing is bound here
_KEPT = 100
"""Lines that are shown again where a terminal got another size."""
ENDS = "Ctrl-C ends the run: its sessions are deleted, its report is written."
ENDING = "Ending: open sessions are deleted. Ctrl-C once more: no report."
ENDING_TWICE = "Ending: open sessions are deleted, no report is written."


class Progress:
    """Writes to stderr. Use as a context manager.

    `interruptions`: how often the operator asked to stop. `quiet`: say nothing.
    """

    def __init__(
        self,
        settings: Settings,
        run_dir: Path,
        *,
        quiet: bool = False,
        interruptions: Callable[[], int] = int,
    ) -> None:
        self._quiet, self._interruptions = quiet, interruptions
        self.level: Callable[[], str] | None = None
        """Where a search for the limit is, in words."""
        self._console = Console(file=obeyed(sys.stderr), highlight=False, markup=False, emoji=False)  # names are names
        if (wide := columns(self._console.width)) != self._console.width:
            self._console.width = wide
        self._live: Live | None = None
        self._size = self._console.size
        self._next_plain_s = 0.0
        self._told = 0
        self._kept: deque[str] = deque(maxlen=_KEPT)
        self.waiting_for: str | None = None
        """What the run had not begun without, when last heard of."""
        load, target = settings.load, settings.target
        much = f"{load.described()} for {in_words(load.duration)}"
        if settings.capacity is not None:
            much = f"looking for the limit, up to {load_words(settings.capacity.most, settings.capacity.unit)},"
        elif settings.probes.once:
            much = "active checks"
        searched = settings.capacity is not None
        self._plan = Plan(
            title=f"{settings.name}: {much} on {target.avaturn_base_url}",
            duration_s=None if searched or settings.probes.once else load.duration,
            grace_s=settings.graceful_stop_s,
            slos=settings.judged,
            load=not settings.probes.once,
        )
        lean = ", without the official clients" if target.http == "lean" else ""
        self.line(f"{much} on {target.avaturn_base_url}{lean}")
        self.line(f"writing {run_dir}")
        for what, url in pages(settings):
            self.line(f"{what}: {url}")

    def __enter__(self) -> Self:
        if self._can_draw():
            self._live = Live(
                Text("starting the session engines"),
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start(refresh=True)
        return self

    def _can_draw(self) -> bool:
        """A dumb terminal can't go back, and one without these signs would show their numbers."""
        console, unicode = self._console, self._console.encoding.lower().startswith("utf")
        return not self._quiet and sys.stderr.isatty() and console.is_interactive and unicode

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """The table is over, and gone; lines may still be said."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, now: Glance) -> None:
        """What the run tells each second."""
        self.waiting_for = now.waiting_for
        level = None if self.level is None else self.level()
        self._tell_of_stop()
        if now.waiting_for is not None:
            self.say(f"waiting for {now.waiting_for}")
        elif now.over:
            self.say("the run is over; its load processes end")
        elif self._live is not None:
            width, height = self._console.size
            hint = (ENDS, ENDING, ENDING_TWICE)[min(2, self._interruptions())]
            self._draw(rows(now, self._plan, hint=hint, width=width, height=height - 1, level=level))
        else:
            self._now_and_then(plain(now, self._plan, level=level))

    def say(self, text: str) -> None:
        """What is being done now."""
        self._tell_of_stop()
        if self._live is not None:
            self._draw([Text(safe(text))])
        else:
            self._now_and_then(text)

    def line(self, text: str) -> None:
        """Something to be kept: a line of its own."""
        if not self._quiet:
            self._kept.append(safe(text))
            self._console.print(self._kept[-1], soft_wrap=True)

    def tell(self, text: str) -> None:
        """The same, of words alone: on a terminal none of them is cut in two."""
        if not self._quiet:
            self._kept.append(safe(text))
            self._console.print(self._kept[-1], soft_wrap=self._live is None)

    def _tell_of_stop(self) -> None:
        """That Ctrl-C was heard, at once: the table says it too, but not elsewhere."""
        if self._interruptions() > self._told:
            self._told = self._interruptions()
            if self._live is None:
                self.line(ENDING if self._told == 1 else ENDING_TWICE)

    def _now_and_then(self, text: str) -> None:
        if time.monotonic() >= self._next_plain_s:
            self._next_plain_s = time.monotonic() + PLAIN_EVERY_S
            self.line(text)

    def _draw(self, found: list[Text]) -> None:
        assert self._live is not None
        if self._console.size != self._size:  # what stood there was broken into other lines by now
            self._size = self._console.size
            self._live.update(Text())
            self._console.clear()
            self._console.print("\n".join(self._kept), soft_wrap=True)
        self._live.update(Group(*found), refresh=True)


def pages(settings: Settings) -> list[tuple[str, str]]:
    """What of a run can be watched in a browser, and where."""
    output, found = settings.output, []
    if output.web_port is not None:
        found.append(("live page", f"http://127.0.0.1:{output.web_port}/sessions"))
    if isinstance(output.metrics_port, int):
        scheme = "http" if output.metrics_cert is None else "https"
        host = "127.0.0.1" if output.metrics_host in _ALL else output.metrics_host
        host = f"[{host}]" if ":" in host else host
        found.append(("metrics", f"{scheme}://{host}:{output.metrics_port}/metrics"))
    return found
