import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from exporters.log import FILE, Log
from loadtest.events.kinds import (
    Fault,
    GeneratorFailed,
    Remains,
    RuleChecked,
    RuleOutcome,
    SessionFinished,
    Step,
    StepFinished,
)
from tests.exporters.traces.script import NO_ANSWER, S, run_finished, run_started, session, session_id, span_id


def lines(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / FILE).read_text().splitlines()]


def test_what_went_wrong_is_a_line_with_the_ids_of_its_trace_and_what_went_well_is_none(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for event in (run_started(), *session(1), *session(2, turn_fails=True), run_finished()):
        log.add(event)
    log.close()
    started, *failed, finished = lines(tmp_path)
    assert (started["severity"], started["body"]) == ("INFO", "engine started")
    assert [(line["body"], line["trace_id"], line.get("span_id")) for line in failed] == [
        ("turn failed", session_id(2), span_id(2, 5)),
        ("converse failed", session_id(2), span_id(2, 4)),
        ("session failed", session_id(2), None),
    ]
    assert failed[0]["timestamp"] == "2027-01-15T08:00:03.600000+00:00"
    assert failed[0]["attributes"] == {
        "avaload.run.id": "run-1",
        "avaload.worker": 0,
        "host.name": "here",
        "avaload.step": "turn",
        "avaload.attempt": 1,
        "avaload.turn.index": 0,
        "error.type": "no_answer",
        "avaload.error.kind": "no_response",
        "detail": "silent for 5 s",
        "avaload.purpose": "load",
    }
    assert finished["body"] == "finished: completed"


def test_what_may_be_left_a_broken_rule_and_a_fault_of_ours_are_lines_too(tmp_path: Path) -> None:
    log = Log(tmp_path)
    last = session(1)[-1]
    assert isinstance(last, SessionFinished)
    log.add(replace(last, remains=Remains.LEAKED))
    log.add(RuleChecked(t_ns=S, session=session_id(1), rule="EXP-1", outcome=RuleOutcome.FAIL, detail="it lived on"))
    log.add(RuleChecked(t_ns=S, session=session_id(1), rule="EXP-2", outcome=RuleOutcome.PASS, detail=""))
    log.add(GeneratorFailed(t_ns=S, fault=Fault.ENGINE_DIED, process=0, detail="incarnation 0"))
    log.close()
    assert [line["body"] for line in lines(tmp_path)] == [
        "session ok, leaked",
        "rule EXP-1 broken",
        "generator: engine_died",
    ]


def test_a_secret_in_a_detail_does_not_get_into_the_file(tmp_path: Path) -> None:
    log = Log(tmp_path)
    step = next(event for event in session(1, turn_fails=True) if isinstance(event, StepFinished) and event.failure)
    assert step.step == Step.TURN
    log.add(replace(step, failure=replace(NO_ANSWER, detail="got ek_0123456789abcdef0123456789")))
    log.close()
    (line,) = lines(tmp_path)
    assert line["attributes"]["detail"] == "got [redacted]"


def test_two_processes_write_whole_lines_into_one_file(tmp_path: Path) -> None:
    logs = [Log(tmp_path), Log(tmp_path)]
    for number in range(50):
        for process, log in enumerate(logs):
            log.add(GeneratorFailed(t_ns=number, fault=Fault.BUG, process=process, detail="x" * 200))
    for log in logs:
        log.close()
        log.close()
        log.add(run_finished())  # after the end: nothing
    assert len(lines(tmp_path)) == 100
