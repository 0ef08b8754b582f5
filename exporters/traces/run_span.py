"""A run as a span of its own, once its verdict is known: a test suite's, with the pipeline and the revision that it ran
for. The spans of its sessions link to it."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, Status, StatusCode

from exporters.traces.conventions import Attributes
from exporters.traces.otlp import Sender
from exporters.traces.spans import resource, run_context, scope
from loadtest import journal
from loadtest.config.run_dir import Written, read_or_nothing
from loadtest.events.kinds import RunStarted
from loadtest.system import disk

_STATUS: Final = {"pass": "success", "fail": "failure", "invalid": "aborted"}
"""Of a run's verdict. An invalid one says nothing of the target."""


def span(run: RunStarted, report: Mapping[str, Any], written: Written) -> ReadableSpan:
    """`report`: report.json's. Raises KeyError, TypeError or ValueError where it isn't one."""
    outcome = str(report["verdict"]["outcome"])
    attributes: Attributes = {
        **written.pipeline,
        "avaload.run.id": run.run_id,
        "avaload.scenario": run.scenario,
        "avaload.verdict": outcome,
        "test.suite.name": run.scenario,
        "test.suite.run.status": _STATUS[outcome],
    }
    duration_ns = round(float(report["duration_s"]) * 1e9)
    return ReadableSpan(
        "avaload.run",
        context=run_context(run.run_id, written.started_at),
        resource=resource(run, version=written.version, started_at=written.started_at),
        attributes=attributes,
        kind=SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR) if outcome == "fail" else Status(StatusCode.UNSET),
        start_time=run.wall_ns,
        end_time=run.wall_ns + max(0, duration_ns),
        instrumentation_scope=scope(written.version),
    )


def beginning(run_dir: Path) -> RunStarted | None:
    """The run's, by its master's clock, or by that of the first process: clocks of several hosts don't compare. Of each
    journal the first lines are read; a long run has gigabytes of them."""
    try:
        files = journal.journals(run_dir)
        found = [started for path in files if (started := journal.beginning(path)) is not None]
    except journal.JournalError:
        return None
    return min(found, key=lambda each: (each.role == "sweep", each.role != "master", each.wall_ns), default=None)


def send(run_dir: Path, url: str) -> bool | None:
    """Whether the endpoint took it; None where there is none, since the run has no report yet."""
    started = beginning(run_dir)
    try:
        report = disk.read_object(run_dir / "report.json")
        if started is None:
            return None
        own = span(started, report, read_or_nothing(run_dir))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with Sender(url, patient=False, stop=threading.Event()) as sender:
        sender.put([own])
        sender.close(2.0)
        return sender.sent == 1
