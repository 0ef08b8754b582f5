"""What a plan would do and cost, before it is run: its schedule played through on paper. Nobody is contacted.

The arrivals are those that the run would have, from the same seed. What is guessed is how long a session takes, and
every figure that rests on it is a range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from loadtest.config.keys.scenario import Scenario
from loadtest.config.keys.session_object import table as table_in
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.forecast.costing import check_budget, expected
from loadtest.forecast.plan import CPU_GOAL, Range
from loadtest.forecast.playing import NEVER, Again, Played, play
from loadtest.prices.micro import to_pay, to_spend
from loadtest.prices.table import Prices
from loadtest.prices.talk import Bill, Talk, Tokens, Usd, bills, tokens

TWIN_ANSWER_S: Final = 2.0
"""How long the twin's answers are, if its knob `answer_s` doesn't say otherwise."""
_ANSWER_KNOB: Final = "answer_s"
ANSWER_S: Final = 4.0
"""How long an answer is elsewhere, where nobody says so."""
_TWIN_AROUND_S, _AROUND_S = 0.1, 2.0
"""Set-up and delete together, at the twin and elsewhere."""
_TWIN_SPREAD, _SPREAD = 0.08, 0.5
"""How far the length of a session may be off."""
CPU_MS_PER_SESSION_S: Final = {"none": 0.0, "websocket": 0.98, "auto": 0.98, "webrtc": 4.0, "daily": 4.0}
"""Of a load process, for each second of a session (docs/benchmarks.md), by the kind of room."""
CPU_MS_PER_SESSION: Final = {"official": 2.0, "lean": 0.8}
"""Of a load process, for the calls and events of a session, by how the calls are sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of one plan. `answer_s`: what was assumed of an answer, on average. `reserved`: by scenario, what a budget sets
    aside; `of_budget`: those of the notes that say how far it will reach."""

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
    of_budget: list[str]
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
    around_s, spread = (_TWIN_AROUND_S, _TWIN_SPREAD) if twin else (_AROUND_S, _SPREAD)
    weights = sum(scenario.weight for scenario in settings.scenarios)
    spoken_s = [
        answer_s if answer_s is not None else _answer_s(settings, each, twin=twin) for each in settings.scenarios
    ]
    callers = [
        (scenario.weight / weights, expected(settings, scenario, answer_s=each_s, around_s=around_s))
        for scenario, each_s in zip(settings.scenarios, spoken_s, strict=True)
    ]
    talks = [(share, talk) for share, sessions_of in callers for _, talk in sessions_of]
    first_s = sum(share * sessions_of[0][1].lived_s for share, sessions_of in callers)
    again = _again(callers)
    played = [play(settings, first_s * factor, again.times(factor)) for factor in (1.0, 1 / (1 + spread), 1 + spread)]

    def ranged(found: list[float]) -> Range:
        return Range(found[0], min(found), max(found))

    sessions, busy = ranged([each.sessions for each in played]), ranged([each.busy_s for each in played])
    per_minute = ranged([each.per_minute for each in played])
    # So many whole callers: who is cut short by the end of the run, or begins no second session, counts for as long as
    # his sessions live.
    whole = busy.value / sum(share * talk.lived_s for share, talk in talks)
    cost, by_number = bills(talks, table).times(whole), _spread_of(sessions)
    reserved = check_budget(settings, table) if settings.cost.budget is not None else {}
    peak = ranged([each.peak for each in played])
    of_budget = _of_budget(settings, peak, cost.total, {name: each.total for name, each in reserved.items()})
    checks = Usd(unknown=frozenset({"active checks"} if settings.probe_users else ()))
    return Forecast(
        sessions=sessions,
        peak=peak,
        per_minute=per_minute,
        avatar_minutes=busy.times(1 / 60),
        session_s=ranged([each.busy_s / each.sessions if each.sessions else first_s for each in played]),
        dropped=played[0].dropped,
        tokens=_tokens(talks, table).times(whole),
        bill=Bill(
            _wider(cost.model, *by_number).plus(checks),
            _wider(cost.transcription, *by_number).plus(checks),
            _wider(cost.avatar, *_spread_of(busy)).plus(checks),
        ),
        processes=_processes(settings, peak, per_minute),
        answer_s=sum(share * each_s for (share, _), each_s in zip(callers, spoken_s, strict=True)),
        reserved={name: each.total for name, each in reserved.items()},
        of_budget=of_budget,
        notes=[*_notes(settings, played[0], per_minute, spoken_s, twin=twin), *of_budget, *table.old(today)],
    )


def _answer_s(settings: Settings, scenario: Scenario, *, twin: bool) -> float:
    """How long an answer is, where nobody says so: the twin's are as long as its knob has them, and shorter with a
    quicker voice."""
    if not twin:
        return ANSWER_S
    knobs = dict(knob.split("=", 1) for knob in settings.target.twin_set)
    speed = None if settings.by_backend else table_in(table_in(scenario.realtime, "audio"), "output").get("speed")
    return float(knobs.get(_ANSWER_KNOB, TWIN_ANSWER_S)) / (speed or 1.0)


def _again(callers: list[tuple[float, list[tuple[float, Talk]]]]) -> Again:
    """Of the callers who need a second session, on average. `callers`: shares of all, each with `expected` sessions."""
    twice = [(share, of_it[0][1].lived_s, *of_it[1]) for share, of_it in callers if len(of_it) > 1]
    share = sum(each[0] for each in twice)
    if not share:
        return NEVER
    after_s = sum(each * (begins_s - first_s) for each, first_s, begins_s, _ in twice) / share
    return Again(share, after_s, sum(each * talk.lived_s for each, _, _, talk in twice) / share)


def _spread_of(figure: Range) -> tuple[float, float]:
    """Its ends, of its value."""
    return (figure.low / figure.value, figure.high / figure.value) if figure.value else (1.0, 1.0)


def _tokens(talks: list[tuple[float, Talk]], table: Prices) -> Tokens:
    """Of the mean caller."""
    total = Tokens()
    for share, talk in talks:
        total = total.and_also(tokens(talk, table).times(share))
    return total


def _wider(usd: Usd, low: float, high: float) -> Usd:
    """By the range of the sessions."""
    return Usd(usd.value, usd.low * low, usd.high * high, usd.unknown)


def _processes(settings: Settings, peak: Range, per_minute: Range) -> Range:
    """Load processes that keep within the bound on their CPU, each on a core of its own, when most is going on."""
    minute_s = min(60.0, settings.load.duration)
    each_ms, calls_ms = CPU_MS_PER_SESSION_S[settings.target.room], CPU_MS_PER_SESSION[settings.target.http]

    def wanted(name: str) -> float:
        cpu_ms_per_s: float = getattr(peak, name) * each_ms + getattr(per_minute, name) / minute_s * calls_ms
        return max(1.0, cpu_ms_per_s / 1000 * 100 / CPU_GOAL)

    return Range(wanted("value"), wanted("low"), wanted("high"))


def _notes(
    settings: Settings, played: Played, per_minute: Range, spoken_s: Sequence[float], *, twin: bool
) -> list[str]:
    """What must be known to use the figures."""
    notes = []
    if settings.spoken:
        lengths = " to ".join(f"{each_s:.3g}" for each_s in sorted({min(spoken_s), max(spoken_s)}))
        notes.append(f"answers of {lengths} s are assumed; --answer says otherwise")
    if any(knob.partition("=")[0] != _ANSWER_KNOB for knob in settings.target.twin_set):
        notes.append(f"of the twin's knobs {_ANSWER_KNOB} alone is in the figures")
    if settings.by_backend:
        notes.append("what your endpoint has its model read, instructions and tools, isn't known and in no figure")
    limit = settings.cost.table.limits.requests_per_minute
    if not twin and per_minute.high > limit:
        sure = "is more than" if per_minute.low > limit else "may be more than"
        notes.append(f"{plural(round(per_minute.value), 'secret')} in a minute {sure} the account's {limit} requests")
    if played.dropped:
        notes.append(f"{plural(round(played.dropped), 'arrival')} would find nobody free: give --max-users")
    if settings.probe_users:
        checking = plural(settings.probe_users, "user")
        notes.append(f"active checks of {checking} are not in it: their sessions and costs aren't known")
    if twin:
        where = "against the twin nothing is charged"
        if not settings.embedded_twin:
            where = "nothing is charged if the endpoints of this machine are a twin's"
        notes.append(f"{where}: the money is what the services would ask")
    return notes


def _of_budget(settings: Settings, peak: Range, cost: Usd, reserved: Mapping[str, Usd]) -> list[str]:
    """Whether the budget ends the run before its time: a run whose money isn't enough for the worst of one session more
    begins no more of them. What checks reserve isn't known."""
    budget, dearest = settings.cost.budget, max((each.high for each in reserved.values()), default=0.0)
    if budget is None or not dearest:
        return []
    at_once, planned = to_spend(budget) // to_pay(dearest), round(peak.value)
    kept = f"a session of an active check keeps what it reserves: there can be {at_once:,} of them, beside nothing else"
    found = [kept] if settings.probe_users else []
    if settings.by_backend:
        found.append("what your endpoint has its model read is not in what a session reserves")
    if planned > at_once:
        enough = f"the budget reserves for {plural(at_once)} at once at most"
        found.append(f"{enough}, {planned:,} are planned: it would end the run then")
    elif cost.value > budget:
        found.append(f"the budget of {budget:g} USD would end it early")
    elif cost.value + planned * dearest > budget:
        found.append(f"the budget of {budget:g} USD may end it early: it reserves for {plural(planned)} at once, too")
    return found


def _words(figure: Mapping[str, float], unit: str = "") -> str:
    value, low, high = (f"{figure[name]:,.10g}" for name in ("value", "low", "high"))
    return f"{value}{unit}" if low == high else f"{value}{unit} ({low} to {high})"
