"""Service levels: a bound on one indicator of a run, from a scenario's `[[slo]]` tables or from `--slo FILE`.

The indicators are a closed set, so that a misspelt one is bad input and not a gate that never fires. This module says
what may be asked and how many samples it takes to say that a bound is broken; `loadtest.criteria.objectives` counts
them during a run, `reports.verdict.gates` afterwards.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Final, assert_never

from loadtest.criteria.sample_sizes import ENOUGH, for_one_bad
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import STEPS
from loadtest.text import toml_text
from loadtest.text.durations import parse_s
from loadtest.text.mistyped import did_you_mean, line_of, line_of_problem

QUANTILES: Final = ("p50", "p90", "p95", "p99", "max")


class Unit(StrEnum):
    """What an indicator is counted in. Those of RANKED are judged by a statistic of their samples' values, those of
    RATIOS by how many of them are bad."""

    SECONDS = "s"
    DRIFT = "s_per_minute"
    SHARE = "share"
    PER_MINUTE = "per_minute"
    COUNT = "count"


SECONDS, DRIFT, SHARE, PER_MINUTE, COUNT = Unit.SECONDS, Unit.DRIFT, Unit.SHARE, Unit.PER_MINUTE, Unit.COUNT
RATIOS: Final[Mapping[Unit, int]] = {SHARE: 1, PER_MINUTE: 60_000}
"""Unit → how many samples it is counted by: bad ones of all, or events in so many milliseconds."""
RANKED: Final = frozenset(Unit) - {*RATIOS, COUNT}


RANKS: Final[Mapping[str, Fraction]] = {
    "p50": Fraction(1, 2),
    "p90": Fraction(9, 10),
    "p95": Fraction(19, 20),
    "p99": Fraction(99, 100),
    "max": Fraction(1),
    "min": Fraction(0),
    "drift": Fraction(1, 2),
}
"""Statistic of an indicator that is RANKED → the rank that it is the value of: the share of samples below it."""

SLOTS_OF_A_WINDOW: Final = 20
"""A sliding window moves on by a 20th of its length."""

TAKING: Final[Mapping[str, bool]] = {
    "response": True,
    "premature": False,
    "yield": True,
    "false_stop": False,
    "self_interruption": False,
    "unasked": False,
    "cut": False,
}
"""How turns are taken, `turn.…_rate` of INDICATORS → whether it is a share of good ones. All other shares are of bad
ones."""

INDICATORS: Final[Mapping[str, Unit]] = {
    **{f"{step}.{quantile}": SECONDS for step in STEPS for quantile in QUANTILES},
    **{f"{step}.failed_rate": SHARE for step in STEPS},
    **{f"turn.time_to_first_audio.{quantile}": SECONDS for quantile in QUANTILES},
    "turn.time_to_first_audio.drift": DRIFT,
    **{f"turn.barge_in.{quantile}": SECONDS for quantile in QUANTILES},
    **{f"turn.dead_air.{quantile}": SECONDS for quantile in QUANTILES},
    "turn.failed_rate": SHARE,
    "turn.answered_early_rate": SHARE,
    **{f"turn.{what}_rate": SHARE for what in TAKING},
    **{f"turn.talk_over.{quantile}": SECONDS for quantile in QUANTILES},
    **{f"{what}.failed": COUNT for what in (*STEPS, "turn", "session")},
    **{f"session.{what}": COUNT for what in ("started", "completed", "dropped", "leaked", "doubtful", "unconfirmed")},
    **{
        f"session.{what}.{quantile}": SECONDS
        for what in ("setup", "setup_from_due", "first_step_from_due")
        for quantile in QUANTILES
    },
    "session.failed_rate": SHARE,
    "session.dropped_rate": SHARE,
    **{f"teardown.time_to_gone.{quantile}": SECONDS for quantile in QUANTILES},
    "secret.margin.min": SECONDS,
    "media.underruns_per_minute": PER_MINUTE,
    **{f"media.gap.{quantile}": SECONDS for quantile in QUANTILES},
    "media.packet_loss": SHARE,
    **{f"media.jitter.{quantile}": SECONDS for quantile in QUANTILES},
}
"""Indicator → unit: seconds, seconds a minute, a share of 1, a number a minute, or a count. `session.setup` is mint's
start to connect's end; `…_from_due` counts from when the session was to start, whoever was to blame that it did not.
Seconds, shares and numbers a minute are of the steady part of the run; counts of all of it, or of each window of the
steady part. Shares are of bad ones, but for some of TAKING. Failures are the target's: what the
generator did itself is counted elsewhere. `….drift` is the median of sessions' own: by how much their answers get
slower in a minute. `media.…` is told of a session when it has left its room: the longest gap and the mean jitter of its
avatar's speech; underruns are those of all sessions in the time for which they listened, packets those of all rooms
that number them."""


class SloOutcome(StrEnum):
    """What became of an objective. Too few samples are neither a pass nor a failure."""

    PASS = "pass"
    FAIL = "fail"
    NOT_ENOUGH = "not_enough_samples"


EXPOSED: Final[Mapping[str, str]] = {
    **{f"{what}.failed": f"{what}.failed_rate" for what in (*STEPS, "turn", "session")},
    "session.dropped": "session.dropped_rate",
    **{f"session.{what}": "session.started" for what in ("leaked", "doubtful", "unconfirmed")},
}
"""A COUNT of what went wrong → the measure whose samples are all those of which it could have."""

KEYS: Final[Mapping[str, str]] = {
    "name": "What reports and alerts call it. Names are unique.",
    "indicator": "What is bounded (below).",
    "scenario": "Of a mix: the sessions of that scenario alone.",
    "max": "The upper bound, in the indicator's unit. Give max or min.",
    "min": "The lower bound.",
    "window": "Judged over each sliding window of that length in the steady part, not over all of it.",
    "abort": "Once it is broken the run stops early, deletes and exits with 3.",
}
"""Keys of an `[[slo]]` table, and what they mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """One objective. Exactly one of `max` and `min` is set, in the indicator's unit.

    `window_s`: judged over each sliding window of that length instead of the whole run (None). `abort`: the run stops
    early when it is broken. `scenario`: of a mix, the sessions of that one alone.
    """

    name: str
    indicator: str
    max: float | None = None
    min: float | None = None
    window_s: float | None = None
    abort: bool = False
    scenario: str | None = None

    @property
    def objective(self) -> float:
        """The bound itself, whichever side it is on."""
        bound = self.min if self.max is None else self.max
        assert bound is not None, "parsing lets through exactly one bound"
        return bound

    @property
    def unit(self) -> Unit:
        """What its bound is in."""
        return INDICATORS[self.indicator]

    @property
    def is_ranked(self) -> bool:
        """Its statistic is a rank among values; else it is how many samples were bad."""
        return self.unit in RANKED

    @property
    def is_ratio(self) -> bool:
        """Its statistic is how many samples were bad, of how many."""
        return self.unit in RATIOS

    def ratio(self, count: int, bad: int | float) -> float:
        """The statistic of what is a ratio, in its unit."""
        return bad * RATIOS[self.unit] / count

    @property
    def measure(self) -> str:
        """What is sampled: `create` of `create.p95`; of shares and counts the indicator itself."""
        is_statistic = self.is_ranked and self.unit != DRIFT
        return self.indicator.rpartition(".")[0] if is_statistic else self.indicator

    @property
    def enough(self) -> int:
        """Samples that it takes to judge it at all, in a window or without one. A rate is judged from one on."""
        if self.unit == COUNT:
            return 0
        return 1 if self.is_ratio else ENOUGH[self.indicator.rpartition(".")[2]]

    @property
    def stands_alone(self) -> int:
        """Samples of the steady part that speak for the whole run: with fewer, one bad sample of a ratio would be more
        than its bound allows, so those of the ramp are asked, too."""
        if not self.is_ratio:
            return self.enough
        allowed = self.objective / RATIOS[self.unit]
        return for_one_bad(allowed if self.min is None else max(0.0, 1 - allowed))

    def beyond(self, value: float) -> bool:
        """Whether one sample of what is ranked lies on the wrong side of the bound."""
        return value < self.objective if self.max is None else value > self.objective

    def met(self, observed: float) -> bool:
        """The bound itself is still good."""
        return observed >= self.objective if self.max is None else observed <= self.objective

    def broken(self, count: int, beyond: int, *, more_to_come: bool = False) -> bool:
        """Whether so many samples, so many of them beyond the bound (of a ratio: bad ones), break the objective.

        Samples that a quantile lacks count as ones that speak for it: what is broken so stays broken however they come
        out. So do those that a ratio lacks to stand alone, while there are `more_to_come`.
        """
        if self.unit == COUNT:
            return not self.met(beyond)
        needed = self.stands_alone if more_to_come else self.enough
        lacking = max(0, needed - count) if count else 0
        count += lacking
        if not count:
            return False
        if self.is_ratio:
            return not self.met(self.ratio(count, beyond if self.min is None else beyond + lacking))
        # The quantile lies between these two samples, in order from 0; both on the wrong side: so is the quantile.
        between = (count - 1) * RANKS[self.indicator.rpartition(".")[2]]
        return beyond >= count - floor(between) if self.min is None else beyond > ceil(between)

    def holds(self, count: int, beyond: int) -> bool:
        """Whether so many samples, so many of them beyond the bound (of a ratio: bad ones), certainly meet it. Of a
        quantile between two samples neither this nor `broken` may be true."""
        if self.unit == COUNT or count < self.enough:
            return self.unit == COUNT and self.met(beyond)
        if self.is_ratio:
            return self.met(self.ratio(count, beyond))
        between = (count - 1) * RANKS[self.indicator.rpartition(".")[2]]
        return beyond < count - ceil(between) if self.min is None else beyond <= floor(between)

    def judge(self, count: int, beyond: int, observed: float | None) -> SloOutcome:
        """What `count` samples come to, `beyond` of them beyond the bound; `observed` is their statistic."""
        if observed is None or count < self.enough:
            return SloOutcome.FAIL if self.broken(count, beyond) else SloOutcome.NOT_ENOUGH
        return SloOutcome.PASS if self.met(observed) else SloOutcome.FAIL

    def table(self) -> dict[str, object]:
        """The `[[slo]]` table that parses back to this: for settings.json."""
        row: dict[str, object] = {"name": self.name, "indicator": self.indicator}
        row["min" if self.max is None else "max"] = self.objective
        if self.window_s is not None:
            row["window"] = self.window_s
        if self.abort:
            row["abort"] = True
        if self.scenario is not None:
            row["scenario"] = self.scenario
        return row


