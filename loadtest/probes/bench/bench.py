"""What a probe works on: sessions that are deleted in the end, service time, and a place for its findings."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from loadtest.config.keys.session_object import default_realtime
from loadtest.criteria.statements import RULES, Prod
from loadtest.errors.exceptions import HarnessError
from loadtest.events.kinds import Outcome, RuleOutcome
from loadtest.probes.bench.subject import End, Subject
from loadtest.probes.bench.visit import Heard, Visit
from loadtest.probes.bench.wire import Wire
from loadtest.session.lifecycle import CENSORED, Surroundings
from loadtest.session.owned import uncancellable
from loadtest.session.ticket import Ticket
from loadtest.sound.sources import corpus
from loadtest.sound.speech import Clip
from loadtest.system.clock import now_ns

CLIP_SOURCE, NOISE_SOURCE = "corpus:en", "noise:-60"
AFFORDABLE_S = 70.0
"""What a check may last without `--slow`."""
EARLY_S, LATE_S, LATE_SHARE = 1.0, 5.0, 0.05
"""Tolerance of a service's timers: s before, s or share of the time after."""
LAGS = 3
"""A tolerance below so many of our own lags says nothing."""
GAP_S = 0.4
"""With the pauses that a speaker makes anyway, a longer hole in speech is taken for the end of a turn (0.5 s)."""
_QUIET_START_S = 1.0
_QUIET_LIMIT_S = 4500.0


class NotTestedError(HarnessError):
    """The probe can't say: its message is why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One check of one rule or several; the first gives it its purpose. `lasts_s` of service time; `alone`: others
    would disturb it, so it has its turn after them, and only in `avaload probe`."""

    rules: tuple[str, ...]
    run: Callable[["Bench"], Awaitable[None]]
    lasts_s: float = 0.0
    alone: bool = False

    @property
    def lead(self) -> str:
        return self.rules[0]

    @property
    def is_for_production(self) -> bool:
        """Whether it needs no fault that would have to be injected."""
        return RULES[self.lead].prod is not Prod.MOCK

    @property
    def costs_in_production(self) -> bool:
        return RULES[self.lead].prod is Prod.LONG


@dataclass(slots=True)
class Ground:
    """What all probes of an engine share. `reserve()`: whether one more session may be created."""

    around: Surroundings
    wire: Wire
    reserve: Callable[[], bool]
    scale: float | None = None
    running: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def clock_scale(self) -> float:
        if self.scale is None:
            self.scale = self.around.settings.target.clock_scale or await self.wire.clock_scale()
        return self.scale

    @contextlib.asynccontextmanager
    async def turn(self, *, alone: bool) -> AsyncIterator[None]:
        """Among the others, or after them. Raises NotTestedError where they don't end."""
        if not alone:
            self.running += 1
            try:
                yield
            finally:
                self.running -= 1
            return
        async with self._turn:
            await asyncio.sleep(_QUIET_START_S)
            deadline_ns = now_ns() + int(_QUIET_LIMIT_S * 1e9)
            while self.running:
                if now_ns() > deadline_ns:
                    raise NotTestedError("the other checks did not end")
                await asyncio.sleep(0.1)
            yield


