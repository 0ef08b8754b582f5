"""A run that is watched from all sides while its services fail carelessly: whole traces out, and no secret anywhere."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loadtest.events.kinds import SessionStarted, Step, StepFinished
from tests.e2e.tapping import Tap, tapping
from tests.e2e.target import completed, events, reaching, started, unless_late
from tests.exporters.traces.receiver import Answer, Receiver, attributes
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, Done, avaload, call, eventually, free_port, get


@dataclass
class Observed:
    twin: RunningTwin
    tap: Tap
    receiver: Receiver
    run: Avaload
    done: Done
    commands: set[str] = field(default_factory=set)
    """Command lines of all processes that were seen."""
    metrics: list[bytes] = field(default_factory=list)


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, brief: Path) -> Iterator[Observed]:
    cwd, port = tmp_path_factory.mktemp("observed"), free_port()
    with ExitStack() as stack:
        twin = stack.enter_context(running_twin("--set", "answer_s=0.5"))
        tap = stack.enter_context(tapping(twin, seed=3))
        receiver = stack.enter_context(Receiver(first=[Answer(503, {"retry-after": "0"})]))
        options: tuple[object, ...] = (
            "--users",
            8,
            "--duration",
            "7s",
            "--ramp",
            "1s",
            "--otlp-endpoint",
            receiver.url,
        )
        options += ("--no-check", "--metrics-port", port, "--metrics-linger", "2s")
        environ = {
            **reaching(twin),
            "AVALOAD_TARGET__OPENAI_BASE_URL": f"{tap.url}/v1",
            "AVALOAD_TARGET__AVATURN_BASE_URL": tap.url,
        }
        run = stack.enter_context(avaload("run", brief, *options, cwd=cwd, environ=environ))
        seen = Observed(twin, tap, receiver, run, Done(-1, "", ""))
        eventually(lambda: len(tap.secrets["room token"]) >= 4, within_s=40, what="sessions in rooms", during=run)
        for at_least in (1, 8):
            eventually(
                lambda least=at_least: run.writers("engine") and len(completed(run.run_dir)) >= least,  # type: ignore[misc]
                within_s=40,
                what=f"{at_least} completed sessions",
                during=run,
            )
            seen.commands |= set(run.processes().values())
            seen.metrics.append(get(f"http://127.0.0.1:{port}/metrics")[1])
        seen.done = run.finish(within_s=60)
        yield seen


def test_careless_errors_are_failures_of_the_target_and_nothing_is_left(observed: Observed) -> None:
    report = observed.run.report()
    assert observed.done.code == unless_late(3, report), observed.done  # failures break the default objectives
    assert report["sessions"]["leaked"] == 0
    assert report["sessions"]["completed"] > 0
    assert report["steps"]["mint"]["failures"]["rejected"] == observed.tap.echoed["mint"]
    assert report["steps"]["create"]["failures"]["rejected"] == observed.tap.echoed["create"]
    assert report["steps"]["delete"]["retries"] == observed.tap.echoed["delete"]
    assert report["steps"]["connect"]["failed"] > 0


def test_the_receiver_gets_one_whole_trace_per_session_with_the_ids_of_the_journal(observed: Observed) -> None:
    happened = events(observed.run.run_dir)
    traces = observed.receiver.traces()
    assert traces.keys() == started(observed.run.run_dir)
    assert len(traces) > 8
    for session in (event for event in happened if isinstance(event, SessionStarted)):
        steps = {e.span_id: e for e in happened if isinstance(e, StepFinished) and e.session == session.session}
        spans = {span.span_id.hex(): span for span in traces[session.session]}
        assert len(spans) == len(traces[session.session])  # none came twice
        assert spans.keys() == {session.span_id, *steps}
        root = spans.pop(session.span_id)
        assert (root.name, root.parent_span_id) == ("avaload.session", b"")
        converse = [span_id for span_id, step in steps.items() if step.step is Step.CONVERSE]
        for span_id, span in spans.items():
            step = steps[span_id]
            assert attributes(span.attributes)["avaload.step"] == step.step
            assert span.parent_span_id.hex() == (converse[0] if step.step is Step.TURN else session.span_id)
            assert span.end_time_unix_nano - span.start_time_unix_nano == step.t_ns - step.started_ns
            assert root.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= root.end_time_unix_nano


def test_the_log_has_a_line_per_failure_with_the_ids_of_its_span(observed: Observed) -> None:
    lines = [json.loads(line) for line in (observed.run.run_dir / "log.jsonl").read_text().splitlines()]
    failed = {(e.session, e.span_id) for e in events(observed.run.run_dir) if isinstance(e, StepFinished) and e.failure}
    assert {(line["trace_id"], line["span_id"]) for line in lines if "span_id" in line} == failed
    spans = {(span.trace_id.hex(), span.span_id.hex()) for span in observed.receiver.spans}
    assert failed <= spans
    assert len(failed) > 4
    assert all(line["timestamp"].endswith("+00:00") and line["attributes"]["avaload.run.id"] == "run" for line in lines)


def test_a_completed_session_has_a_span_for_each_step_and_turn(observed: Observed) -> None:
    traces = observed.receiver.traces()
    good = completed(observed.run.run_dir)
    assert len(good) >= 8
    for session in good:
        steps = [attributes(span.attributes).get("avaload.step", "") for span in traces[session]]
        assert sorted(set(map(str, steps))) == sorted(["", *map(str, Step)])


def test_the_twin_saw_the_same_trace_ids(observed: Observed) -> None:
    seen = observed.twin.state()["sessions"]
    created = {session["session_id"]: session["trace_ids"] for session in seen}
    assert len(created) > 8
    assert all(len(trace_ids) == 1 for trace_ids in created.values()), created
    avaturn_ids = {}
    for trace_id, spans in observed.receiver.traces().items():
        root = next(span for span in spans if not span.parent_span_id)
        if (avaturn_id := attributes(root.attributes).get("avaload.target_session.id")) is not None:
            avaturn_ids[avaturn_id] = [trace_id]
    assert avaturn_ids == created


def artefacts(observed: Observed, tmp_path: Path) -> dict[str, bytes]:
    """Everything that the run and the commands on it put out: name → bytes."""
    run_dir = observed.run.run_dir
    found = {str(path.relative_to(run_dir)): path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    found |= {"stdout": observed.done.out.encode(), "stderr": observed.done.err.encode()}
    found |= {f"scrape {number}": text for number, text in enumerate(observed.metrics)}
    found["command lines"] = "\n".join(observed.commands).encode()
    found["spans"] = b"\n".join(span.SerializeToString() for span in observed.receiver.spans)
    found["resources"] = repr(observed.receiver.resources).encode()
    failed = [e.session for e in events(run_dir) if isinstance(e, StepFinished) and e.failure is not None]
    for session in dict.fromkeys(failed[:4]):
        done = call("session", run_dir, session, cwd=tmp_path)
        assert done.code == 0, done
        found[f"session {session}"] = done.out.encode()
    return found


def test_no_secret_of_the_run_is_in_any_artefact(observed: Observed, tmp_path: Path) -> None:
    secrets = observed.tap.secrets
    assert len(secrets["API key"]) == 2
    assert all(len(values) >= 8 for kind, values in secrets.items() if kind != "API key"), secrets
    assert observed.tap.echoed.keys() == {"mint", "create", "sdk_session", "delete", "room"}
    found = artefacts(observed, tmp_path)
    assert {"report.html", "report.json", "report.md", "junit.xml", "locust.log", "traces.log"} <= found.keys()
    assert {"settings.json", "stdout", "stderr", "scrape 0", "scrape 1"} <= found.keys()
    assert any(b"avaload_sessions_total" in found[name] for name in ("scrape 0", "scrape 1"))
    assert b"loadtest.engine.process" in found["command lines"]
    assert len(found["spans"]) > 10_000
    assert b"[redacted]" in found["report.json"]  # the errors were kept, the secrets in them were not
    for kind, values in secrets.items():
        for value in values:
            # A token that was cut is still one: its last 20 characters are its random part.
            leaking = [name for name, text in found.items() if value.encode()[-20:] in text]
            assert leaking == [], kind


def test_the_grep_finds_what_it_is_to_find(observed: Observed, tmp_path: Path) -> None:
    secret = next(iter(observed.tap.secrets["client secret"]))
    found = artefacts(observed, tmp_path) | {"a leak": f'"detail":"HTTP 422: {secret} is not valid"'.encode()}
    assert [name for name, text in found.items() if secret.encode()[-20:] in text] == ["a leak"]
