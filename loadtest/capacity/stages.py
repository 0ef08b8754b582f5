"""What a stage of the search showed: a fold over the run's events, the same while the search goes on and in the report.

A stage is the steady stretch between two StageStarted. A session belongs to the stage in which it was due, whenever it
ends; what was in flight when the stage is judged counts as not good.
"""

import itertools
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from loadtest.capacity.at_once import Line
from loadtest.capacity.facts import BROKE_OFF, BUDGET_USED, NONE_DUE, Facts, Judged
from loadtest.capacity.quota import Stay, evidence, is_refusal
from loadtest.capacity.search import Found, Purpose
from loadtest.criteria import stage_health
from loadtest.criteria.samples import REMEMBERED, SAMPLERS, WEIGHTS, Running, Sampler, Source, scenario_of, source_of
from loadtest.criteria.slo import COUNT, DEFAULT_SLOS, DROPPED, EXPOSED, RANKS, SECONDS, Slo, SloOutcome
from loadtest.criteria.words import plural
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.kinds import OURS, Kind
from loadtest.events.kinds import (
    LOAD,
    ON_A_SECRET,
    DropReason,
    Event,
    GeneratorFailed,
    Gone,
    GoneChecked,
    HealthSampled,
    IterationDropped,
    Outcome,
    Remains,
    RemainsChanged,
    RemainsReason,
    RunFinished,
    SessionFinished,
    SessionStarted,
    StageStarted,
    Step,
    StepFinished,
)
from loadtest.events.vocabulary import USED_UP

KEPT_UP: Final = 0.02
"""Of the arrivals of a stage: so much may the sessions in progress grow, chance apart, in a target that keeps up."""
_OURS: Final = frozenset(OURS) - {Kind.CANCELLED}
"""Of a session that had begun; an objective is charged with none of them, so the stage would hold without them."""
MISSING: Final = 0.02
"""Of the arrivals of a stage: so many may have got lost on our side, neither started nor dropped."""


_Asked = tuple[str, str | None]
"""What an objective is of: its measure, and of a mix whose sessions (None: all)."""


@dataclass(slots=True)
class _Session:
    running: Running
    due_ns: int
    started_ns: int
    again: bool
    stay: Stay = field(default_factory=Stay)
    ended_ns: int | None = None
    ok: bool = False
    over_bound: bool = False
    setup_s: float | None = None
    setup_from_due_s: float | None = None
    refused: StepFinished | None = None
    failed: tuple[str, str, str] | None = None


@dataclass(slots=True)
class _Stage:
    """`whole_ns`: from the beginning of its settling until the next stage settles."""

    told: StageStarted
    until_ns: int
    whole_ns: tuple[int, int]
    sessions: list[_Session] = field(default_factory=list)
    drops: list[tuple[IterationDropped, int]] = field(default_factory=list)
    values: dict[_Asked, list[tuple[float, int]]] = field(default_factory=dict)


def check(slos: Sequence[Slo]) -> None:
    """Raises ConfigError for what can't be asked of a stage, which is as long as it is."""
    unfit = [slo for slo in slos if slo.unit == COUNT and (slo.max is None or slo.window_s is not None)]
    if unfit:
        why = "a search judges level by level: there a count has neither min nor window, a rate has both"
        raise ConfigError([f"slo {slo.name!r} ({slo.indicator}): {why}" for slo in unfit])


