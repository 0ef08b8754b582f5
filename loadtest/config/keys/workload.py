"""`[load]`: how much load, when, for how long. What `arrivals/schedule.py` makes of it is worked out here."""

import math
from collections.abc import Iterator
from typing import Any, Literal, Self, assert_never, get_args

from pydantic import Field, field_validator, model_validator

from loadtest.arrivals import schedule
from loadtest.config.keys.scenario import DurationS, Section
from loadtest.criteria.words import plural
from loadtest.text.durations import parse_s

_MOST = 100_000
"""Users, or arrivals per second. No run reaches it: beyond, a number is mistyped."""


class LoadStage(Section):
    """One of several stages: `users` or `rate` from its start on, or after rising or falling to it for `ramp`."""

    name: str | None = Field(None, min_length=1, max_length=64, description="what it is called in reports")
    users: int | None = Field(None, ge=0, le=_MOST, description="users of a closed population")
    rate: float | None = Field(None, ge=0, le=_MOST, description="open arrivals per second")
    duration: DurationS = Field(gt=0, description="how long the stage is, its ramp included")
    ramp: DurationS = Field(0.0, description="time from the level before to this one; not in the steady part")

    @property
    def level(self) -> float:
        return float(self.rate if self.rate is not None else self.users or 0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if (self.users is None) == (self.rate is None):
            problems.append("give users or rate, one of them")
        if self.ramp > self.duration:
            problems.append("ramp is longer than duration")
        if problems:
            raise ValueError("\n".join(problems))
        return self


Spacing = Literal["constant", "poisson"]
RateShape = Literal["ramp", "steps", "spike"]


class Load(Section):
    """Either a closed population, where a user's next session follows his last one. Or open arrivals: sessions start
    when they are due, however many are still going on."""

    users: int = Field(20, ge=1, le=_MOST, description="virtual users of a closed population")
    rate: float | None = Field(
        None, gt=0, le=_MOST, description="open arrivals per second instead of a closed population"
    )
    arrivals: Literal[Spacing, RateShape] = Field(
        "constant",
        description="how open arrivals are spaced (constant, poisson), or how their rate changes (ramp, steps, spike)",
    )
    peak: float | None = Field(None, gt=0, le=_MOST, description="rate of the spike (default: five times rate)")
    step_count: int = Field(5, ge=2, le=100, description="how many steps the rate rises in")
    stages: tuple[LoadStage, ...] = Field((), description="levels of load, one after the other")
    # As an option and in a file it is the path of the CSV file; `resolve` reads the offsets, in s.
    trace: tuple[float, ...] | None = Field(None, description="open arrivals at the start times of a CSV file")
    ramp: DurationS = Field(5.0, description="time to reach all users, or the rate; not in the steady part")
    duration: DurationS = Field(60.0, gt=0, description="no new session after it, such as 60s, 10m or 1h30m")
    warm_up: DurationS = Field(0.0, description="what ends in this first part of the run is in no verdict")
    graceful_stop: DurationS | None = Field(
        None, description="time for sessions in flight (default: nominal length + 30 s)"
    )
    pacing: DurationS | None = Field(
        None,
        gt=0,
        description="start to start of a user's sessions, at a random phase (default: at once, after the last one)",
    )
    max_lateness: DurationS = Field(1.0, gt=0, description="open arrivals: one that starts later than this is dropped")
    max_users: int | None = Field(
        None,
        ge=1,
        le=_MOST,
        description="open arrivals: sessions at once, at most (default: for twice the expected length; in a search"
        " 2000 at most)",
    )
    processes: int = Field(1, ge=1, le=64, description="load processes on this host")
    seed: int = Field(1, description="of everything random")

    @model_validator(mode="before")
    @classmethod
    def _lasts_as_long_as_its_parts(cls, given: Any) -> Any:
        """Stages and a trace say how long the run is."""
        if not isinstance(given, dict):
            return given
        length_s: float | None = None
        try:
            if given.get("stages"):
                length_s = sum(parse_s(stage["duration"]) for stage in given["stages"])
            elif isinstance(given.get("trace"), list) and given["trace"]:
                length_s = given["trace"][-1] + 0.001
        except (TypeError, ValueError, KeyError):
            return given  # said by the fields themselves
        if not length_s or ("duration" in given and given.get("trace")):
            return given
        if "duration" in given and not math.isclose(_seconds(given["duration"]), length_s):
            raise ValueError("stages have durations of their own: leave duration out")
        return given | {"duration": length_s}

    @model_validator(mode="before")
    @classmethod
    def _leaves_a_short_run_something(cls, given: Any) -> Any:
        """A run that is no longer than the default ramp has a shorter one; what was asked for is taken at its word."""
        if not isinstance(given, dict) or "ramp" in given or "duration" not in given:
            return given
        if given.get("stages") or given.get("trace") or given.get("arrivals") in get_args(RateShape):
            return given
        try:
            duration_s = parse_s(given["duration"])
        except (TypeError, ValueError):
            return given  # said by the field itself
        return given | {"ramp": duration_s / 2} if 0 < duration_s <= cls.model_fields["ramp"].default else given

    @field_validator("trace")
    @classmethod
    def _in_order(cls, offsets_s: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if offsets_s is not None and (not offsets_s or offsets_s[0] < 0 or sorted(offsets_s) != list(offsets_s)):
            raise ValueError("needs start times in s, in order")
        return offsets_s

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        shaped = self.arrivals in get_args(RateShape)
        if self.ramp > self.duration and self.rises_by_ramp:
            problems.append("ramp is longer than duration")
        if self.warm_up >= self.duration:
            problems.append("warm_up leaves nothing of duration to judge")
        if self.stages and len({stage.rate is None for stage in self.stages}) > 1:
            problems.append("stages have users or rates, not both")
        if self.stages and self.trace is not None:
            problems.append("give stages or a trace, not both")
        if self.rate is not None and (self.stages or self.trace is not None):
            problems.append("give rate, stages or a trace, one of them")
        if shaped and self.rate is None:
            problems.append(f"arrivals = {self.arrivals} needs a rate")
        if self.arrivals == "poisson" and not self.open:
            problems.append("arrivals = poisson needs a rate, or stages with rates")
        if self.peak is not None and self.arrivals != "spike":
            problems.append("peak is for arrivals = spike")
        if self.open and self.pacing is not None:
            problems.append("pacing is for a closed population; open arrivals have a rate")
        if self.stages and not any(stage.level for stage in self.stages):
            problems.append("no stage has any load")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def open(self) -> bool:
        """Whether sessions start when they are due, not when a user is free."""
        return self.rate is not None or self.trace is not None or any(stage.rate is not None for stage in self.stages)

    @property
    def rises_by_ramp(self) -> bool:
        """Whether `ramp` says how the load comes to its level; else its shape does."""
        return not self.stages and self.trace is None and self.arrivals in get_args(Spacing)

    def described(self) -> str:
        """For people: how much of what."""
        if self.trace is not None:
            return f"{plural(len(self.trace), 'arrival')} of a trace"
        if self.open:
            kind = "" if self.arrivals == "constant" else f" ({self.arrivals})"
            return f"{'at most ' if self.stages else ''}{self.shape().peak:g} arrivals/s{kind}"
        return f"{'at most ' if self.stages else ''}{plural(self.population, 'user')}"

    @property
    def population(self) -> int:
        """Users of a closed population, at most at once."""
        return max(stage.users or 0 for stage in self.stages) if self.stages else self.users

    def shape(self) -> schedule.Shape:
        """The levels over the run: users, or arrivals per second. Of a trace: its mean rate."""
        return schedule.Shape(schedule.with_warm_up(self._spans(), self.warm_up))

    def _spans(self) -> tuple[schedule.Span, ...]:
        if self.stages:
            return tuple(_staged(self.stages))
        if self.trace is not None:
            mean = len(self.trace) / self.duration
            return (schedule.Span(name="trace", duration_s=self.duration, start=mean, end=mean),)
        if self.rate is None:
            return schedule.held(self.users, ramp_s=self.ramp, duration_s=self.duration)
        match self.arrivals:
            case "ramp":
                return schedule.ramp(self.rate, duration_s=self.duration)
            case "steps":
                return schedule.steps(self.rate, count=self.step_count, duration_s=self.duration)
            case "spike":
                return schedule.spike(self.rate, peak=self.peak or 5 * self.rate, duration_s=self.duration)
            case "constant" | "poisson":
                return schedule.held(self.rate, ramp_s=self.ramp, duration_s=self.duration)
            case _:
                assert_never(self.arrivals)

    def schedule(self) -> Iterator[float]:
        """Offsets of all arrivals of an open run, in order; the same in every process."""
        if self.trace is not None:
            return (at_s for at_s in self.trace if at_s < self.duration)
        return self.shape().arrivals(poisson_seed=f"{self.seed}:arrivals" if self.arrivals == "poisson" else None)


class Capacity(Section):
    """`[capacity]`: how `avaload capacity` looks for the limit. Levels are users, or arrivals per second."""

    by: Literal["users", "arrivals"] = Field("users", description="what levels are: users, or arrivals per second")
    start: float = Field(5.0, gt=0, description="first level")
    most: float = Field(1000.0, gt=0, le=_MOST, description="no level above it is tried")
    stage: DurationS = Field(10.0, ge=1, description="how long each level is held and judged, after it has settled")
    settle: DurationS | None = Field(
        None, description="held before that, unjudged (default: 2 s more than a conversation)"
    )
    sustain: DurationS = Field(30.0, ge=1, description="how long the best level is held in the end, to prove it")
    precision: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="done when the first that fails is no more than this share above the last passing",
    )
    give_up: DurationS = Field(3600.0, gt=0, description="the search takes no longer")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.start > self.most:
            raise ValueError("start is above most")
        return self

    @property
    def unit(self) -> str:
        """Of levels, for people."""
        return "users" if self.by == "users" else "arrivals/s"


def _staged(stages: tuple[LoadStage, ...]) -> Iterator[schedule.Span]:
    before = 0.0
    for number, stage in enumerate(stages, start=1):
        name = stage.name or f"stage {number}"
        if stage.ramp:
            yield schedule.Span(name=f"to {name}", duration_s=stage.ramp, start=before, end=stage.level, steady=False)
        if stage.duration > stage.ramp:
            yield schedule.Span(name=name, duration_s=stage.duration - stage.ramp, start=stage.level, end=stage.level)
        before = stage.level


def _seconds(text: Any) -> float:
    try:
        return parse_s(text)
    except ValueError:
        return math.nan
