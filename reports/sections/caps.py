"""What the target was told, or says, about its limits, beside what was seen of them: a table for a runbook."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pandas as pd

from loadtest.config.keys.scenario import ABSENCE_S, DURATION_S
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.errors.kinds import FOR_THEIR_NUMBER
from loadtest.events.kinds import LOAD, ON_A_SECRET, EndedBy, RemainsReason, RuleOutcome, Step
from reports.data.frames import Run
from reports.data.measures import quantile
from reports.sections.sessions import active

_RULES: Final = {"absence": ("TD-3", "TD-7"), "duration": ("TD-4",), "concurrency": ("LIM-1",)}
"""Rules whose probes look at a cap."""


def section(run: Run, settings: Settings | None) -> list[dict[str, Any]]:
    """`teardown.caps` of report.json: a row per cap, and where the scenarios of a mix declare it differently, for each
    of what they say: cap, unit, declared (null: the service's default), default, scenarios (null: all), observed,
    cases, how (one sentence), probes ({rule, outcome, detail} of those that looked at it). `run` holds the probes'
    sessions too."""
    scenarios = () if settings is None else settings.scenarios
    leaving = {each.name for each in scenarios if each.caller.cut_after_s is not None}
    return [
        *(
            _absence(*of, leaving)
            for of in _declared(run, {each.name: each.session.user_absent_timeout for each in scenarios})
        ),
        *(_duration(*of) for of in _declared(run, {each.name: each.session.max_duration for each in scenarios})),
        _concurrency(run, None if settings is None else settings.target.max_active),
    ]


def _declared(run: Run, by_scenario: dict[str, int | None]) -> Iterator[tuple[Run, int | None, list[str] | None]]:
    """What is declared, for whom (None: all), and their part of the run."""
    declared = dict.fromkeys(by_scenario.values()) or {None: None}
    for value in declared:
        if len(declared) == 1:
            yield run, value, None
        else:
            names = [name for name, own in by_scenario.items() if own == value]
            yield replace(run, sessions=run.sessions[run.sessions["scenario"].isin(names)]), value, names


def _row(run: Run, cap: str, **facts: Any) -> dict[str, Any]:
    checks = run.checks[run.checks["rule"].isin(_RULES[cap]) & (run.checks["outcome"] != RuleOutcome.NOT_TESTED)]
    probes = [
        {"rule": str(rule), "outcome": str(outcome), "detail": str(detail)}
        for rule, outcome, detail in zip(checks["rule"], checks["outcome"], checks["detail"], strict=True)
    ]
    return {"cap": cap, **facts, "probes": probes[:10]}


def _absence(run: Run, declared_s: int | None, scenarios: list[str] | None, leaving: set[str]) -> dict[str, Any]:
    """`leaving`: the scenarios whose callers lose their line."""
    ended = run.sessions[run.sessions["ended_by"] == EndedBy.USER_ABSENT_TIMEOUT]
    how = "load sessions never leave their room before their delete: only a probe can see this cap"
    if leaving if scenarios is None else leaving.intersection(scenarios):
        ended = ended[ended["purpose"] == LOAD]
        how = f"{plural(len(ended))} had ended when a caller whose line was cut came back; only a probe sees how soon"
    return _row(
        run, "absence", unit="s", declared=declared_s, default=ABSENCE_S, scenarios=scenarios, observed=None,
        cases=len(ended), how=how,
    )  # fmt: skip


def _duration(run: Run, declared_s: int | None, scenarios: list[str] | None) -> dict[str, Any]:
    sessions = run.sessions
    ended = sessions.index[sessions["ended_by"] == EndedBy.MAX_DURATION]
    lives_s = _lives_s(run)
    lives_s = lives_s[lives_s.index.isin(sessions.index)]
    capped_s = lives_s[lives_s.index.isin(ended)]
    longest_s = quantile(lives_s, 1.0)
    how = "median life of the sessions that it ended, from the answered create"
    if not len(capped_s):
        how = "no session reached it" + ("" if longest_s is None else f"; the longest lived {longest_s:.0f} s")
    observed_s = quantile(capped_s, 0.5)
    return _row(
        run, "duration", unit="s", declared=declared_s, default=DURATION_S, scenarios=scenarios, cases=len(capped_s),
        how=how, observed=None if observed_s is None else round(observed_s, 1),
    )  # fmt: skip


def _lives_s(run: Run) -> "pd.Series[float]":
    """From the answered create to the first delete that was sent."""
    created = (
        run.remains[run.remains["reason"] == RemainsReason.CREATE_ANSWERED]
        .drop_duplicates("session")
        .set_index("session")
    )
    deletes = run.steps.loc[(run.steps["step"] == Step.DELETE) & (run.steps["attempt"] == 1), ["session", "started_ns"]]
    deletes = deletes.drop_duplicates("session").set_index("session")
    both = pd.concat([created["t_ns"], deletes["started_ns"]], axis=1, join="inner")
    return (both["started_ns"] - both["t_ns"]) / 1e9


def _concurrency(run: Run, declared: int | None) -> dict[str, Any]:
    line = active(run)
    peak = int(line["active"].max()) if len(line) else 0
    told = run.steps["step"].isin(ON_A_SECRET) & run.steps["code"].isin([str(code) for code in FOR_THEIR_NUMBER])
    refused = run.steps[told]
    how = f"not reached: {peak:,} at once and no session refused for its number"
    observed = None
    if len(refused):
        at = line["t_ns"].searchsorted(int(refused["t_ns"].min()), side="right") - 1
        observed = int(line["active"].iloc[at])
        how = f"sessions in flight when one was first refused for its number; {peak:,} at most"
    return _row(
        run, "concurrency", unit="sessions", declared=declared, default=None, scenarios=None, observed=observed,
        cases=len(refused), how=how,
    )  # fmt: skip
