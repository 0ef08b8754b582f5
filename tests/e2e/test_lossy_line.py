"""A line that loses or holds up what the user says: the service hears two speeches where he said one, and no rule may
blame the target for it."""

import asyncio
import contextlib
import json
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.target import reaching
from tests.judging.broken_backends.proxy import Answer, Forward, Frame, Passing, Request, SocketHook, proxied
from tests.loadtest.twin.process import running_twin
from tests.support import Done, call

SCENARIO = (
    """
name = "lossy"
[load]
users = 2
duration = "1s"
ramp = "0s"
[realtime.audio.input.turn_detection]
silence_duration_ms = 200
[conversation]
think_min_s = 0.3
think_max_s = 0.5
"""
    + 4 * '[[conversation.turns]]\nkind = "say"\n'
)
HOLE_S, EVERY_S = 0.3, 1.3
"""The line is dead for so long each time; speeches last 1.5 s and more."""


@dataclass(frozen=True)
class Loss:
    """Of packets with sound: this share by chance, and all of those going up while the line is dead."""

    share: float = 0.15
    has_holes: bool = True
    both_ways: bool = False
    seed: int = 1


_CANDIDATE = re.compile(rb"(a=candidate:(?:\S+ ){4})(\S+) (\d+) ")


def dead() -> bool:
    return time.monotonic() % EVERY_S < HOLE_S


class Relay(asyncio.DatagramProtocol):
    """UDP between a user and the room at `room`, once that is known."""

    def __init__(self, loss: Loss) -> None:
        self.room: tuple[str, int] | None = None
        self._loss, self._user = loss, ("", 0)
        self._chance = random.Random(loss.seed)
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        up = address != self.room
        if self.room is None or not (up or any(self._user)):
            return  # one of both isn't known yet
        if up:
            self._user = address
        is_sound = 127 < data[0] < 192 and not 191 < data[1] < 224
        if is_sound and (up or self._loss.both_ways):
            is_in_a_hole = up and self._loss.has_holes and dead()
            if self._chance.random() < self._loss.share or is_in_a_hole:
                return
        self._transport.sendto(data, self.room if up else self._user)


class Stalling(Passing):
    """A WebSocket whose frames are held up, both ways, and come together afterwards."""

    async def up(self, frame: Frame) -> Sequence[Frame]:
        await self._wait()
        return (frame,)

    async def down(self, frame: Frame) -> Sequence[Frame]:
        await self._wait()
        return (frame,)

    async def _wait(self) -> None:
        while self.link.path.startswith("/rooms/") and dead():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def line(told: dict[str, Any], sockets: SocketHook, loss: Loss) -> AsyncIterator[dict[str, Any]]:
    """The twin behind that line."""
    loop, relays = asyncio.get_running_loop(), list[asyncio.DatagramTransport]()

    async def through_relay(request: Request, forward: Forward) -> Answer:
        if not request.path.endswith("/whip"):
            return await forward(request)
        transport, relay = await loop.create_datagram_endpoint(lambda: Relay(loss), local_addr=("127.0.0.1", 0))
        relays.append(transport)
        here = rb"\g<1>127.0.0.1 %d " % transport.get_extra_info("sockname")[1]
        # Each is told the relay's address for the other's: whoever knew the other's own could go round the relay.
        request.body = _CANDIDATE.sub(here, request.body)
        answer = await forward(request)
        if found := _CANDIDATE.search(answer.body):
            relay.room = (found[2].decode(), int(found[3]))
            answer.body = _CANDIDATE.sub(here, answer.body)
        return answer

    async with proxied(told, http=[through_relay], sockets=sockets) as shown:
        try:
            yield shown
        finally:
            for transport in relays:
                transport.close()


def run(
    cwd: Path, room: str, sockets: SocketHook, loss: Loss, *, scenario: str = SCENARIO
) -> tuple[Done, dict[str, Any], dict[str, Any]]:
    """What `avaload run` says, its report, and what the twin has to say of it."""
    (cwd / "s.toml").write_text(scenario)

    async def scene(twin: Any) -> Done:
        async with line(twin.announcement, sockets, loss) as shown:
            environ = reaching(twin) | {
                "AVALOAD_TARGET__OPENAI_BASE_URL": shown["openai_base_url"],
                "AVALOAD_TARGET__AVATURN_BASE_URL": shown["avaturn_base_url"],
                "AVALOAD_TARGET__ROOM": room,
            }
            return await asyncio.to_thread(
                call, "run", "s.toml", "--seed", loss.seed, cwd=cwd, environ=environ, within_s=90
            )

    with running_twin("--set", f"room={room}", "--set", "answer_s=1", "--set", "answer_after=fixed:1.2") as twin:
        done = asyncio.run(scene(twin))
        truth = twin.state()
    return done, json.loads((cwd / "run" / "report.json").read_text()), truth


@pytest.mark.parametrize(
    ("room", "both_ways"),
    [("webrtc", False), ("webrtc", True), ("websocket", False)],
    ids=["packets are lost on the way up", "packets are lost both ways", "frames are held up"],
)
def test_what_the_line_did_to_the_users_speech_is_blamed_on_nobody(room: str, both_ways: bool, tmp_path: Path) -> None:
    sockets = Stalling if room == "websocket" else Passing
    done, report, _ = run(tmp_path, room, sockets, Loss(both_ways=both_ways))
    rows = {row["id"]: row for row in report["rules"]}
    assert {rule: row["summary"] for rule, row in rows.items() if row["violations"]} == {}, done
    heard = report["turns"]["transcripts"]
    assert heard["user"] > report["turns"]["count"] >= 6  # the service did hear more speeches than there were
    assert (heard["turns_without_user"], heard["turns_without_avatar"]) == (0, 0)
    assert "not judged: the line lost or held up what was said" in rows["TR-1"]["summary"]
    assert "not judged: the line lost or held up what was said" in rows["TR-2"]["summary"]
