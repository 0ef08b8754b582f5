"""What GitHub, GitLab and Jenkins tell a job of their pipeline, as a run writes it down."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadtest.config.pipeline import told
from loadtest.config.run_dir import read_or_nothing, write_settings
from loadtest.config.settings import Settings


def test_gitlab_and_jenkins_tell_theirs_without_a_login() -> None:
    gitlab = {"CI_PIPELINE_ID": "5", "CI_JOB_ID": "9", "CI_PROJECT_URL": "https://u:secret@git.example/a/b?token=1"}
    jenkins = {"JOB_NAME": "load", "BUILD_NUMBER": "3", "GIT_URL": "https://bot:secret@git.example/b.git"}
    assert told(gitlab) == {
        "cicd.pipeline.run.id": "5",
        "cicd.pipeline.task.run.id": "9",
        "vcs.repository.url.full": "https://git.example/a/b",
    }
    assert told(jenkins) == {
        "cicd.pipeline.name": "load",
        "cicd.pipeline.run.id": "3",
        "vcs.repository.url.full": "https://git.example/b.git",
    }
    assert told({}) == {}


PULL = {"GITHUB_HEAD_REF": "quicker", "GITHUB_REF_NAME": "7/merge", "GITHUB_SHA": "merge"}


@pytest.mark.parametrize(
    ("environ", "event", "head"),
    [
        ({"GITHUB_REF_NAME": "main", "GITHUB_SHA": "a1"}, None, ("main", "a1")),
        (PULL, {"pull_request": {"head": {"sha": "b2"}}}, ("quicker", "b2")),
        (PULL, {"pull_request": {"head": {"sha": 7}}}, ("quicker", None)),
        (PULL, {"pull_request": None}, ("quicker", None)),
        (PULL, None, ("quicker", None)),
        ({"CI_COMMIT_REF_NAME": "quicker", "CI_COMMIT_SHA": "c3"}, None, ("quicker", "c3")),
        (
            {"CI_COMMIT_REF_NAME": "quicker", "CI_COMMIT_SHA": "m", "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "d4"},
            None,
            ("quicker", "d4"),
        ),
    ],
)
def test_the_revision_is_the_named_branchs_own_and_never_a_merge_of_it(
    environ: dict[str, str], event: object, head: tuple[str, str | None], tmp_path: Path
) -> None:
    if event is not None:
        (tmp_path / "event.json").write_text(json.dumps(event))
    found = told(environ | {"GITHUB_EVENT_PATH": str(tmp_path / "event.json")})
    assert (found["vcs.ref.head.name"], found.get("vcs.ref.head.revision")) == head


def test_a_run_writes_its_pipeline_down_whatever_its_bytes(tmp_path: Path) -> None:
    environ = {"JOB_NAME": "nightly", "GIT_BRANCH": "caf\udce9", "SECRET": "s3cret"}
    write_settings(Settings(), tmp_path, started_at=datetime.now(UTC), environ=environ)
    assert read_or_nothing(tmp_path).pipeline == {"cicd.pipeline.name": "nightly", "vcs.ref.head.name": "caf?"}
    assert "s3cret" not in (tmp_path / "settings.json").read_text()
