"""What a run cost: an estimate from what its sessions did, by the price table that it was told."""

from typing import Any

from loadtest.config.access.guard import endpoints_of
from loadtest.config.settings import Settings
from loadtest.criteria.slo import SECONDS
from loadtest.criteria.words import amount, plural
from loadtest.events.kinds import DropReason
from loadtest.prices.talk import NOTHING, Usd, bills, usd_words
from loadtest.text.validation import is_loopback
from reports.data.frames import Run
from reports.sections.costs.talks import said, talks


def section(run: Run, settings: Settings | None) -> dict[str, Any] | None:
    """`cost` of report.json; None where the run's settings are not known.

    charged: whether anybody asks money for it; what is on this machine is taken for a twin. budget_usd; stopped:
    whether it ended the run; reserved_beside: of how many sessions at once it kept the worst then. avatar_minutes: of
    all sessions, as `lives` has them; without_end: sessions whose end nobody saw, so that it may be more.
    answered_turns, user_speech_s, avatar_speech_s: of all, as `said` has them. estimate: of model, transcription,
    avatar and total: usd (None: unknown), low_usd, high_usd, known_usd, unknown.
    """
    if settings is None:
        return None
    of_all = said(run)
    total = NOTHING
    names = [scenario.name for scenario in settings.scenarios]
    # Active checks are of none in a mix: priced as the first one's sessions are.
    scenario_of = run.sessions["scenario"].astype("str").where(run.sessions["scenario"].isin(names), names[0])
    for name, own in of_all.groupby(scenario_of):
        total = total.plus(bills(talks(own, settings, settings.scenario_of(str(name))), settings.cost.table))
    return {
        "charged": not all(map(is_loopback, endpoints_of(settings))),
        "budget_usd": settings.cost.budget,
        "stopped": bool((run.drops["reason"] == DropReason.BUDGET).any()),
        "reserved_beside": _reserved_beside(run),
        "avatar_minutes": round(float(of_all["lived_s"].sum()) / 60, 3),
        "without_end": int(of_all["open"].sum()),
        "answered_turns": int(of_all["answers"].sum()),
        "user_speech_s": round(float(of_all["user_s"].sum()), 1),
        "avatar_speech_s": round(float(of_all["avatar_s"].sum()), 1),
        "estimate": total.as_dict(),
        "prices": sorted({str(row.as_of) for row in settings.cost.table.rows().values() if row.as_of}),
    }


def _reserved_beside(run: Run) -> int | None:
    """Sessions that had not ended for certain when the budget refused its first one; None: it refused none."""
    refused_ns = run.drops.loc[run.drops["reason"] == DropReason.BUDGET, "t_ns"]
    if not len(refused_ns):
        return None
    at_ns, sessions = int(refused_ns.min()), run.sessions
    is_over = sessions["outcome"].notna() & (sessions["end_ns"] <= at_ns)
    return int(((sessions["started_ns"] <= at_ns) & ~is_over.fillna(False)).sum())


def words(found: dict[str, Any]) -> str:
    """A sentence for people."""
    told = found["estimate"]["total"]
    return Usd.of(told).words() + ("" if found["charged"] else " by the services' prices; a twin charges nothing")


def _how_stopped(beside: int | None) -> str:
    """Where sessions went on then, it was reserved for them, and need not have been spent."""
    if beside is None:
        return ""
    return f", spent or reserved for {plural(beside)} at once" if beside else ", used up"


def lines(cost: dict[str, Any], orphans: dict[str, Any]) -> list[str]:
    """What was spent, what is left of the budget, and what may still come."""
    said = [f"{words(cost)} (an estimate)"]
    if cost["budget_usd"] is not None:
        said.append(f"budget {cost['budget_usd']:g} USD{_how_stopped(cost['reserved_beside'])}")
    if cost["without_end"]:
        said.append(f"without a confirmed end: {plural(cost['without_end'], 'session')}, counted until the last word")
    if orphans["count"]:
        usd = orphans["price"]["usd"]
        price = "unknown: no price for the avatar's minutes" if usd is None else f"about {usd_words(usd)} USD"
        said.append(f"lived on after their end: {amount(orphans['seconds'], SECONDS)}, {price}")
    return said
