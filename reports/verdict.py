"""The answer before the numbers: objectives judged, one outcome, one exit code, and why in plain sentences."""

from collections.abc import Collection
from typing import Any, Final

from loadtest.errors import Exit
from loadtest.scenario import absence_words
from reports import rules
from reports.sessions import Left
from reports.words import amount, plural

Report = dict[str, Any]

NOT_COMPARED: Final[Report] = {"exit_code": 0, "regressions": [], "not_comparable_because": []}
"""A baseline that nobody asked for."""

_LEFT_WORDS: Final = {
    Left.DELETE_FAILED: "delete failed",
    Left.STILL_ALIVE: "seen alive after the delete",
    Left.DELETE_NEVER_SENT: "never deleted, because their engine died",
}
_OUTCOMES: Final = {
    Exit.PASS: "pass",
    Exit.FAIL: "fail",
    Exit.INVALID: "invalid",
    Exit.INTERRUPTED: "invalid",  # what ran may be right, but it is not the run that was asked for
    Exit.LEFT_BEHIND: "fail",  # certain, however healthy the generator was
}


def verdict(report: Report, *, interrupted: bool, absences_s: Collection[float] = ()) -> dict[str, Any]:
    """`verdict` of report.json from all other sections. The worst wins: 5, 130, 4, 3, 0.

    reasons: sentences for a person, what decided first, then what he should know all the same; `failing`: how many of
    them are of the first sort. `absences_s`: user_absent_timeout of the doubtful sessions, each value once.
    """
    sessions, generator = report["sessions"], report["generator"]
    broken = [slo for slo in report["slos"] if slo["outcome"] == "fail"]
    aborted, baseline = report["aborted"], report["baseline"] or NOT_COMPARED
    if sessions["leaked"] or report["probes_leaked"]:
        exit_code = Exit.LEFT_BEHIND
    elif interrupted:
        exit_code = Exit.INTERRUPTED
    elif generator["outcome"] == "invalid":
        exit_code = Exit.INVALID
    elif broken or aborted or baseline["exit_code"] or rules.broken(report["rules"]):
        exit_code = Exit.FAIL
    else:
        exit_code = Exit.PASS

    reasons: list[str] = []
    if sessions["leaked"]:
        reasons.append(_leaked(sessions))
    if of_probes := report["probes_leaked"]:
        reasons.append(f"{plural(of_probes)} of active checks left behind: still there after the clean-up")
    if interrupted:
        reasons.append(
            f"stopped by hand after {report['duration_s']:.0f} s: the numbers cover only what had run by then"
        )
    reasons += [f"the generator's numbers can't be trusted: {why}" for why in generator["invalid_because"]]
    if aborted:
        reasons.append(stopped_early(aborted))
    reasons += [describe(slo) for slo in broken]
    reasons += [f"broken: {rules.describe(row)}" for row in rules.broken(report["rules"])]
    reasons += [f"worse than the baseline: {regression}" for regression in baseline["regressions"]]
    reasons += [f"can't be compared with the baseline: {why}" for why in baseline["not_comparable_because"]]
    failing = len(reasons)
    if exit_code == Exit.PASS:
        reasons.append(_passed(report))
    reasons += _notes(report, absences_s)
    return {"outcome": _OUTCOMES[exit_code], "exit_code": int(exit_code), "reasons": reasons, "failing": failing}


def describe(slo: dict[str, Any]) -> str:
    """One row of `slos` as a sentence."""
    wanted = f"wanted at {'most' if slo['bound'] == 'max' else 'least'} {amount(slo['objective'], slo['unit'])}"
    indicator = slo["indicator"] + (f" of {slo['scenario']}" if slo["scenario"] else "")
    name = indicator if slo["name"] == slo["indicator"] else f"{slo['name']} ({indicator})"
    if slo["outcome"] == "fail" and slo["aborted"]:
        return f"objective missed: {name}: it stopped the run; {_found(slo)} in the end, {wanted}"
    return f"objective {'met' if slo['outcome'] == 'pass' else 'missed'}: {name}: {_found(slo)}, {wanted}"


def _found(slo: dict[str, Any]) -> str:
    if slo["observed"] is None:
        return "nothing was observed"
    found = amount(slo["observed"], slo["unit"])
    if slo["worst"] is None:
        return found
    when = f"from {slo['worst']['from_s']:,.1f} s to {slo['worst']['to_s']:,.1f} s"
    broken = f", {slo['windows']['broken']} windows broken" if slo["windows"]["broken"] > 1 else ""
    return f"{found} in the worst {slo['window_s']:g} s ({when}{broken})"


def stopped_early(aborted: dict[str, Any]) -> str:
    """`aborted` of report.json as a sentence."""
    over = "so far" if aborted["window_s"] is None else f"in {aborted['window_s']:g} s"
    name = aborted["slo"] + ("" if aborted["slo"] == aborted["indicator"] else f" ({aborted['indicator']})")
    return (
        f"stopped early after {aborted['at_s']:.1f} s by its objective {name}: "
        f"{aborted['beyond']:,} of {aborted['count']:,} {over} were beyond it"
    )


def _leaked(sessions: dict[str, Any]) -> str:
    causes = [(words, sessions["left_behind"].get(cause, 0)) for cause, words in _LEFT_WORDS.items()]
    causes = [(words, count) for words, count in causes if count]
    if len(causes) == 1:
        return f"{plural(sessions['leaked'])} left behind: {causes[0][0]}"
    return f"{plural(sessions['leaked'])} left behind: " + ", ".join(f"{count} {words}" for words, count in causes)


def _passed(report: Report) -> str:
    sessions, met = report["sessions"], len(report["slos"])
    held = sum(row["outcome"] == "pass" for row in report["rules"])
    kept = f", {plural(held, 'rule')} held" if held else ""
    words = {0: "no objective was judged", 1: "the objective was met", 2: "both objectives were met"}
    objectives = words.get(met, f"all {met} objectives were met")
    return (
        f"{objectives}{kept}, nothing was left behind, "
        f"{sessions['completed']:,} of {plural(sessions['started'])} completed"
    )


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
    if dropped := sessions["dropped"]:
        by = ", ".join(f"{count} {reason}" for reason, count in sessions["dropped_by"].items())
        notes.append(f"{plural(dropped, 'iteration')} due and never started ({by})")
    if censored := sessions["censored"]:
        notes.append(f"{plural(censored)} cut off by the end of the run, in no quantile of converse")
    if cut := sessions["messages_cut"]:
        notes.append(
            f"{plural(cut)} with more app-messages than are written down: the rest was counted, and the rules saw none"
        )
    notes += [f"not as assumed: {rules.describe(row)}" for row in rules.assumed(report["rules"])]
    notes += [f"generator suspect: {why}" for why in report["generator"]["suspect_because"]]
    return notes
