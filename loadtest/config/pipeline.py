"""Which pipeline a run belongs to, as its CI server told it: written down when the run starts, for who exports it later
may be another pipeline's job."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from loadtest.system import disk

_SERVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "cicd.pipeline.name": ("GITHUB_WORKFLOW", "CI_PIPELINE_NAME", "JOB_NAME"),
    "cicd.pipeline.run.id": ("GITHUB_RUN_ID", "CI_PIPELINE_ID", "BUILD_NUMBER"),
    "cicd.pipeline.run.url.full": ("CI_PIPELINE_URL", "BUILD_URL"),
    "cicd.pipeline.task.name": ("GITHUB_JOB", "CI_JOB_NAME"),
    "cicd.pipeline.task.run.id": ("CI_JOB_ID",),
    "cicd.pipeline.task.run.url.full": ("CI_JOB_URL",),
    "vcs.change.id": ("CI_MERGE_REQUEST_IID", "CHANGE_ID"),
    "vcs.ref.head.name": ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BRANCH_NAME", "GIT_BRANCH"),
    "vcs.ref.head.revision": ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT"),
    "vcs.repository.name": ("CI_PROJECT_NAME",),
    "vcs.repository.url.full": ("CI_PROJECT_URL", "GIT_URL"),
}
"""OpenTelemetry's name of what GitHub, GitLab and Jenkins tell a job → the variables that may say it."""
VARIABLES: Final = (
    *("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_REF", "GITHUB_EVENT_PATH"),
    *(name for names in _SERVERS.values() for name in names),
)


def told(environ: Mapping[str, str]) -> dict[str, str]:
    """What a CI server tells its jobs, by its conventional names; nothing elsewhere. No password of a URL."""
    found = {}
    for name, variables in _SERVERS.items():
        if value := next((environ[variable] for variable in variables if environ.get(variable)), None):
            found[name] = _without_login(value) if name.endswith(".url.full") else value
    server, repository = (environ.get(f"GITHUB_{part}", "") for part in ("SERVER_URL", "REPOSITORY"))
    if server and repository:
        found |= {"vcs.repository.url.full": f"{server}/{repository}", "vcs.repository.name": repository.split("/")[-1]}
        found["cicd.pipeline.run.url.full"] = f"{server}/{repository}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}"
        kind, _, change = environ.get("GITHUB_REF", "").removeprefix("refs/").partition("/")
        if kind == "pull":
            found["vcs.change.id"] = change.partition("/")[0]
    if environ.get("GITHUB_HEAD_REF"):  # a pull request: GITHUB_SHA is a merge that the head's branch doesn't have
        found |= {"vcs.ref.head.revision": _head_of_pull(environ.get("GITHUB_EVENT_PATH", ""))}
    return {name: value.encode(errors="replace").decode() for name, value in found.items() if value}


def _head_of_pull(event: str) -> str:
    """The commit that a pull request asks to merge, from GitHub's file of the event; empty where it can't be read."""
    try:
        revision = disk.read_object(Path(event))["pull_request"]["head"]["sha"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return revision if isinstance(revision, str) else ""


def _without_login(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
