"""What a plan would do and cost, before it is run: its schedule played through on paper. Nobody is contacted.

The arrivals are those that the run would have, from the same seed. What is guessed is how long a session takes, and
every figure that rests on it is a range.
"""

import heapq
import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from loadtest.arrivals.schedule import ClosedPopulation
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.forecast.costing import check_budget, expected
from loadtest.forecast.plan import CPU_GOAL, Range
from loadtest.language.errors import ConfigError
from loadtest.prices.table import Prices
from loadtest.prices.talk import Bill, Talk, Tokens, Usd, bills, tokens

TWIN_ANSWER_S: Final = 2.0
"""How long the twin's answers are."""
ANSWER_S: Final = 4.0
"""How long an answer is elsewhere, where nobody says so."""
_TWIN_AROUND_S, _AROUND_S = 0.1, 2.0
"""Set-up and delete together, at the twin and elsewhere."""
_TWIN_SPREAD, _SPREAD = 0.08, 0.5
"""How far the length of a session may be off."""
MOST_PLAYED: Final = 300_000
"""Sessions that are played through one by one; of more users a share is, and counts for all."""
CPU_MS_PER_SESSION_S: Final = {"none": 0.0, "websocket": 0.98, "auto": 0.98, "webrtc": 4.0, "daily": 4.0}
"""Of a load process, for each second of a session (docs/benchmarks.md), by the kind of room."""
CPU_MS_PER_SESSION: Final = {"official": 2.0, "lean": 0.8}
"""Of a load process, for the calls and events of a session, by how the calls are sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The schedule on paper. `per_minute`: sessions begun in the busiest minute; `busy_s`: of all sessions together."""

    sessions: float
    peak: float
    per_minute: float
    busy_s: float
    dropped: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of one plan. `answer_s`: what was assumed of an answer. `reserved`: by scenario, what a budget sets aside."""

    sessions: Range
    peak: Range
    per_minute: Range
    avatar_minutes: Range
    session_s: Range
    dropped: float
    tokens: Tokens
    bill: Bill
    processes: Range
    answer_s: float
    reserved: Mapping[str, Usd]
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sessions": self.sessions.whole(),
            "sessions_at_once": self.peak.whole(),
            "secrets_per_minute": self.per_minute.whole(),
            "avatar_minutes": self.avatar_minutes.rounded(),
            "session_s": self.session_s.rounded(),
            "answer_s": self.answer_s,
            "arrivals_dropped": round(self.dropped),
            "tokens": {name: round(getattr(self.tokens, name)) for name in Tokens.__slots__},
            "cost": self.bill.as_dict(),
            "load_processes": self.processes.whole(),
            "reserved_per_session": {name: usd.as_dict() for name, usd in self.reserved.items()},
            "notes": self.notes,
        }

    def sentences(self) -> list[str]:
        """For people."""
        used = self.tokens
        lines = [
            f"  sessions             {_words(self.sessions.whole())}, of {_words(self.session_s.rounded(), ' s')} each",
            f"  at once, at most     {_words(self.peak.whole())}",
            f"  secrets per minute   {_words(self.per_minute.whole())} in the busiest minute",
            f"  avatar               {_words(self.avatar_minutes.rounded(), ' minutes')}",
            f"  tokens               audio {used.audio_in:,.0f} in, {used.audio_out:,.0f} out;"
            f" text {used.text_in:,.0f} in, {used.text_out:,.0f} out",
            f"  cost, model          {self.bill.model.words()}",
            f"  cost, transcription  {self.bill.transcription.words()}",
            f"  cost, avatar         {self.bill.avatar.words()}",
            f"  cost, all            {self.bill.total.words()}",
            f"  load processes       {_words(self.processes.whole())}",
        ]
        lines += [f"  a session reserves   {usd.words()} at most ({name})" for name, usd in self.reserved.items()]
        return lines + [f"  note: {note}" for note in self.notes]


def forecast(settings: Settings, *, answer_s: float | None, twin: bool, today: date) -> Forecast:
    """What a run of these settings would be. `answer_s`: how long answers are (None: the twin's own, or a guess).
    `twin`: the target is one. Raises ConfigError where a clip can't be read, or a budget can't be kept."""
    table = settings.cost.table
    spoken_s = answer_s if answer_s is not None else TWIN_ANSWER_S if twin else ANSWER_S
    around_s, spread = (_TWIN_AROUND_S, _TWIN_SPREAD) if twin else (_AROUND_S, _SPREAD)
    weights = sum(scenario.weight for scenario in settings.scenarios)
    talks = [
        (scenario.weight / weights, expected(settings, scenario, answer_s=spoken_s, around_s=around_s))
        for scenario in settings.scenarios
    ]
    mean_s = sum(share * talk.lived_s for share, talk in talks)
    length_s = Range.about(mean_s, spread)
    played = {name: play(settings, getattr(length_s, name)) for name in ("value", "low", "high")}

    def ranged(name: str) -> Range:
        found = [getattr(each, name) for each in played.values()]
        return Range(found[0], min(found), max(found))

    sessions, busy = ranged("sessions"), ranged("busy_s")
    cost = bills(talks, table).times(sessions.value)
    share = (sessions.low / sessions.value, sessions.high / sessions.value) if sessions.value else (1.0, 1.0)
    minutes = busy.times(1 / 60)
    reserved = check_budget(settings, table) if settings.cost.budget is not None else {}
    return Forecast(
        sessions=sessions,
        peak=ranged("peak"),
        per_minute=ranged("per_minute"),
        avatar_minutes=minutes,
        session_s=length_s,
        dropped=played["value"].dropped,
        tokens=_tokens(talks, table).times(sessions.value),
        bill=Bill(*(_wider(usd, *share) for usd in (cost.model, cost.transcription, cost.avatar))),
        processes=_processes(settings, sessions, busy),
        answer_s=spoken_s,
        reserved={name: each.total for name, each in reserved.items()},
        notes=_notes(settings, played["value"], ranged("per_minute"), cost.total, spoken_s, today, twin=twin),
    )


def play(settings: Settings, length_s: float) -> Played:
    """The schedule, with sessions of that length."""
    begun = Counter[int]()
    if settings.load.open:
        sessions, peak, dropped = _play_open(settings, length_s, begun)
        factor = 1.0
    else:
        sessions, peak, dropped, factor = _play_closed(settings, length_s, begun)
    most = settings.target.max_sessions
    begun_in_all = sessions * factor if most is None else min(sessions * factor, most)
    return Played(
        sessions=begun_in_all,
        peak=min(peak * factor, begun_in_all),
        per_minute=min(max(begun.values(), default=0) * factor, begun_in_all),
        busy_s=begun_in_all * length_s,
        dropped=dropped,
    )


def _play_open(settings: Settings, length_s: float, begun: Counter[int]) -> tuple[float, float, float]:
    """A session per arrival, while the pool has somebody free for it in time."""
    busy: list[float] = []
    sessions = peak = dropped = 0
    for at_s in _bounded(settings.load.schedule(), length_s):
        while busy and busy[0] <= at_s:
            heapq.heappop(busy)
        start_s = at_s
        if len(busy) >= settings.pool:
            start_s = busy[0]
            if start_s - at_s > settings.load.max_lateness:
                dropped += 1
                continue
            heapq.heappop(busy)
        heapq.heappush(busy, start_s + length_s)
        sessions, peak = sessions + 1, max(peak, len(busy))
        begun[int(start_s // 60)] += 1
    return sessions, peak, dropped


def _bounded(offsets_s: Iterable[float], length_s: float) -> Iterator[float]:
    """Raises ConfigError where there are more than can be played on paper."""
    for count, at_s in enumerate(offsets_s):
        if count >= 10 * MOST_PLAYED:
            raise ConfigError(f"load: more than {10 * MOST_PLAYED:,} arrivals: too many to look at one by one")
        yield at_s


def _play_closed(settings: Settings, length_s: float, begun: Counter[int]) -> tuple[float, float, float, float]:
    """Each user's sessions, one after the other; of many users a share."""
    load = settings.load
    population = ClosedPopulation(shape=load.shape(), pacing_s=load.pacing)
    users = load.population - settings.probe_users
    each = load.duration / max(length_s, load.pacing or 0.0, 0.05) + 1
    stride = max(1, math.ceil(users * each / MOST_PLAYED))
    sessions, ends = 0, []
    for user in range(0, users, stride):
        place = user + random.Random(f"{load.seed}:{user}").random()
        due_s = population.first_s(place)
        while due_s is not None:
            sessions += 1
            begun[int(due_s // 60)] += 1
            ends += [(due_s, 1), (due_s + length_s, -1)]
            due_s = population.next_s(place, due_s, due_s + length_s)
    peak = now = 0
    for _, change in sorted(ends):
        now += change
        peak = max(peak, now)
    return sessions, peak, 0.0, users / max(1, len(range(0, users, stride)))


def _tokens(talks: list[tuple[float, Talk]], table: Prices) -> Tokens:
    """Of the mean session."""
    total = Tokens()
    for share, talk in talks:
        total = total.and_also(tokens(talk, table).times(share))
    return total


def _wider(usd: Usd, low: float, high: float) -> Usd:
    """By the range of the sessions."""
    return Usd(usd.value, usd.low * low, usd.high * high, usd.unknown)


def _processes(settings: Settings, sessions: Range, busy: Range) -> Range:
    """Load processes that keep within the bound on their CPU, each on a core of its own."""
    length_s = settings.load.duration
    each_ms, calls_ms = CPU_MS_PER_SESSION_S[settings.target.room], CPU_MS_PER_SESSION[settings.target.http]

    def wanted(name: str) -> float:
        cpu_ms: float = getattr(busy, name) * each_ms + getattr(sessions, name) * calls_ms
        return max(1.0, cpu_ms / 1000 / length_s * 100 / CPU_GOAL)

    return Range(wanted("value"), wanted("low"), wanted("high"))


def _notes(
    settings: Settings, played: Played, per_minute: Range, cost: Usd, answer_s: float, today: date, *, twin: bool
) -> list[str]:
    """What must be known to use the figures."""
    table, notes = settings.cost.table, []
    if settings.spoken:
        notes.append(f"answers of {answer_s:g} s are assumed; --answer says otherwise")
    limit = table.limits.requests_per_minute
    if not twin and per_minute.high > limit:
        sure = "is more than" if per_minute.low > limit else "may be more than"
        notes.append(f"{plural(round(per_minute.value), 'secret')} in a minute {sure} the account's {limit} requests")
    if played.dropped:
        notes.append(f"{plural(round(played.dropped), 'arrival')} would find nobody free: give --max-users")
    if settings.probe_users:
        checking = plural(settings.probe_users, "user")
        notes.append(f"active checks of {checking} are not in it: their sessions and costs aren't known")
    if settings.cost.budget is not None and cost.is_known and cost.value > settings.cost.budget:
        notes.append(f"the budget of {settings.cost.budget:g} USD would end it early")
    if twin:
        notes.append("against the twin nothing is charged: the money is what the services would ask")
    return notes + table.old(today)


def _words(figure: Mapping[str, float], unit: str = "") -> str:
    value, low, high = (f"{figure[name]:,.10g}" for name in ("value", "low", "high"))
    return f"{value}{unit}" if low == high else f"{value}{unit} ({low} to {high})"
