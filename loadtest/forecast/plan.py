"""What so many users would need: sessions, arrivals, secrets, load processes, hosts and money, from a run's report.

Pure arithmetic on what was measured; every figure is a range, because every one of its inputs is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from loadtest.criteria.words import load_words, plural
from loadtest.prices.table import Prices
from loadtest.prices.talk import Talk, Usd, bills

CPU_GOAL: Final = 70.0
"""Percent of a core that a load process may use on average: above, its seconds of more begin to show in the figures."""
SPREAD: Final = 0.25
"""Between machines and hours: how far CPU and cost of what was measured here may be off elsewhere."""


@dataclass(frozen=True, slots=True)
class Range:
    """A figure with its error bars."""

    value: float
    low: float
    high: float

    @classmethod
    def about(cls, value: float, spread: float) -> "Range":
        return cls(value, value / (1 + spread), value * (1 + spread))

    def times(self, factor: float) -> "Range":
        return Range(self.value * factor, self.low * factor, self.high * factor)

    def by(self, other: "Range") -> "Range":
        return Range(self.value / other.value, self.low / other.high, self.high / other.low)

    def rounded(self) -> dict[str, float]:
        """For JSON: three significant digits."""
        return {name: float(f"{getattr(self, name):.3g}") for name in ("value", "low", "high")}

    def whole(self) -> dict[str, int]:
        """Of things that there are no halves of: rounded up."""
        return {name: math.ceil(getattr(self, name) - 1e-9) for name in ("value", "low", "high")}


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the harness, in bytes: a line through what was measured. `fixed` is what a load process takes before its first
    session, all that belongs to it together; `each` is a session's."""

    fixed: float
    each: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a run says of its sessions. `length_s`: mean, set-up to delete; `cpu_percent`: of all processes of the
    harness, while `active` sessions were going on. `talks`: mean talks of sessions that are alike, and
    which share of the sessions they are."""

    length_s: Range
    active: float
    cpu_percent: float
    memory: Memory
    processes: int
    talks: tuple[tuple[float, Talk], ...]
    limit: dict[str, Any] | None


def plan(measured: Measured, *, users: int, think_s: float, prices: Prices, today: date) -> dict[str, Any]:
    """Of `users` who each begin a session `think_s` after the end of the last one. See docs/capacity.md for each line's
    arithmetic."""
    host = prices.host
    round_s = Range(*(getattr(measured.length_s, name) + think_s for name in ("value", "low", "high")))
    busy = Range(
        users * measured.length_s.value / round_s.value,
        users * measured.length_s.low / round_s.low,
        users * measured.length_s.high / round_s.high,
    )
    per_s = Range(float(users), float(users), float(users)).by(round_s)
    per_minute = per_s.times(60)
    cpu_each = Range.about(measured.cpu_percent / max(measured.active, 1e-9), SPREAD)
    cpu = Range(busy.value * cpu_each.value, busy.low * cpu_each.low, busy.high * cpu_each.high)
    processes = Range(*(max(1.0, getattr(cpu, name) / CPU_GOAL) for name in ("value", "low", "high")))
    hosts = processes.times(1 / host.cores)
    session = bills(measured.talks, prices)
    return {
        "users": users,
        "think_s": think_s,
        "session_s": measured.length_s.rounded(),
        "sessions_at_once": busy.whole(),
        "arrivals_per_minute": per_minute.rounded(),
        "secrets_per_minute": per_minute.rounded(),
        "secrets_limit_per_minute": prices.limits.requests_per_minute,
        "load_processes": processes.whole(),
        "hosts": hosts.whole(),
        "memory_bytes": _memory(measured.memory, processes, busy).rounded(),
        "per_hour": {
            "model": _per_hour(session.model, per_s).as_dict(),
            "transcription": _per_hour(session.transcription, per_s).as_dict(),
            "avatar": _per_hour(session.avatar, per_s).as_dict(),
            "hosts_usd": Range(*(float(v) * host.per_hour for v in hosts.whole().values())).rounded(),
        },
        "per_session": session.as_dict(),
        "notes": _notes(measured, busy, per_s, per_minute, prices, today),
    }


def _memory(memory: Memory, processes: Range, busy: Range) -> Range:
    """Whole processes, each with its fixed part, and every session's own; both may be off elsewhere."""
    whole = processes.whole()

    def bytes_of(name: str) -> float:
        return whole[name] * memory.fixed + float(getattr(busy, name)) * memory.each

    return Range(bytes_of("value"), bytes_of("low") / (1 + SPREAD), bytes_of("high") * (1 + SPREAD))


