"""`[load]`: how much load, when, for how long. What `arrival.py` makes of it is worked out here."""

import math
from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from loadtest.config import arrival
from loadtest.config.scenario import DurationS, Section
from loadtest.judging.words import plural
from loadtest.language.durations import parse_s


class LoadStage(Section):
    """One of several stages: `users` or `rate` from its start on, or after rising or falling to it for `ramp`."""

    name: str | None = Field(None, min_length=1, max_length=64)
    users: int | None = Field(None, ge=0)
    rate: float | None = Field(None, ge=0)
    duration: DurationS = Field(gt=0)
    ramp: DurationS = 0.0

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


class Load(Section):
    """Either a closed population, where a user's next session follows his last one, or open arrivals, where sessions
    start when they are due, however many are still going on."""

    users: int = Field(20, ge=1)
    rate: float | None = Field(None, gt=0, le=100_000)
    """Arrivals per second; given, the run is an open one and `users` counts for nothing."""
    arrivals: Literal["constant", "poisson", "ramp", "steps", "spike"] = "constant"
    """constant, poisson: how they are spaced; ramp, steps, spike: how the rate changes, evenly spaced."""
    peak: float | None = Field(None, gt=0)
    """Rate of the spike (None: five times `rate`)."""
    step_count: int = Field(5, ge=2, le=100)
    stages: tuple[LoadStage, ...] = ()
    trace: tuple[float, ...] | None = None
    """Offsets of recorded starts in s. In a scenario file and as an option: the CSV file that holds them."""
    ramp: DurationS = 5.0
    duration: DurationS = Field(60.0, gt=0)
    warm_up: DurationS = 0.0
    """The first part of the run; what ended in it is in no verdict."""
    graceful_stop: DurationS | None = None
    pacing: DurationS | None = Field(None, gt=0)
    """Start of one session to start of the next, per user, at a random phase; None: at once, after the last one."""
    max_lateness: DurationS = Field(1.0, gt=0)
    """Open arrivals: one that could not start so long after it was due is dropped."""
    max_users: int | None = Field(None, ge=1, le=100_000)
    """Open arrivals: how many sessions may go on at once (None: enough for sessions twice as long as expected)."""
    processes: int = Field(1, ge=1, le=64)
    seed: int = 1

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
        if length_s is None or ("duration" in given and given.get("trace")):
            return given
        if "duration" in given and not math.isclose(_seconds(given["duration"]), length_s):
            raise ValueError("stages have durations of their own: leave duration out")
        return given | {"duration": length_s}

    @field_validator("trace")
    @classmethod
    def _in_order(cls, offsets_s: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if offsets_s is not None and (not offsets_s or offsets_s[0] < 0 or sorted(offsets_s) != list(offsets_s)):
            raise ValueError("needs start times in s, in order")
        return offsets_s

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        shaped = self.arrivals in ("ramp", "steps", "spike")
        if self.ramp > self.duration and not self.stages and self.trace is None:
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

    def shape(self) -> arrival.Shape:
        """The levels over the run: users, or arrivals per second. Of a trace: its mean rate."""
        return arrival.Shape(arrival.with_warm_up(self._spans(), self.warm_up))

    def _spans(self) -> tuple[arrival.Span, ...]:
        if self.stages:
            return tuple(_staged(self.stages))
        if self.trace is not None:
            mean = len(self.trace) / self.duration
            return (arrival.Span(name="trace", duration_s=self.duration, start=mean, end=mean),)
        if self.rate is None:
            return arrival.held(self.users, ramp_s=self.ramp, duration_s=self.duration)
        match self.arrivals:
            case "ramp":
                return arrival.ramp(self.rate, duration_s=self.duration)
            case "steps":
                return arrival.steps(self.rate, count=self.step_count, duration_s=self.duration)
            case "spike":
                return arrival.spike(self.rate, peak=self.peak or 5 * self.rate, duration_s=self.duration)
        return arrival.held(self.rate, ramp_s=self.ramp, duration_s=self.duration)

    def schedule(self) -> Iterator[float]:
        """Offsets of all arrivals of an open run, in order; the same in every process."""
        if self.trace is not None:
            return (at_s for at_s in self.trace if at_s < self.duration)
        return self.shape().arrivals(poisson_seed=f"{self.seed}:arrivals" if self.arrivals == "poisson" else None)


class Capacity(Section):
    """`[capacity]`: how `avaload capacity` looks for the limit. Levels are users, or arrivals per second."""

    by: Literal["users", "arrivals"] = "users"
    start: float = Field(5.0, gt=0)
    most: float = Field(1000.0, gt=0, le=100_000)
    """No level above it is tried."""
    stage: DurationS = Field(10.0, ge=1)
    """How long each level is held and judged, after it has settled."""
    settle: DurationS | None = None
    """Before that, so that the level is reached everywhere (None: 2 s more than a session's conversation)."""
    sustain: DurationS = Field(30.0, ge=1)
    """How long the best level is held in the end, to prove it."""
    precision: float = Field(0.05, gt=0, lt=1)
    """The search ends when the lowest failing level is no more than this share above the highest passing one."""
    give_up: DurationS = Field(3600.0, gt=0)
    """The search takes no longer than that."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.start > self.most:
            raise ValueError("start is above most")
        return self

    @property
    def unit(self) -> str:
        """Of levels, for people."""
        return "users" if self.by == "users" else "arrivals/s"


def _staged(stages: tuple[LoadStage, ...]) -> Iterator[arrival.Span]:
    before = 0.0
    for number, stage in enumerate(stages, start=1):
        name = stage.name or f"stage {number}"
        if stage.ramp:
            yield arrival.Span(name=f"to {name}", duration_s=stage.ramp, start=before, end=stage.level, steady=False)
        if stage.duration > stage.ramp:
            yield arrival.Span(name=name, duration_s=stage.duration - stage.ramp, start=stage.level, end=stage.level)
        before = stage.level


def _seconds(text: Any) -> float:
    try:
        return parse_s(text)
    except ValueError:
        return math.nan