DROPPED: Final = Slo(name="iterations dropped", indicator="session.dropped_rate", max=0.01)
"""So many of the arrivals may never become sessions, where nobody asks for another bound: else it is another load."""

DEFAULT_SLOS: Final = (
    Slo(name="sessions that fail", indicator="session.failed_rate", max=0.01),
    Slo(name="turns that fail", indicator="turn.failed_rate", max=0.01),
)
"""Judged when neither the scenario nor `--slo` asks for anything."""


def parse_slos(tables: object, *, where: str = "slo", scenarios: Collection[str] | None = None) -> list[Slo]:
    """The objectives of a list of `[[slo]]` tables. Raises ConfigError with every problem of every table.

    `scenarios`: the names that an objective may ask for (None: any).
    """
    if not isinstance(tables, list | tuple):
        raise ConfigError(f"{where}: must be a list of tables ([[slo]])")
    slos: list[Slo] = []
    problems: list[str] = []
    for number, table in enumerate(tables, start=1):
        try:
            slos.append(parse_slo(table, where=f"{where}[{number}]", scenarios=scenarios))
        except ConfigError as error:
            problems += error.problems
    names = [slo.name for slo in slos]
    problems += [f"{where}: two objectives have the name {name!r}" for name in sorted(_repeated(names))]
    if problems:
        raise ConfigError(problems)
    return slos


