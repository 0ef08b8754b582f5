"""The report's tables as cells of words, and what failed how often: for terminal, Markdown and JUnit."""

import shlex
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from loadtest.criteria.slo import SECONDS, SHARE
from loadtest.criteria.words import amount, load_words, plural
from loadtest.events.kinds import RuleOutcome
from reports.verdict import rules

Report = Mapping[str, Any]

STEP_COLUMNS: Final = ("step", "count", "failed", "p50", "p95", "p99", "max")
LEVEL_COLUMNS: Final = ("level", "good/min", "failed", "set-up p95", "found", "because")
FAILURE_COLUMNS: Final = ("step", "kind", "code", "sessions", "steps", "example")
RUN_DIR: Final = "RUN_DIR"
"""In a command, where nobody says which."""
_QUANTILES: Final = ("p50_s", "p95_s", "p99_s", "max_s")


class Failure(NamedTuple):
    """What failed, how often, and where to look. `sessions`: whose first failure it was; `steps`: that ended so."""

    step: str
    kind: str
    code: str
    sessions: int
    steps: int
    detail: str
    command: tuple[str, ...]

    @property
    def words(self) -> str:
        """What it was."""
        return f"{self.step} · {self.kind} · {self.code}"

    @property
    def often(self) -> str:
        """How often it was."""
        if self.sessions:
            return plural(self.sessions)
        return plural(self.steps, "turn" if self.step == "turn" else "step")

    @property
    def typed(self) -> str:
        """The command that shows an example, as a shell takes it."""
        return shlex.join(self.command)


def steps(report: Report) -> list[tuple[str, ...]]:
    """By STEP_COLUMNS: the steps, the set-up, the turns of every kind, and what those took that have such a time. Of a
    barge-in that never silenced the avatar there is no time: it counts as failed."""
    turns = report["turns"]
    barge_in = turns["barge_in"]
    rows = [(name, row["count"], row["failed"], row) for name, row in report["steps"].items()]
    rows.append(("set-up (mint to connected)", report["sessions"]["setup"]["count"], None, report["sessions"]["setup"]))
    rows.append(("turns", turns["count"], turns["failed"], dict.fromkeys(_QUANTILES)))
    first_audio = turns["time_to_first_audio"]
    rows.append(("turn: time to first audio", first_audio["count"], None, first_audio))
    if barge_in["count"] or barge_in["censored"]:
        count = barge_in["count"] + barge_in["censored"]
        rows.append(("turn: barge-in to silence", count, barge_in["censored"], barge_in))
    return [
        (name, f"{count:,}", "–" if failed is None else f"{failed:,}", *map(_seconds, (row[q] for q in _QUANTILES)))
        for name, count, failed, row in rows
    ]


def levels(report: Report) -> list[tuple[str, ...]]:
    """By LEVEL_COLUMNS: the levels that a search tried, in order of time."""
    searched = report["capacity"]
    return [
        (
            load_words(row["level"], searched["unit"]),
            f"{60 * row['goodput_per_s']:,.1f}",
            f"{row['failed']:,}",
            _seconds(row["setup_p95_s"]),
            row["found"],
            _because(row),
        )
        for row in searched["stages"]
    ]


def _because(row: Mapping[str, Any]) -> str:
    """Why a level is not held, as far as a cell has room."""
    if row["found"] == "passed":
        return ""
    if row["found"] == "invalid":
        return "; ".join(row["generator"]["because"])
    if row["found"] == "refused":
        return f"{row['refused']:,} refused for their number"
    return ", ".join(row["broken"]) or ("" if row["keeps_up"] else "sessions pile up") or "no more done than below"


def failures(report: Report, *, run_name: str = RUN_DIR) -> list[Failure]:
    """The most frequent first."""
    return [
        Failure(
            step=row["step"],
            kind=row["kind"],
            code=row["code"],
            sessions=row["sessions"],
            steps=row["steps"],
            detail=row["detail"],
            command=("avaload", "session", run_name, row["example"][:12]),
        )
        for row in report["failures"]
    ]


def line_in_short(report: Report) -> str | None:
    """What the callers' own lines did; None where no scenario has one."""
    line = report["media"]["line"]
    if line is None:
        return None
    lost = [f"{amount(line[way]['loss'] or 0.0, SHARE)} {way}" for way in ("up", "down")]
    median_s = line["added"]["p50_s"]
    added = "" if median_s is None else f"added {_seconds(median_s)} to an answer (median), "
    return f"{added}lost {' and '.join(lost)}; no figure above has any of it"


def rules_in_short(report: Report) -> str | None:
    """How many rules held; None where none was judged."""
    rows = report["rules"]
    if not any(row["cases"] for row in rows):
        return None
    broken = [row["id"] for row in rules.broken(rows)]
    said = [f"{sum(row['outcome'] == RuleOutcome.PASS for row in rows)} held"]
    said.append(f"{len(broken)} broken" + (f" ({', '.join(broken)})" if broken else ""))
    for outcome, words in ((RuleOutcome.WAIVED, "waived"), (RuleOutcome.CHARACTERISED, "characterised")):
        if count := sum(row["outcome"] == outcome for row in rows):
            said.append(f"{count} {words}")
    said.append(f"{sum(row['outcome'] == RuleOutcome.NOT_TESTED for row in rows)} not tested")
    return ", ".join(said)


def _seconds(value: float | None) -> str:
    return "–" if value is None else amount(value, SECONDS)
