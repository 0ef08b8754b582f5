"""How the twin behaves where the real services are slow, faulty or unknown: one frozen profile, and the seeded chance.

A knob is one row here: a point of `LATENCY_POINTS` or `FAULT_POINTS`, or a field of `Profile`. Its reader, its refusal
and its line of `--help` follow from the row.
"""

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.twin.knobs.avaturn import LIFECYCLE_CODES, AvaturnKnobs
from loadtest.twin.knobs.openai import OpenAIKnobs
from loadtest.twin.knobs.values import (
    Duration,
    Fault,
    Freeze,
    Knob,
    duration,
    faults,
    freeze_at,
    integer,
    knob,
    number,
    one_of,
)
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
    "transcription": (("failed",), "failed", "the user's speech is not transcribed"),
}


def _mutant(text: str) -> str:
    # Mutants are made of the very parts that import this module.
    from loadtest.twin.mutants import MUTANTS

    if text not in MUTANTS:
        raise ValueError("unknown; TWIN.md lists them")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(OpenAIKnobs, AvaturnKnobs):
    """Every knob of `--set`; the defaults are the honest and instant twin."""

    latency: Mapping[str, Duration] = field(default_factory=dict)
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    mutants: frozenset[str] = frozenset()

    # --- both services
    answer_s: float = knob("answer_s", 2.0, number(0.02, 600), "S", "length of every spoken answer")
    answer_after: Duration | None = knob(  # noqa: RUF009  # a field specifier
        "answer_after", None, duration, "DURATION", "from the last voiced frame heard to the first audible one sent"
    )
    freeze: Freeze | None = knob(  # noqa: RUF009  # a field specifier
        "freeze", None, freeze_at, "AT,FOR", "stand still, AT seconds after the start, for FOR seconds"
    )
    max_sessions: int | None = knob(
        "limit.sessions", None, integer(0, 10**9), "N", "Avaturn sessions alive at once; one more gets quota_status"
    )
    slots: int | None = knob(
        "limit.slots", None, integer(1, 10**6), "K", "Avaturn calls served at once; the others queue, in order"
    )
    upstream: str = knob(
        "upstream",
        "socket",
        one_of("socket", "inline"),
        "socket|inline",
        "Avaturn's way to OpenAI: a WebSocket, or memory",
    )

    # --- Avaturn
    cold_start: float = knob(
        "cold_start", 0.0, number(0, 1), "SHARE", "sessions that start in latency.cold_start instead of stream_start"
    )


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


class Chance:
    """Draws latencies and faults. Each point has its own stream, so that one point's use never shifts another's."""

    def __init__(self, profile: Profile, *, seed: int) -> None:
        self._profile = profile
        self._seed = seed
        self._streams: dict[str, random.Random] = {}

    def latency_s(self, point: str) -> float:
        """How long this point takes this time, in seconds."""
        if point == "stream_start" and self.happens("cold_start", self._profile.cold_start):
            point = "cold_start"
        length = self._profile.latency.get(point)
        return 0.0 if length is None else length.draw(self._stream(point))

    def answer_after_s(self) -> float | None:
        """The whole pause before this answer, in seconds; None: not set."""
        length = self._profile.answer_after
        return None if length is None else length.draw(self._stream("answer_after"))

    def close_after_s(self) -> float:
        """How long the socket of an unlucky OpenAI session lives, in seconds."""
        return self._profile.close_after.draw(self._stream("close_after"))

    def happens(self, what: str, share: float) -> bool:
        """Whether something that befalls a share (0 to 1) of the cases befalls this one."""
        return share > 0 and self._stream(f"share.{what}").random() < share

    def mishap(self, point: str) -> str | None:
        """The name of the fault that strikes this time, if one does."""
        possible = self._profile.faults.get(point)
        if possible is None:
            return None
        drawn = self._stream(f"fault.{point}").random()
        for fault in possible:
            drawn -= fault.share
            if drawn < 0:
                return fault.name
        return None

    def fault(self, point: str) -> int | None:
        """The same at a point whose faults are HTTP statuses."""
        name = self.mishap(point)
        return None if name is None else int(name)

    def _stream(self, name: str) -> random.Random:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = random.Random(f"{self._seed}:{name}")
        return stream
