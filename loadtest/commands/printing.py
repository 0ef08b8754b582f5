"""What all commands print, and how: on stdout, whoever reads it; in GitHub's logs, too."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.language import outlets

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


def show(report: Mapping[str, Any], directory: Path, *, as_json: bool) -> None:
    """A run's verdict, why, and where its report is (`directory`); or the report."""
    from reports.pages import github, render_md
    from reports.sections.costs import spending
    from reports.verdict import objective_words

    tell_github(github.run(report), render_md.render(dict(report)), as_json=as_json)
    if as_json:
        say_json(report)
        return
    verdict = report["verdict"]
    said = [f"verdict: {verdict['outcome']}"]
    said += [f"  - {reason}" for reason in verdict["reasons"]]
    said += [f"  {row}" for row in objective_words.table(report["slos"])]
    if (cost := report["cost"]) is not None and (cost["charged"] or cost["budget_usd"] is not None):
        said += [f"cost:    {line}" for line in spending.lines(cost, report["teardown"]["orphans"])]
    if report["judged_by"] is not None:
        said.append(f"judged by {report['judged_by']}; the run's own verdict stays where it is")
    if (page := directory / "report.html").exists():  # else it was said where it is
        said.append(f"report:  {page}")
    say_lines(said)


def tell_github(lines: Sequence[str], summary: str, *, as_json: bool) -> None:
    """Annotations and the step's summary, where GitHub runs us. Beside JSON they go to stderr, which it reads, too."""
    from reports.pages import github

    if not github.runs_us(os.environ):
        return
    stream = outlets.obeyed(sys.stderr if as_json else sys.stdout)
    with _unless_gone():
        for line in lines:
            print(line, file=stream)
        stream.flush()
    if problem := github.add_to_summary(summary, os.environ):
        complain(f"warning: {problem}")
