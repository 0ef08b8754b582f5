"""junit.xml is red where the exit code is not 0, and nowhere else: over each reason that a verdict can have."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest.criteria.slo import Slo
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Outcome, Remains, Step
from reports.formats import junit
from reports.verdict.verdict import verdict
from tests.reports import journals as j

Report = dict[str, Any]
SLOS = [Slo(name="creates", indicator="create.max", max=30), Slo(name="left", indicator="session.leaked", max=9)]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Report:
    run_dir = tmp_path_factory.mktemp("good")
    j.write_file(run_dir, j.good_session(1, 1))
    return j.reported(run_dir, slos=SLOS)


def none_completed(report: Report, kind: Kind, code: Code) -> None:
    row = {"step": "create", "kind": kind, "code": code, "sessions": 1, "steps": 0, "detail": "", "example": "e" * 32}
    report["failures"] = [row]
    report["sessions"] |= {"completed": 0, "failed": 1}
    for step in report["steps"].values():
        step["failed"] = step["count"]


def searched(report: Report, **found: Any) -> None:
    report["slos"] = []
    searching = {"kind": "cliff", "quota": None, "first_failing": None, "max_passing": None}
    report["capacity"] = searching | {"sentence": "1 user is too many"} | found


def compared(report: Report, **found: list[str]) -> None:
    report["baseline"] = {"regressions": [], "not_comparable_because": [], **found}


BRANCHES: dict[str, tuple[int, Callable[[Report], object]]] = {
    "good": (0, lambda r: None),
    "left": (5, lambda r: r["sessions"].update(leaked=1, left_behind={"delete_failed": 1})),
    "probes left": (5, lambda r: r.update(probes_leaked=2)),
    "interrupted": (130, lambda r: r.update(interrupted=True)),
    "generator": (4, lambda r: r["generator"].update(outcome="invalid", invalid_because=["event loop lag"])),
    "truncated": (4, lambda r: r["generator"].update(truncated=["a"], invalid_because=["journals cut short"])),
    "truncated in a search": (0, lambda r: r["generator"].update(truncated=["a"])),
    "objective": (3, lambda r: r["slos"][0].update(outcome="fail")),
    "not enough": (4, lambda r: r["slos"][0].update(outcome="not_enough_samples")),
    "not enough, not asked": (0, lambda r: r["slos"][0].update(outcome="not_enough_samples", asked=False)),
    "rule": (3, lambda r: r["rules"][0].update(outcome="fail")),
    "rule waived": (0, lambda r: r["rules"][0].update(outcome="waived", waived="known")),
    "aborted": (
        3,
        lambda r: r.update(
            aborted={"slo": "n", "indicator": "create.max", "at_s": 1.0, "count": 2, "beyond": 1, "window_s": None}
        ),
    ),
    "worse": (3, lambda r: compared(r, regressions=["create p95"])),
    "not comparable": (4, lambda r: compared(r, not_comparable_because=["another load"])),
    "as the baseline": (0, compared),
    "no level held": (3, lambda r: searched(r, first_failing={"level": 1})),
    "a level held": (0, lambda r: searched(r, first_failing={"level": 2}, max_passing={"level": 1})),
    "all levels held": (0, lambda r: searched(r, max_passing={"level": 1})),
    "none completed: refused": (3, lambda r: none_completed(r, Kind.REJECTED, Code.HTTP_5XX)),
    "none completed: nothing said": (4, lambda r: none_completed(r, Kind.TRANSPORT, Code.CONNECTION_LOST)),
    "never reached": (4, lambda r: none_completed(r, Kind.TRANSPORT, Code.CONNECT_FAILED)),
    "another load": (4, lambda r: r["sessions"].update(dropped=1, dropped_by={"no_user": 1})),
}


@pytest.mark.parametrize("branch", BRANCHES)
def test_junit_is_red_where_the_exit_code_is_not_zero(branch: str, good: Report) -> None:
    exit_code, change = BRANCHES[branch]
    report = deepcopy(good)
    change(report)
    report["verdict"] = verdict(report, interrupted=report["interrupted"])

    suites = ElementTree.fromstring(junit.render(report))
    red = int(suites.get("failures", "0")) + int(suites.get("errors", "0"))

    assert (report["verdict"]["exit_code"], red > 0) == (exit_code, exit_code != 0)
    told = ["".join(case.itertext()) for case in suites.iter("testcase") if case.find("skipped") is None]
    for reason in report["verdict"]["reasons"][: report["verdict"]["failing"]]:
        assert any(reason.rpartition(": ")[2] in each for each in told), reason


def test_what_active_checks_left_behind_fails_the_case_of_it(tmp_path: Path) -> None:
    whole = j.good_session(2, 1, purpose="probe")
    left = [*whole[:-4], j.remains(2, 12, Remains.LEAKED, "delete_failed", purpose="probe"), whole[-1]]
    j.write_file(tmp_path, [*j.good_session(1, 1), *left])
    report = j.reported(tmp_path, slos=SLOS)

    cases = {case.get("name"): case for case in ElementTree.fromstring(junit.render(report)).iter("testcase")}

    assert report["verdict"]["exit_code"] == 5
    assert cases["nothing is left behind"].findtext("failure") == (
        "1 session of active checks left behind: still there after the clean-up"
    )


def test_a_target_that_completes_nothing_is_red_though_all_that_was_asked_holds(tmp_path: Path) -> None:
    refused = j.failed_step(1, Step.CREATE, 1, 1.2, Kind.REJECTED, Code.HTTP_5XX)
    ended = j.finished(1, 1, 2, outcome=Outcome.FAILED, failure=refused.failure)
    j.write_file(tmp_path, [j.started(1, 1), j.step(1, Step.MINT, 1, 1.1), refused, ended])
    report = j.reported(tmp_path, slos=[Slo(name="mints", indicator="mint.max", max=30)])

    cases = {case.get("name"): case for case in ElementTree.fromstring(junit.render(report)).iter("testcase")}

    assert report["verdict"]["exit_code"] == 3
    assert cases["the run shows what it was to show"].findtext("failure") == (
        "none of 1 session was completed: the target answered create http_5xx (1)"
    )


@pytest.mark.parametrize(("observed", "time"), [(0.5, "0.500"), (0.0, "0.000"), (-0.5, None)])
def test_a_margin_below_zero_has_no_time_for_a_time_is_never_negative(
    observed: float, time: str | None, good: Report
) -> None:
    report = deepcopy(good)
    report["slos"][0] |= {"indicator": "secret.margin.min", "observed": observed}
    cases = {case.get("name"): case for case in ElementTree.fromstring(junit.render(report)).iter("testcase")}
    assert cases["creates"].get("time") == time
