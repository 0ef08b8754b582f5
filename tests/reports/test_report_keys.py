"""docs/reference/report.md says what every key of report.json means, and nothing of keys that there are none of."""

import re
from pathlib import Path

from loadtest.criteria.slo import Slo
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    ClockCompared,
    Outcome,
    Remains,
    RuleChecked,
    RuleOutcome,
    RunAborted,
    StageStarted,
    Step,
    WorkerChanged,
    WorkerState,
)
from reports.report_keys import QUANTILES, keys
from tests.reports import journals as j
from tests.support import ROOT

BUILDERS = (
    *("reports", "exporters/traces"),
    *("loadtest/capacity", "loadtest/criteria", "loadtest/prices", "loadtest/rules"),
)


def test_every_key_of_a_report_is_explained(run_dir: Path) -> None:
    """`reported` fails where one is not. This run has as much as a run can have: see also all its other uses."""
    why = j.failure(Step.DELETE, Kind.REJECTED, Code.HTTP_5XX, "no")
    events = [event for number in range(1, 30) for event in j.good_session(number, number)]
    events += [
        *j.good_session(91, 1)[:-4],
        j.step(91, Step.DELETE, 11.8, 12, outcome=Outcome.FAILED, failure=why),
        j.remains(91, 12, Remains.LEAKED, "delete_failed"),
        j.finished(91, 1, 12, outcome=Outcome.FAILED, failure=why, remains=Remains.LEAKED),
        StageStarted(t_ns=j.at(0), stage="all", users=20, steady=True, rate=1.0, arrivals=40),
        RuleChecked(t_ns=j.at(3), session=j.sid(1), rule="EXP-3", outcome=RuleOutcome.PASS, detail="as asked"),
        RunAborted(t_ns=j.at(30), slo="first", indicator="create.p95", count=3, beyond=2, window_s=5.0),
        *(j.health(second) for second in range(40)),
        j.media(1, 11, packets_lost=0),
    ]
    j.write_file(run_dir, events, finish=None)
    worker = WorkerChanged(t_ns=j.at(1), worker="w", host="far", state=WorkerState.HOME, numbers=(0,), directory="/d")
    clock = ClockCompared(t_ns=j.at(1), host="far", boot_id="boot-f", offset_ns=1, rtt_ns=2)
    j.write_file(run_dir, [worker, clock], role="master", host="host-m", boot_id="boot-m")
    report = j.reported(run_dir, slos=[Slo(name="first", indicator="create.p95", max=0.1, window_s=5)])
    assert report["aborted"]["slo"] == "first"
    assert report["slos"][0]["windows"]["judged"] > 0
    assert report["arrivals"]["scheduled"] == 40
    assert report["failures"][0]["example"] == j.sid(91)


def test_no_explained_key_is_one_that_nobody_writes() -> None:
    source = "\n".join(path.read_text() for folder in BUILDERS for path in (ROOT / folder).rglob("*.py"))
    source = source.replace((ROOT / "reports/report_keys.py").read_text(), "")
    unwritten = []
    for key in keys():
        leaf = re.sub(r"\[\]$|<[^>]*>$", "", key).rstrip(".").rpartition(".")[2].removesuffix("[]")
        if leaf in (*QUANTILES, "p5_s", "mean_s") or leaf.startswith(("turns_without_", "unassigned_")):
            continue
        if not re.search(rf"[\"']{leaf}[\"']|\b{leaf}: |\b{leaf}=", source) and not leaf.startswith("<"):
            unwritten.append(key)
    assert unwritten == []


def test_every_key_says_what_it_means() -> None:
    assert [key for key, text in keys().items() if not text.strip()] == []
