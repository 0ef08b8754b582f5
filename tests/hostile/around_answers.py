"""Hostile targets: what is wrong around an HTTP answer that may be right: its frame, its encoding, its connection, and
values that are text of the right sort and mean nothing."""

import gzip
import json
import zlib

from tests.hostile.scripts import (
    BAD_JSON,
    BAD_SHAPE,
    LOST,
    NO_ANSWER,
    SDK,
    TIMEOUT,
    Hostile,
    endless,
    hang_up,
    informing,
    once,
    raw,
    reset,
    trickle,
)
from tests.hostile.target import SECRET, answer

MINTED = json.dumps(SECRET).encode()
CREATED = b'{"session_id": "av-0", "token": "token-av-0"}'
GRANTED = json.dumps(SDK).encode()
GOOD = {"mint": (MINTED, None), "create": (CREATED, None), "sdk": (GRANTED, "transport/connect_failed")}
"""A right answer, and how its session ends in this target; the room of the third has nobody in it."""


def framed(head: str, body: bytes, *, status: str = "HTTP/1.1 200 OK") -> bytes:
    return f"{status}\r\n{head}\r\n".encode() + body


def chunked(body: bytes, *, extension: str = "", trailer: str = "") -> bytes:
    return f"{len(body):x}{extension}\r\n".encode() + body + f"\r\n0\r\n{trailer}\r\n".encode()


