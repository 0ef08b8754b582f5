"""Before the first session: run the real lifecycle against a toy target inside the engine, so that lazy imports, caches
and first calls (139 ms for the first audio frame) don't end up in somebody's latency.

The toy knows no rule of the services: it answers just enough for every line of the client side to have run once.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import picows

from loadtest.caller.pacing import Ticker
from loadtest.config.clips.microphone import Microphone
from loadtest.config.keys.caller import CLEAN
from loadtest.config.keys.scenario import Conversation, Pause
from loadtest.errors.exceptions import GeneratorError
from loadtest.errors.kinds import Kind
from loadtest.rooms.app_messages import ROOM_JOINED
from loadtest.rooms.opening import open_room
from loadtest.services.control import Control
from loadtest.session.hearing.ear import Ear
from loadtest.session.lifecycle import Lifecycle, Surroundings
from loadtest.session.ticket import Ticket
from loadtest.sound.speech import FRAME_BYTES, SILENCE
from loadtest.system.clock import now_ns

SESSIONS = 4
WARM_UP_LIMIT_S = 20.0
_LOUD = b"\x00\x20" * (FRAME_BYTES // 2)


async def warm_up(around: Surroundings, keys: Mapping[str, str], ticker: Ticker) -> None:
    """Returns when SESSIONS toy sessions went through all steps. Raises whatever broke, a GeneratorError where it was a
    limit of this machine: the engine can't work then."""
    rooms = await picows.ws_create_server(lambda _request: _ToyRoom(), "127.0.0.1", 0)
    room_port = rooms.sockets[0].getsockname()[1]
    toy = await asyncio.start_server(lambda r, w: _answer(r, w, room_port), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{toy.sockets[0].getsockname()[1]}"
    room = "none" if around.settings.target.room == "none" else "websocket"  # the only kind that the toy has
    settings = around.settings.with_endpoints(openai_base_url=url + "/v1", avaturn_base_url=url)
    settings = settings.model_copy(
        update={
            "caller": CLEAN,
            "conversation": Conversation(turns=(Pause(for_s=0.1),)),
            "mix": (),
            "target": settings.target.model_copy(update={"proxy": None, "room": room, "backend": None}),
        }
    )
    failures: list[Any] = []
    ear = Ear(on_onset=lambda _t: None, on_offset=lambda _t: None)
    for _ in range(3):
        ear.hear(now_ns(), _LOUD)
    try:
        async with asyncio.timeout(WARM_UP_LIMIT_S), Control(settings, keys, connections=8) as control:
            toy_world = replace(
                around,
                settings=settings,
                scenarios=settings.scenarios,
                microphones={settings.name: Microphone(clips={}, between=(SILENCE,))},
                control=control,
                open_room=lambda grant, listener, between, situation=None: open_room(
                    grant, listener, between, ticker, settings, control.trust_for(grant.room_url), situation
                ),
                keep_audio=None,
                emit=lambda event: failures.append(event) if getattr(event, "failure", None) else None,
            )
            for number in range(SESSIONS):
                await Lifecycle(toy_world, Ticket(number=number, user=0, iteration=0, due_ns=0)).run()
    finally:
        toy.close()
        rooms.close()
    if failures and (failed := failures[0].failure).kind is Kind.OWN_LIMIT:
        raise GeneratorError(f"{failed.detail}, before the first session")
    if failures:
        raise RuntimeError(f"warm-up failed: {failures[0].failure}")


_JOINED = json.dumps({"type": ROOM_JOINED}).encode()


class _ToyRoom(picows.WSListener):
    def on_ws_connected(self, transport: Any) -> None:
        transport.send(picows.WSMsgType.TEXT, _JOINED)
        transport.send(picows.WSMsgType.BINARY, bytes(FRAME_BYTES))

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, room_port: int) -> None:
    """HTTP/1.1 with keep-alive for the five calls; a deleted session's look is a 404."""
    deleted = False
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            verb, path = head.split(b" ", 2)[:2]
            length = next((int(v) for k, _, v in _headers(head) if k == b"content-length"), 0)
            if length:
                await reader.readexactly(length)
            body: dict[str, Any] = {}
            if path.endswith(b"/client_secrets"):
                body = {"value": "ek_toy", "expires_at": 1, "session": {"type": "realtime"}}
            elif verb == b"POST":
                body, deleted = {"session_id": "toy", "token": "toy"}, False
            elif verb == b"DELETE":
                deleted = True
            else:
                body = {"room_url": f"ws://127.0.0.1:{room_port}/", "limited_access_token": "toy"}
            status = b"404 Not Found" if verb == b"GET" and deleted else b"200 OK"
            text = json.dumps(body).encode()
            writer.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (status, len(text), text)
            )
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _headers(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [line.lower().partition(b":") for line in head.split(b"\r\n")[1:]]
