"""Judges every mutant of the twin, in load runs and by probes, and writes the table of who named it: docs/mutants.md.

    python -m tests.judging.mutant_table [--only SUBSTRING] [--missing] [--jobs 3] [--scale 10] [--file FILE]

A load run of each mutant first, as `tests.judging.judging` makes it; then all probes against each, as
`tests.judging.judging_probes --whole` does. Takes about three quarters of an hour. With --only or --missing the
other rows stay as they are. Exit 1 if a mutant was named by neither.
"""

import argparse
import inspect
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from loadtest.criteria.statements import RULES, Standing
from loadtest.twin.mutants import MUTANTS
from tests.judging import judging, judging_probes
from tests.judging.judging_probes import Job

PAGE = Path("docs/mutants.md")
HEAD = """\
# Which rule names which mutant

Generated: `python -m tests.judging.mutant_table` judges every mutant of the twin (`loadtest/twin/mutants`) and
writes this page. The last column says when, and with which revision. A mutant's name begins with the rule that it
breaks and that has to name it.

- *Load*: a run of 4 users for 8 s that talk, interrupt and make noises (settings: `tests/judging/judging.py`). It has
  load sessions alone, no probes.
- *Probe*: `avaload probe`, all checks, the timers of the twin 10 times faster (`tests/judging/judging_probes.py`).
- ✗ the rule fails the run.
- ⚠ counted and told, fails no run: the rule is only assumed.
- “told”: nobody knows the right answer, so what was seen is told.
- – not named.
- *Others*: every other rule that was broken too, by load sessions (L) or by probes (P).

| mutant | how it is wrong | rule | load | probe | others | judged |
|---|---|---|---|---|---|---|
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.judging.mutant_table", description=__doc__)
    parser.add_argument("--only", default="", help="mutants with this in their names")
    parser.add_argument("--missing", action="store_true", help="only mutants that have no row yet")
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=10)
    parser.add_argument("--file", type=Path, default=PAGE)
    options = parser.parse_args()
    rows = rows_of(options.file.read_text(encoding="utf-8")) if options.file.exists() else {}
    names = [name for name in MUTANTS if options.only in name and not (options.missing and name in rows)]
    in_load = _load(names, at_once=options.jobs)
    unnamed = []

    def say(job: Job, probed: list[dict[str, Any]]) -> None:
        rows[job.name] = row = _row(job, in_load[job.name], probed)
        options.file.write_text(page(rows), encoding="utf-8")
        print(row, flush=True)
        if rule_is_named(row) is False:
            unnamed.append(job.name)

    jobs = [judging_probes.mutant_job(name, scale=options.scale, whole=True) for name in names]
    uvloop.run(judging_probes.rounds(jobs, at_once=options.jobs, say=say))
    print(f"{len(names) - len(unnamed)} of {len(names)} named; not: {', '.join(unnamed) or '–'}")
    return int(bool(unnamed))


def _load(names: list[str], *, at_once: int) -> dict[str, dict[str, Any]]:
    """By mutant, the rules that load sessions found broken."""
    jobs = [(name, judging.PASSIVE.get(name, judging.Setting()), (f"mutant={name}",), "instant", 1) for name in names]
    found = {}
    for name, broken in judging.rounds(jobs, at_once=at_once):
        print(f"load: {name}: {', '.join(broken) or '–'}", flush=True)
        found[name] = broken
    return found


def _row(job: Job, in_load: dict[str, Any], probed: list[dict[str, Any]]) -> str:
    rule = judging.rule_of(job.name)
    by_probe = judging_probes.broken_of(probed)
    others = [f"L {each}" for each in in_load if each != rule] + [f"P {each}" for each in by_probe if each != rule]
    sign = {Standing.BINDING: "✗", Standing.ASSUMED: "⚠", Standing.OPEN: "“told”"}[RULES[rule].standing]
    what = inspect.cleandoc(MUTANTS[job.name].__doc__ or "").partition("\n")[0].replace("|", "\\|")
    cells = (
        f"`{job.name}`", what, rule,
        sign if rule in in_load else "–",
        sign if judging_probes.is_named(job, probed) else "–",
        ", ".join(others) or "–",
        f"{datetime.now(UTC):%Y-%m-%d} {_revision()}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def rule_is_named(row: str) -> bool:
    """Whether load sessions or a probe named the mutant of this row of the table."""
    *_, load, probe, _others, _judged = cells(row)
    return {load, probe} != {"–"}


def cells(row: str) -> list[str]:
    """Of a row of the table."""
    return row.strip().removeprefix("| ").removesuffix(" |").split(" | ")


def rows_of(text: str) -> dict[str, str]:
    """By mutant, the rows of the page."""
    return {cells(line)[0].strip("`"): line for line in text.splitlines() if line.startswith("| `")}


def page(rows: dict[str, str]) -> str:
    """The page, with the mutants in their own order."""
    return HEAD + "".join(f"{rows[name]}\n" for name in MUTANTS if name in rows)


def _revision() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
