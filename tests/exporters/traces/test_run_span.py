"""The run itself as a span: a test suite's, with its pipeline and revision."""

import json
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from exporters.traces.process import export, main
from exporters.traces.run_span import beginning, send
from loadtest.config.run_dir import write_settings
from loadtest.config.settings import Settings
from loadtest.events.kinds import Event
from loadtest.journal import Journal, encode
from loadtest.journal.lines import Lines
from tests.exporters.traces.receiver import Answer, Receiver, attributes
from tests.exporters.traces.script import WALL_S, S, run_finished, run_started, session

GITHUB = {
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "shop/avatars",
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_WORKFLOW": "nightly",
    "GITHUB_RUN_ID": "120912",
    "GITHUB_JOB": "load",
    "GITHUB_HEAD_REF": "quicker",
    "GITHUB_REF_NAME": "7/merge",
    "GITHUB_SHA": "0000000000000000000000000000000000000007",  # the merge
}

STARTED = datetime(2026, 1, 2, tzinfo=UTC)


def run_dir(
    directory: Path,
    outcome: str | None,
    environ: Mapping[str, str] = GITHUB,
    *,
    started_at: datetime = STARTED,
) -> Path:
    """Of a run that was started with that environment."""
    with Journal(directory / "journal" / "engine.jsonl") as journal:
        for event in (run_started(), *session(1), run_finished()):
            journal.write(encode(event))
    write_settings(Settings(name="support"), directory, started_at=started_at, environ=environ)
    if outcome is not None:
        report = {"verdict": {"outcome": outcome}, "duration_s": 60.5}
        (directory / "report.json").write_text(json.dumps(report))
    return directory


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ("pass", "success", Status.STATUS_CODE_UNSET),
        ("fail", "failure", Status.STATUS_CODE_ERROR),
        ("invalid", "aborted", Status.STATUS_CODE_UNSET),
    ],
)
def test_a_run_is_the_run_of_a_test_suite_in_its_pipeline(
    outcome: str, status: str, code: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"pull_request": {"head": {"sha": "9d59409acf479dfa0df1aa568182e43e43df8bbe"}}}')
    directory = run_dir(tmp_path / "run", outcome, GITHUB | {"GITHUB_EVENT_PATH": str(event)})
    for name in GITHUB:
        monkeypatch.setenv(name, "of the job that exports it a week later")
    with Receiver() as receiver:
        assert send(directory, f"{receiver.url}/v1/traces")
    (span,) = receiver.runs
    assert (span.name, span.status.code, span.parent_span_id) == ("avaload.run", code, b"")
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (WALL_S * S, (WALL_S + 60) * S + S // 2)
    assert attributes(span.attributes) == {
        "avaload.run.id": "run-1",
        "avaload.scenario": "support",
        "avaload.verdict": outcome,
        "test.suite.name": "support",
        "test.suite.run.status": status,
        "cicd.pipeline.name": "nightly",
        "cicd.pipeline.run.id": "120912",
        "cicd.pipeline.run.url.full": "https://github.example/shop/avatars/actions/runs/120912",
        "cicd.pipeline.task.name": "load",
        "vcs.change.id": "7",
        "vcs.ref.head.name": "quicker",
        "vcs.ref.head.revision": "9d59409acf479dfa0df1aa568182e43e43df8bbe",
        "vcs.repository.name": "avatars",
        "vcs.repository.url.full": "https://github.example/shop/avatars",
    }


def test_sessions_link_to_their_run(tmp_path: Path) -> None:
    with Receiver() as receiver:
        directory = run_dir(tmp_path, "pass")
        export(directory, otlp_endpoint=receiver.url, follow=False)
        assert main([str(directory), "--otlp-endpoint", receiver.url, "--run-alone"]) == 0
    (run,) = receiver.runs
    links = [(span.name, link.trace_id, link.span_id) for span in receiver.spans for link in span.links]
    assert links == [("avaload.session", run.trace_id, run.span_id)]


def test_a_runs_own_span_that_is_not_taken_is_told_and_exit_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with Receiver(first=[Answer(), Answer(401)]) as receiver:
        directory = run_dir(tmp_path, "pass")
        assert main([str(directory), "--otlp-endpoint", receiver.url]) == 4
    assert capsys.readouterr().out == "traces: 1 session, 7 spans sent, 0 dropped; the run's own span was not taken\n"
    assert (len(receiver.spans), receiver.runs) == (7, [])


def test_two_runs_that_a_pipeline_calls_the_same_are_two_traces_and_two_instances(tmp_path: Path) -> None:
    with Receiver() as receiver:
        for minute in (0, 1):
            directory = run_dir(
                tmp_path / f"{minute}" / "avaload-run", "pass", started_at=STARTED.replace(minute=minute)
            )
            export(directory, otlp_endpoint=receiver.url, follow=False)
            assert send(directory, f"{receiver.url}/v1/traces")
    assert len({run.trace_id for run in receiver.runs}) == 2
    linked = [link.trace_id for span in receiver.spans for link in span.links]
    assert linked == [run.trace_id for run in receiver.runs]
    instances = [each["service.instance.id"] for each in receiver.resources]  # of a run's sessions, then of itself
    assert instances[::2] == instances[1::2]
    assert len(set(instances)) == 2


def test_spans_are_of_the_version_that_ran_whichever_exports_them(tmp_path: Path) -> None:
    directory = run_dir(tmp_path, "pass")
    written = json.loads((directory / "settings.json").read_text())
    (directory / "settings.json").write_text(json.dumps(written | {"versions": {"avaload": "0.0.7"}}))
    with Receiver() as receiver:
        export(directory, otlp_endpoint=receiver.url, follow=False)
        assert send(directory, f"{receiver.url}/v1/traces")
    assert [resource["service.version"] for resource in receiver.resources] == ["0.0.7"] * 2
    assert receiver.scopes == {("avaload", "0.0.7")}


def test_a_run_of_which_no_pipeline_was_written_down_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = run_dir(tmp_path, "pass")
    (directory / "settings.json").unlink()
    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    with Receiver() as receiver:
        assert send(directory, f"{receiver.url}/v1/traces")
    (span,) = receiver.runs
    assert {name for name in attributes(span.attributes) if not name.startswith("avaload.")} == {
        "test.suite.name",
        "test.suite.run.status",
    }
    assert "service.version" not in receiver.resources[0]


def test_a_run_begins_by_its_masters_clock_else_by_that_of_its_first_process(tmp_path: Path) -> None:
    """`t_ns` counts from a host's own start: the smallest is of the one that was started last."""
    late, early = (run_started(t_ns=5 * S, wall_ns=at_s * S) for at_s in (WALL_S + 9, WALL_S + 2))
    assert beginning(tmp_path) is None
    for name, first in (("late", late), ("early", msgspec.structs.replace(early, t_ns=900 * S))):
        with Journal(tmp_path / "journal" / f"{name}-load-0.jsonl") as journal:
            journal.write(encode(first))
    assert (found := beginning(tmp_path)) is not None
    assert found.wall_ns == (WALL_S + 2) * S
    with Journal(tmp_path / "journal" / "here-master.jsonl") as journal:
        journal.write(encode(run_started(role="master", t_ns=77 * S, wall_ns=(WALL_S + 5) * S)))
    with Journal(tmp_path / "journal" / "here-sweep-0.jsonl") as journal:
        journal.write(encode(run_started(role="sweep", wall_ns=WALL_S * S)))
    assert (found := beginning(tmp_path)) is not None
    assert (found.role, found.wall_ns) == ("master", (WALL_S + 5) * S)


def test_of_a_long_journal_no_more_than_its_beginning_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = run_dir(tmp_path, "pass")
    with (directory / "journal" / "engine.jsonl").open("ab") as file:
        file.write(encode(run_finished()) * 20_000)
    batches: list[int] = []
    decoded = Lines._decoded

    def counted(lines: Lines, text: bytes) -> list[Event]:
        batches.append(len(text))
        return decoded(lines, text)

    monkeypatch.setattr(Lines, "_decoded", counted)
    assert beginning(directory) is not None
    assert sum(batches) < 200_000


@pytest.mark.parametrize("report", [None, "[]", '{"verdict": {}}', '{"verdict": {"outcome": "?"}, "duration_s": 1}'])
def test_a_run_without_a_verdict_is_no_span(report: str | None, tmp_path: Path) -> None:
    directory = run_dir(tmp_path, None)
    if report is not None:
        (directory / "report.json").write_text(report)
    with Receiver() as receiver:
        assert send(directory, f"{receiver.url}/v1/traces") is None
    assert receiver.paths == []
