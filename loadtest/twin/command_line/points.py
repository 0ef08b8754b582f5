"""Every knob by its key: the points of latencies and faults, the fields of a profile, the mutants.

A knob is one row here: a point of `LATENCY_POINTS` or `FAULT_POINTS`, or a field of `Profile`. Its reader, its refusal
and its line of `--help` follow from the row.
"""

import dataclasses

from loadtest.twin.knobs.avaturn import ANSWER_FAULTS, LIFECYCLE_CODES
from loadtest.twin.knobs.profiles import Profile
from loadtest.twin.knobs.values import Knob, duration, faults
from loadtest.twin.mutants import MUTANTS
from loadtest.twin.openai_side.faults import REFUSALS, RESPONSE_CUTS, RESPONSE_FAILURES, SOCKET_ERRORS

LATENCY_POINTS = {
    "mint": "answering a mint",
    "create": "answering an Avaturn create",
    "sdk_session": "answering GET /_sdk/v0/sessions",
    "delete": "answering a DELETE",
    "tasks": "answering a text task",
    "join": "from the room's socket to room.joined",
    "stream_start": "from the ready engine to the first avatar frame",
    "cold_start": "the same for the share `cold_start` of the sessions",
    "session_created": "from the OpenAI socket to session.created",
    "first_delta": "from response.created to the first delta",
    "render": "from OpenAI's sound to the same sound in the room",
    "transcription": "from the commit to the user's transcript",
}
FAULT_POINTS: dict[str, tuple[tuple[str, ...], bool | str, str]] = {
    "mint": (REFUSALS, True, "a mint is refused with a status or a code"),
    "create": ((), True, "a create is refused"),
    "sdk_session": ((), True, "GET /_sdk/v0/sessions is refused"),
    "delete": ((), True, "a DELETE is refused, and the session lives on"),
    "tasks": ((), True, "a text task is refused"),
    "join": ((), True, "a user's connection to the room is refused"),
    "stream_start": (
        LIFECYCLE_CODES,
        "internal_error",
        "a session doesn't start, and its room is told this code; a status: internal_error",
    ),
    "sdk_session_after_delete": ((), True, "GET /_sdk/v0/sessions of an ended session answers so"),
    "realtime_open": (REFUSALS, True, "an OpenAI socket is refused: a status on the upgrade, or a code inside it"),
    "session_created": (REFUSALS, True, "an OpenAI socket opens, and is refused in place of session.created"),
    "session_update": (("1000", "1001", "1006", "1011"), False, "an OpenAI socket is closed after session.update"),
    "realtime": (SOCKET_ERRORS, False, "an `error` event during a response; the fatal ones close the socket"),
    "realtime_close": (
        ("1000", "1001", "1006", "1011", "1012", "1013"),
        False,
        "an OpenAI socket is closed in mid-conversation; 1006: without a close frame",
    ),
    "first_delta": (RESPONSE_FAILURES, "server_error", "a response fails before its first delta"),
    "response": ((*RESPONSE_FAILURES, *RESPONSE_CUTS), False, "a response ends failed or incomplete"),
    "answer": (
        ANSWER_FAULTS,
        False,
        "an answer's sound ends after a third, comes twice, is silent or clipped, or is heard by its own microphone",
    ),
    "unasked": (("answer",), False, "the model answers once more after an answer, though nobody has spoken"),
    "transcription": (("failed",), "failed", "the user's speech is not transcribed"),
}


def _mutant(text: str) -> str:
    if text not in MUTANTS:
        raise ValueError("unknown; TWIN.md lists them")
    return text


FIELDS: dict[str, str] = {
    each.metadata["knob"].key: each.name for each in dataclasses.fields(Profile) if "knob" in each.metadata
}
"""Field of `Profile` by key."""

TABLES = {"latency": "latency", "fault": "faults"}
"""Groups of knobs that share a field: `latency.mint` is `latency["mint"]`."""

KNOBS: dict[str, Knob] = {
    **{f"latency.{at}": Knob(f"latency.{at}", duration, "DURATION", text) for at, text in LATENCY_POINTS.items()},
    **{
        f"fault.{at}": Knob(f"fault.{at}", faults(names, statuses=statuses), "FAULTS", text)
        for at, (names, statuses, text) in FAULT_POINTS.items()
    },
    **{
        each.metadata["knob"].key: each.metadata["knob"]
        for each in dataclasses.fields(Profile)
        if "knob" in each.metadata
    },
    "mutant": Knob("mutant", _mutant, "NAME", "a way of being wrong, repeatable; TWIN.md lists them"),
}
"""By key, in the order of `--help`."""