def parse_slo(table: object, *, where: str = "slo", scenarios: Collection[str] | None = None) -> Slo:
    """One `[[slo]]` table. Raises ConfigError with all of its problems, each beginning with `where`."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: must be a table")
    problems = [f"{where}: unknown key {key!r}{did_you_mean(str(key), KEYS)}" for key in table if key not in KEYS]

    indicator = table.get("indicator")
    if indicator is None:
        problems.append(f"{where}: indicator is missing")
    elif not isinstance(indicator, str) or indicator not in INDICATORS:
        problems.append(f"{where}: unknown indicator {indicator!r}{did_you_mean(str(indicator), INDICATORS)}")
    name = table.get("name", indicator)
    if name is not None and (not isinstance(name, str) or not name.strip()):
        problems.append(f"{where}: name must be a text, not {name!r}")

    bounds = {key: table[key] for key in ("max", "min") if key in table}
    if len(bounds) != 1:
        problems.append(f"{where}: needs exactly one of max and min")
    for key, bound in bounds.items():
        problems += _bound_problems(bound, f"{where}: {key}", str(indicator))

    window_s: float | None = None
    if "window" in table:
        try:
            window_s = parse_s(table["window"])
        except ValueError as error:
            problems.append(f"{where}: window: {error}")
        if window_s == 0:
            problems.append(f"{where}: window must be longer than nothing")
    abort = table.get("abort", False)
    if not isinstance(abort, bool):
        problems.append(f"{where}: abort must be true or false, not {abort!r}")
    elif abort and window_s is None and "min" in bounds and INDICATORS.get(str(indicator)) == COUNT:
        problems.append(f"{where}: abort with the min of a count needs a window: every run begins at 0")
    scenario = table.get("scenario")
    if scenario is not None and not isinstance(scenario, str):
        problems.append(f"{where}: scenario must be a name, not {scenario!r}")
    elif scenario is not None and scenarios is not None and scenario not in scenarios:
        problems.append(f"{where}: unknown scenario {scenario!r}{did_you_mean(scenario, scenarios)}")

    if problems:
        raise ConfigError(problems)
    return Slo(
        name=str(name),
        indicator=str(indicator),
        window_s=window_s,
        abort=bool(abort),
        scenario=scenario,
        **{key: float(bound) for key, bound in bounds.items()},
    )


def load_slos(path: Path, *, scenarios: Collection[str] | None = None, beside: Collection[str] = ()) -> list[Slo]:
    """The objectives of a `--slo` file: TOML with `[[slo]]` tables. Raises ConfigError.

    `beside`: keys that stand there too and are not read: those of a scenario, whose objectives alone are asked for.
    """
    document, text = toml_text.read(path)

    def at(line: int | None, problem: str) -> str:
        return f"{path}: {problem}" if line is None else f"{path}:{line}: {problem}"

    known = {"slo", *beside}
    problems = [
        at(line_of(text, (key,)), f"unknown key {key!r}{did_you_mean(key, known)}")
        for key in document
        if key not in known
    ]
    if "slo" not in document:
        problems.append(f"{path}: holds no [[slo]] table")
    try:
        slos = parse_slos(document.get("slo", []), scenarios=scenarios)
    except ConfigError as error:
        problems += [at(line_of_problem(text, problem), problem) for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return slos


def _bound_problems(bound: object, where: str, indicator: str) -> list[str]:
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
        told = str(bound).lower() if isinstance(bound, bool) else repr(bound)
        return [f"{where} must be a number, not {told}{_number_meant(bound, INDICATORS.get(indicator))}"]
    meant = ""
    match INDICATORS.get(indicator):
        case Unit.SECONDS:
            is_one, wanted = bound >= 0 or indicator.startswith("secret.margin."), "a time, in s"
        case Unit.SHARE:
            is_one, wanted = 0 <= bound <= 1, "a share between 0 and 1"
            meant = f": {bound:g} % is {bound / 100:g}" if 1 < bound <= 100 else ""
        case Unit.PER_MINUTE:
            is_one, wanted = bound >= 0, "a number a minute"
        case Unit.COUNT:
            is_one, wanted = bound >= 0 and bound == int(bound), "a whole number"
        case Unit.DRIFT | None:  # any number; what is no indicator is told by its name
            return []
        case unit:
            assert_never(unit)
    return [] if is_one else [f"{where} must be {wanted}, not {bound!r}{meant}"]


def _number_meant(bound: object, unit: Unit | None) -> str:
    """What somebody meant who wrote a bound with its unit."""
    if not isinstance(bound, str) or re.fullmatch(r"[\d.\s-]*", bound):
        return ""
    if unit == SHARE and (share := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", bound)):
        return f" (did you mean {float(share[1]) / 100:g}?)"
    try:
        return f" (did you mean {parse_s(bound):g}?)"
    except ValueError:
        return ""


def _repeated(names: Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}
