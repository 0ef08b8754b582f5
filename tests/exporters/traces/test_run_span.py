"""The run itself as a span: a test suite's, with its pipeline and revision."""

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from exporters.traces.process import export, main
from exporters.traces.run_span import of_ci, send
from loadtest.journal import Journal, encode
from tests.exporters.traces.receiver import Receiver, attributes
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
    "GITHUB_SHA": "9d59409acf479dfa0df1aa568182e43e43df8bbe",
}


def run_dir(directory: Path, outcome: str | None) -> Path:
    with Journal(directory / "journal" / "engine.jsonl") as journal:
        for event in (run_started(), *session(1), run_finished()):
            journal.write(encode(event))
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
def test_a_run_is_the_run_of_a_test_suite_in_its_pipeline(outcome: str, status: str, code: Any, tmp_path: Path) -> None:
    with Receiver() as receiver:
        assert send(run_dir(tmp_path, outcome), f"{receiver.url}/v1/traces", environ=GITHUB)
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
        "vcs.ref.head.revision": GITHUB["GITHUB_SHA"],
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


@pytest.mark.parametrize("report", [None, "[]", '{"verdict": {}}', '{"verdict": {"outcome": "?"}, "duration_s": 1}'])
def test_a_run_without_a_verdict_is_no_span(report: str | None, tmp_path: Path) -> None:
    directory = run_dir(tmp_path, None)
    if report is not None:
        (directory / "report.json").write_text(report)
    with Receiver() as receiver:
        assert not send(directory, f"{receiver.url}/v1/traces", environ={})
    assert receiver.paths == []


def test_gitlab_and_jenkins_tell_theirs_without_a_login() -> None:
    gitlab = {"CI_PIPELINE_ID": "5", "CI_JOB_ID": "9", "CI_PROJECT_URL": "https://u:secret@git.example/a/b?token=1"}
    jenkins = {"JOB_NAME": "load", "BUILD_NUMBER": "3", "GIT_URL": "https://bot:secret@git.example/b.git"}
    assert of_ci(gitlab) == {
        "cicd.pipeline.run.id": "5",
        "cicd.pipeline.task.run.id": "9",
        "vcs.repository.url.full": "https://git.example/a/b",
    }
    assert of_ci(jenkins) == {
        "cicd.pipeline.name": "load",
        "cicd.pipeline.run.id": "3",
        "vcs.repository.url.full": "https://git.example/b.git",
    }
    assert of_ci({}) == {}
