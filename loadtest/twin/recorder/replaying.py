"""`avaload twin --replay-diff`: do to a twin what a recording's client did, and compare what is recorded of that."""

import asyncio
import base64
import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

from aiohttp import (
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    WSMsgType,
    WSServerHandshakeError,
)

from loadtest.twin.openai_side.surroundings import SCRIPTED
from loadtest.twin.pcm import FRAME_BYTES, SILENT_FRAME, tone
from loadtest.twin.recorder.contract import AUDIO, EMPTY, NOT_JSON, OBJECT, STRING, Line, Names, parsed
from loadtest.twin.recorder.filling import filled, with_lengths, with_refused_ids, without_strange_ids
from loadtest.twin.recorder.foresight import accepted, greeted, heard, too_short
from loadtest.twin.recorder.recording import Recorder
from loadtest.twin.recorder.upstream import http_session

_HTTP_DEADLINE_S = 20.0
# Longer than the twin takes from one event of a turn to the next: the answer itself is the longest, 2 s by default.
_EVENT_DEADLINE_S = 8.0
_TIMEOUT = "input_audio_buffer.timeout_triggered"
_LONGEST_IDLE_S = 30.0
_NOT_ASKED = ("id", "object", "expires_at")
"""What only an answer says of a session."""
_HEADERS = {"origin": "http://page.example", "content-type": "text/plain"}
"""Of those that are not kept."""
_FRAME_S = 0.020
_SPEECH = tone(duration_ms=600)
_PAUSE = bytes(48 * 100)
_PAUSES = 105
"""Longer than any turn detection waits for the user to go on. More than it waits for would be left in the buffer."""
_PAUSE_S = 0.02
"""Ample for a twin in this process to say that it has heard one."""
# What only speech brings about: on the way to one of these the user speaks.
_ANSWERED = "avatar_started_speaking"
_CUES = ("input_audio_buffer.speech_started", "ce_events.realtime.input_transcript", _ANSWERED)
# Before these the user falls silent, unless his client commits or leaves while he speaks. The real service's transcript
# may begin in mid-speech, where the twin's doesn't.
_STOPPED = "input_audio_buffer.speech_stopped"
_SILENCED = (_STOPPED, "conversation.item.input_audio_transcription.")


async def replay(lines: Sequence[Line], *, recorder: Recorder, keys: Mapping[str, str], mint_url: str) -> None:
    """Do what the client of `lines` did, in the same order, to the twin behind `recorder`.

    What the twin doesn't do is waited for once, then no more; nothing is raised for it. `keys`: the twin's, by service.
    `mint_url`: where it mints what the client had got elsewhere.
    """
    async with (
        http_session(deadline_s=_HTTP_DEADLINE_S) as http,
        _Replay(lines, recorder=recorder, keys=keys, mint_url=mint_url, http=http) as client,
    ):
        for line in with_refused_ids(with_lengths(lines)):
            await client.follow(line)


