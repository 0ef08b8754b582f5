"""What a run cost: an estimate from what its sessions did, by the price table that it was told."""

from typing import Any

import pandas as pd

from loadtest.config.access.guard import endpoints_of
from loadtest.config.scenario import ANSWERED, Scenario
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.forecast.costing import clip_lengths_s, talk_of
from loadtest.language.errors import ConfigError
from loadtest.language.events import DropReason
from loadtest.language.validation import is_loopback
from loadtest.prices.talk import NOTHING, Talk, Usd, bill
from reports.data.frames import Run
from reports.sections.costs.lives import lives


def section(run: Run, settings: Settings | None) -> dict[str, Any] | None:
    """`cost` of report.json; None where the run's settings are not known.

    charged: whether anybody asks money for it; what is on this machine, a twin, doesn't. budget_usd; stopped: whether
    it ended the run. avatar_minutes: of all sessions, as `lives` has them; without_end: sessions whose end nobody saw,
    so that it may be more. answered_turns, user_speech_s, avatar_speech_s: together; a clip counts as long as the
    scenario's are in the mean. estimate: of model, transcription, avatar and total: usd (None:
    unknown), low_usd, high_usd, known_usd, unknown.
    """
    if settings is None:
        return None
    total, minutes, turns_count, user_s, avatar_s = NOTHING, 0.0, 0, 0.0, 0.0
    lived = lives(run)
    for scenario in settings.scenarios:
        sessions = _of(run, scenario, settings)
        if not len(sessions):
            continue
        turns = _turns(run, sessions, scenario)
        mean = _mean_talk(settings, scenario, sessions, turns, float(lived["lived_s"].loc[sessions.index].mean()))
        total = total.plus(bill(mean, settings.cost.table).times(len(sessions)))
        minutes += mean.lived_s * len(sessions) / 60
        turns_count += len(turns)
        user_s, avatar_s = user_s + float(turns["user_s"].sum()), avatar_s + float(turns["avatar_s"].sum())
    return {
        "charged": not all(map(is_loopback, endpoints_of(settings))),
        "budget_usd": settings.cost.budget,
        "stopped": bool((run.drops["reason"] == DropReason.BUDGET).any()),
        "avatar_minutes": round(minutes, 3),
        "without_end": int(lived["open"].sum()),
        "answered_turns": turns_count,
        "user_speech_s": round(user_s, 1),
        "avatar_speech_s": round(avatar_s, 1),
        "estimate": total.as_dict(),
        "prices": sorted({str(row.as_of) for row in settings.cost.table.rows().values() if row.as_of}),
    }


def _of(run: Run, scenario: Scenario, settings: Settings) -> pd.DataFrame:
    """Its sessions, those of active checks among them where there is one scenario alone."""
    if len(settings.scenarios) == 1:
        return run.sessions
    return run.sessions[run.sessions["scenario"] == scenario.name]


def _turns(run: Run, sessions: pd.DataFrame, scenario: Scenario) -> pd.DataFrame:
    """A row per turn that was answered: user_s, avatar_s."""
    found = run.turns[run.turns["turn_kind"].isin(ANSWERED) & run.turns["session"].isin(sessions.index)]
    found = found[found["first_audio_ns"].notna()]
    clip_s = _clip_s(scenario)
    took_s = (found["t_ns"] - found["started_ns"]).astype("float64") / 1e9
    heard_s = (took_s - clip_s - found["first_audio_ns"].astype("float64") / 1e9).clip(lower=0)
    return pd.DataFrame({"session": found["session"], "user_s": clip_s, "avatar_s": heard_s})


def _clip_s(scenario: Scenario) -> float:
    """Its mean clip; nothing is known of clips that are no longer there."""
    try:
        lengths_s = [mean for source, (mean, _) in clip_lengths_s(scenario).items() if not source.startswith("noise:")]
    except ConfigError:
        return 0.0
    return sum(lengths_s) / len(lengths_s) if lengths_s else 0.0


def _mean_talk(
    settings: Settings, scenario: Scenario, sessions: pd.DataFrame, turns: pd.DataFrame, lived_s: float
) -> Talk:
    count = round(len(turns) / len(sessions)) or (1 if len(turns) else 0)
    share = len(turns) / len(sessions) / count if count else 0.0
    user_s, avatar_s = (float(turns[side].mean()) if len(turns) else 0.0 for side in ("user_s", "avatar_s"))
    turns_of_one = [(user_s * share, avatar_s * share)] * count
    return talk_of(settings, scenario, turns_of_one, lived_s)


def words(found: dict[str, Any]) -> str:
    """A sentence for people."""
    told = found["estimate"]["total"]
    return Usd.of(told).words() + ("" if found["charged"] else ", had it been the services: a twin charges nothing")


def lines(cost: dict[str, Any], orphans: dict[str, Any]) -> list[str]:
    """What was spent, what is left of the budget, and what may still come."""
    said = [f"{words(cost)} (an estimate)"]
    if cost["budget_usd"] is not None:
        said.append(f"budget {cost['budget_usd']:g} USD{', used up' if cost['stopped'] else ''}")
    if cost["without_end"]:
        said.append(f"without a confirmed end: {plural(cost['without_end'], 'session')}, counted until the last word")
    if orphans["count"]:
        usd = orphans["price"]["usd"]
        price = "unknown: no price for the avatar's minutes" if usd is None else f"about {usd:.2f} USD"
        said.append(f"lived on after their end: {orphans['seconds']:g} s, {price}")
    return said
