"""Two sets of runs → what changed: `avaload compare`, and the baseline section of a report.

A measure is worse when its mean of logarithms is larger by more than the margin, with its confidence interval wholly
above it (Holm's correction over the measures). Quantiles are shown with intervals of their own; a tail alone counts as
worse only beyond a wider margin. The margin is never below what our own clock can tell: see `_margin`.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean
from typing import Any, Final

import numpy as np

from loadtest.config.run_dir import SETTINGS
from loadtest.criteria.slo import RANKS, SECONDS
from loadtest.criteria.words import amount, cut, plural
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.events.kinds import RuleOutcome
from loadtest.sound.frames import FRAME_MS
from reports.comparing import compare_stats as stats
from reports.comparing.compare_runs import (
    FAILING,
    HEARD,
    MEASURES,
    Measured,
    Unread,
    check_same_way,
    incomparable,
    load,
)
from reports.comparing.compare_settings import differences
from reports.data.measures import quantiles

SCHEMA: Final = 1
MARGIN: Final = 0.015
"""Default practical margin: a smaller change of the mean is nobody's business."""
TAIL_MARGIN: Final = 0.10
FAILED_MARGIN: Final = 0.005
RESOLUTION_S: Final = 0.001
"""No change below it is told: the client's own share of a time moves by as much between two runs."""
HEARD_S: Final = FRAME_MS / 1000
"""The same of a turn's times. Both sides send a frame at a time. How their clocks lie to each other is chance, and all
sessions of a run may share it."""
ALPHA: Final = 0.02
"""Chance that any measure of two equal builds is called worse; better must be five times as sure."""
ALPHA_BETTER: Final = 0.004
ALPHA_TAIL: Final = 0.005
SEEN: Final = 0.95
"""Chance with which the smallest change that is told would have been seen."""
TAILS: Final[Mapping[str, int]] = {"p95": 200, "p99": 1000}
"""Quantiles that may be worse by themselves, and how many samples a side that takes."""
SHOWN: Final = ("p50", "p95", "p99")
_TOLD: Final = 5
_UNTIMED: Final = f"no step or turn has {stats.FEWEST} sessions that began in {stats.FEWEST_SECONDS} different seconds"

Row = dict[str, Any]


def compare(base_dirs: Sequence[Path], new_dirs: Sequence[Path], *, margin: float = MARGIN) -> Row:
    """The comparison as a dict, fit for JSON. Raises JournalError or ConfigError, one line a problem."""
    resolved = [path.resolve() for path in (*base_dirs, *new_dirs)]
    twice = sorted({str(path) for path in resolved if resolved.count(path) > 1})
    if twice:
        raise ConfigError([f"{path}: is there twice; a run can't be compared with itself" for path in twice])
    base, new = [load(path) for path in base_dirs], [load(path) for path in new_dirs]
    check_same_way(base, new)
    return contrast(base, new, margin=margin)


def contrast(base: Sequence[Measured], new: Sequence[Measured], *, margin: float = MARGIN) -> Row:
    """The same from runs that are in memory.

    outcome: regression | no_change | improvement | not_comparable. `regressions` and `improvements` are sentences;
    `measures`, `failing`, `failures`, `rules` and `settings` are what they rest on. Times in s; changes are ratios
    minus 1.
    """
    because = incomparable(base, new)
    measures = _measures(base, new, margin)
    settings = differences(base[0].written, new[0].written)
    failing, failures, rules = _failing(base, new), _failures(base, new), _rules(base, new)
    regressions = [] if because else _regressions(measures, failing, rules)
    untimed = [] if any(row["verdict"] != "too_few" for row in measures) else [_UNTIMED]
    lighter = [f"{run.name}: {run.lighter}" for run in new if run.lighter]
    if not because and not regressions:  # what never got so far as to be timed is worse all the same
        because = [*untimed, *lighter]
    improvements = [] if because else _improvements(measures, rules)
    outcome = "regression" if regressions else "improvement" if improvements else "no_change"
    outcome = "not_comparable" if because else outcome
    return {
        "schema": SCHEMA,
        "outcome": outcome,
        "exit_code": int({"regression": Exit.FAIL, "not_comparable": Exit.INVALID}.get(outcome, Exit.PASS)),
        "not_comparable_because": because,
        "regressions": regressions,
        "improvements": improvements,
        "notes": [
            *((*untimed, *lighter) if regressions else ()),
            *_notes(base, new),
            *_changed_defaults(settings),
            *_within(base),
            *_within(new),
        ],
        "margin": margin,
        "base": [_about(run) for run in base],
        "new": [_about(run) for run in new],
        "measures": measures,
        "failing": failing,
        "failures": failures,
        "rules": rules,
        "settings": settings,
    }


