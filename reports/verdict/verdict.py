"""The answer before the numbers: objectives judged, one outcome, one exit code, and why in plain sentences."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from loadtest.config.keys.scenario import absence_words
from loadtest.criteria.slo import DROPPED, EXPOSED, SECONDS, SloOutcome
from loadtest.criteria.words import amount, cut, plural
from loadtest.errors.exit_codes import Exit
from loadtest.errors.kinds import Kind
from reports.sections.capacity import names_quota
from reports.sections.sessions import CERTAIN, LEFT_WORDS, lighter, unreached
from reports.verdict import objective_words, rules

Report = dict[str, Any]

NOT_COMPARED: Final[Report] = {"regressions": [], "not_comparable_because": []}
"""A baseline that nobody asked for."""

_ANSWERED: Final = (Kind.REJECTED, Kind.PROTOCOL, Kind.NO_RESPONSE, Kind.ANSWERED_EARLY)
"""Failures in which the target said something, or kept silent in a session of its own: they are its word."""
_OUTCOMES: Final = {
    Exit.PASS: "pass",
    Exit.FAIL: "fail",
    Exit.INVALID: "invalid",
    Exit.INTERRUPTED: "invalid",  # what ran may be right, but it is not the run that was asked for
    Exit.LEFT_BEHIND: "fail",  # certain, however healthy the generator was
}


class About(StrEnum):
    """Which case of junit.xml a reason fails, by its name."""

    GENERATOR = "the generator is valid"
    LEFT = "nothing is left behind"
    INTERRUPTED = "the run was not interrupted"
    ABORTED = "no objective stopped the run"
    WHOLE = "the run shows what it was to show"
    PART = ""
    """An objective, a rule or the baseline: it has a case of its own."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What stands against a run: the exit code that it gives, in words, and what it is about."""

    exit_code: Exit
    text: str
    about: About = About.PART


def verdict(report: Report, *, interrupted: bool, absences_s: Collection[float] = ()) -> dict[str, Any]:
    """`verdict` of report.json from all other sections. The worst wins: 5, 130, 4, 3, 0; but what is proved broken (3)
    outweighs what could not be proved (4 of a healthy generator).

    reasons: sentences for a person, what decided first, then what he should know all the same; `failing`: how many of
    them are of the first sort; `told`: how many of a run that passed say what it passed with. `absences_s`:
    user_absent_timeout of the doubtful sessions, each value once.
    """
    found = against(report, interrupted=interrupted)
    exit_code = found[0].exit_code if found else Exit.PASS
    outweighed = unproven(report) if any(reason.exit_code == Exit.FAIL for reason in found) else []
    reasons = [reason.text for reason in found if reason not in outweighed]
    failing = len(reasons)
    if exit_code == Exit.PASS:
        reasons += [_passed(report), *filter(None, map(objective_words.unseen, report["slos"]))]
    told = len(reasons) - failing
    reasons += [reason.text for reason in outweighed]
    reasons += _notes(report, absences_s)
    return {
        "outcome": _OUTCOMES[exit_code],
        "exit_code": int(exit_code),
        "reasons": reasons,
        "failing": failing,
        "told": told,
    }


def against(report: Report, *, interrupted: bool) -> list[Reason]:
    """All that stands against the run, what decides first; nothing of a run that passed."""
    return [
        *(Reason(Exit.LEFT_BEHIND, text, About.LEFT) for text in _left(report)),
        *(Reason(Exit.INTERRUPTED, text, About.INTERRUPTED) for text in _stopped(report, interrupted=interrupted)),
        *(
            Reason(Exit.INVALID, f"the generator's numbers can't be trusted: {why}", About.GENERATOR)
            for why in report["generator"]["invalid_because"]
        ),
        *_broken(report),
        *unproven(report),
    ]


def unproven(report: Report) -> list[Reason]:
    """Why a run in which nothing is broken has not shown what was asked of it; nothing to do with its generator."""
    unjudged = [slo for slo in report["slos"] if slo["outcome"] == SloOutcome.NOT_ENOUGH and slo["asked"]]
    baseline = report["baseline"] or NOT_COMPARED
    found = [Reason(Exit.INVALID, text, About.WHOLE) for text in unshown(report)]
    found += [Reason(Exit.INVALID, objective_words.describe(slo)) for slo in unjudged]
    incomparable = baseline["not_comparable_because"]
    return found + [Reason(Exit.INVALID, f"can't be compared with the baseline: {why}") for why in incomparable]


