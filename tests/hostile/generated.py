"""What hypothesis sends in place of a target: answers, headers, frames, app-messages; nearly right and quite wrong."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.hostile.target import LOUD

CHARACTERS = 'a0 /.\n\r\t\0\x1b"\\{}<&\u00b2\u00e9\u2028\ud83d\udc00\U0001f600'
NASTY = (
    None,
    True,
    False,
    0,
    -1,
    1,
    5,
    2**31,
    2**63,
    2**64,
    10**19,
    10**400,
    -(10**400),
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    ".",
    "..",
    "x",
    "\n",
    "\ud83d",
    "a/../b",
    "x" * 2_000,
    "x" * 20_000,
    "1900000000",
    "ws://[evil",
    "https:login",
    "ws://127.0.0.1:99999/",
    "http://127.0.0.1/whip",
    "ws://127.0.0.1:1/rooms/1",
    [],
    {},
    [[]],
    {"type": "x"},
)
KEYS = ("value", "expires_at", "session_id", "token", "room_url", "limited_access_token", "error", "code", "message")
HEADERS = ("date", "x-twin-handled-ns", "content-type", "set-cookie", "location", "retry-after", "x-request-id", "x")
STATUSES = (200, 200, 200, 201, 204, 100, 302, 307, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503, 999)
TYPES = (
    "error",
    "session_lifecycle_error",
    "avatar_started_speaking",
    "avatar_ended_speaking",
    "room.joined",
    "room.participant",
    "ce_events.realtime.input_transcript",
    "ce_events.realtime.response_transcript",
    "avatar_started_speaking_phrase",
    "function_call",
    "x",
)
FIELDS = ("transcript", "timestamp", "phrase_id", "error", "owner", "state", "code", "message", "call_id")

texts = st.text(st.sampled_from(CHARACTERS), max_size=6)
values = st.sampled_from(NASTY) | texts | st.integers() | st.floats()
fields = st.dictionaries(st.sampled_from(KEYS), values, max_size=3)
headers = st.dictionaries(
    st.sampled_from(HEADERS),
    st.sampled_from(("yesterday", "\u00b2", "9" * 30, "5", "text/plain; charset=hex", "a=b; expires=x", "")) | texts,
    max_size=2,
)


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Those bytes with a part cut out, doubled or overwritten."""
    at, size = draw(st.integers(0, len(good))), draw(st.integers(0, 8))
    return good[:at] + draw(st.binary(max_size=6)) + good[at + size :]


@st.composite
def answers(draw: st.DrawFn, good: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer that might have been `good`."""
    kind = draw(st.integers(0, 9))
    right = json.dumps(good).encode()
    if kind < 6:
        body = json.dumps({**good, **draw(fields)}).encode()
    elif kind < 8:
        body = draw(damaged(right))
    elif kind < 9:
        body = json.dumps(draw(values)).encode()
    else:
        body = draw(
            st.sampled_from((b"", b"[" * 50_000, b"\xff\xfe", right + right, b"\xef\xbb\xbf" + right, b"<p>" * 9_000))
        )
    status = 200 if kind < 5 else draw(st.sampled_from(STATUSES))
    return status, draw(headers), body


messages = st.one_of(
    st.builds(
        lambda kind, more: json.dumps({"type": kind, **more}).encode(),
        st.sampled_from(TYPES) | values,
        st.dictionaries(st.sampled_from(FIELDS), values | st.dictionaries(st.sampled_from(FIELDS), values, max_size=2)),
    ),
    st.sampled_from((b"", b"{", b"[]", b"null", b"[" * 50_000, b'{"type":"x","y":NaN}', b'{"type":"\xe2\x82"}')),
    damaged(json.dumps({"type": TYPES[6], "transcript": "well", "timestamp": 1.5}).encode()),
)
sounds = st.one_of(
    st.sampled_from((LOUD, LOUD, bytes(960), b"", b"x", LOUD[:-1], LOUD * 60, LOUD * 600, b"\xff" * 960)),
    st.binary(max_size=40),
)
"""PCM of a WebSocket room, and Opus of a WebRTC room that is none."""
frames = st.tuples(
    st.sampled_from((0, 0, 1, 1, 1, 2, 2, 2, 2, 8, 10)),
    messages | sounds,
    st.booleans() | st.just(True),
    st.integers(0, 40).map(lambda die: die == 0),
)
"""Opcode, payload, final, reserved bit."""