def without(base: Unread, new: Measured) -> Row:
    """The same where the base can't be read: why, and nothing else."""
    nothing = ("regressions", "improvements", "notes", "measures", "failing", "rules", "settings")
    return {
        "schema": SCHEMA,
        "outcome": "not_comparable",
        "exit_code": int(Exit.INVALID),
        "not_comparable_because": list(base.because),
        "margin": MARGIN,
        "base": [dict.fromkeys(_about(new)) | {"name": base.name}],
        "new": [_about(new)],
        "failures": {"new": [], "gone": []},
        **{key: [] for key in nothing},
    }


def percent(change: float | None) -> str:
    """A ratio minus 1 as people read it."""
    if change is None:
        return "–"
    digits = 0 if abs(change) >= 0.0995 else 1
    return f"{change * 100:+z.{digits}f} %".replace("-", "−")


def _measures(base: Sequence[Measured], new: Sequence[Measured], margin: float) -> list[Row]:
    rows = [_measure(measure, base, new, margin) for measure in MEASURES]
    rows = [row for row in rows if row["base"]["count"] or row["new"]["count"]]
    tested = [row for row in rows if row["verdict"] != "too_few"]
    for verdict, key, alpha in (("worse", "p_worse", ALPHA), ("better", "p_better", ALPHA_BETTER)):
        for row, fallen in zip(tested, stats.holm([row[key] for row in tested], alpha), strict=True):
            row["verdict"] = verdict if fallen else row["verdict"]
    tails = [quantile for row in tested for quantile in row["quantiles"].values() if quantile["p_worse"] is not None]
    for quantile, fallen in zip(tails, stats.holm([each["p_worse"] for each in tails], ALPHA_TAIL), strict=True):
        quantile["verdict"] = "worse" if fallen else "not_worse"
    for row in tested:
        sure = stats.t_bound(ALPHA / len(tested), row["df"]) + stats.t_bound(1 - SEEN, row["df"])
        row["smallest_seen"] = math.expm1(math.log1p(row["margin"]) + sure * row["error"])
    return rows


def _measure(measure: str, base: Sequence[Measured], new: Sequence[Measured], margin: float) -> Row:
    sides = {"base": [run.samples[measure] for run in base], "new": [run.samples[measure] for run in new]}
    row: Row = {"measure": measure, "verdict": "too_few"}
    for side, runs in sides.items():
        row[side] = _side([each.values for each in runs])
    grouped = [[stats.blocks(each) for each in runs] for runs in sides.values()]
    if not all(stats.is_told(each) for runs in grouped for each in runs):
        return row
    estimates = [[stats.log_mean(each) for each in runs] for runs in grouped]
    means = stats.contrast(*estimates)
    bound = math.log1p(_margin(measure, margin, row["base"]["mean_s"], (*base, *new)))
    return row | {
        "verdict": "no_change",
        "change": math.expm1(means.value),
        "low": math.expm1(means.low),
        "high": math.expm1(means.high),
        "margin": math.expm1(bound),
        "p_worse": means.p_above(bound),
        "p_better": means.p_below(-bound),
        "error": means.error,
        "df": means.df,
        "smallest_seen": None,
        "error_from": "runs"
        if means.between
        else "time"
        if any(e.in_time for runs in estimates for e in runs)
        else "sessions",
        "quantiles": _quantiles(measure, grouped, row, (*base, *new)),
    }


def _side(runs: Sequence[stats.Floats]) -> Row:
    """Mean and quantiles of one side, in which each run weighs the same however many samples it has, as in
    `stats.contrast`: the change that is told is the ratio of the figures that are shown."""
    found: list[Row] = [
        {"mean_s": geometric_mean(values), **quantiles(values, SHOWN)}
        for values in (np.maximum(values, stats.SHORTEST_S) for values in runs if len(values))
    ]
    row: Row = {"count": sum(map(len, runs)), "mean_s": None, **quantiles([], SHOWN)}
    for name in found[0] if found else ():
        row[name] = round(geometric_mean([each[name] for each in found]), 9)
    return row


