"""How the twin behaves where the real services are slow, faulty or unknown: a frozen profile, and the seeded chance."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.twin.knobs.avaturn import AvaturnKnobs
from loadtest.twin.knobs.openai import OpenAIKnobs
from loadtest.twin.knobs.values import Duration, Fault, Freeze, duration, freeze_at, integer, knob, number, one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(OpenAIKnobs, AvaturnKnobs):
    """Every knob of `--set`; the defaults are the honest and instant twin."""

    latency: Mapping[str, Duration] = field(default_factory=dict)
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    mutants: frozenset[str] = frozenset()

    # --- both services
    answer_s: float = knob("answer_s", 2.0, number(0.02, 600), "S", "length of every spoken answer")
    dead_air: Duration | None = knob(  # noqa: RUF009  # a field specifier
        "dead_air",
        None,
        duration,
        "DURATION",
        "silence in the middle of each answer, announced as speech",
    )
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

    def dead_air_s(self) -> float:
        """The silence in the middle of this answer, in seconds."""
        length = self._profile.dead_air
        return 0.0 if length is None else length.draw(self._stream("dead_air"))

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
