"""A run as a span of its own, once its verdict is known: a test suite's, with the pipeline and the revision that it ran
for. The spans of its sessions link to it."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, Status, StatusCode

from exporters.traces.conventions import SCHEMA_URL, Attributes
from exporters.traces.otlp import Sender
from exporters.traces.spans import resource, run_context
from loadtest import journal
from loadtest.config.environment import CI_SERVERS
from loadtest.language import disk
from loadtest.language.events import RunStarted
from loadtest.language.version import __version__

_STATUS: Final = {"pass": "success", "fail": "failure", "invalid": "aborted"}
"""Of a run's verdict. An invalid one says nothing of the target."""


def span(run: RunStarted, report: Mapping[str, Any], environ: Mapping[str, str]) -> ReadableSpan:
    """`report`: report.json's. Raises KeyError, TypeError or ValueError where it isn't one."""
    outcome = str(report["verdict"]["outcome"])
    attributes: Attributes = {
        "avaload.run.id": run.run_id,
        "avaload.scenario": run.scenario,
        "avaload.verdict": outcome,
        "test.suite.name": run.scenario,
        "test.suite.run.status": _STATUS[outcome],
        **of_ci(environ),
    }
    duration_ns = round(float(report["duration_s"]) * 1e9)
    return ReadableSpan(
        "avaload.run",
        context=run_context(run.run_id),
        resource=resource(run),
        attributes=attributes,
        kind=SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR) if outcome == "fail" else Status(StatusCode.UNSET),
        start_time=run.wall_ns,
        end_time=run.wall_ns + max(0, duration_ns),
        instrumentation_scope=InstrumentationScope("avaload", __version__, SCHEMA_URL),
    )


def of_ci(environ: Mapping[str, str]) -> Attributes:
    """What a CI server tells its jobs, by its conventional names; nothing elsewhere. No password of a URL."""
    found: Attributes = {}
    for name, variables in CI_SERVERS.items():
        if value := next((environ[variable] for variable in variables if environ.get(variable)), None):
            found[name] = _without_login(value) if name.endswith(".url.full") else value
    server, repository = (environ.get(f"GITHUB_{part}", "") for part in ("SERVER_URL", "REPOSITORY"))
    if server and repository:
        found |= {"vcs.repository.url.full": f"{server}/{repository}", "vcs.repository.name": repository.split("/")[-1]}
        found["cicd.pipeline.run.url.full"] = f"{server}/{repository}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}"
        kind, _, change = environ.get("GITHUB_REF", "").removeprefix("refs/").partition("/")
        if kind == "pull":
            found["vcs.change.id"] = change.partition("/")[0]
    return found


def _without_login(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def send(run_dir: Path, url: str, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the endpoint took it; False, too, where the run has no report yet."""
    started = next((event for event in journal.words(run_dir) if isinstance(event, RunStarted)), None)
    try:
        report = disk.read_object(run_dir / "report.json")
        if started is None:
            return False
        own = span(started, report, environ)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    with Sender(url, patient=False, stop=threading.Event()) as sender:
        sender.put([own])
        sender.close(2.0)
        return sender.sent == 1