class Stages:
    """The fold. Feed it events in the order of their files; ask `facts` at any time. Raises ConfigError as `check`."""

    def __init__(self, slos: Sequence[Slo], *, poisson: bool = False) -> None:
        check(slos)
        chosen = list(slos) or list(DEFAULT_SLOS)
        if not any(slo.indicator == DROPPED.indicator for slo in chosen):
            chosen.append(DROPPED)
        self.slos = tuple(chosen)
        self._poisson = poisson
        self._samplers: dict[Source, list[tuple[_Asked, Sampler]]] = {}
        exposed = [each for slo in self.slos if (each := _exposed(slo)) is not None]
        for asked in dict.fromkeys([*map(_asked, self.slos), *exposed]):
            for source, sampler in SAMPLERS[asked[0]].items():
                self._samplers.setdefault(source, []).append((asked, sampler))
        self._bounding = [slo for slo in self.slos if slo.is_ranked and slo.max is not None]
        self._told: dict[tuple[str, int], StageStarted] = {}
        self._sessions: dict[str, _Session] = {}
        self._drops: list[IterationDropped] = []
        self._samples: list[HealthSampled] = []
        self._faults: list[GeneratorFailed] = []
        self._ends: list[RunFinished] = []
        self._values: list[tuple[int, _Asked, tuple[float, int]]] = []
        self._judged: list[Facts] = []
        self._judged_until_ns = 0

    @property
    def bounds_latency(self) -> bool:
        """Whether any service level says how long something may take."""
        return any(slo.unit == SECONDS for slo in self._bounding)

    @property
    def is_completed(self) -> bool:
        """Whether all processes of the run came to its end, and nobody ended it by hand."""
        return bool(self._ends) and all(end.reason == "completed" for end in self._ends)

    @property
    def in_progress(self) -> int:
        """Sessions that have begun and not ended."""
        return sum(session.ended_ns is None for session in self._sessions.values())

    def add(self, event: Event) -> None:
        """Fold one event in."""
        match event:
            case StageStarted():
                self._told.setdefault((event.stage, event.users), event)
            case HealthSampled():
                self._samples.append(event)
            case GeneratorFailed():
                self._faults.append(event)
            case RunFinished():
                self._ends.append(event)
            case IterationDropped() if event.purpose == LOAD:
                self._drops.append(event)
                self._take(event, None)
            case SessionStarted() if event.purpose == LOAD:
                session = _Session(Running(event.scenario, event.due_ns), event.due_ns, event.t_ns, event.again)
                self._sessions[event.session] = session
                self._take(event, session)
            case _:
                self._of_session(event)

    def _of_session(self, event: Event) -> None:
        session = self._sessions.get(getattr(event, "session", ""))
        if session is None:
            return
        if isinstance(event, REMEMBERED):
            session.running.saw(event)
        match event:
            case RemainsChanged(reason=RemainsReason.CREATE_ANSWERED):
                session.stay.created_ns = event.t_ns
            case RemainsChanged():
                session.stay.gone_ns = event.t_ns if event.remains is Remains.NOTHING else None
            case GoneChecked() if event.looks > 1:
                session.stay.gone_ns = event.t_ns if event.gone is Gone.CONFIRMED else None
            case StepFinished():
                self._step(event, session)
            case SessionFinished():
                session.ended_ns, session.ok = event.t_ns, event.outcome is Outcome.OK
                if event.remains is Remains.NOTHING:
                    session.stay.gone_ns = session.stay.gone_ns or event.t_ns
                if event.failure is not None:
                    session.failed = (event.failure.step.value, event.failure.kind.value, event.failure.code.value)
        self._take(event, session)

    def _step(self, event: StepFinished, session: _Session) -> None:
        stay = session.stay
        if event.step is Step.DELETE and stay.left_ns is None:
            stay.left_ns = event.started_ns
        elif (setup_s := session.running.setup_s(event)) is not None:
            session.setup_s, session.setup_from_due_s = setup_s, session.running.from_due_s(event)
        if event.step is Step.CREATE:
            stay.sent_ns = event.started_ns
        elif event.step is Step.CONNECT and event.failure is None:
            stay.joined = True
        elif event.failure is not None and stay.left_ns is None:
            stay.left_ns = event.t_ns  # whatever failed: it may be over from here on
        if is_refusal(event) and event.failure is not None:
            session.refused = event
            if event.step in ON_A_SECRET:
                stay.turned_away_ns, stay.step, stay.code = event.t_ns, event.step, event.failure.code

    def _take(self, event: Event, session: _Session | None) -> None:
        running = session.running if session else None
        for asked, sampler in self._samplers.get(source_of(event), ()):
            measure, wanted = asked
            value = sampler(event, running)
            if value is None or wanted not in (None, scenario_of(event, running)):
                continue
            due_ns = session.due_ns if session else event.due_ns if isinstance(event, IterationDropped) else event.t_ns
            weight = WEIGHTS[measure](event) if measure in WEIGHTS else 1
            self._values.append((due_ns, asked, (float(value), weight)))
            if session is not None and any(_asked(slo) == asked and slo.beyond(value) for slo in self._bounding):
                session.over_bound = True

    def forget(self) -> None:
        """What the stages so far were made of; their facts stay as they are. Keeps a long search small."""
        self._judged = self.facts()
        until_ns = self._judged_until_ns = max((event.t_ns for event in self._told.values()), default=0)
        self._sessions = {
            name: each for name, each in self._sessions.items() if each.ended_ns is None or each.due_ns >= until_ns
        }
        self._values = [value for value in self._values if value[0] >= until_ns]
        self._drops = [drop for drop in self._drops if drop.due_ns >= until_ns]
        self._samples = [sample for sample in self._samples if sample.t_ns >= until_ns]

    def facts(self) -> list[Facts]:
        """Of all stages that have begun, in order of time."""
        told = sorted(self._told.values(), key=lambda event: event.t_ns)
        if not told:
            return []
        begin_ns = told[0].t_ns
        told = [event for event in told if event.t_ns > self._judged_until_ns]
        begins = [event.t_ns for event, after in itertools.pairwise(told) if after.steady and not event.steady]
        stages = [
            _Stage(event, after.t_ns, _around(begins, event.t_ns))
            for event, after in itertools.pairwise(told)
            if event.steady
        ]
        for session in self._sessions.values():
            if (stage := _at(stages, session.due_ns)) is not None:
                stage.sessions.append(session)
        line = Line.of((s.started_ns, s.ended_ns) for s in self._sessions.values())
        for drop in self._drops:
            if (stage := _at(stages, drop.due_ns)) is not None:
                stage.drops.append((drop, line.at(drop.t_ns)))
        for due_ns, asked, value in self._values:
            if (stage := _at(stages, due_ns)) is not None:
                stage.values.setdefault(asked, []).append(value)
        first = len(self._judged) + 1
        return _without_ours(
            self._judged + [self._facts(number, stage, line, begin_ns) for number, stage in enumerate(stages, first)]
        )

    def _facts(self, number: int, stage: _Stage, line: Line, begin_ns: int) -> Facts:
        told, sessions = stage.told, stage.sessions
        duration_s = (stage.until_ns - told.t_ns) / 1e9
        good = [s.ok and not s.over_bound for s in sessions]
        ends = [s for s in self._sessions.values() if s.ended_ns and told.t_ns <= s.ended_ns < stage.until_ns]
        setups = sorted(s.setup_s for s in sessions if s.setup_s is not None)
        from_due = sorted(s.setup_from_due_s for s in sessions if s.setup_from_due_s is not None)
        lengths_s = [(s.ended_ns - s.started_ns) / 1e9 for s in sessions if s.ended_ns is not None]
        dropped = Counter(drop.reason for drop, _ in stage.drops)
        refused = [s.refused for s in sessions if s.refused is not None]
        before, after = line.at(told.t_ns), line.at(stage.until_ns)
        offered = sum(not s.again for s in sessions) + len(stage.drops)
        chance = 1 + 2 * math.sqrt(before + 1) + (2 * math.sqrt(offered) if self._poisson else 0)
        purpose = told.stage.split()[1] if len(told.stage.split()) > 1 else ""
        return Facts(
            number=number,
            name=told.stage,
            purpose=Purpose(purpose) if purpose in set(Purpose) else Purpose.GROW,
            level=told.rate if told.rate is not None else float(told.users),
            open=told.rate is not None,
            pool=told.users,
            at_s=round((told.t_ns - begin_ns) / 1e9, 3),
            duration_s=round(duration_s, 3),
            offered=offered,
            started=len(sessions),
            dropped=len(stage.drops),
            no_user=dropped[DropReason.NO_USER],
            late=dropped[DropReason.LATE],
            completed=sum(s.ok for s in sessions),
            failed=sum(s.failed is not None for s in sessions),
            good=sum(good),
            unfinished=sum(s.ended_ns is None for s in sessions),
            goodput_per_s=round(sum(s.ok and not s.over_bound for s in ends) / duration_s, 3) if duration_s else 0.0,
            completed_per_s=round(sum(s.ok for s in ends) / duration_s, 3) if duration_s else 0.0,
            in_progress_start=before,
            in_progress_mean=round(line.mean(told.t_ns, stage.until_ns), 3),
            growth=after - before + len(stage.drops),
            allowed_growth=round(KEPT_UP * offered + chance, 2),
            session_s=sum(lengths_s) / len(lengths_s) if lengths_s else None,
            setup_p50_s=quantile(setups, 0.5),
            setup_p95_s=quantile(setups, 0.95),
            setup_from_due_p95_s=quantile(from_due, 0.95),
            refused=len(refused),
            refusals=dict(Counter(f"{e.step.value} {e.failure.code.value}" for e in refused if e.failure)),
            failures=dict(Counter(" ".join(s.failed) for s in sessions if s.failed)),
            evidence=evidence((session.stay for session in self._sessions.values()), *stage.whole_ns),
            slos=tuple(_judged(slo, stage.values) for slo in self.slos),
            health=self._health(stage, offered=offered, duration_s=duration_s),
            marks=tuple((g, s.setup_s) for g, s in zip(good, sessions, strict=True)),
        )

    def _health(self, stage: _Stage, *, offered: int, duration_s: float) -> stage_health.StageHealth:
        """How fit the generator was; what voids the stage besides its figures stands first."""
        told, until_ns = stage.told, stage.until_ns
        faults = [e for e in self._faults if e.t_ns < until_ns]
        lasting = [e for e in faults if e.fault not in stage_health.OF_ITS_STAGE]
        health = stage_health.judge(
            [e for e in self._samples if told.t_ns <= e.t_ns - 1_000_000_000 and e.t_ns <= until_ns],
            faults=[e for e in faults if told.t_ns <= e.t_ns or e in lasting],
            drops=stage.drops,
            users=told.users,
        )
        void: list[str] = []
        if any(drop.reason in USED_UP for drop, _ in stage.drops):
            void.append(BUDGET_USED)
        elif not offered:
            void.append(NONE_DUE)
        if lasting or any(end.t_ns < until_ns for end in self._ends):
            void.append(BROKE_OFF)
        if ours := [s.failed[1] for s in stage.sessions if s.failed is not None and s.failed[1] in _OURS]:
            void.append(f"{plural(len(ours))} failed by a fault of ours ({', '.join(sorted(set(ours)))})")
        scheduled = 0 if told.rate is None or self._poisson else int(told.rate * duration_s)
        if offered < (1 - MISSING) * scheduled:
            void.append(f"{scheduled - offered:,} of {plural(scheduled, 'arrival')} never came")
        return replace(health, outcome="invalid", because=(*void, *health.because)) if void else health


