"""A target that puts texts of a test's choice wherever an answer has room for one: both services, an integrator's own
endpoint and the room, on one port. Half of what it answers is good, so that sessions get everywhere."""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
import random
import struct
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from tests.hostile.target import CLOSE, TEXT, UPGRADED, WELCOME, Target, Writer, answer, frame

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TRANSCRIPT: Final = "ce_events.realtime.response_transcript"
Form = Callable[[str], bytes]


def _raw(text: str) -> bytes:
    return text.encode(errors="replace")


def _one(text: str) -> str:
    return _raw(text).decode().replace("\r", "").replace("\n", "")


def _line(text: str) -> bytes:
    return _one(text).encode()


REFUSALS: Final[tuple[Form, ...]] = (
    lambda t: answer({"error": dict.fromkeys(("message", "type", "code", "param"), t)}, status="401 no"),
    lambda t: answer({"error": {"message": f"Incorrect API key provided: {t}."}}, status="401 no"),
    lambda t: answer({"detail": [{"type": t, "loc": ["body", t], "msg": t, "input": {t: t}}]}, status="422 no"),
    lambda t: answer({"detail": f"not now, Bearer {t}"}, status="500 no"),
    lambda t: answer(_raw(f"<p title='{t}'>no</p>"), status="500 no", headers="content-type: text/html\r\n"),
    lambda t: answer(_raw(t), status="429 no"),
    lambda t: b"HTTP/1.1 503 " + _line(t) + b"\r\ncontent-length: 0\r\n\r\n",
    lambda t: answer(b"", status="403 no", headers=f"x-debug: {_one(t)}\r\nretry-after: {_one(t)}\r\n"),
    lambda t: b"HTTP/1.1 307 no\r\nlocation: http://127.0.0.1:1/" + _line(t) + b"\r\ncontent-length: 0\r\n\r\n",
)  # fmt: skip
NO_ANSWERS: Final[tuple[Form, ...]] = (
    lambda t: b"HTTP/1.1 200 OK\r\nx-bad: " + _line(t) + b"\x00\r\n\r\n",
    lambda t: b"HTTP/1.1 200 OK\r\n" + _line(t) + b" :\r\n\r\n",
    lambda t: b"HTTP/1.1 2x0 " + _line(t) + b"\r\n\r\n",
    lambda t: b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + _line(t) + b"\r\n",
    lambda t: answer(_raw(t), headers="content-encoding: gzip\r\n"),
    lambda t: answer(gzip.compress(_raw(t)), headers="content-encoding: gzip\r\n"),
    lambda t: answer(_raw(t), headers="content-type: application/json; charset=hex\r\n"),
    lambda t: answer(_raw(f'{{"value": "{t}')),
    lambda t: answer([t]),
)
ROOM: Final[tuple[Form, ...]] = (
    lambda t: frame(TEXT, json.dumps({"type": "error", "error": {"code": t, "message": t, "type": t}}).encode()),
    lambda t: frame(TEXT, json.dumps({"type": "error", "code": t, "message": f"key {t}"}).encode()),
    lambda t: frame(TEXT, json.dumps({"type": _TRANSCRIPT, "transcript": t, "timestamp": 1.5}).encode()),
    lambda t: frame(TEXT, json.dumps({"type": t, "state": t, "timestamp": t}).encode()),
    lambda t: frame(TEXT, json.dumps({"type": "room.participant", "owner": True, "state": t}).encode()),
    lambda t: frame(TEXT, _raw(t)),
    lambda t: frame(CLOSE, struct.pack(">H", 4001) + _raw(t)[:120].decode(errors="ignore").encode()),
)


