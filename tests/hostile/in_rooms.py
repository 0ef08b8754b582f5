"""Hostile targets: what is wrong with a room, its upgrade, its frames or its messages."""

import json
import struct

from loadtest.sound.speech import SILENCE
from tests.hostile.scripts import (
    BAD_JSON,
    BAD_SHAPE,
    CLOSED,
    FLOOD,
    HALF,
    NESTED,
    OTHER,
    STALLED,
    TIMEOUT,
    TRANSCRIPT,
    Hostile,
    close,
    endless,
    hang_up,
    many,
    once,
    reset,
    say,
    silent,
    trickle,
)
from tests.hostile.target import BINARY, CLOSE, LOUD, PING, PONG, TEXT, UPGRADED, WELCOME, frame

ROOM: tuple[Hostile, ...] = (
    *(
        Hostile(f"upgrade: {name}", told, {"upgrade": script})
        for name, told, script in (
            ("silence", TIMEOUT, silent),
            ("a hang-up", ("transport/connect_failed", "rejected/ws_refused"), hang_up),
            ("no HTTP", "rejected/ws_refused", once(b"hello\r\n\r\n")),
            (
                "no key",
                "rejected/ws_refused",
                once(b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
            ),
            ("a refusal", "rejected/ws_refused", once(b"HTTP/1.1 403 x\r\ncontent-length: 0\r\n\r\n")),
            (
                "a redirect",
                "rejected/ws_refused",
                once(b"HTTP/1.1 302 x\r\nlocation: ws://192.0.2.1/\r\ncontent-length: 0\r\n\r\n"),
            ),
            ("endless headers", "rejected/ws_refused", endless(b"HTTP/1.1 101 x\r\n", b"x: y\r\n" * 100)),
            ("an endless body", "rejected/ws_refused", endless(b"HTTP/1.1 500 x\r\n\r\n", b"y" * 65536)),
            ("a byte at a time", TIMEOUT, trickle(b"HTTP/1.1 101 x\r\nupgrade: websocket\r\n")),
            ("a reset", ("transport/connect_failed", "rejected/ws_refused"), reset(b"HTTP/1.1 101 x\r\n")),
            ("early hints", ("rejected/ws_refused", TIMEOUT), endless(b"", b"HTTP/1.1 103 x\r\n\r\n" * 100)),
            ("429", ("rejected/rate_limited"), once(b"HTTP/1.1 429 x\r\nretry-after: -1\r\ncontent-length: 0\r\n\r\n")),
            ("no UTF-8", "rejected/ws_refused", once(b"HTTP/1.1 101 \xff\r\n\xff: \xff\r\n\r\n")),
        )
    ),
    *(
        Hostile(
            f"upgrade: {header} that nobody asked for",
            told,
            {"upgrade": UPGRADED + f"{header}: {value}\r\nsec-websocket-accept: {{accept}}\r\n\r\n".encode()},
        )
        for header, value, told in (
            ("Sec-WebSocket-Extensions", "permessage-deflate", BAD_SHAPE),
            ("sec-websocket-extensions", "x-unknown; y=1", BAD_SHAPE),
            ("Sec-WebSocket-Protocol", "chat", BAD_SHAPE),
            ("SEC-WEBSOCKET-EXTENSIONS", "", None),
            ("Sec-WebSocket-Version", "13", None),
        )
    ),
    *(
        Hostile(f"room: {name}", told, room=room)
        for name, told, room in (
            ("silence", TIMEOUT, b""),
            ("joined, and no sound", TIMEOUT, frame(TEXT, b'{"type":"room.joined"}')),
            ("no JSON", BAD_JSON, say(b"hello")),
            ("no object", BAD_JSON, say([1])),
            ("no type", BAD_JSON, say({"kind": "x"})),
            ("a type that is a list", BAD_JSON, say({"type": [[]]})),
            ("nested deep", BAD_JSON, say(b'{"type":' + NESTED + b"}")),
            ("half a character", BAD_JSON, say(b'{"type":"x","y":"\xe2\x82"}')),
            ("an odd sound", BAD_SHAPE, WELCOME + frame(BINARY, bytes(961))),
            ("one byte of sound", BAD_SHAPE, WELCOME + frame(BINARY, b"x")),
            ("an empty sound", BAD_SHAPE, WELCOME + frame(BINARY, b"")),
            ("1,000,000 bytes of sound", BAD_SHAPE, WELCOME + frame(BINARY, bytes(1_000_000))),
            ("a frame of 2 MiB", BAD_SHAPE, WELCOME + frame(TEXT, b" " * (2 << 20))),
            ("a frame of 2^62 bytes", BAD_SHAPE, WELCOME + bytes([0x81, 127]) + struct.pack(">Q", 1 << 62)),
            (
                "fragments without an end",
                BAD_SHAPE,
                endless(WELCOME + frame(TEXT, b"{", fin=False), frame(0, b" " * 65536, fin=False)),
            ),
            ("a continuation of nothing", BAD_SHAPE, WELCOME + frame(0, b"x")),
            ("a message within another", BAD_SHAPE, WELCOME + frame(TEXT, b"{", fin=False) + frame(TEXT, b"{}")),
            ("reserved bits", BAD_SHAPE, WELCOME + frame(BINARY, SILENCE, reserved=4)),
            ("an opcode that is none", BAD_SHAPE, WELCOME + frame(5, b"")),
            ("a masked frame", BAD_SHAPE, WELCOME + frame(BINARY, SILENCE, masked=True)),
            ("a fragmented ping", BAD_SHAPE, WELCOME + frame(PING, b"", fin=False)),
            ("a ping of 200 bytes", BAD_SHAPE, WELCOME + frame(PING, bytes(200))),
            ("close 1005", BAD_SHAPE, close(struct.pack(">H", 1005))),
            ("close 999", BAD_SHAPE, close(struct.pack(">H", 999))),
            ("close 65000", CLOSED, close(struct.pack(">H", 65000))),
            ("close with nothing", CLOSED, close(b"")),
            ("close with one byte", BAD_SHAPE, close(b"x")),
            ("close with a reason that is no UTF-8", BAD_SHAPE, close(struct.pack(">H", 4000) + b"\xff")),
            ("close with a word to the terminal", CLOSED, close(struct.pack(">H", 4000) + b"\x1b[2J\0")),
            ("an error whose code is a list", OTHER, say({"type": "error", "error": {"code": [], "message": {}}})),
            ("half an emoji in an error", OTHER, say({"type": "error", "error": {"code": HALF, "message": HALF}})),
            (
                "an error of 900 kB",
                OTHER,
                say({"type": "error", "error": {"code": "x " * 9, "message": "y " * 450_000}}),
            ),
            ("10,000 messages", None, many(frame(TEXT, json.dumps(TRANSCRIPT).encode()), 10_000)),
            ("10,000 times joined", None, many(frame(TEXT, b'{"type":"room.joined"}'), 10_000)),
            ("half an emoji in a transcript", None, once(say({**TRANSCRIPT, "transcript": HALF}))),
            ("a transcript that is a list", None, once(say({**TRANSCRIPT, "transcript": []}))),
            ("a time of 10^400", None, once(say(json.dumps(TRANSCRIPT).replace("1.5", "1e400").encode()))),
            ("a time of 400 digits", None, once(say({**TRANSCRIPT, "timestamp": 10**399}))),
            ("a transcript of 1 MB", None, once(say({**TRANSCRIPT, "transcript": "x" * 1_000_000}))),
            ("a message before it lets us in", None, once(frame(TEXT, json.dumps(TRANSCRIPT).encode()) + WELCOME)),
            ("sound before it lets us in", None, once(frame(BINARY, LOUD) + WELCOME)),
            ("an error before it lets us in", OTHER, frame(TEXT, b'{"type":"error","error":{"code":"x"}}') + WELCOME),
            ("a close within a message", CLOSED, WELCOME + frame(TEXT, b"{", fin=False) + frame(CLOSE, b"\x0f\xa0")),
            ("a message after its close", CLOSED, close(b"\x0f\xa0") + frame(TEXT, b"{")),
            (
                "its avatar leaves at once",
                None,
                once(say({"type": "room.participant", "owner": True, "state": "left"})),
            ),
            ("close 1004", (CLOSED, BAD_SHAPE), close(struct.pack(">H", 1004))),
            ("close 1015", (CLOSED, BAD_SHAPE), close(struct.pack(">H", 1015))),
            ("close 0", (CLOSED, BAD_SHAPE), close(struct.pack(">H", 0))),
            (
                "close with a word of ours for a reason",
                ("rejected/quota", CLOSED),
                close(b"\x0f\xa0insufficient_quota"),
            ),
            ("close with a reason of 123 bytes", CLOSED, close(b"\x0f\xa0" + b"x" * 123)),
            (
                "compressed, without having agreed on it",
                BAD_SHAPE,
                WELCOME + frame(TEXT, b"\xaaV*\xa9,H\x05\x00", reserved=4),
            ),
            ("pings without an end", FLOOD, endless(WELCOME, frame(PING, b"") * 1000)),
            ("pongs without an end", FLOOD, endless(WELCOME, frame(PONG, b"") * 1000)),
            (
                "fragments of nothing without an end",
                FLOOD,
                endless(WELCOME + frame(TEXT, b"{", fin=False), frame(0, b"", fin=False) * 1000),
            ),
            # A core that has others to do reads fewer than that in a second; then it ends as a step or a voice that
            # never came.
            (
                "tiny messages without an end",
                (FLOOD, TIMEOUT, STALLED),
                endless(WELCOME, frame(TEXT, b'{"type":"x"}') * 1000),
            ),
            ("silence without an end", FLOOD, endless(WELCOME, frame(BINARY, SILENCE) * 20)),
            ("sound of a sample without an end", FLOOD, endless(WELCOME, frame(BINARY, b"\0\0") * 1000)),
            ("a reset", (CLOSED,), reset(WELCOME)),
            ("an HTTP answer within it", (BAD_SHAPE, CLOSED), once(WELCOME + b"HTTP/1.1 200 OK\r\n\r\n", then=hang_up)),
            ("fragmented sound", None, once(WELCOME + frame(BINARY, LOUD[:100], fin=False) + frame(0, LOUD[100:]))),
        )
    ),
)
