"""What all commands print, and how: on stdout, whoever reads it; in GitHub's logs, too."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.text import outlets

unsaid: list[str] = []
"""Why stdout took no more, where its reader had not left by himself. A verdict outlives that, a pass doesn't."""


def say(text: str) -> None:
    """On stdout. A reader that has left (`| head`) must not cost the command its exit code."""
    with _unless_gone():
        print(text, flush=True)


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError) and error.errno != errno.EIO:  # EIO: the terminal is gone
            unsaid.append(f"stdout: {error.strerror}; what was to be printed is lost")


def say_lines(texts: Iterable[str]) -> None:
    """Each is one line, whatever it holds."""
    say(outlets.lines(texts))


def say_json(found: Any) -> None:
    """A line of JSON on stdout."""
    say(outlets.json_line(found))


def complain(text: str) -> None:
    """A line on stderr."""
    print(f"avaload: {outlets.line(text)}", file=sys.stderr)


def show(
    report: Mapping[str, Any], run_dir: Path, *, as_json: bool, quiet: bool = False, out: Path | None = None
) -> None:
    """A run's verdict, why, its figures, and where its report is (`out`; None: with the run); or the report."""
    from rich.console import Console

    from reports.formats import github, render_md, terminal

    tell_github(github.run(report), render_md.render(dict(report), run_name=terminal.named(run_dir)), as_json=as_json)
    if as_json:
        say_json(report)
        return
    shown_on = Console() if sys.stdout.isatty() else None
    text = terminal.render(dict(report), run_dir, out=out or run_dir, quiet=quiet, shown_on=shown_on)
    with _unless_gone():
        stream = outlets.obeyed(sys.stdout)
        stream.write(text)
        stream.flush()


def tell_github(lines: Sequence[str], summary: str, *, as_json: bool) -> None:
    """Annotations and the step's summary, where GitHub runs us. Beside JSON they go to stderr, which it reads, too."""
    from reports.formats import github

    if not github.runs_us(os.environ):
        return
    stream = outlets.obeyed(sys.stderr if as_json else sys.stdout)
    with _unless_gone():
        for line in lines:
            print(line, file=stream)
        stream.flush()
    if problem := github.add_to_summary(summary, os.environ):
        complain(f"warning: {problem}")
