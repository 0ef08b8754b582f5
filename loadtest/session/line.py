"""What the line between a caller and his room does to what it carries: when a packet arrives, or that it never does.

A model of chance and numbers alone; `caller` puts packets into it and takes them out. All that it did is counted
here, so that nobody blames the target for it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from loadtest.config.keys import caller
from loadtest.events.kinds import Mark, Way
from loadtest.rules.life import HOLE_NS
from loadtest.session.playout import Playout
from loadtest.sound.speech import FRAME_NS

_LOOK_AHEAD: Final = 250
"""Packets that are drawn at once."""
HEADERS_BYTES: Final = 50
"""Of IP, UDP and SRTP, or TCP and WebSocket, about."""
QUEUE_NS: Final = 500_000_000
"""What would wait for longer before a narrow line is given up by whoever sends it: nobody wants to hear it any more."""
_AGAIN: Final = 1.25
"""Round trips from the first packet that arrives after a lost one to the lost one's second copy (RFC 8985, RACK)."""
_WATCHED_NS: Final = 1_000_000_000
"""So long after the user has ended, a service listens for more at most before it answers."""
_WANDERS: Final = 0.9
"""Of its deviation, the delay keeps so much from packet to packet: queues fill and empty within some 200 ms."""


class Speech:
    """What became of the user's last speech on the line. `sent`, `arrived`: frames of it, from the first voiced one to
    the last."""

    def __init__(self) -> None:
        self.sent = self.arrived = 0
        self._is_sending = self._is_arriving = False
        self._lost_in_a_row = 0
        self._watches: dict[Mark, _Watch] = {}

    @property
    def is_swallowed(self) -> bool:
        """Half of what was said so far has not arrived, or more: nobody may have heard that somebody speaks."""
        return 0 < self.sent >= 2 * self.arrived

    def is_bent(self, since: Mark, by_ns: int) -> bool:
        """Whether the line had moved what came after the speech's first or last frame against that frame by HOLE_NS or
        more: until `by_ns`, and for _WATCHED_NS. Then a time from there on has the line in it."""
        watch = self._watches.get(since)
        return watch is not None and watch.bent_ns is not None and watch.bent_ns <= by_ns

    def sends(self, marks: tuple[Mark, ...]) -> None:
        """A frame of the microphone set out."""
        if Mark.SPEECH_START in marks:
            self.sent = self.arrived = 0
            self._is_sending = True
        self.sent += self._is_sending
        self._is_sending = self._is_sending and Mark.SPEECH_END not in marks

    def arrives(self, t_ns: int, took_ns: int, marks: tuple[Mark, ...], *, is_lost: bool) -> None:
        """A frame arrived at `t_ns`, or would have, so long after it was sent."""
        if Mark.SPEECH_START in marks:
            self._is_arriving = True
            self._watches = {Mark.SPEECH_START: _Watch(t_ns, took_ns, 0)}
        if Mark.SPEECH_END in marks:  # what was lost just before it is an earlier end
            self._watches[Mark.SPEECH_END] = _Watch(t_ns, took_ns, self._lost_in_a_row)
        self._lost_in_a_row = self._lost_in_a_row + 1 if is_lost else 0
        self.arrived += self._is_arriving and not is_lost
        self._is_arriving = self._is_arriving and Mark.SPEECH_END not in marks
        for watch in self._watches.values():
            watch.see(t_ns, took_ns, is_lost=is_lost)


@dataclass(slots=True)
class _Watch:
    """Over what comes after a frame that arrived at `t_ns`."""

    t_ns: int
    took_ns: int
    lost: int
    bent_ns: int | None = None

    def see(self, t_ns: int, took_ns: int, *, is_lost: bool) -> None:
        if self.bent_ns is not None or t_ns - self.t_ns > _WATCHED_NS:
            return
        self.lost += is_lost
        moved_ns = self.lost * FRAME_NS if is_lost else abs(took_ns - self.took_ns)
        if moved_ns >= HOLE_NS:
            self.bent_ns = t_ns


