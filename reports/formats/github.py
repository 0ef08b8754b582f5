"""What a job on GitHub shows without anybody opening a file: annotations of the run, and the step's summary.

Workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtest.text.outlets import annotation

MOST: Final = 10
"""GitHub shows ten errors and ten warnings of a step."""
MOST_BYTES: Final = 1_000_000
"""GitHub refuses a summary of more than 1 MiB, all of it."""


def runs_us(environ: Mapping[str, str]) -> bool:
    """Whether this is a job of GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def run(report: Mapping[str, Any]) -> list[str]:
    """The annotations of a run: an error for each reason that failed it, a warning for the rest that one should know.

    `verdict.reasons` has them in this order; the exit code says whether there are any of the first sort.
    """
    verdict = report["verdict"]
    failing = int(verdict["failing"])
    title = f"avaload {verdict['outcome']}: {report['scenario']}"
    notes = verdict["reasons"][failing + int(verdict["told"]) :]
    return _annotations("error", title, verdict["reasons"][:failing]) + _annotations("warning", title, notes)


def comparison(compared: Mapping[str, Any]) -> list[str]:
    """The annotations of a comparison."""
    bad = [*compared["regressions"], *(f"not comparable: {why}" for why in compared["not_comparable_because"])]
    title = f"avaload compare: {compared['outcome'].replace('_', ' ')}"
    return _annotations("error", title, bad) + _annotations("warning", title, compared["notes"])


def add_to_summary(markdown: str, environ: Mapping[str, str]) -> str | None:
    """Append to the step's summary, which others may have begun. Returns what went wrong: a report that can't be shown
    there fails no run."""
    path = environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return None
    text = markdown.encode()
    try:
        with Path(path).open("ab") as file:
            room = MOST_BYTES - os.fstat(file.fileno()).st_size
            if room <= 0:
                return "GITHUB_STEP_SUMMARY: it is full, and the report is not in it"
            if len(text) > room:
                text = text[:room].rpartition(b"\n")[0] + b"\n\n(cut short)\n"
            file.write(text + b"\n")
    except OSError as error:
        return f"GITHUB_STEP_SUMMARY: {error.strerror}"
    return None


def _annotations(level: str, title: str, messages: Sequence[str]) -> list[str]:
    kept = list(messages[:MOST])
    if len(messages) > MOST:
        kept[-1] = f"{len(messages) - MOST + 1} more, in the report"
    return [annotation(level, title, message) for message in kept]
