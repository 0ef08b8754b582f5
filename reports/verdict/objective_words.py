"""An objective in words: a row of `slos` of report.json as a sentence, and as the cells of a table.

Terminal, page, Markdown and JUnit all take them from here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtest.criteria.slo import EXPOSED, INDICATORS, PER_MINUTE, SHARE, SloOutcome
from loadtest.criteria.words import amount, asked, bound, counted, plural

Row = Mapping[str, Any]

COLUMNS: Final = ("objective", "bound", "observed", "samples", "outcome")
OUTCOMES: Final = {SloOutcome.PASS: "met", SloOutcome.FAIL: "missed", SloOutcome.NOT_ENOUGH: "not enough samples"}
_WORST: Final = (SloOutcome.FAIL, SloOutcome.NOT_ENOUGH, SloOutcome.PASS)
_BAD: Final = {
    "failed_rate": ("failed", "failing"),
    "failed": ("failed", "failing"),
    "answered_early_rate": ("answered early", "answered early"),
    "response_rate": ("answered", "answered"),
    "premature_rate": ("answered early", "answered early"),
    "yield_rate": ("yielded to", "yielding"),
    "false_stop_rate": ("stopped", "stopping"),
    "self_interruption_rate": ("self-interrupted", "self-interrupting"),
    "unasked_rate": ("with unasked speech", "with unasked speech"),
    "cut_rate": ("cut off", "cut off"),
    "dropped_rate": ("dropped", "dropped"),
    "dropped": ("dropped", "dropped"),
    "leaked": ("left behind", "left behind"),
    "doubtful": ("doubtful", "doubtful"),
    "unconfirmed": ("not proved gone", "not proved gone"),
}
"""What a bad sample of a rate or a count is: of so many, and of a share."""
_NOUNS: Final = {"secret": "session", "teardown": "delete", "media": "session"}


def cells(row: Row) -> dict[str, str]:
    """By name of COLUMNS, `indicator`, and `count`: the samples alone."""
    indicator = row["indicator"] + (f" of {row['scenario']}" if row["scenario"] else "")
    return {
        "objective": row["name"] if row["name"] == row["indicator"] else f"{row['name']} ({indicator})",
        "indicator": indicator,
        "bound": bound(row["bound"] == "min", row["objective"], row["unit"]),
        "observed": _observed(row) + _when(row),
        "samples": _samples(row) + ("" if row["outcome"] == SloOutcome.NOT_ENOUGH else _open(row)),
        "count": _samples(row),
        "outcome": OUTCOMES[SloOutcome(row["outcome"])],
    }


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """Those that were missed, then those that could not be judged: what a short table leaves out was met."""
    return sorted(rows, key=lambda row: _WORST.index(SloOutcome(row["outcome"])))


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of a table for a terminal, its columns aligned; none of nothing."""
    if not rows:
        return []
    return aligned([COLUMNS, *(tuple(cells(row)[name] for name in COLUMNS) for row in rows)])


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table of plain text."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def describe(row: Row) -> str:
    """One row as a sentence."""
    outcome, name = SloOutcome(row["outcome"]), cells(row)["objective"]
    wanted = f"wanted at {'most' if row['bound'] == 'max' else 'least'} {asked(row['objective'], row['unit'])}"
    if outcome is SloOutcome.NOT_ENOUGH:
        seen = "" if row["observed"] is None else f" ({_observed(row)} so far)"
        of = f"{_of(row)}, it takes {counted(row['needed'], row['unit'])}"
        return f"not enough samples: {name}: {of}{seen}, {wanted}"
    found = _found(row)
    if outcome is SloOutcome.FAIL and row["aborted"]:
        return f"objective missed: {name}: it stopped the run; {found} in the end, {wanted}"
    return f"objective {OUTCOMES[outcome]}: {name}: {found}, {wanted}"


def unseen(row: Row) -> str | None:
    """What an objective that was met could have missed; None where its samples prove it, or are of another sort."""
    if row["outcome"] != SloOutcome.PASS or row["upper_bound"] is None:
        return None
    if row["unit"] == SHARE and row["upper_bound"] <= row["objective"]:
        return None
    done, doing = _bad(row)
    number = f"{row['beyond']:,}" if row["beyond"] else "none"
    return (
        f"{plural(row['count'], _noun(row))}, {number} {done}: "
        f"up to {_possible(row, 'upper_bound')} {doing} would have passed unseen"
    )


def stopped_early(aborted: Mapping[str, Any]) -> str:
    """`aborted` of report.json as a sentence."""
    over = "so far" if aborted["window_s"] is None else f"in {aborted['window_s']:g} s"
    name = aborted["slo"] + ("" if aborted["slo"] == aborted["indicator"] else f" ({aborted['indicator']})")
    return (
        f"stopped early after {aborted['at_s']:.1f} s by its objective {name}: "
        f"{aborted['beyond']:,} {_among(aborted)} {over} were beyond it"
    )


def _among(aborted: Mapping[str, Any]) -> str:
    unit = INDICATORS.get(aborted["indicator"], SHARE)  # an old run's may be gone
    return f"{'in' if unit == PER_MINUTE else 'of'} {counted(aborted['count'], unit)}"


def _found(row: Row) -> str:
    if row["observed"] is None:
        return "nothing was observed"
    found = _observed(row) + _when(row)
    if row["unit"] == SHARE:
        return f"{found} of {_of(row)}{_open(row)}"
    if row["unit"] == PER_MINUTE:
        return f"{found}, {row['beyond']:,} in {_of(row)}"
    if row["count"] < row["needed"]:
        return f"{found}, {row['beyond']:,} of only {_of(row)} beyond it"
    return found


def _observed(row: Row) -> str:
    return amount(row["observed"], row["unit"], row["objective"])


def _possible(row: Row, bound: str) -> str:
    """The share that the samples don't exclude, which is nothing to compare with a bound that is no share."""
    return amount(row[bound], SHARE, *([row["objective"]] if row["unit"] == SHARE else []))


def _when(row: Row) -> str:
    if row["worst"] is None:
        return ""
    when = f"from {row['worst']['from_s']:,.1f} s to {row['worst']['to_s']:,.1f} s"
    broken = f", {row['windows']['broken']} windows broken" if row["windows"]["broken"] > 1 else ""
    return f" in the worst {row['window_s']:g} s ({when}{broken})"


def _samples(row: Row) -> str:
    if row["outcome"] == SloOutcome.NOT_ENOUGH:
        return f"{counted(row['count'], row['unit'])} of {counted(row['needed'], row['unit'])}"
    return counted(row["count"], row["unit"])


def _of(row: Row) -> str:
    """How many of what its samples are."""
    return counted(row["count"], row["unit"]) if row["unit"] == PER_MINUTE else plural(row["count"], _noun(row))


def _open(row: Row) -> str:
    """The share that the samples don't exclude."""
    if row["upper_bound"] is not None:
        return f" (could be up to {_possible(row, 'upper_bound')})"
    if row["lower_bound"] is not None:
        return f" (could be down to {_possible(row, 'lower_bound')})"
    return ""


def _bad(row: Row) -> tuple[str, str]:
    return _BAD.get(row["indicator"].partition(".")[2], ("bad", "bad"))


def _noun(row: Row) -> str:
    """What is counted: sessions, turns, creates …"""
    indicator = str(row["indicator"])
    if EXPOSED.get(indicator, indicator) == "session.dropped_rate":
        return "iteration"
    if indicator == "media.packet_loss":
        return "packet"
    subject = indicator.partition(".")[0]
    return _NOUNS.get(subject, subject)