class Planting(Target):
    """`text()`: the next one to plant; `told`: tokens that it has given out, `heard`: those of them that it was sent
    back, newest last; `planted`: how many texts."""

    def __init__(self, text: Callable[[], str], *, seed: int, share: float = 0.5) -> None:
        super().__init__({})
        self.text, self.share, self.planted = text, share, 0
        self.told: list[str] = []
        self.heard: list[str] = []
        self._chance = random.Random(seed)

    def _token(self, prefix: str = "") -> str:
        self.told.append(prefix + "".join(self._chance.choices("abcdefghkmnpqrstuvwxyz23456789ABCDEFG", k=32)))
        return self.told[-1]

    def _plant(self, forms: tuple[Form, ...]) -> bytes:
        self.planted += 1
        return self._chance.choice(forms)(self.text())

    def _hears(self, *said: bytes) -> None:
        for token in self.told[-60:]:
            if token not in self.heard[-60:] and any(token.encode() in each for each in said):
                self.heard.append(token)

    async def _answer(
        self, verb: bytes, path: bytes, fields: dict[bytes, bytes], reader: asyncio.StreamReader, writer: Writer
    ) -> bool:
        self._hears(path, self.body, *fields.values())
        is_bad = self._chance.random() < self.share
        if b"upgrade" in fields.get(b"connection", b"").lower():
            if is_bad and self._chance.random() < 0.3:
                writer.write(self._plant(REFUSALS + NO_ANSWERS))
                return False
            await self._talk(fields[b"sec-websocket-key"], reader, writer, is_bad=is_bad)
            return False
        writer.write(self._http(verb, path, is_bad=is_bad))
        return True

    def _http(self, verb: bytes, path: bytes, *, is_bad: bool) -> bytes:
        text = self.text
        if verb == b"DELETE" or b"/stop/" in path:
            ours = path.rpartition(b"/")[2].decode()
            if is_bad and ours in self.alive and self._chance.random() < 0.3:
                return self._plant(REFUSALS[:6])
            self.alive.discard(ours)
            return answer(b"", status="204 No Content")
        if path.endswith(b"/client_secrets"):
            if is_bad and self._chance.random() < 0.4:
                return self._plant(
                    (*REFUSALS, *NO_ANSWERS, lambda t: answer({"value": t, "expires_at": 1_900_000_000}))
                )
            return answer({"value": self._token("ek_"), "expires_at": 1_900_000_000})
        if verb == b"POST":
            if is_bad and self._chance.random() < 0.5:
                return self._plant(REFUSALS)
            number = f"av-{next(self._numbers)}"
            self.alive.add(number)
            if is_bad:
                token = self._chance.choice([text(), 7, {"token": text()}])
                return answer(
                    {"session_id": self._chance.choice([number, f"id-{text()}"]), "token": token}, status="201 x"
                )
            cookie = f"set-cookie: sid={self._token()}; Path=/\r\n"
            return answer({"session_id": number, "token": self._token()}, status="201 x", headers=cookie)
        if not self.alive:
            return answer({"detail": text()}, status="404 Not Found")
        room = f"ws://{self.url.removeprefix('http://')}/rooms/1"
        if is_bad:
            urls = (
                lambda t: answer({"room_url": t, "limited_access_token": t}),
                lambda t: answer({"room_url": f"ws://127.0.0.1:1/{quote(t)}", "limited_access_token": "x"}),
                lambda t: answer({"room_url": f"ws://127.0.0.1:1/?token={t}", "limited_access_token": "x"}),
            )
            return self._plant((*REFUSALS, *NO_ANSWERS, *urls))
        return answer({"room_url": room, "limited_access_token": self._token()})

    async def _talk(self, key: bytes, reader: asyncio.StreamReader, writer: Writer, *, is_bad: bool) -> None:
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        writer.write(UPGRADED + b"sec-websocket-accept: " + accept + b"\r\n\r\n" + WELCOME)
        with contextlib.suppress(ConnectionError):
            if is_bad:
                await asyncio.sleep(0.2)
                writer.write(self._plant(ROOM))
            while await reader.read(1 << 16):
                pass


def outputs_of(run: Any) -> dict[str, str]:
    """What a run has written: by file, and what it said."""
    found = {str(path.relative_to(run.run_dir)): path for path in run.run_dir.rglob("*") if path.is_file()}
    return {name: path.read_text(errors="replace") for name, path in found.items()}