def unshown(report: Report) -> list[str]:
    """Of `unproven`, what is of the whole run and not of one objective."""
    return list(filter(None, (_unreached(report), _nothing_completed(report), _not_that_load(report))))


def _left(report: Report) -> Iterator[str]:
    if report["sessions"]["leaked"]:
        yield leaked(report["sessions"])
    if of_probes := report["probes_leaked"]:
        yield f"{plural(of_probes)} of active checks left behind: still there after the clean-up"


def _stopped(report: Report, *, interrupted: bool) -> Iterator[str]:
    if interrupted:
        after = amount(report["duration_s"], SECONDS)
        yield f"stopped by hand after {after}: the numbers cover only what had run by then"


def _broken(report: Report) -> list[Reason]:
    """What is proved broken: nothing, of a target that was never reached."""
    if _unreached(report):
        return []
    baseline = report["baseline"] or NOT_COMPARED
    missed = [slo for slo in report["slos"] if slo["outcome"] == SloOutcome.FAIL]
    parts = list(map(objective_words.describe, missed))
    parts += [f"broken: {rules.describe(row)}" for row in rules.broken(report["rules"])]
    parts += [f"worse than the baseline: {regression}" for regression in baseline["regressions"]]
    found = [Reason(Exit.FAIL, text) for text in parts]
    if report["aborted"]:
        found.insert(0, Reason(Exit.FAIL, objective_words.stopped_early(report["aborted"]), About.ABORTED))
    searched = report["capacity"]
    if searched and searched["first_failing"] and not searched["max_passing"] and not names_quota(searched):
        found.insert(0, Reason(Exit.FAIL, f"no level held its objectives: {searched['sentence']}", About.WHOLE))
    if not found and _none_completed(report) and (refusals := _refusals(report)):
        none = f"none of {plural(report['sessions']['started'])} was completed: the target answered {refusals}"
        found.append(Reason(Exit.FAIL, none, About.WHOLE))
    return found


def _none_completed(report: Report) -> bool:
    """Load sessions were started, and none came to its end; a search for the limit is judged by what it found."""
    return bool(report["sessions"]["started"]) and not report["sessions"]["completed"] and not report["capacity"]


def _refusals(report: Report) -> str:
    """What the target answered that made sessions fail."""
    rows = [row for row in report["failures"] if row["kind"] in _ANSWERED and row["sessions"]]
    return ", ".join(cut([f"{row['step']} {row['code']} ({row['sessions']:,})" for row in rows], 3))


def _unreached(report: Report) -> str | None:
    answered = any(row["count"] > row["failed"] for row in report["steps"].values())
    return None if answered or report["sessions"]["completed"] else unreached(report["failures"])


def _nothing_completed(report: Report) -> str | None:
    if not _none_completed(report) or _refusals(report) or _broken(report) or _unreached(report):
        return None
    sessions = report["sessions"]
    words = {"failed": "failed", "cancelled": "cancelled", "censored": "cut off by the end of the run"}
    became = [f"{sessions[key]:,} {text}" for key, text in words.items() if sessions[key]]
    return f"none of {plural(sessions['started'])} was completed, and the target refused nothing: nothing is proved" + (
        f" ({', '.join(became)})" if became else ""
    )


def _not_that_load(report: Report) -> str | None:
    """Arrivals that we ourselves let go, where nobody asked for a bound of his own on them: whatever was met, it was
    met by another load than the one that was asked for."""
    asked = any(EXPOSED.get(slo["indicator"], slo["indicator"]) == DROPPED.indicator for slo in report["slos"])
    return (
        None
        if asked or report["capacity"]
        else lighter(report["sessions"]["started"], report["sessions"]["dropped_by"])
    )


