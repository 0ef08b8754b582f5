"""Hostile targets: what is wrong with an HTTP answer."""

import json

from tests.hostile.scripts import (
    BAD_JSON,
    BAD_SHAPE,
    BOMB,
    HALF,
    LOST,
    NESTED,
    NO_ANSWER,
    REFUSED,
    SDK,
    TIMEOUT,
    Hostile,
    drip,
    endless,
    hang_up,
    once,
    raw,
    silent,
)
from tests.hostile.target import SECRET, answer

HTTP: tuple[Hostile, ...] = (
    # Bodies
    *(
        Hostile(f"{endpoint}: {name}", told, {endpoint: script}, leaves=endpoint == "create" and told not in REFUSED)
        for endpoint in ("mint", "create", "sdk")
        for name, told, script in (
            ("nested 200,000 deep", BAD_SHAPE, raw(NESTED)),
            ("no JSON", BAD_JSON, raw(b"<html>")),
            ("nothing", BAD_JSON, raw(b"")),
            ("NaN", BAD_JSON, raw(b'{"expires_at": NaN}')),
            ("Infinity", BAD_JSON, raw(b"[Infinity]")),
            ("a list", BAD_SHAPE, raw(b"[]")),
            ("null", BAD_SHAPE, raw(b"null")),
            ("a number of 5,000 digits", BAD_JSON, raw(b'{"expires_at": ' + b"9" * 5000 + b"}")),
            (
                "no UTF-8",
                BAD_JSON,
                raw(b'{"value": "\xff\xfe"}', "content-type: application/json; charset=latin-1\r\n"),
            ),
            ("UTF-16", BAD_SHAPE, raw("{}".encode("utf-16"), "content-type: application/json; charset=utf-16\r\n")),
            ("a charset that is none", BAD_SHAPE, raw(b"{}", "content-type: text/plain; charset=hex\r\n")),
            ("a gzip bomb", BAD_SHAPE, raw(BOMB, "content-encoding: gzip\r\n")),
            ("deflate garbage", BAD_SHAPE, raw(b"garbage" * 100, "content-encoding: deflate\r\n")),
            ("gzip garbage", BAD_SHAPE, raw(b"garbage" * 100, "content-encoding: gzip\r\n")),
            ("5 MiB", BAD_SHAPE, raw(b" " * (5 << 20))),
            ("an endless body", BAD_SHAPE, endless(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536)),
            (
                "a huge chunk",
                BAD_SHAPE,
                endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n", b" " * 65536),
            ),
            ("a drip", TIMEOUT, drip),
            ("silence", TIMEOUT, silent),
            ("a hang-up", (LOST, None), hang_up),  # aiohttp asks once more where it may
            ("too short a body", LOST, once(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", then=hang_up)),
            (
                "a chunk size that is none",
                (LOST, BAD_SHAPE),
                once(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}", then=hang_up),
            ),
            (
                "a length that is none",
                BAD_SHAPE,
                once(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}", then=hang_up),
            ),
            ("HTTP/0.9", BAD_SHAPE, once(b"{}", then=hang_up)),
            ("endless headers", (BAD_SHAPE, TIMEOUT, LOST), endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1000)),
            ("an endless header", (BAD_SHAPE, TIMEOUT, LOST), endless(b"HTTP/1.1 200 OK\r\nx: ", b"y" * 65536)),
            ("a status of 999", "rejected/http_5xx", raw(b"{}", status="999 x")),
            ("a status of 099", BAD_SHAPE, raw(b"{}", status="099 x")),
            ("a status of 000", BAD_SHAPE, raw(b"{}", status="000 x")),
            ("a redirect", "rejected/http_3xx", raw(b"", "location: http://127.0.0.1:1/\r\n", "307 x")),
            ("a page elsewhere", ("rejected/http_3xx",), raw(b"", "location: http://127.0.0.1:1/\r\n", "303 x")),
            ("a page of 336 kB", "rejected/http_5xx", raw(b"<p class=x>error page</p>" * 13_000, status="500 x")),
            (
                "half an emoji in an error",
                "rejected/http_5xx",
                raw(json.dumps({"error": {"message": HALF, "code": HALF}}).encode(), status="500 x"),
            ),
            ("an error nested deep", "rejected/http_4xx", raw(b'{"error":' + NESTED + b"}", status="418 x")),
            ("an error that is a list", "rejected/invalid_request", raw(b'[{"error": []}]', status="400 x")),
            (
                "an error whose code is a list",
                "rejected/invalid_request",
                raw(b'{"error": {"code": [], "message": {}}}', status="400 x"),
            ),
            ("an error in hex", "rejected/http_5xx", raw(b"zz", "content-type: text/plain; charset=hex\r\n", "500 x")),
            (
                "an error in punycode",
                "rejected/http_5xx",
                raw(b"zz-" * 30_000, "content-type: text/plain; charset=punycode\r\n", "500 x"),
            ),
            ("an error that is a gzip bomb", "rejected/http_5xx", raw(BOMB, "content-encoding: gzip\r\n", "500 x")),
        )
    ),
    # Values
    *(
        Hostile(f"mint: {name}", told, {"mint": answer({**SECRET, **fields})})
        for name, told, fields in (
            ("expires in 10^19", BAD_SHAPE, {"expires_at": 10**19}),
            ("expires in 10^400", BAD_SHAPE, {"expires_at": 10**400}),
            ("expires before 1970", BAD_SHAPE, {"expires_at": -1}),
            ("expires as text", BAD_SHAPE, {"expires_at": "1900000000"}),
            ("expires true", BAD_SHAPE, {"expires_at": True}),
            ("expires in a fraction", BAD_SHAPE, {"expires_at": 1.5e9 + 0.5}),
            ("half an emoji", BAD_SHAPE, {"value": HALF}),
            ("a newline", BAD_SHAPE, {"value": "ek_1\n"}),
            ("nothing", BAD_SHAPE, {"value": ""}),
            ("1 MB", BAD_SHAPE, {"value": "x" * 1_000_000}),
        )
    ),
    *(
        Hostile(f"mint: {name}", None, {"mint": answer(SECRET, headers=headers)})
        for name, headers in (
            ("Date: yesterday", "date: yesterday\r\n"),
            ("Date of the year 0", "date: Thu, 01 Jan 0000 00:00:00 GMT\r\n"),
            ("Date with a zone that is none", "date: Thu, 01 Jan 2026 00:00:00 +9999999999\r\n"),
            ("a superscript for a number", "x-twin-handled-ns: \u00b2\r\n"),
            ("a number beyond all", f"x-twin-handled-ns: {'9' * 400}\r\n"),
            ("keys twice", "x: y\r\n" * 50),
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
            ("half an emoji for an id", BAD_SHAPE, HALF, "token-{id}", True),
            ("two dots for an id", BAD_SHAPE, "..", "token-{id}", True),
            ("a list for an id", BAD_SHAPE, [], "token-{id}", True),
            ("a number for an id", BAD_SHAPE, 7, "token-{id}", False),
            ("10 kB for an id", BAD_SHAPE, "x" * 10_000, "token-{id}", False),
            ("a newline in an id", BAD_SHAPE, "a\nb", "token-{id}", False),
            ("an id with slashes", None, "a/../b?c#d", "hostile", False),
            ("an id in Greek", None, "αβγ", "hostile", False),
            ("no token", BAD_SHAPE, "av-0", None, False),
            ("a token that ends in a newline", BAD_SHAPE, "av-0", "token\n", False),
            ("a token with half an emoji", BAD_SHAPE, "av-0", HALF, False),
            ("a token in Greek", BAD_SHAPE, "av-0", "αβγ", False),
            ("a token of 1 MB", BAD_SHAPE, "av-0", "x" * 1_000_000, False),
        )
    ),
    Hostile(
        "create: an id, and then nested deep",
        BAD_SHAPE,
        {"create": raw(b'{"session_id": "av-0", "token": "t", "x": ' + NESTED + b"}")},
    ),
    Hostile(
        "create: an id, and then cut off",
        LOST,
        {"create": once(b'HTTP/1.1 201 x\r\ncontent-length: 999\r\n\r\n{"session_id": "av-0", ', then=hang_up)},
    ),
    Hostile(
        "create: an id, and then too much",
        BAD_SHAPE,
        {"create": endless(b'HTTP/1.1 201 x\r\n\r\n{"session_id": "av-0", "x": "', b"x" * 65536)},
    ),
    Hostile(
        "create: an id, and then nothing more",
        TIMEOUT,
        {"create": once(b'HTTP/1.1 201 x\r\ncontent-length: 999\r\n\r\n{"session_id": "av-0", ')},
    ),
    Hostile("create: an id in no UTF-8", BAD_JSON, {"create": raw(b'{"session_id": "av-0", "x": "\xff"}')}),
    *(
        Hostile(f"sdk: {name}", told, {"sdk": answer({**SDK, **fields})})
        for name, told, fields in (
            ("half a bracket", BAD_SHAPE, {"room_url": "ws://[evil"}),
            ("port 99999", BAD_SHAPE, {"room_url": "ws://127.0.0.1:99999/"}),
            ("a newline in the address", BAD_SHAPE, {"room_url": "ws://127.0.0.1/\nx"}),
            ("half an emoji in the address", BAD_SHAPE, {"room_url": f"ws://127.0.0.1/{HALF}"}),
            ("a fragment in the address", ("protocol/ws_refused", BAD_SHAPE), {"room_url": "ws://127.0.0.1:1/#x"}),
            ("a path", BAD_SHAPE, {"room_url": "/rooms/1"}),
            ("javascript", BAD_SHAPE, {"room_url": "javascript:alert(1)"}),
            ("nobody there", "transport/connect_failed", {}),
            ("elsewhere", BAD_SHAPE, {"room_url": "ws://192.0.2.1/"}),
            ("an address that is none", BAD_SHAPE, {"room_url": "ws://a..b/"}),
            ("a token with a newline", BAD_SHAPE, {"limited_access_token": "a\nb: c"}),
            ("an address that is a number", BAD_SHAPE, {"room_url": 5}),
            ("a room of 1 MB", BAD_SHAPE, {"room_url": "ws://127.0.0.1/" + "x" * 1_000_000}),
        )
    ),
    # Deletes
    *(
        Hostile(f"delete: {name}", told, {"delete": script}, stays=stays)
        for name, told, script, stays in (
            ("answered with a page", None, raw(b"<html>" * 1000), False),
            ("a gzip bomb", None, raw(BOMB, "content-encoding: gzip\r\n"), False),
            ("an empty body in brotli", None, raw(b"", "content-encoding: br\r\n", "204 x"), False),
            ("brotli", None, raw(b"\x0b\x80{}\x03", "content-encoding: br\r\n"), False),
            ("5 MiB", None, raw(b" " * (5 << 20)), False),
            ("a refusal in brotli", NO_ANSWER, raw(b"\x0b\x80{}\x03", "content-encoding: br\r\n", "503 x"), True),
            ("silence", NO_ANSWER, silent, True),
            ("no HTTP", NO_ANSWER, once(b"{}", then=hang_up), True),
            ("a page of 336 kB", NO_ANSWER, raw(b"<p class=x>error page</p>" * 13_000, status="500 x"), True),
        )
    ),
)
