"""`avaload doctor --calibrate`: our own error, against a twin whose delays are known and whose stamps are true.

A short run of whole sessions with 20 ms injected per HTTP step, answers exactly 700 ms after the user's last voiced
frame, and barge-ins. Error = what the harness reports minus what the twin says happened (same host, same clock). The
figures are written to `runs/calibration.json` where that can be, and later runs carry them in their reports.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtest.commands.work.load_run import run
from loadtest.config.run_dir import CALIBRATION
from loadtest.config.settings import Settings
from loadtest.engine.health import quantile_ns
from loadtest.events.kinds import Event, Mark, Observed, Outcome, Step, StepFinished
from loadtest.http_client import loopback
from loadtest.journal import read_run
from loadtest.processes import companions
from loadtest.system import disk
from loadtest.system.lifeline import pipe

KNOWN_DELAYS = (
    *(f"latency.{point}=fixed:0.02" for point in ("mint", "create", "sdk_session", "delete")),
    "answer_after=fixed:0.7",
    "answer_s=4",
)
SAME_MOMENT_NS = 200_000_000
"""Stamps of both sides this close are of the same speech: far above any error, far below the shortest turn."""
USERS, DURATION_S = 10, 20
FIT = ("valid", "suspect")
"""Outcomes of the generator under which the figures mean something."""

SCENARIO: dict[str, Any] = {
    "name": "calibration",
    "target": {"room": "websocket"},
    "load": {"users": USERS, "ramp": 4, "duration": DURATION_S},
    "conversation": {"turns": [{"kind": "say"}, {"kind": "barge_in", "after_s": 1.0}]},
}

Errors = dict[str, list[int]]
"""Quantity → errors in ns, one per observation."""


def call_errors(events: Iterable[Event]) -> Errors:
    """Per HTTP step: the reported length minus what the target says it worked (`x-twin-handled-ns`)."""
    errors: Errors = {}
    for event in events:
        if isinstance(event, StepFinished) and event.outcome is Outcome.OK and event.server_ns is not None:
            errors.setdefault(event.step, []).append(event.t_ns - event.started_ns - event.server_ns)
    return errors


def turn_errors(events: Iterable[Event], truth: dict[str, Any]) -> tuple[Errors, int]:
    """Time to first audio and barge-in against the stamps of the twin's `state_url`, and how many of the reported ones
    the twin has no stamps for: an answer that ended by itself just as the user began to speak was not interrupted.

    The twin counts speeches and the harness turns, so they are matched by trace id and by when the user's speech ended,
    or began.
    """
    turns = {trace_id: each["turns"] for each in truth["sessions"] for trace_id in each["trace_ids"]}
    events = list(events)
    marks: dict[tuple[str, int | None, Mark], int] = {
        (event.session, event.turn, event.mark): event.t_ns
        for event in events
        if isinstance(event, Observed) and event.mark in (Mark.SPEECH_END, Mark.BARGE_IN)
    }
    errors: Errors = {"time to first audio": [], "barge-in": []}
    unmatched = 0
    for event in events:
        if not isinstance(event, StepFinished) or event.turn is None or event.step is not Step.TURN:
            continue
        for quantity, reported_ns, mark, since, until in (
            ("time to first audio", event.first_audio_ns, Mark.SPEECH_END, "last_voiced_ns", "first_audio_sent_ns"),
            # The twin books an interruption on the turn whose answer it cut short.
            ("barge-in", event.barge_in_ns, Mark.BARGE_IN, "barge_in_heard_ns", "silenced_ns"),
        ):
            if reported_ns is None:
                continue
            at_ns = marks.get((event.session, event.turn, mark))
            true_ns = None if at_ns is None else _span_ns(turns.get(event.session, ()), at_ns, since, until)
            if true_ns is None:
                unmatched += 1
            else:
                errors[quantity].append(reported_ns - true_ns)
    return errors, unmatched


def _span_ns(turns: Iterable[dict[str, int | None]], at_ns: int, since: str, until: str) -> int | None:
    """From the stamp `since` to the stamp `until` of the twin's turn in which the former was made at `at_ns`."""
    for turn in turns:
        began_ns, ended_ns = turn[since], turn[until]
        if began_ns is not None and ended_ns is not None and abs(began_ns - at_ns) < SAME_MOMENT_NS:
            return ended_ns - began_ns
    return None


def summary(errors: Errors) -> dict[str, dict[str, float]]:
    """Per quantity: observations, and quantiles of the error's size in ms."""
    return {
        quantity: {
            "count": len(of_quantity),
            "p50_ms": round(quantile_ns(sizes, 0.5) / 1e6, 3),
            "p99_ms": round(quantile_ns(sizes, 0.99) / 1e6, 3),
            "max_ms": round(max(sizes) / 1e6, 3),
        }
        for quantity, of_quantity in errors.items()
        if (sizes := [abs(error_ns) for error_ns in of_quantity])
    }


def calibrate(*, quiet: bool = False) -> dict[str, Any]:
    """Run it (half a minute), return the figures. Raises GeneratorError or ConfigError."""
    with contextlib.ExitStack() as stack:
        read_fd, _ = stack.enter_context(pipe())
        twin = stack.enter_context(companions.embedded_twin(read_fd, knobs=KNOWN_DELAYS))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        output = {"metrics_port": "off", "run_dir": folder / "run"}
        settings = Settings.model_validate(SCENARIO | {"output": output})
        settings = settings.with_endpoints(
            openai_base_url=twin["openai_base_url"], avaturn_base_url=twin["avaturn_base_url"]
        )
        keys = {"OPENAI_API_KEY": twin["openai_api_key"], "AVATURN_API_KEY": twin["avaturn_api_key"]}
        run_dir, report, _ = run(settings, quiet=quiet, environ=os.environ | keys)
        events = [event for file in read_run(run_dir) for event in file.events]
        of_turns, not_comparable = turn_errors(events, loopback.state(twin["state_url"]))
        errors = call_errors(events) | of_turns
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "users": USERS,
        "generator": report["generator"]["outcome"] if report else None,
        "errors": summary(errors),
        "not_comparable": not_comparable,
    }


def keep(result: dict[str, Any]) -> str | None:
    """Write CALIBRATION, which later runs read. Why not, where the figures say nothing or the directory takes none."""
    if result["generator"] not in FIT:
        return "this says nothing about a fit one"
    try:
        CALIBRATION.parent.mkdir(exist_ok=True)
        disk.replace(CALIBRATION, json.dumps(result, indent=1).encode() + b"\n")
    except OSError as error:
        return f"{CALIBRATION.parent}: {error.strerror}"
    return None