def _per_hour(usd: Usd, per_s: Range) -> Usd:
    """Of so many sessions, from the cheapest of the fewest to the dearest of the most, and the spread of speech."""
    hour = 3600
    return Usd(
        usd.value * per_s.value * hour,
        usd.low * per_s.low * hour / (1 + SPREAD),
        usd.high * per_s.high * hour * (1 + SPREAD),
        usd.unknown,
    )


def _notes(measured: Measured, busy: Range, per_s: Range, per_minute: Range, prices: Prices, today: date) -> list[str]:
    """What must be known to use the figures."""
    notes = []
    limit = prices.limits.requests_per_minute
    if per_minute.high > limit:
        sure = "are more than" if per_minute.low > limit else "may be more than"
        notes.append(f"{per_minute.value:.0f} secrets per minute {sure} the {limit} requests per minute of its tier")
    notes += prices.old(today)
    if any(talk.turns for _, talk in measured.talks):
        notes.append("answers are counted as they were heard: what was cut off is paid for, too")
    found = measured.limit
    if found is None:
        notes.append("from a load run: it says what users need, not whether the target carries them")
    elif found["max_passing"] is None:
        notes.append("the search found no level that the target holds")
    else:
        level, wanted = found["max_passing"]["level"], per_s.value if found["by"] == "arrivals" else busy.value
        carries = "carries" if wanted <= level else "does not carry"
        asked = load_words(float(f"{wanted:.3g}"), found["unit"], ("is", "are"))
        notes.append(f"the target {carries} it: {asked} wanted, {level:g} {'was' if level == 1 else 'were'} held")
        quota = found["quota"]
        if quota is not None and quota["exact"] and busy.value > quota["number"]:
            notes.append(
                f"the quota of {quota['number']} {quota['what']} is below the {busy.value:.0f} that are wanted"
            )
    return notes


def sentences(found: Mapping[str, Any]) -> list[str]:
    """The plan for people, a line each."""

    def shown(figure: Mapping[str, float], unit: str = "") -> str:
        return f"{figure['value']:,.10g}{unit} ({figure['low']:,.10g} to {figure['high']:,.10g})"

    hour = found["per_hour"]
    memory = {name: round(value / 2**20) for name, value in found["memory_bytes"].items()}
    return [
        f"{plural(found['users'], 'user')}, {found['think_s']:g} s from a session to the next, sessions of"
        f" {shown(found['session_s'], ' s')}",
        f"  sessions at once     {shown(found['sessions_at_once'])}",
        f"  arrivals per minute  {shown(found['arrivals_per_minute'])}",
        f"  secrets per minute   {shown(found['secrets_per_minute'])}, of {found['secrets_limit_per_minute']} allowed",
        f"  load processes       {shown(found['load_processes'])}, on {shown(found['hosts'])}"
        f" {'host' if found['hosts']['high'] == 1 else 'hosts'}",
        f"  memory               {shown(memory, ' MiB')}",
        f"  per hour, model      {Usd.of(hour['model']).words()}",
        f"  transcription        {Usd.of(hour['transcription']).words()}",
        f"  avatar               {Usd.of(hour['avatar']).words()}",
        f"  hosts                {shown(hour['hosts_usd'], ' USD')}",
        *(f"  note: {note}" for note in found["notes"]),
    ]