def leaked(sessions: dict[str, Any]) -> str:
    """What was left behind, and why; nothing said of nothing."""
    if not sessions["leaked"]:
        return ""
    causes = [(LEFT_WORDS[cause], sessions["left_behind"].get(cause, 0)) for cause in CERTAIN]
    causes = [(words, count) for words, count in causes if count]
    if len(causes) == 1:
        return f"{plural(sessions['leaked'])} left behind: {causes[0][0]}"
    return f"{plural(sessions['leaked'])} left behind: " + ", ".join(f"{count} {words}" for words, count in causes)


def _passed(report: Report) -> str:
    sessions, met = report["sessions"], sum(slo["outcome"] == SloOutcome.PASS for slo in report["slos"])
    held = sum(row["outcome"] == "pass" for row in report["rules"])
    kept = f", {plural(held, 'rule')} held" if held else ""
    if accepted := len(rules.waived(report["rules"])):
        kept += f", {plural(accepted, 'rule')} waived"
    words = {0: "no objective was judged", 1: "the objective was met", 2: "both objectives were met"}
    objectives = words.get(met, f"all {met} objectives were met")
    is_known = not any(sessions[each] for each in ("doubtful", "unknown", "unconfirmed"))  # a note says it of these
    left = ", nothing was left behind" if is_known else ""
    return f"{objectives}{kept}{left}, {sessions['completed']:,} of {plural(sessions['started'])} completed"


def _notes(report: Report, absences_s: Collection[float]) -> list[str]:
    sessions, notes = report["sessions"], []
    if doubtful := sessions["doubtful"]:
        timeout = absence_words(absences_s)
        notes.append(
            f"{plural(doubtful)} doubtful: create was not answered, or with a server error; {timeout} ends them"
        )
    if unknown := sessions["unknown"]:
        notes.append(
            f"{plural(unknown)} unknown: open when the last of their worker's journals came home; what is over there"
            " settles them"
        )
    if unconfirmed := sessions["unconfirmed"]:
        notes.append(f"{plural(unconfirmed)} deleted but not proved gone: the look after the delete showed neither")
    if unfinished := sessions["unfinished"]:
        notes.append(f"{plural(unfinished)} without an end: still running, or their engine was killed")
    if swept := sessions["swept"]:
        notes.append(f"{plural(swept)} left at first and removed by a sweep")
    if (cost := report["cost"]) is not None and cost["stopped"]:
        beside = f" beside {cost['reserved_beside']:,} reserved at once" if cost["reserved_beside"] else ""
        notes.append(
            f"stopped: budget: {cost['budget_usd']:g} USD would not have covered the worst of one session more{beside};"
            f" {plural(sessions['started'])} had begun"
        )
    if dropped := sessions["dropped"]:
        by = ", ".join(f"{count} {reason}" for reason, count in sessions["dropped_by"].items())
        notes.append(f"{plural(dropped, 'iteration')} due and never started ({by})")
    if censored := sessions["censored"]:
        notes.append(f"{plural(censored)} cut off by the end of the run, in no quantile of converse")
    if cut := sessions["messages_cut"]:
        notes.append(
            f"{plural(cut)} with more app-messages than are written down: the rest was counted, and the rules saw none"
        )
    notes += [_recovered(row) for row in report["recovery"] if row["during"]["broken"] or row["after"]["broken"]]
    if undecided := report["turns"]["undecided"]:
        notes.append(_undecided(undecided, judged=report["turns"]["count"]))
    notes += [rules.describe(row) for row in rules.waived(report["rules"])]
    notes += [f"not as assumed: {rules.describe(row)}" for row in rules.assumed(report["rules"])]
    notes += [f"generator suspect: {why}" for why in report["generator"]["suspect_because"]]
    return notes


def _undecided(by_kind: Report, *, judged: int) -> str:
    """Turns of which nobody knows whose fault they are."""
    lost = sum(by_kind.values())
    of_them = ", ".join(f"{count:,} {kind}" for kind, count in by_kind.items())
    return (
        f"{lost:,} of {plural(lost + judged, 'turn')} not judged, in no objective ({of_them}): the caller's line, or an"
        " avatar that speaks by itself, may be why"
    )


def _recovered(row: Report) -> str:
    if row["recovered_s"] is None:
        return f"after the stage {row['stage']}, {row['name']} did not hold again"
    return f"after the stage {row['stage']}, {row['name']} held again after {amount(row['recovered_s'], SECONDS)}"
