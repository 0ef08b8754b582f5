"""`log.jsonl` of a run: what went wrong, a JSON line each, with the ids of the traces. For people with `tail -f` and
for log collectors; fields as in OpenTelemetry's model of a log record. The journal has everything; this is short.
"""

import fcntl
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadtest.events.kinds import (
    Event,
    Failure,
    GeneratorFailed,
    HealthSampled,
    Outcome,
    Remains,
    RuleChecked,
    RuleOutcome,
    RunFinished,
    RunStarted,
    SessionFinished,
    StepFinished,
)
from loadtest.secrecy.redact import redact
from loadtest.system import clock, disk
from loadtest.text.outlets import json_text

FILE: Final = "log.jsonl"


class Log:
    """`add` is a `Sink`. Several processes may write into one file: each line is one `write(2)` at its end."""

    def __init__(self, run_dir: Path) -> None:
        self._fd = disk.open_append(run_dir / FILE)
        self._offset_ns = clock.wall_ns() - clock.now_ns()
        self._run: dict[str, Any] = {}

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def add(self, event: Event) -> None:
        """A line, if it is worth one. Raises OSError (a full disk)."""
        say = _SAYS.get(type(event))
        if say is None:
            return
        if isinstance(event, RunStarted | HealthSampled):
            self._offset_ns = event.wall_ns - event.t_ns
        if isinstance(event, RunStarted):
            self._run = {"avaload.run.id": event.run_id, "avaload.worker": event.process, "host.name": event.host}
        if (said := say(event)) is None or self._fd < 0:
            return
        severity, body, more = said
        at = datetime.fromtimestamp((event.t_ns + self._offset_ns) / 1e9, UTC)
        line: dict[str, Any] = {"timestamp": at.isoformat(timespec="microseconds"), "severity": severity, "body": body}
        for name in ("trace_id", "span_id"):
            if (found := more.pop(name, None)) is not None:
                line[name] = found
        line["attributes"] = {**self._run, **{name: value for name, value in more.items() if value not in (None, "")}}
        fcntl.flock(
            self._fd, fcntl.LOCK_EX
        )  # a line that has no room is taken back: nobody may have added one meanwhile
        try:
            disk.append(self._fd, json_text(line).encode() + b"\n")
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)


Said = tuple[str, str, dict[str, Any]]
"""Severity, text, and the rest."""


def _step(event: StepFinished) -> Said | None:
    if event.outcome is not Outcome.FAILED:
        return None
    more = {"avaload.step": event.step, "avaload.attempt": event.attempt, "avaload.turn.index": event.turn}
    more |= {"trace_id": event.session, "span_id": event.span_id, "http.response.status_code": event.http_status}
    return "ERROR", f"{event.step} failed", more | _failure(event.failure) | {"avaload.purpose": event.purpose}


def _session(event: SessionFinished) -> Said | None:
    left = event.remains is not Remains.NOTHING
    if event.outcome is not Outcome.FAILED and not left:
        return None
    more = {"trace_id": event.session, "avaload.scenario": event.scenario, "avaload.remains": event.remains}
    body = f"session {event.outcome}" + (f", {event.remains}" if left else "")
    return "ERROR", body, more | _failure(event.failure) | {"avaload.purpose": event.purpose}


def _rule(event: RuleChecked) -> Said | None:
    if event.outcome is not RuleOutcome.FAIL:
        return None
    more = {"trace_id": event.session, "avaload.rule": event.rule, "detail": redact(event.detail)}
    return "ERROR", f"rule {event.rule} broken", more


def _fault(event: GeneratorFailed) -> Said:
    return "ERROR", f"generator: {event.fault}", {"error.type": event.fault, "detail": redact(event.detail)}


_SAYS: Final[dict[type, Callable[[Any], Said | None]]] = {
    StepFinished: _step,
    SessionFinished: _session,
    RuleChecked: _rule,
    GeneratorFailed: _fault,
    RunStarted: lambda event: ("INFO", f"{event.role} started", {"process.pid": event.pid}),
    RunFinished: lambda event: ("INFO", f"finished: {event.reason}", {}),
    HealthSampled: lambda _: None,  # for its clocks
}


def _failure(failure: Failure | None) -> dict[str, Any]:
    if failure is None:
        return {}
    return {"error.type": failure.code, "avaload.error.kind": failure.kind, "detail": redact(failure.detail)}
