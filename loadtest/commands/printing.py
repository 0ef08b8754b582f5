"""What all commands print, and how: on stdout, whoever reads it; in GitHub's logs, too."""

import errno
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

unsaid: list[str] = []
"""Why stdout took no more, where its reader had not left by himself. A verdict outlives that, a pass doesn't."""


def say(text: str) -> None:
    """On stdout. A reader that has left (`| head`) must not cost the command its exit code."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError) and error.errno != errno.EIO:  # EIO: the terminal is gone
            unsaid.append(f"stdout: {error.strerror}; what was to be printed is lost")


def say_json(found: Any) -> None:
    """A line of JSON on stdout."""
    say(json.dumps(found))


def show(report: Mapping[str, Any], run_dir: Path, *, as_json: bool) -> None:
    """A run's verdict, why, and where its report is; or the report."""
    from reports.pages import github, render_md
    from reports.verdict import objective_words

    tell_github(github.run(report), render_md.render(dict(report)), as_json=as_json)
    if as_json:
        say_json(report)
        return
    verdict = report["verdict"]
    say(f"verdict: {verdict['outcome']}")
    for reason in verdict["reasons"]:
        say(f"  - {reason}")
    for line in objective_words.table(report["slos"]):
        say(f"  {line}")
    if (page := run_dir / "report.html").exists():  # else it was said where it is
        say(f"report:  {page}")


def tell_github(lines: Sequence[str], summary: str, *, as_json: bool) -> None:
    """Annotations and the step's summary, where GitHub runs us. Beside JSON they go to stderr, which it reads, too."""
    from reports.pages import github

    if not github.runs_us(os.environ):
        return
    for line in lines:
        if as_json:
            print(line, file=sys.stderr)
        else:
            say(line)
    if problem := github.add_to_summary(summary, os.environ):
        print(f"avaload: warning: {problem}", file=sys.stderr)
