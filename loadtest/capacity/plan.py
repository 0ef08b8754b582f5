"""What so many users would need: sessions, arrivals, secrets, load processes, hosts and money, from a run's report.

Pure arithmetic on what was measured; every figure is a range, because every one of its inputs is.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from loadtest.language.errors import ConfigError

PRICES: Final = Path(__file__).with_name("prices.toml")
CPU_GOAL: Final = 70.0
"""Percent of a core that a load process may use on average: above, its seconds of more begin to show in the figures."""
SPREAD: Final = 0.25
"""Between machines and hours: how far CPU and cost of what was measured here may be off elsewhere."""
OLD_DAYS: Final = 180


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a run says of its sessions. `length_s`: mean, set-up to delete; `cpu_percent`: of all processes of the
    harness, while `active` sessions were going on; `rss_bytes` of all of them; speech in s per session."""

    length_s: Range
    active: float
    cpu_percent: float
    rss_bytes: float
    processes: int
    user_speech_s: float
    avatar_speech_s: float
    turns: float
    limit: dict[str, Any] | None


def read_prices(path: Path = PRICES) -> dict[str, Any]:
    """Raises ConfigError with every problem."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    problems = [f"{path}: as_of (a date) is missing"] if not isinstance(tree.get("as_of"), date) else []
    known = tomllib.loads(PRICES.read_text(encoding="utf-8"))
    for section in ("openai", "avaturn", "host"):
        table = tree.get(section)
        if not isinstance(table, dict):
            problems.append(f"{path}: [{section}] is missing")
            continue
        for name, value in table.items():
            if name not in known[section] and name != "per_minute":
                problems.append(f"{path}: {section}.{name}: unknown key")
            elif name != "source" and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
                problems.append(f"{path}: {section}.{name} must be a number from 0 on")
        lacking = known[section].keys() - table.keys() - {"source"}
        problems += [f"{path}: {section}.{name} is missing" for name in sorted(lacking)]
    if problems:
        raise ConfigError(problems)
    return tree


def plan(measured: Measured, *, users: int, think_s: float, prices: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Of `users` who each begin a session `think_s` after the end of the last one. See docs/capacity.md for each line's
    arithmetic."""
    openai, host, avaturn = prices["openai"], prices["host"], prices["avaturn"]
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
    hosts = processes.times(1 / max(1, int(host["cores"])))
    memory = Range.about(measured.rss_bytes / max(measured.active, 1.0), SPREAD)
    talk = _tokens(measured, openai)
    cost_session = Range.about(talk, SPREAD)
    hour = {
        "openai_usd": Range(
            per_s.value * 3600 * cost_session.value, per_s.low * 3600 * cost_session.low,
            per_s.high * 3600 * cost_session.high,
        ).rounded(),
        "avaturn_usd": None
        if "per_minute" not in avaturn
        else busy.times(60 * float(avaturn["per_minute"])).rounded(),
        "hosts_usd": Range(*(float(v) * host["per_hour"] for v in hosts.whole().values())).rounded(),
    }  # fmt: skip
    return {
        "users": users,
        "think_s": think_s,
        "session_s": measured.length_s.rounded(),
        "sessions_at_once": busy.whole(),
        "arrivals_per_minute": per_minute.rounded(),
        "secrets_per_minute": per_minute.rounded(),
        "secrets_limit_per_minute": openai["requests_per_minute"],
        "load_processes": processes.whole(),
        "hosts": hosts.whole(),
        "memory_bytes": Range(busy.value * memory.value, busy.low * memory.low, busy.high * memory.high).rounded(),
        "per_hour": hour,
        "prices_as_of": str(prices["as_of"]),
        "notes": _notes(measured, busy, per_s, per_minute, prices, today),
    }


def _tokens(measured: Measured, openai: Mapping[str, Any]) -> float:
    """USD of a session's speech: each turn's own, and the conversation so far, which each turn reads again."""
    spoken_in = measured.user_speech_s * openai["user_tokens_per_s"]
    spoken_out = measured.avatar_speech_s * openai["avatar_tokens_per_s"]
    again = (spoken_in + spoken_out) * max(0.0, measured.turns - 1) / 2
    cached = again * openai["cached_share"]
    million = 1e6
    return float(
        (spoken_in + again - cached) / million * openai["audio_in_per_million"]
        + cached / million * openai["audio_in_cached_per_million"]
        + spoken_out / million * openai["audio_out_per_million"]
    )


def _notes(
    measured: Measured, busy: Range, per_s: Range, per_minute: Range, prices: Mapping[str, Any], today: date
) -> list[str]:
    """What must be known to use the figures."""
    notes = []
    limit = prices["openai"]["requests_per_minute"]
    if per_minute.high > limit:
        sure = "are more than" if per_minute.low > limit else "may be more than"
        notes.append(f"{per_minute.value:.0f} secrets per minute {sure} the {limit} requests per minute of its tier")
    if (age := (today - prices["as_of"]).days) > OLD_DAYS:
        notes.append(f"the prices are {age} days old")
    if "per_minute" not in prices["avaturn"]:
        notes.append("Avaturn's price is not in the table: its sessions are not in the sum")
    found = measured.limit
    if found is None:
        notes.append("from a load run: it says what users need, not whether the target carries them")
    elif found["max_passing"] is None:
        notes.append("the search found no level that the target holds")
    else:
        level, wanted = found["max_passing"]["level"], per_s.value if found["by"] == "arrivals" else busy.value
        carries = "carries" if wanted <= level else "does not carry"
        notes.append(f"the target {carries} it: {wanted:.3g} {found['unit']} are wanted, {level:g} were held")
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
    avaturn = "not in the price table" if hour["avaturn_usd"] is None else shown(hour["avaturn_usd"], " USD")
    memory = {name: round(value / 2**20) for name, value in found["memory_bytes"].items()}
    return [
        f"{found['users']:,} users, {found['think_s']:g} s from a session to the next, sessions of"
        f" {shown(found['session_s'], ' s')}",
        f"  sessions at once     {shown(found['sessions_at_once'])}",
        f"  arrivals per minute  {shown(found['arrivals_per_minute'])}",
        f"  secrets per minute   {shown(found['secrets_per_minute'])}, of {found['secrets_limit_per_minute']} allowed",
        f"  load processes       {shown(found['load_processes'])}, on {shown(found['hosts'])} hosts",
        f"  memory               {shown(memory, ' MiB')}",
        f"  per hour             OpenAI {shown(hour['openai_usd'], ' USD')}; Avaturn {avaturn};"
        f" hosts {shown(hour['hosts_usd'], ' USD')}; prices of {found['prices_as_of']}",
        *(f"  note: {note}" for note in found["notes"]),
    ]