def _without_ours(stages: list[Facts]) -> list[Facts]:
    """The same; those that fail by arrivals of which we ourselves were too few are void."""
    passed = [facts for facts in stages if facts.open and facts.found() is Found.PASSED]
    usual_s = max(passed, key=lambda facts: facts.level).session_s if passed else None
    found = []
    for facts in stages:
        if facts.health.outcome != "invalid" and (why := facts.spoilt_by_us(usual_s)) is not None:
            health = replace(facts.health, outcome="invalid", because=(why, *facts.health.because))
            facts = replace(facts, health=health)
        found.append(facts)
    return found


def _asked(slo: Slo) -> _Asked:
    return slo.measure, slo.scenario


def _exposed(slo: Slo) -> _Asked | None:
    """Of a count of what went wrong: that which samples all that could have."""
    return (EXPOSED[slo.measure], slo.scenario) if slo.measure in EXPOSED else None


def _around(begins: Sequence[int], t_ns: int) -> tuple[int, int]:
    place = bisect_right(begins, t_ns)
    return begins[place - 1] if place else t_ns, begins[place] if place < len(begins) else 1 << 62


def _at(stages: Sequence[_Stage], t_ns: int) -> _Stage | None:
    place = bisect_right(stages, t_ns, key=lambda stage: stage.told.t_ns) - 1
    return stages[place] if place >= 0 and t_ns < stages[place].until_ns else None