def _around(endpoint: str) -> tuple[Hostile, ...]:
    body, good = GOOD[endpoint]
    size, half = len(body), len(body) // 2
    length = f"content-length: {size}\r\n"
    packed = gzip.compress(body)
    return tuple(
        Hostile(f"{endpoint}: {name}", told, {endpoint: script}, leaves=endpoint == "create" and leaves)
        for name, told, script, leaves in (
            # Taken by the official clients, so by ours
            ("its length twice, the same", good, framed(length * 2, body), False),
            (
                "its length twice in one header",
                good,
                framed(f"content-length: {size}, {size}\r\n", body),
                False,
            ),
            (
                "HTTP/1.0, until the line is closed",
                good,
                once(framed("", body, status="HTTP/1.0 200 OK"), then=hang_up),
                False,
            ),
            (
                "no length, until the line is closed",
                good,
                once(framed("connection: close\r\n", body), then=hang_up),
                False,
            ),
            ("a line closed after it", good, once(framed(length, body), then=hang_up), False),
            ("100 Continue before it", good, b"HTTP/1.1 100 Continue\r\n\r\n" + framed(length, body), False),
            (
                "50 times 103 before it",
                good,
                b"HTTP/1.1 103 x\r\nlink: </x>\r\n\r\n" * 50 + framed(length, body),
                False,
            ),
            (
                "extensions of its chunks, and a trailer",
                good,
                framed("transfer-encoding: chunked\r\n", chunked(body, extension=";a=b", trailer="x: y\r\n")),
                False,
            ),
            ("raw deflate", good, raw(zlib.compress(body)[2:-4], "content-encoding: deflate\r\n"), False),
            ("a byte-order mark", good, raw(b"\xef\xbb\xbf" + body), False),
            (
                "each key twice",
                good,
                raw(b'{"value": 0, "expires_at": "x", "session_id": 0, "token": 0, "room_url": 0, ' + body[1:]),
                False,
            ),
            (
                "an error within it",
                good,
                raw(b'{"error": {"code": "internal_error", "message": "x"}, ' + body[1:]),
                False,
            ),
            ("a header of 90 kB", good, framed(length + "x: " + "y" * 90_000 + "\r\n", body), False),
            ("a cookie with a bell", good, framed(length + "set-cookie: a=\x07\r\n", body), False),
            # Broken, and told so
            (
                "lengths that differ",
                BAD_SHAPE,
                framed(f"content-length: {size}\r\ncontent-length: {size + 1}\r\n", body),
                True,
            ),
            (
                "a length and chunks",
                good,
                framed(length + "transfer-encoding: chunked\r\n", chunked(body)),
                False,
            ),
            (
                "a length and a transfer that is none",
                BAD_SHAPE,
                framed(length + "transfer-encoding: x\r\n", body),
                False,
            ),
            (
                "chunked twice",
                good,
                framed("transfer-encoding: chunked, chunked\r\n", chunked(body)),
                False,
            ),
            (
                "a transfer that is none",
                good,
                once(framed("transfer-encoding: x\r\n", body), then=hang_up),
                False,
            ),
            ("zstd that nobody asked for", BAD_SHAPE, raw(body, "content-encoding: zstd\r\n"), False),
            ("brotli that nobody asked for", BAD_SHAPE, raw(body, "content-encoding: br\r\n"), False),
            ("an encoding that is none", (good, BAD_SHAPE), raw(body, "content-encoding: aes128\r\n"), False),
            (
                "gzip cut in the middle",
                BAD_JSON,
                raw(packed[: len(packed) // 2], "content-encoding: gzip\r\n"),
                True,
            ),
            (
                "gzip with something after it",
                good,
                raw(packed + b"garbage", "content-encoding: gzip\r\n"),
                False,
            ),
            (
                "gzip of gzip",
                (good, BAD_SHAPE, BAD_JSON),
                raw(gzip.compress(packed), "content-encoding: gzip, gzip\r\n"),
                True,
            ),
            ("a reset in its middle", LOST, reset(framed(length, body[:half])), False),
            ("a reset in its headers", (LOST, None), reset(b"HTTP/1.1 200 OK\r\nx: "), True),
            ("a byte of its headers at a time", TIMEOUT, trickle(framed(length, body)), True),
            ("a byte of its body at a time", TIMEOUT, trickle(body, head=framed(length, b"")), True),
            ("early hints without an end", (TIMEOUT, BAD_SHAPE), endless(b"", b"HTTP/1.1 103 x\r\n\r\n" * 100), True),
            ("20,000 early hints", BAD_SHAPE, informing, True),
            (
                "101 that nobody asked for",
                (BAD_SHAPE, LOST, TIMEOUT, "rejected/http_4xx"),
                framed("upgrade: x\r\nconnection: upgrade\r\n", b"", status="HTTP/1.1 101 x"),
                True,
            ),
            ("204 with a body", BAD_JSON, framed(length, body, status="HTTP/1.1 204 x"), True),
            ("304 with a body", ("rejected/http_3xx",), framed(length, body, status="HTTP/1.1 304 x"), True),
            ("HTTP/2", (BAD_SHAPE, LOST), once(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", then=hang_up), True),
            ("TLS", (BAD_SHAPE, LOST), once(b"\x15\x03\x01\x00\x02\x02\x28", then=hang_up), True),
            ("a length that is said in two cases", good, framed(f"Content-LENGTH:{size}\r\n{length}", body), False),
            ("a status without a number", (BAD_SHAPE, LOST), once(b"HTTP/1.1 OK\r\n\r\n", then=hang_up), True),
            ("a NUL in a header", (good, BAD_SHAPE), framed(length + "x: a\x00b\r\n", body), True),
            ("only an error within 200", BAD_SHAPE, raw(b'{"error": {"code": "rate_limit_exceeded"}}'), True),
        )
    )


AROUND: tuple[Hostile, ...] = (
    *(hostile for endpoint in GOOD for hostile in _around(endpoint)),
    *(
        Hostile(
            f"mint: 429, and Retry-After {after!r}",
            "rejected/rate_limited",
            {"mint": raw(b"{}", f"retry-after: {after}\r\n", "429 x")},
        )
        for after in ("-1", "1000000000", "Thu, 01 Jan 1970 00:00:00 GMT", "\u00b2", "nan", "0", "9" * 400)
    ),
    *(
        Hostile(f"mint: {name}", told, {"mint": answer({**SECRET, **fields})})
        for name, told, fields in (
            ("expires in ms", BAD_SHAPE, {"expires_at": 1_900_000_000_000}),
            ("expires at a float", None, {"expires_at": 1.9e9}),
            ("expired in 1970", None, {"expires_at": 1}),
            ("expires at null", BAD_SHAPE, {"expires_at": None}),
        )
    ),
    *(
        Hostile(
            f"create: {name}",
            told,
            {"create": answer({"session_id": sid, "token": token}, status="201 x")},
            leaves=leaves,
        )
        for name, told, sid, token, leaves in (
            ("nothing for an id", BAD_SHAPE, "", "token-{id}", True),
            ("1 MB for an id", BAD_SHAPE, "x" * 1_000_000, "token-{id}", True),
            ("an id with quotes", None, "a\"b'c`", "hostile", False),
            ("an id to the terminal", BAD_SHAPE, "a\x1b[2Jb", "token-{id}", False),
            ("an id with NUL", BAD_SHAPE, "a\x00b", "token-{id}", False),
            ("an id of blanks", (None, BAD_SHAPE), "   ", "hostile", False),
            ("an id with a percent sign", None, "%2e%2e%2f", "hostile", False),
            ("an id from right to left", (None, BAD_SHAPE), "\u202eabc", "hostile", False),
            ("true for an id", BAD_SHAPE, True, "token-{id}", True),
            ("a float for an id", BAD_SHAPE, 1.5, "token-{id}", True),
            ("the secret for a token", None, "av-0", SECRET["value"], False),
        )
    ),
    *(
        Hostile(f"delete: {name}", told, {"delete": script}, stays=stays)
        for name, told, script, stays in (
            ("204 with a body", None, framed("content-length: 5\r\n", b"hello", status="HTTP/1.1 204 x"), False),
            ("200 with garbage", None, raw(b"\xff\x00<html>"), False),
            ("200 with JSON that nests deep", None, raw(b"[" * 200_000), False),
            ("202", None, raw(b"{}", status="202 x"), False),
            ("a redirect", NO_ANSWER, raw(b"", "location: /elsewhere\r\n", "302 x"), True),
            ("an error within 200", None, raw(b'{"error": {"code": "internal_error"}}'), False),
            ("20,000 early hints", NO_ANSWER, informing, True),
            ("a reset", NO_ANSWER, reset(b""), True),
            ("429, and Retry-After", NO_ANSWER, raw(b"{}", "retry-after: 1000000000\r\n", "429 x"), True),
            (
                "a length of 10^18",
                (None, NO_ANSWER),
                once(b"HTTP/1.1 200 x\r\ncontent-length: 1000000000000000000\r\n\r\n{}"),
                True,
            ),
        )
    ),
)