def _quantiles(
    measure: str, grouped: Sequence[Sequence[stats.Blocks]], row: Row, runs: Sequence[Measured]
) -> dict[str, Row]:
    chance = np.random.default_rng(sum(measure.encode()))  # equal journals give equal reports
    ranks = [float(RANKS[name]) for name in SHOWN]
    sides = [[stats.log_quantiles(each, ranks, chance) for each in runs] for runs in grouped]
    found = {}
    for place, name in enumerate(SHOWN):
        both = stats.contrast(*[[estimates[place] for estimates in runs] for runs in sides])
        fewest = min(row["base"]["count"], row["new"]["count"])
        may_be_worse = name in TAILS and fewest >= TAILS[name]
        bound = math.log1p(_margin(measure, TAIL_MARGIN, row["base"][f"{name}_s"], runs))
        found[name] = {
            "change": math.expm1(both.value),
            "low": math.expm1(both.low),
            "high": math.expm1(both.high),
            "p_worse": both.p_above(bound) if may_be_worse else None,
            "verdict": "shown",
        }
    return found


def _margin(measure: str, margin: float, base_s: float, runs: Sequence[Measured]) -> float:
    """The practical margin, or what a change must exceed to be the target's and not our own: what can be told of the
    measure, and what our event loop and connections added. Nothing that was measured takes less than a nanosecond."""
    resolution_s = HEARD_S if measure in HEARD else RESOLUTION_S
    return max(margin, (resolution_s + max(run.own_s for run in runs)) / max(base_s, 1e-9))


def _failing(base: Sequence[Measured], new: Sequence[Measured]) -> list[Row]:
    rows: list[Row] = []
    for what in FAILING:
        pairs = [[run.failing[what] for run in side] for side in (base, new)]
        bad, judged = ([sum(pair[place] for pair in side) for side in pairs] for place in (0, 1))
        if not any(judged):
            continue
        row: Row = {"what": what, "verdict": "no_change", "p": None}
        for place, side in enumerate(("base", "new")):
            row[side] = {"failed": bad[place], "judged": judged[place]}
            row[side]["rate"] = bad[place] / judged[place] if judged[place] else None
        if all(judged):
            row["p"] = max(stats.more_often((bad[0], judged[0]), (bad[1], judged[1])), _between_runs(pairs))
        rows.append(row)
    tested = [row for row in rows if row["p"] is not None]
    for row, fallen in zip(tested, stats.holm([row["p"] for row in tested], ALPHA), strict=True):
        if fallen and row["new"]["rate"] - row["base"]["rate"] > FAILED_MARGIN:
            row["verdict"] = "worse"
    return rows


def _between_runs(pairs: Sequence[Sequence[tuple[int, int]]]) -> float:
    """How likely shares as far apart are, by what the runs of one side differ by; 0 where there are too few runs."""
    if min(map(len, pairs)) < 2:
        return 0.0
    sides = [[stats.Estimate(value=bad / judged, variance=0.0, df=1) for bad, judged in side if judged]
             for side in pairs]  # fmt: skip
    if min(map(len, sides)) < 2:
        return 0.0
    both = stats.contrast(*sides)
    return both.p_above(0.0) if both.error > 0 else 0.0


def _failures(base: Sequence[Measured], new: Sequence[Measured]) -> Row:
    """Failures that one side has and the other hasn't, and how many."""
    sides = [
        {name: sum(run.failures.get(name, 0) for run in side) for run in side for name in run.failures}
        for side in (base, new)
    ]

    def only(mine: Mapping[str, int], others: Mapping[str, int]) -> list[Row]:
        found = [{"failure": name, "count": count} for name, count in mine.items() if name not in others]
        return sorted(found, key=lambda row: (-int(str(row["count"])), str(row["failure"])))

    return {"new": only(sides[1], sides[0]), "gone": only(sides[0], sides[1])}


def _rules(base: Sequence[Measured], new: Sequence[Measured]) -> list[Row]:
    """Rules whose outcome changed; of several runs the worst outcome counts."""
    outcomes = [{rule: _worst(rule, side) for run in side for rule in run.rules} for side in (base, new)]
    missing = str(RuleOutcome.NOT_TESTED)
    ids = sorted(dict.fromkeys((*outcomes[0], *outcomes[1])))
    rows = [{"id": rule, "base": outcomes[0].get(rule, missing), "new": outcomes[1].get(rule, missing)} for rule in ids]
    return [row for row in rows if row["base"] != row["new"]] if all(outcomes) else []