class _Replay:
    def __init__(
        self, lines: Sequence[Line], *, recorder: Recorder, keys: Mapping[str, str], mint_url: str, http: ClientSession
    ) -> None:
        self._names = recorder.names
        self._recorder = recorder
        self._keys = keys
        self._mint_url = mint_url
        self._good = accepted(lines)
        self._greeted = greeted(lines)
        self._unsent = heard(lines) | too_short(lines)
        """Sound that is sent on the cue of what it brought about, or was as good as none."""
        self._http = http
        self._secrets: dict[str, str] = {}
        """Of keys that prove to be secrets."""
        self._sockets: dict[int, _Socket] = {}

    async def __aenter__(self) -> "_Replay":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._catch_up()
        finally:
            for each in self._sockets.values():
                await each.close()

    async def follow(self, line: Line) -> None:
        """Do this step, if it was the client's; what the service did is waited for before the client's next step."""
        socket = self._sockets.get(line.get("socket", 0))
        if "method" in line:
            await self._catch_up()
            await self._exchange(line)
        elif "socket" in line and "path" in line:
            await self._catch_up()
            await self._open(line)
        elif socket is None:
            return
        elif line.get("from") == "client":
            if line["type"] != AUDIO or not socket.is_room:
                await self._catch_up()
                await self._send(socket, line)
        elif line.get("ended_by") == "client":
            await self._catch_up()
            await socket.close()
        elif line.get("from") == "service":
            socket.expected.append(line["type"])
            if line["type"] in ("session.created", "session.updated"):
                socket.idle_s = idle_s(line.get("shape"))
        elif "ended_by" in line:
            socket.expected.append(None)

    async def _catch_up(self) -> None:
        await asyncio.gather(*(each.catch_up() for each in self._sockets.values()))

    async def _exchange(self, line: Line) -> None:
        request = line.get("request", EMPTY)
        with contextlib.suppress(ClientError, TimeoutError):
            async with self._http.request(
                line["method"],
                self._url(line),
                headers=self._headers(line),
                data=None if request == EMPTY else self._written(request),
                allow_redirects=False,
                skip_auto_headers=("content-type",),
            ) as answer:
                await answer.read()
        if line["path"].endswith("/tasks"):
            for socket in self._sockets.values():
                socket.text_tasks += 1

    async def _open(self, line: Line) -> None:
        if line["service"] == "openai" and not {"model", "intent", "call_id"} & line["query"].keys():
            await self._mint_elsewhere(line)
        credential = line["credentials"].get("protocol")
        key = self._credential(line, "protocol", credential) if credential else None
        protocols = line.get("protocols", [])
        if key is not None:
            protocols = [*(protocols or ["realtime"]), f"openai-insecure-api-key.{key}"]
        with contextlib.suppress(WSServerHandshakeError, ClientError, TimeoutError):
            async with asyncio.timeout(_HTTP_DEADLINE_S):
                headers = {**self._headers(line), SCRIPTED: str(line["socket"])}
                ws = await self._http.ws_connect(self._url(line), headers=headers, protocols=protocols, max_msg_size=0)
            self._sockets[line["socket"]] = _Socket(ws, is_room=line["service"] == "avaturn")

    async def _mint_elsewhere(self, line: Line) -> None:
        """Who was let in without naming a model had a secret. One that was not minted in the recording is minted here,
        for the session that it was shown to have; the recorder doesn't see it."""
        greeting = self._greeted.get(line["socket"], {}).get("shape", {}).get("session")
        for name in line["credentials"].values():
            if isinstance(greeting, dict) and name.startswith("<key ") and name not in self._secrets:
                session = {member: each for member, each in greeting.items() if member not in _NOT_ASKED}
                auth = {"authorization": f"Bearer {self._keys['openai']}"}
                body = {"session": filled(session, self._names)}
                with contextlib.suppress(ClientError, TimeoutError):
                    async with self._http.post(self._mint_url, json=body, headers=auth) as answer:
                        if answer.status == HTTPStatus.OK:
                            self._secrets[name] = (await answer.json())["value"]

    async def _send(self, socket: "_Socket", line: Line) -> None:
        kind, shape = line["type"], line.get("shape")
        # Where nobody found speech in it, sound is sent right here, and is silent.
        if kind == "input_audio_buffer.append" and (socket.is_speaking or id(line) in self._unsent):
            return
        if kind == "input_audio_buffer.commit":
            socket.is_speaking = False
        if kind == AUDIO:
            await socket.send(SILENT_FRAME)
        elif kind == OBJECT:  # without a shape it was a list
            await socket.send(self._written([] if shape is None else shape))
        else:
            named = {"type": kind, **without_strange_ids(shape or {})}
            await socket.send(self._written(NOT_JSON if kind == NOT_JSON else named))

    def _written(self, shape: Any) -> str:
        """As JSON, or as what is none."""
        return "{" if shape == NOT_JSON else json.dumps(filled(shape, self._names))

    def _url(self, line: Line) -> str:
        origin = self._recorder.origin(line["service"])
        path = "/".join(_id(self._names, part) for part in line["path"].split("/"))
        query = {name: filled(value, self._names, key=name) for name, value in line["query"].items()}
        return f"http://{origin}{path}" + (f"?{urlencode(query)}" if query else "")

    def _headers(self, line: Line) -> dict[str, str]:
        headers = {
            name: _HEADERS.get(name, value) if value == STRING else value for name, value in line["headers"].items()
        }
        for where, name in line["credentials"].items():
            if where != "protocol":
                value = self._credential(line, where, name)
                headers[where] = f"Bearer {value}" if where == "authorization" else value
        return headers

    def _credential(self, line: Line, where: str, name: str) -> str:
        """The same credential as was recorded: what the twin has issued in that place, its key, or a wrong key."""
        if not name.startswith("<key "):
            return self._names.value(name) or "unknown"
        if line["service"] == "openai" and name in self._secrets:
            return self._secrets[name]
        is_key = where != "x-session-token" and (line["service"], name) in self._good
        return self._keys[line["service"]] if is_key else f"wrong-{name.strip('<>').replace(' ', '-')}"