class Bench:
    """One probe that runs."""

    def __init__(self, ground: Ground, ticket: Ticket, probe: Probe, *, scale: float) -> None:
        self.ground, self.ticket, self.probe, self.scale = ground, ticket, probe, scale
        self.wire = ground.wire
        self.said: set[str] = set()
        """Rules with a finding."""
        self.clip: Clip = min(corpus(CLIP_SOURCE), key=lambda clip: clip.duration_s)
        self._subjects: list[Subject] = []
        self._background: set[asyncio.Future[Any]] = set()

    @property
    def around(self) -> Surroundings:
        return self.ground.around

    # Service time

    def real_s(self, service_s: float) -> float:
        """How long that takes here."""
        return service_s / self.scale

    def service_s(self, span_ns: int) -> float:
        """How long that was for the service."""
        return span_ns / 1e9 * self.scale

    async def pass_time(self, service_s: float) -> None:
        await asyncio.sleep(self.real_s(service_s))

    def shortest(self, service_s: int) -> int:
        """The shortest legal time, or a longer one where a scaled clock would leave no time for a session to start."""
        return max(service_s, round(1.5 * self.scale))

    @property
    def long_absence_s(self) -> int:
        """A user_absent_timeout that outlasts a probe and still bounds what could be left."""
        return round(max(120, 30 * self.scale))

    @property
    def long_ttl_s(self) -> int:
        return round(min(7200, max(600, 60 * self.scale)))

    # Sessions

    @contextlib.asynccontextmanager
    async def subject(self, *, max_duration_s: float | None = None) -> AsyncIterator[Subject]:
        """A session to examine, deleted in the end also where this is cancelled."""
        subject = Subject(self, max_duration_s=max_duration_s)
        self._subjects.append(subject)
        subject.begin()
        outcome, censored = Outcome.OK, False
        try:
            try:
                yield subject
            except asyncio.CancelledError as cancelled:
                outcome, censored = Outcome.CANCELLED, CENSORED in cancelled.args
                raise
            except Exception:
                outcome = Outcome.FAILED
                raise
            finally:
                await uncancellable(subject.conclude())
        finally:
            subject.finish(outcome=outcome, censored=censored)

    async def answer_in(self, visit: Visit, *, hear_out: bool = True) -> Heard:
        """What the avatar answers to the clip there. Raises NotTestedError where it says nothing."""
        answer = await visit.ask(self.clip, hear_out=hear_out)
        if answer is None:
            raise NotTestedError("the avatar did not answer")
        return answer

    def reserve(self) -> None:
        """A place in the budget, before each create. Raises NotTestedError."""
        if not self.ground.reserve():
            raise NotTestedError("--max-sessions or --budget allows no session more")

    def realtime(self, changed: Mapping[str, Any] | None) -> dict[str, Any]:
        """The mint's session object: the default one with the run's model, and with these changes."""
        base = default_realtime()
        base["model"] = self.ground.around.settings.scenarios[0].realtime.get("model", base["model"])
        return _merged(base, changed or {})

    def background(self, task: "asyncio.Future[Any]") -> None:
        """Something that goes on beside the probe, and is over when the probe is."""
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def close(self) -> None:
        for task in self._background:
            task.cancel()

    # Findings

    def say(self, rule: str, outcome: RuleOutcome, detail: str, subject: Subject | None = None) -> None:
        """A finding; of the session it was made on, by default the first."""
        self.said.add(rule)
        about = subject or (self._subjects[0] if self._subjects else None)
        if about is not None:
            about.record.checked(rule, outcome, detail)
            return
        # Nothing was made, so there is no session to speak of: one that made nothing stands for it.
        about = Subject(self)
        about.begin()
        about.record.checked(rule, outcome, detail)
        about.finish(outcome=Outcome.OK, censored=False)

    def judge(self, rule: str, holds: bool, detail: str, subject: Subject | None = None) -> None:
        self.say(rule, RuleOutcome.PASS if holds else RuleOutcome.FAIL, detail, subject)

    def judge_heard(self, rule: str, holds: bool, detail: str, subject: Subject) -> None:
        """The same where it hangs on speech without a hole: who was too busy to send it can't blame the target."""
        if not holds and subject.longest_gap_s > GAP_S:
            self.leave(rule, f"{detail}; but the sound had a gap of {subject.longest_gap_s:.2f} s", subject)
        else:
            self.judge(rule, holds, detail, subject)

    def tell(self, rule: str, detail: str, subject: Subject | None = None) -> None:
        """What was seen, nobody's fault."""
        self.say(rule, RuleOutcome.CHARACTERISED, detail, subject)

    def leave(self, rule: str, why: str, subject: Subject | None = None) -> None:
        """It could not be tested."""
        self.say(rule, RuleOutcome.NOT_TESTED, why, subject)

    def timer(
        self,
        rule: str,
        subject: Subject,
        end: End | None,
        *,
        since_ns: int,
        nominal_s: float,
        what: str,
        until_ns: int | None = None,
    ) -> None:
        """Judge a timer of the service, which began between `since_ns` and `until_ns` and should have run for
        `nominal_s`. Our own slowness widens what is known of the end, and so can't make it a breach."""
        late_s = max(LATE_S, LATE_SHARE * nominal_s)
        latest_ns = since_ns if until_ns is None else until_ns
        verdict = partial(self.judge, rule, subject=subject)
        if end is None:
            detail, holds = f"{what}: still alive more than {nominal_s + late_s:.0f} s later", False
        else:
            early = self.service_s(end.by_ns - since_ns) < nominal_s - EARLY_S
            late = self.service_s(end.after_ns - latest_ns) > nominal_s + late_s
            holds = not early and not late
            seen_s = self.service_s(end.by_ns - since_ns)
            detail = f"{what}: over after {seen_s:.1f} s, {nominal_s:g} s were asked for ({end.how})"
        lag_s = max(self.ground.around.lag_ns(), _typical(subject.rtts_ns)) / 1e9
        if end is not None and self.real_s(late_s) < LAGS * lag_s:
            clock = f"for a clock that runs {self.scale:g} times faster"
            self.leave(rule, f"{what}: a lag of {lag_s * 1e3:.0f} ms is too much {clock}", subject)
            return
        verdict(holds=holds, detail=detail)


def _typical(values: list[int]) -> int:
    return sorted(values)[len(values) * 9 // 10] if values else 0


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(base.get(key), dict) and isinstance(value, Mapping)
        merged[key] = _merged(base[key], value) if both else value
    return merged
