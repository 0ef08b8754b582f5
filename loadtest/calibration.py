"""`avaload doctor --calibrate`: our own error, against a twin whose delays are known and whose stamps are true.

A short run of whole sessions with 20 ms injected per HTTP step, answers exactly 700 ms after the user's last voiced
frame, and barge-ins. Error = what the harness reports minus what the twin says happened (same host, same clock). The
figures are written to `runs/calibration.json`, and later runs carry them in their reports.
"""

import contextlib
import json
import os
import tempfile
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtest import supervisor
from loadtest.events import Event, Outcome, Step, StepFinished
from loadtest.health import quantile_ns
from loadtest.journal import read_run
from loadtest.run import CALIBRATION, run
from loadtest.settings import Settings

KNOWN_DELAYS = (
    *(f"--set=latency.{point}=fixed:0.02" for point in ("mint", "create", "sdk_session", "delete")),
    "--set=answer_after=fixed:0.7",
    "--set=answer_s=4",
)
STATE_TIMEOUT_S = 10.0
USERS, DURATION_S = 10, 20

SCENARIO: dict[str, Any] = {
    "name": "calibration",
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


def turn_errors(events: Iterable[Event], truth: dict[str, Any]) -> Errors:
    """Time to first audio and barge-in against the stamps of the twin's `state_url`, matched by trace id and turn."""
    turns = {
        (trace_id, number): turn
        for session in truth["sessions"]
        for trace_id in session["trace_ids"]
        for number, turn in enumerate(session["turns"])
    }
    errors: Errors = {"time to first audio": [], "barge-in": []}
    for event in events:
        if not isinstance(event, StepFinished) or event.turn is None or event.step is not Step.TURN:
            continue
        if event.first_audio_ns is not None and (turn := turns.get((event.session, event.turn))) is not None:
            answered_ns = turn["first_audio_sent_ns"] - turn["last_voiced_ns"]
            errors["time to first audio"].append(event.first_audio_ns - answered_ns)
        # The twin books an interruption on the turn whose answer it cut short.
        interrupted = turns.get((event.session, event.turn - 1))
        if event.barge_in_ns is not None and interrupted is not None:
            errors["barge-in"].append(
                event.barge_in_ns - (interrupted["silenced_ns"] - interrupted["barge_in_heard_ns"])
            )
    return errors


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


def truth_of(state_url: str) -> dict[str, Any]:
    """The twin's own account. Raises OSError."""
    with urllib.request.urlopen(state_url, timeout=STATE_TIMEOUT_S) as answer:  # noqa: S310  # the twin's
        state: dict[str, Any] = json.load(answer)
    return state


def calibrate() -> dict[str, Any]:
    """Run it (half a minute), write CALIBRATION, return what was written. Raises GeneratorError or ConfigError."""
    with contextlib.ExitStack() as stack:
        read_fd, _ = stack.enter_context(supervisor.lifeline())
        twin = stack.enter_context(supervisor.embedded_twin(read_fd, arguments=KNOWN_DELAYS))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        output = {"metrics_port": "off", "run_dir": folder / "run"}
        settings = Settings.model_validate(SCENARIO | {"output": output})
        settings = settings.with_endpoints(
            openai_base_url=twin["openai_base_url"], avaturn_base_url=twin["avaturn_base_url"]
        )
        keys = {"OPENAI_API_KEY": twin["openai_api_key"], "AVATURN_API_KEY": twin["avaturn_api_key"]}
        run_dir, report, _ = run(settings, environ=os.environ | keys)
        events = [event for file in read_run(run_dir) for event in file.events]
        errors = call_errors(events) | turn_errors(events, truth_of(twin["state_url"]))
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "users": USERS,
        "generator": report["generator"]["outcome"] if report else None,
        "errors": summary(errors),
    }
    CALIBRATION.parent.mkdir(exist_ok=True)
    CALIBRATION.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result