class _Socket:
    """One WebSocket of the replaying client; someone in a room is heard all the time."""

    def __init__(self, ws: ClientWebSocketResponse, *, is_room: bool) -> None:
        self.expected: list[str | None] = []
        """Types of events in the order in which they were recorded, None for the close."""
        self.text_tasks = 0
        """Answers so far that nobody had to speak for."""
        self.idle_s = 0.0
        """How long the model waits for someone who says nothing, before it takes that for a turn."""
        self.is_speaking = False
        """Whether the user has begun a turn that nothing has ended yet."""
        self._utterances = 0
        self._ws = ws
        self._wanted: Counter[str | None] = Counter()
        self._received: Counter[str | None] = Counter()
        self._missing: set[str | None] = set()
        self._changed = asyncio.Condition()
        self._frames: list[bytes] = []
        self.is_room = is_room
        self._tasks = [asyncio.create_task(self._listen())]
        if is_room:
            self._tasks.append(asyncio.create_task(self._microphone()))

    async def catch_up(self) -> None:
        """Wait for all that is expected, speaking where speech brought it about; what doesn't come is given up."""
        expected, self.expected = self.expected, []
        for index, kind in enumerate(expected):
            self._wanted[kind] += 1
            # One utterance has several consequences, in either order.
            answers_to_speech = self._wanted[_ANSWERED] - self.text_tasks
            if max(answers_to_speech, *(self._wanted[cue] for cue in _CUES if cue != _ANSWERED)) > self._utterances:
                self._utterances += 1
                await self._speak()
            if self.is_speaking and str(kind).startswith(_SILENCED) and _STOPPED in expected[index:]:
                self.is_speaking = False
                await self._pause()
            if kind not in self._missing and not await self._has_come(kind):
                self._missing.add(kind)

    async def send(self, message: str | bytes) -> None:
        """Send a client's message; nothing if the socket is gone."""
        with contextlib.suppress(ConnectionError):
            if isinstance(message, bytes):
                await self._ws.send_bytes(message)
            else:
                await self._ws.send_str(message)

    async def close(self) -> None:
        """Leave, in order and with a deadline."""
        for task in self._tasks[1:]:
            task.cancel()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_EVENT_DEADLINE_S):
                await self._ws.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _has_come(self, kind: str | None) -> bool:
        def holds() -> bool:
            return self._received[kind] >= self._wanted[kind] or self._received[None] > 0

        try:
            more_s = self.idle_s if kind == _TIMEOUT else 0
            async with asyncio.timeout(_EVENT_DEADLINE_S + more_s), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            return False
        return True

    async def _speak(self) -> None:
        if self.is_room:
            self._frames += [_SPEECH[start : start + FRAME_BYTES] for start in range(0, len(_SPEECH), FRAME_BYTES)]
        else:
            self.is_speaking = True
            await self._say(_SPEECH)

    async def _pause(self) -> None:
        """Be silent until the turn has ended."""
        before = self._received[_STOPPED]
        for _ in range(_PAUSES):
            await self._say(_PAUSE)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_S), self._changed:
                    await self._changed.wait_for(lambda: self._received[_STOPPED] > before or self._received[None])
                return

    async def _say(self, pcm: bytes) -> None:
        event = {"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}
        await self.send(json.dumps(event))

    async def _listen(self) -> None:
        while True:
            message = await self._ws.receive()
            kind: str | None = AUDIO
            if message.type == WSMsgType.TEXT:
                event = parsed(message.data)
                kind = str(event.get("type", OBJECT)) if isinstance(event, dict) else OBJECT
            elif message.type != WSMsgType.BINARY:
                kind = None
            async with self._changed:
                # Runs of sound are recorded as few lines: one frame fulfils any number of them.
                self._received[kind] += 1_000_000 if kind == AUDIO or str(kind).endswith(".delta") else 1
                self._changed.notify_all()
            if kind is None:
                return

    async def _microphone(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        with contextlib.suppress(ConnectionError):
            while not self._ws.closed:
                await self._ws.send_bytes(self._frames.pop(0) if self._frames else SILENT_FRAME)
                due_s += _FRAME_S
                await asyncio.sleep(max(0.0, due_s - loop.time()))


def idle_s(shape: Any) -> float:
    """What a session says of it; 0 where it says nothing. No longer than it may be: anybody may have made the file."""
    for name in ("session", "audio", "input", "turn_detection", "idle_timeout_ms"):
        shape = shape.get(name) if isinstance(shape, dict) else None
    return min(max(0.0, shape / 1000), _LONGEST_IDLE_S) if isinstance(shape, int) else 0.0


def _id(names: Names, part: str) -> str:
    return "unknown" if part == "{id}" else names.value(part) or "unknown" if part.startswith("<") else part