class Direction:
    """One way. `sent_ns`: when the oldest was sent of what is still on it; None: nothing is. `heard`: what a player
    would have made of the sound that came out of it; `speech`: what became of what the user said last."""

    def __init__(self, way: Way, line: caller.Line, chance: random.Random, *, round_trip_ns: int) -> None:
        self.way = way
        self._chance, self._round_trip_ns = chance, round_trip_ns
        self._delay_ns = round(line.delay_s * 1e9)
        self.sent_ns: int | None = None
        self._jitter_ns, self._wander = line.jitter_s * 1e9, 0.0
        self._losses = _losses(line.loss, line.burst, chance) if line.loss else None
        self._ahead: list[bool] = []
        self._byte_ns = 0.0 if line.bandwidth_kbps is None else 8e6 / line.bandwidth_kbps
        self._free_ns = self._last_ns = 0
        self._stall_ns, self._stall_every_ns = round(line.stall_s * 1e9), round(line.stall_every_s * 1e9)
        self._stalls_from_ns: int | None = None
        self.heard, self.speech = Playout(), Speech()
        self.packets = self.lost = self.held = self.delay_ns = self.delay_max_ns = 0

    def carry(self, t_ns: int, size: int, *, sends_again: bool, may_be_lost: bool = True) -> tuple[int, bool]:
        """When a packet of so many bytes that is sent at `t_ns` arrives, and whether it does: what is lost would have
        arrived then. `sends_again`: as TCP does."""
        start_ns = self._after_stall(t_ns) if self._stall_ns else t_ns
        is_lost = False
        if self._byte_ns:
            start_ns = max(start_ns, self._free_ns)
            is_lost = may_be_lost and start_ns - t_ns > QUEUE_NS
            if not is_lost:
                self._free_ns = start_ns = start_ns + round((size + HEADERS_BYTES) * self._byte_ns)
        due_ns = start_ns + self._delay_ns
        if self._jitter_ns:
            due_ns += self._wandered_ns()
        if may_be_lost:
            self.packets += 1
            if self._losses is not None and (in_a_row := self._lost_from_here()):
                if sends_again:
                    due_ns += round(in_a_row * FRAME_NS + _AGAIN * self._round_trip_ns)
                    self.held += 1
                else:
                    is_lost = True
        due_ns = self._last_ns = max(due_ns, self._last_ns)
        if is_lost:
            self.lost += 1
        elif may_be_lost:
            self.delay_ns += due_ns - t_ns
            self.delay_max_ns = max(self.delay_max_ns, due_ns - t_ns)
        return due_ns, is_lost

    def _after_stall(self, t_ns: int) -> int:
        if self._stalls_from_ns is None:
            self._stalls_from_ns = t_ns - round(self._chance.random() * self._stall_every_ns)
        into_ns = (t_ns - self._stalls_from_ns) % self._stall_every_ns
        left_ns = into_ns + self._stall_ns - self._stall_every_ns
        return t_ns if left_ns < 0 else t_ns + self._stall_every_ns - into_ns

    def _wandered_ns(self) -> int:
        """Two standard deviations are the jitter, and the most that there is."""
        self._wander = _WANDERS * self._wander + (1 - _WANDERS**2) ** 0.5 * self._chance.gauss(0.0, 0.5)
        return round(max(-1.0, min(1.0, self._wander)) * self._jitter_ns)

    def _lost_from_here(self) -> int:
        """How many packets in a row are lost, this one the first; 0: it arrives."""
        assert self._losses is not None
        if not self._ahead:
            self._ahead = list(islice(self._losses, _LOOK_AHEAD))[::-1]
        if not self._ahead.pop():
            return 0
        return 1 + next((run for run, is_lost in enumerate(reversed(self._ahead)) if not is_lost), len(self._ahead))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a line had done by a moment."""

    packets: tuple[int, int]
    delay_ns: tuple[int, int]


class CallersLine:
    """Both ways of one session's line."""

    def __init__(self, given: caller.Caller, chance: random.Random) -> None:
        round_trip_ns = round((given.up.delay_s + given.down.delay_s) * 1e9)
        # A chance for each way: how much is sent one way changes nothing for the other.
        self.up = Direction(Way.UP, given.up, random.Random(chance.random()), round_trip_ns=round_trip_ns)
        self.down = Direction(Way.DOWN, given.down, random.Random(chance.random()), round_trip_ns=round_trip_ns)

    def seen(self) -> Seen:
        """By now."""
        ways = (self.up, self.down)
        arrived = tuple(way.packets - way.lost for way in ways)
        return Seen((arrived[0], arrived[1]), (self.up.delay_ns, self.down.delay_ns))

    def added_ns(self, since: Seen) -> int:
        """What both ways together have added since then to a question and its answer: each way's mean."""
        by_now = self.seen()
        return sum(
            (delay_ns - before_ns) // (packets - before)
            for packets, before, delay_ns, before_ns in zip(
                by_now.packets, since.packets, by_now.delay_ns, since.delay_ns, strict=True
            )
            if packets > before
        )


def _losses(share: float, burst: float, chance: random.Random) -> Iterator[bool]:
    """Packet by packet whether it is lost: runs whose lengths are drawn, each at a place that is drawn within as many
    packets as make it the share. So the share is right within a run's length, however short the session; by pure chance
    a minute of 2 % would have between 1.5 and 2.5."""
    owed = 0.0
    while True:
        lost = 1
        while chance.random() > 1 / burst:
            lost += 1
        owed += lost / share
        cell = max(int(owed), lost)
        owed -= cell
        before = chance.randint(0, cell - lost)
        yield from [False] * before + [True] * lost + [False] * (cell - lost - before)