def _worst(rule: str, side: Sequence[Measured]) -> str:
    order = [
        RuleOutcome.FAIL,
        RuleOutcome.WAIVED,
        RuleOutcome.PASS,
        RuleOutcome.CHARACTERISED,
        RuleOutcome.NOT_TESTED,
    ]
    return min((run.rules[rule] for run in side if rule in run.rules), key=[str(each) for each in order].index)


def _regressions(measures: Sequence[Row], failing: Sequence[Row], rules: Sequence[Row]) -> list[str]:
    found = []
    for row in measures:
        if row["verdict"] == "worse":
            found.append(f"{row['measure']} is slower{_by(row)}, more than the margin of {percent(row['margin'])[1:]}")
            continue
        for name, quantile in row.get("quantiles", {}).items():
            if quantile["verdict"] == "worse":
                found.append(f"{row['measure']} {name} is slower{_by(quantile, row, name)}")
    for row in failing:
        if row["verdict"] == "worse":
            was, now = (f"{row[side]['failed']:,} of {row[side]['judged']:,}" for side in ("base", "new"))
            found.append(f"{row['what']} fails more often: {now}, {was} before")
    found += [
        f"rule {row['id']} fails and passed before"
        for row in rules
        if (row["base"], row["new"]) == (RuleOutcome.PASS, RuleOutcome.FAIL)
    ]
    return found


def _improvements(measures: Sequence[Row], rules: Sequence[Row]) -> list[str]:
    found = [f"{row['measure']} is faster{_by(row)}" for row in measures if row["verdict"] == "better"]
    return found + [
        f"rule {row['id']} passes and failed before"
        for row in rules
        if (row["base"], row["new"]) == (RuleOutcome.FAIL, RuleOutcome.PASS)
    ]


def _by(change: Row, row: Row | None = None, name: str = "mean") -> str:
    row = row or change
    was, now = (amount(row[side][f"{name}_s"], SECONDS) for side in ("base", "new"))
    return f" by {percent(change['change'])[1:]} ({percent(change['low'])} to {percent(change['high'])}): {was} → {now}"


def _notes(base: Sequence[Measured], new: Sequence[Measured]) -> list[str]:
    notes = []
    for run in (*base, *new):
        if run.generator == "suspect":
            finest = amount(RESOLUTION_S + run.own_s, SECONDS)
            notes.append(f"{run.name}: its generator was suspect: no change below {finest} is told")
        if run.aborted or run.interrupted:
            notes.append(f"{run.name}: stopped early; compared is what had run by then")
        if run.written.settings is None:
            notes.append(f"{run.name}: {run.written.problem}; so nothing says that it ran the same plan")
    hosts = {run_host for run in (*base, *new) if (run_host := run.written.host_name)}
    if len(hosts) > 1:
        notes.append(f"measured on {plural(len(hosts), 'host')}: {', '.join(sorted(hosts))}")
    if min(len(base), len(new)) < 2:
        notes.append("one run a side says nothing about how much runs differ by themselves")
    return notes


def _changed_defaults(settings: Sequence[Row]) -> list[str]:
    """What nobody chose, and yet isn't the same: it may be all of the change that is seen."""
    return [
        f"a default of avaload changed between the two: {row['key']} was {row['base']} and is {row['new']}"
        for row in settings
        if row["default_changed"]
    ]


def _within(side: Sequence[Measured]) -> list[str]:
    """What differs between runs of one side, whose figures are taken together."""
    notes = []
    for run in side[1:]:
        rows = differences(side[0].written, run.written)
        told = [f"{row['key']} {row['base']} → {row['new']}" for row in rows]
        if told:
            notes.append(
                f"{run.name}: not as {side[0].name}, of the same side: {', '.join(cut(told, _TOLD, SETTINGS))}"
            )
    return notes


def _about(run: Measured) -> Row:
    return {
        "name": run.name,
        "run_id": run.run_id,
        "scenario": run.scenario,
        "started_at": run.started_at,
        "git_revision": run.written.git_revision,
        "tags": run.written.tags,
        "sessions": run.sessions,
        "generator": run.generator,
    }