def _judged(slo: Slo, found: Mapping[_Asked, list[tuple[float, int]]]) -> Judged:
    """`found`: samples, or how many were bad of how many."""
    observed: float | None = None
    weighed, exposed = found.get(_asked(slo), []), _exposed(slo)
    values, count = [value for value, _ in weighed], sum(weight for _, weight in weighed)
    if slo.unit == COUNT:
        observed = sum(values)
        count = count if exposed is None else len(found.get(exposed, []))
    elif count and slo.is_ratio:
        observed = slo.ratio(count, sum(values))
    elif values:
        observed = quantile(sorted(values), float(RANKS[slo.indicator.rpartition(".")[2]]))
    beyond = sum(map(slo.beyond, values)) if slo.is_ranked else round(sum(values))
    return Judged(
        name=slo.name,
        indicator=slo.indicator,
        bound="min" if slo.max is None else "max",
        objective=slo.objective,
        observed=None if observed is None else round(observed, 9),
        unit=slo.unit,
        met=slo.judge(count, beyond, observed) is not SloOutcome.FAIL,
        count=count,
        beyond=beyond,
        needed=max(slo.enough, 0 if exposed is None else 1),
        scenario=slo.scenario,
    )


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Interpolated linearly, as numpy does; None of nothing."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return round(ordered[low] + (ordered[high] - ordered[low]) * (place - low), 9)
