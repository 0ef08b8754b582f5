"""`rules` of report.json: every rule of docs/contract.md, judged by its fold over the journals."""

import contextlib
import json
import mmap
import os
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from loadtest import journal
from loadtest.config.access.guard import secrets_sent, variables_of
from loadtest.config.promise import Promise
from loadtest.config.run_dir import Written, load_for_sending
from loadtest.criteria.statements import Group, Standing
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import RuleOutcome
from loadtest.rules.rulebook import Rulebook
from loadtest.rules.tally import Tally
from loadtest.secrecy.redact import file_tells
from loadtest.system import disk
from loadtest.text.outlets import markdown as as_markdown

Row = dict[str, Any]

_MOST_SEARCHED: Final = 256 * 2**20
"""Of each file. What a journal holds beyond was written by the redactor all the same; searching it would take longer
than the report."""
_ARTEFACTS: Final = ("*.json", "*.log", "*.jsonl", "*.html", "*.md", "*.xml", "parcel/*.json")
_OF_REPORTS: Final = ("report.", "junit.", "compare.")
"""Files that reports write after the search: to judge a run again gives the same."""
_GROUPS: Final = {
    Group.EXPIRY: "Expiry of secrets",
    Group.TERMINATION: "Ends of sessions",
    Group.DURATIONS: "Durations across providers",
    Group.TRANSCRIPTS: "Transcripts",
    Group.INTERRUPTION: "Interruption, sound and tools",
    Group.ERRORS: "Errors and validation",
    Group.LIMITS: "Limits",
    Group.SECURITY: "Security",
    Group.SDK: "The SDK's side",
}


_TITLES: Final = {
    RuleOutcome.PASS: "held",
    RuleOutcome.FAIL: "broken",
    RuleOutcome.CHARACTERISED: "characterised",
    RuleOutcome.NOT_TESTED: "not tested",
    RuleOutcome.WAIVED: "waived",
}


def section(run_dir: Path, written: Written) -> list[Row]:
    """A row for every rule. `written`: what settings.json holds; without it rules that ask what was promised see no
    case. Raises JournalError where no journal can be read."""
    book = Rulebook(_promises(written))
    for path in journal.journals(run_dir):
        for batch in journal.batches(path):
            for event in batch:
                book.add(event)
    values, unknown = _sent(run_dir, written)
    searched, longer = _searched(run_dir, values)
    rows = book.rows({"SEC-1": searched})
    for row in rows:
        if row["id"] == "SEC-1" and unknown:
            row["seen"].append(f"not looked for, since not known here: {', '.join(unknown)}")
        if row["id"] == "SEC-1" and longer:
            row["seen"].append(f"searched in the first {_MOST_SEARCHED >> 20} MiB alone: {', '.join(longer)}")
    return rows


def broken(rows: Iterable[Row]) -> list[Row]:
    """Those that fail the run."""
    return [row for row in rows if row["outcome"] == RuleOutcome.FAIL]


def assumed(rows: Iterable[Row]) -> list[Row]:
    """Those that are not as assumed, which fails nothing."""
    told = [row for row in rows if row["outcome"] != RuleOutcome.WAIVED]
    return [row for row in told if row["violations"] and row["standing"] == Standing.ASSUMED]


def waived(rows: Iterable[Row]) -> list[Row]:
    """Those that a scenario waives, whatever came of them."""
    return [row for row in rows if row.get("waived") is not None]


def describe(row: Row) -> str:
    """One row as a sentence."""
    example = f"; for example session {row['evidence'][0]}" if row["evidence"] else ""
    return f"rule {row['id']} ({row['statement']}): {seen(row)}{example}"


def seen(row: Row) -> str:
    """What load sessions showed of it, then what its probes saw."""
    return "; ".join([row["summary"], *(detail for detail in row["seen"] if detail not in row["summary"])])


def grouped(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """A title for people and its rows, in the order of docs/contract.md."""
    of_group: dict[str, list[Row]] = {}
    for row in rows:
        of_group.setdefault(row["group"], []).append(row)
    return [(title, of_group[group]) for group, title in _GROUPS.items() if group in of_group]


def markdown(rows: list[Row]) -> list[str]:
    """The lines of a short section: counts by group, then what is not as its rule says."""
    if not any(row["cases"] for row in rows):
        return []
    columns = [RuleOutcome.PASS, RuleOutcome.FAIL, RuleOutcome.CHARACTERISED, RuleOutcome.NOT_TESTED]
    columns += [RuleOutcome.WAIVED] if waived(rows) else []
    lines = [f"| rules | {' | '.join(_TITLES[each] for each in columns)} |", "|---|" + "--:|" * len(columns)]
    for title, of_group in grouped(rows):
        counts = [str(sum(row["outcome"] == outcome for row in of_group)) for outcome in columns]
        lines.append(f"| {title} | {' | '.join(counts)} |")
    accepted = [row for row in waived(rows) if row["outcome"] != RuleOutcome.FAIL]
    shown = [("❌", broken(rows)), ("⚠️", assumed(rows)), ("🟡", accepted)]
    return [*lines, "", *(f"- {sign} {as_markdown(describe(row))}" for sign, of_sign in shown for row in of_sign), ""]


def _promises(written: Written) -> dict[str, Promise]:
    settings = written.settings
    return {} if settings is None else settings.promises(today=_day(written.started_at))


def _day(started_at: object) -> date:
    try:
        return datetime.fromisoformat(str(started_at)).date()
    except ValueError:
        return datetime.now(UTC).date()


def _sent(run_dir: Path, written: Written) -> tuple[set[str], list[str]]:
    """Values that the run has sent and that are known here, and names of those that aren't."""
    settings = written.settings
    if settings is None:
        return set(), []
    unknown = [] if written.embedded_twin else [name for name in variables_of(settings) if not os.environ.get(name)]
    with contextlib.suppress(ConfigError):
        settings = load_for_sending(run_dir)
    backend = settings.target.backend
    unknown += backend.withheld if backend is not None else []
    openly = json.dumps(written.as_dict(), ensure_ascii=False)
    return secrets_sent(settings, os.environ, openly=openly), unknown


def _searched(run_dir: Path, values: Collection[str]) -> tuple[Tally, list[str]]:
    """SEC-1 over what the run has left: a case for each file, but for those that are too long to be searched whole,
    whose names come second. `values`: what it has sent."""
    tally, longer = Tally(), []
    found = [path for pattern in _ARTEFACTS for path in run_dir.glob(pattern)]
    ours = [path for path in found if not path.name.startswith(_OF_REPORTS)]
    for path in sorted([*journal.paths(run_dir), *ours]):
        if not disk.is_plain(path) or not (size := path.stat().st_size):
            continue
        part = min(size, _MOST_SEARCHED)
        with disk.open_read(path) as file, mmap.mmap(file.fileno(), part, access=mmap.ACCESS_READ) as text:
            told = file_tells(text, values)
        if told is not None:
            tally.broken("", f"{path.name} {told}")
        elif size > part:
            longer.append(path.name)
        else:
            tally.held()
    tally.evidence.clear()
    return tally, longer
