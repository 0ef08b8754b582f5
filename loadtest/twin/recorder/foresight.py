"""What a replay has to know of a recording before it begins: what the model decided, and what follows on what."""

from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.twin.openai_side import faults
from loadtest.twin.openai_side.config.session_rules import MODELS, TRANSCRIBERS
from loadtest.twin.openai_side.surroundings import Decision
from loadtest.twin.recorder.contract import Line

_APPEND = "input_audio_buffer.append"
_COMMIT = "input_audio_buffer.commit"
_TOO_SMALL = "input_audio_buffer_commit_empty"
_ENDS_A_BUFFER = (_COMMIT, "input_audio_buffer.clear", "session.update")
_TURN_ENDS = ("input_audio_buffer.speech_stopped", "input_audio_buffer.timeout_triggered")
_DETECTED = ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped")
_GREETINGS = ("session.created", "room.joined")
_OF_THE_MODEL = ("missing_model", "invalid_model")
"""Complaints of who has passed with his key."""
_ENDS = ("completed", "cancelled", "incomplete", "failed")
_KINDS = {"message": "message", "function_call": "call"}


def scripts(lines: Sequence[Line]) -> dict[str, list[Decision]]:
    """What the model decided in each recorded response of each socket, by its number, for a twin to decide likewise:
    its items, and how it ended.

    Which of them it is is no matter of the wire. Items of another kind are left to the twin; so is the end of a
    response that was never told.
    """
    found: dict[str, list[_Recorded]] = {}
    latest: dict[Any, _Recorded] = {}
    named: dict[str, _Recorded] = {}
    for line in lines:
        shape = line.get("shape", {})
        if line.get("type") == "response.created":
            latest[line["socket"]] = named[str(_table(shape, "response").get("id"))] = _Recorded()
            found.setdefault(str(line["socket"]), []).append(latest[line["socket"]])
        elif line.get("socket") not in latest:
            continue
        elif line.get("type") == "response.output_item.added":
            of_response = named.setdefault(str(shape.get("response_id")), latest[line["socket"]])
            of_response.items.append(str(_table(shape, "item").get("type")))
        elif line.get("type") == "response.done":
            response = _table(shape, "response")
            named.get(str(response.get("id")), latest[line["socket"]]).end = response
    return {name: [each.decision() for each in responses] for name, responses in found.items()}


def heard(lines: Sequence[Line]) -> set[int]:
    """Which lines (by `id`) are sound of a client in which speech was detected, before it committed or cleared it, or
    changed its settings. All other sound is as good as silence."""
    found: set[int] = set()
    is_detected: dict[Any, bool] = {}
    for line in reversed(lines):
        kind, socket = line.get("type"), line.get("socket")
        if kind in _DETECTED:
            is_detected[socket] = True
        elif kind in _ENDS_A_BUFFER:
            is_detected[socket] = False
        elif kind == _APPEND and is_detected.get(socket):
            found.add(id(line))
    return found


def too_short(lines: Sequence[Line]) -> set[int]:
    """Which lines (by `id`) are sound of a client that was not enough for the commit which followed."""
    found: set[int] = set()
    appended: dict[Any, list[int]] = {}
    commits: dict[Any, list[list[int]]] = {}
    detected = set()
    for line in lines:
        kind, socket = line.get("type"), line.get("socket")
        if kind == _APPEND:
            appended.setdefault(socket, []).append(id(line))
        elif kind in _ENDS_A_BUFFER[:2]:
            sound = appended.pop(socket, [])
            if kind == _COMMIT:
                commits.setdefault(socket, []).append(sound)
        elif kind in _TURN_ENDS:
            detected.add(socket)
        elif kind == "input_audio_buffer.committed" and socket in detected:
            detected.remove(socket)
        elif kind == "input_audio_buffer.committed" or _error(line).get("code") == _TOO_SMALL:
            sound = commits[socket].pop(0) if commits.get(socket) else []
            found |= set(sound if kind == "error" else ())
    return found


def strange_models(lines: Sequence[Line]) -> list[str]:
    """The models of recorded sessions, as they are printed, that this twin doesn't have: what it refuses can't be
    compared."""
    found: list[str] = []
    for line in lines:
        told = line.get("shape") if line.get("from") == "service" else line.get("response")
        session = _table(told, "session") if isinstance(told, dict) else {}
        transcription = _table(_table(_table(session, "audio"), "input"), "transcription")
        for model, known in ((session.get("model"), MODELS), (transcription.get("model"), TRANSCRIBERS)):
            if model is not None and model not in known:
                found.append(model)
    return list(dict.fromkeys(map(repr, found)))


def accepted(lines: Sequence[Line]) -> set[tuple[str, str]]:
    """The keys that a service has accepted at least once, by service and name. A socket is opened first and refused
    in it: only its greeting shows that the key was a good one, or a complaint of something else."""
    answers = {line["exchange"]: line["status"] for line in lines if "exchange" in line and "status" in line}
    welcome = greeted(lines).keys() | {line["socket"] for line in lines if _error(line).get("code") in _OF_THE_MODEL}
    found = set()
    for line in lines:
        if "path" in line:
            is_good = (
                answers.get(line["exchange"]) not in (None, 401, 403)
                if "exchange" in line
                else line["socket"] in welcome
            )
            found |= {(line["service"], name) for name in line["credentials"].values() if is_good}
    return found


def greeted(lines: Sequence[Line]) -> dict[int, Line]:
    """The sockets that a service has let in, and with what greeting."""
    return {line["socket"]: line for line in lines if line.get("from") == "service" and line["type"] in _GREETINGS}


def _error(line: Line) -> Mapping[str, Any]:
    """What a service complains of in an event."""
    is_one = line.get("from") == "service" and line.get("type") == "error"
    return _table(line.get("shape", {}), "error") if is_one else {}


class _Recorded:
    """What a recording has of one response."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.end: Mapping[str, Any] = {}

    def decision(self) -> Decision:
        status = next((each for each in _ENDS if each == self.end.get("status")), None)
        is_known = _KINDS.keys() >= set(self.items) and (self.items or status is not None)
        return Decision(
            items=tuple(_KINDS[each] for each in self.items) if is_known else None,
            status=status,
            reason=_reason(status, _table(self.end, "status_details")),
        )


def _reason(status: str | None, details: Mapping[str, Any]) -> str | None:
    """The nearest that the twin knows."""
    if status == "incomplete":
        reason = details.get("reason")
        return reason if reason in faults.RESPONSE_CUTS else faults.RESPONSE_CUTS[0]
    if status == "failed":
        code = _table(details, "error").get("code")
        return code if code in faults.RESPONSE_FAILURES else faults.RESPONSE_FAILURES[0]
    return None


def _table(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A member that is an object, else an empty one."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}
