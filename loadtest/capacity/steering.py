"""A run led through the stages of a search: told level by level what to do, judged by its own journals.

It is ticked by whoever waits for Locust (`supervisor._follow`) and writes its orders, a JSON line each, to Locust's
stdin. The journals are read on between stages, when no load runs that the reading could disturb.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from loadtest import journal
from loadtest.capacity.facts import Facts
from loadtest.capacity.limit import verdicts
from loadtest.capacity.search import Found, Probe, Purpose, Search
from loadtest.capacity.stages import Stages, check
from loadtest.config.keys.workload import Capacity, LoadStage
from loadtest.config.settings import SET_UP_S, Settings
from loadtest.criteria.words import amount, asked, load_words, plural
from loadtest.errors.exceptions import ConfigError, GeneratorError

_WHY: Final = {
    Purpose.GROW: "growing",
    Purpose.BISECT: "closing in",
    Purpose.AGAIN: "once more, as it failed narrowly",
    Purpose.SUSTAIN: "holding the best one",
}
POOL = 2000
"""Sessions at once in a search by arrivals, unless more users are asked for."""
BEGIN_LIMIT_S = 120.0
HELD_ALL: Final = "if the target holds every level"
SLACK_S = 1.0
"""After the end of a stage, until all of its events can be read."""


def prepared(settings: Settings) -> Settings:
    """The settings of the run that a search is: room for its highest level, all the time it may take, and no objective
    that would end it early. Raises ConfigError."""
    capacity, most_active = settings.capacity or Capacity(), settings.target.max_active
    if most_active is not None and capacity.by == "users" and capacity.most > most_active:
        raise ConfigError(f"capacity.most: {capacity.most:g} users, but target.max_active is {most_active}")
    if settings.distribution.master:  # each level is told by one clock, and judged by journals that are here
        raise ConfigError("distribution.master: a search for the limit runs on one host")
    check(settings.slos)
    changes: dict[str, Any] = {
        "ramp": 0.0, "warm_up": 0.0, "stages": (), "trace": None, "duration": capacity.give_up, "rate": None,
        "arrivals": settings.load.arrivals if settings.load.arrivals == "poisson" else "constant",
    }  # fmt: skip
    if capacity.by == "arrivals":
        pool = settings.load.max_users
        if pool is None:
            pool = min(POOL, most_active or POOL, math.ceil(2 * capacity.most * (settings.conversation_s + SET_UP_S)))
        elif most_active is not None and pool > most_active:
            raise ConfigError(f"load.max_users: {plural(pool, 'user')}, but target.max_active is {most_active}")
        changes |= {"rate": capacity.most, "pacing": None, "max_users": pool}
        shared, words = float(pool), f"load.max_users: {plural(pool, 'user')}"
    else:
        changes["users"] = int(capacity.most)
        shared, words = capacity.start, f"capacity.start: {load_words(capacity.start, capacity.unit)}"
    if settings.load.processes > shared:
        raise ConfigError(f"{words} can't be shared by {plural(settings.load.processes, 'load process')}")
    searched = settings.model_copy(
        update={
            "capacity": capacity,
            "load": settings.load.model_copy(update=changes),
            "slo": tuple({key: value for key, value in table.items() if key != "abort"} for table in settings.slo),
        }
    )
    if latest_s(searched) <= 0:
        raise ConfigError(
            f"capacity.give_up: {capacity.give_up:g} s are too short for a level: two times settle, and the longer of"
            f" stage and sustain, are {capacity.give_up - latest_s(searched):g} s"
        )
    return searched


def settle_s(settings: Settings) -> float:
    """How long a level is held before it is judged."""
    capacity = settings.capacity or Capacity()
    return capacity.settle if capacity.settle is not None else settings.conversation_s + 2.0


def latest_s(searched: Settings) -> float:
    """No level of a `prepared` search begins later: whichever it is, it is still to be held within its time."""
    capacity, settling_s = searched.capacity or Capacity(), settle_s(searched)
    return searched.load.duration - settling_s - max(settling_s, SLACK_S) - max(capacity.stage, capacity.sustain)


def at_most(settings: Settings) -> Settings:
    """Of the load of such a search that holds every level: its levels as stages, as many as there is time for. Raises
    ConfigError."""
    searched = prepared(settings)
    capacity, settling_s, is_open = searched.capacity or Capacity(), settle_s(searched), searched.load.open
    search = Search.of(capacity)
    stages, begins_s = [], 0.0
    while (probe := search.next()) is not None and begins_s < latest_s(searched):
        held_s = settling_s + (capacity.sustain if probe.purpose is Purpose.SUSTAIN else capacity.stage)
        level: dict[str, Any] = {"rate": probe.level} if is_open else {"users": int(probe.level)}
        stages.append(LoadStage(duration=held_s, **level))
        begins_s += held_s + SLACK_S
        search.tell(Found.PASSED)
    changes = {"stages": tuple(stages), "rate": None, "duration": sum(stage.duration for stage in stages)}
    return searched.model_copy(update={"load": searched.load.model_copy(update=changes)})


class _At(NamedTuple):
    """The stage that goes on: which, why, how long its parts are, and since when."""

    number: int
    level: float
    purpose: Purpose
    settle_s: float
    hold_s: float
    began_s: float


class Steering:
    """Tick it often; it never blocks for long. `say`: a line for people."""

    def __init__(self, settings: Settings, run_dir: Path, *, say: Callable[[str], None]) -> None:
        assert settings.capacity is not None
        self._capacity, self._settings, self._say = settings.capacity, settings, say
        self._stages = Stages(settings.slos, poisson=settings.load.arrivals == "poisson")
        self._follower = journal.Follower(run_dir)
        self._orders = self._lead()
        self._over = False
        self._running = False
        self._at: _At | None = None
        self._held, self._missed = 0.0, math.inf

    def heard(self, *, begun: bool) -> None:
        """By this the search learns that the run goes on."""
        self._running = begun

    @property
    def level(self) -> str:
        """Where the search is, in words."""
        if self._at is None:
            return "the search is over: ending" if self._over else "waiting for the run to begin"
        at = self._at
        into_s = time.monotonic() - at.began_s
        if into_s < at.settle_s:
            doing = f"settling, {into_s:.0f} of {at.settle_s:.0f} s"
        elif into_s < at.settle_s + at.hold_s:
            doing = f"measuring, {into_s - at.settle_s:.0f} of {at.hold_s:.0f} s"
        else:
            doing = "waiting for its sessions to end"
        known = [f"{self._held:g} passed"] if self._held else []
        known += [f"{self._missed:g} failed"] if self._missed < math.inf else []
        so_far = f" ({', '.join(known)})" if known else ""
        return f"level {at.number}: {load_words(at.level, self._capacity.unit)}, {_WHY[at.purpose]}: {doing}{so_far}"

    def tick(self) -> bytes:
        """What is to be written to Locust's stdin now; nothing, most of the time."""
        if self._over:
            return b""
        try:
            order = next(self._orders)
        except StopIteration:
            self._over, self._at = True, None
            return b'{"op":"end"}\n'
        return b"" if order is None else json.dumps(order, separators=(",", ":")).encode() + b"\n"

    def _lead(self) -> Iterator[dict[str, Any] | None]:
        capacity, search = self._capacity, Search.of(self._capacity)
        deadline_s = time.monotonic() + BEGIN_LIMIT_S
        while not self._running:
            if time.monotonic() > deadline_s:
                raise GeneratorError("the run did not begin; see locust.log")
            yield None
        settling_s = settle_s(self._settings)
        give_up_s = time.monotonic() + latest_s(self._settings)
        number = 0
        while (probe := search.next()) is not None and time.monotonic() < give_up_s:
            number += 1
            hold_s = capacity.sustain if probe.purpose is Purpose.SUSTAIN else capacity.stage
            self._at = _At(number, probe.level, probe.purpose, settling_s, hold_s, time.monotonic())
            yield {
                "op": "stage",
                "name": f"{number} {probe.purpose.value}",
                "level": probe.level,
                "settle_s": settling_s,
                "hold_s": hold_s,
                "first_index": number * 10_000_000,
            }
            yield from self._wait(settling_s + hold_s + SLACK_S)
            yield from self._until_idle()
            facts = self._stages.facts()
            if len(facts) < number:
                raise GeneratorError("a stage left no trace in the journals; see locust.log")
            found = verdicts(facts, bounds_latency=self._stages.bounds_latency)[-1]
            self._stages.forget()
            self._tell(probe, facts[-1], found)
            if facts[-1].is_last:
                return
            search.tell(found)

    def _wait(self, seconds: float) -> Iterator[None]:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            yield None

    def _until_idle(self) -> Iterator[None]:
        """Until what the stage began has ended, so that it doesn't weigh on the next one; not for ever."""
        until_s = time.monotonic() + self._settings.graceful_stop_s
        while True:
            for _, event in self._follower.read():
                self._stages.add(event)
            if self._stages.in_progress <= 0 or time.monotonic() > until_s:
                return
            yield from self._wait(0.3)

    def _tell(self, probe: Probe, facts: Facts, found: Found) -> None:
        words = {Found.PASSED: "passes", Found.INVALID: "not judged, the generator was not fit"}.get(found, "fails")
        why = ""
        if found is Found.INVALID:
            why = ": " + "; ".join(facts.health.because)
        elif found is Found.REFUSED:
            why = f": {len(facts.evidence.refusals)} refused for their number"
        elif found is not Found.PASSED:
            broken = facts.broken
            if broken and broken[0].observed is not None:
                first = broken[0]
                side = "most" if first.bound == "max" else "least"
                seen = amount(first.observed, first.unit, first.objective)
                why = f": {first.name}: {seen}, wanted at {side} {asked(first.objective, first.unit)}"
            elif not facts.keeps_up:
                why = f": {plural(facts.growth, 'more session')} in progress at its end than at its begin"
            else:
                why = ": no more sessions were done than at a lower level"
        if found is Found.PASSED:
            self._held = max(self._held, facts.level)
        elif found is not Found.INVALID:
            self._missed = min(self._missed, facts.level)
        known = found is Found.INVALID or facts.health.outcome == "valid"
        fit = "" if known else f", generator {facts.health.outcome}"
        self._say(
            f"level {facts.number}: {load_words(facts.level, self._capacity.unit)}: {words}{why}"
            f" ({60 * facts.goodput_per_s:.1f} good sessions/min{fit})"
        )
