"""One session through all of the hot code before the twin opens, so that the first real calls are as fast as any."""

import asyncio
import gc
import json

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from loadtest.twin.pcm import FRAME_BYTES, SILENT_FRAME, rms, tone
from loadtest.twin.service import Twin

_DEADLINE_S = 5.0


async def warm_up(twin: Twin) -> None:
    """Hold one short conversation with `twin`, which is thrown away afterwards, then freeze what is in memory.

    Without the freeze every full collection would visit all imported code: pauses of tens of milliseconds.
    """
    await twin.start()
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await _converse(twin)
    finally:
        await twin.stop()
    gc.collect()
    gc.freeze()


async def _converse(twin: Twin) -> None:
    project = f"authorization: Bearer {twin.keys.avaturn}"
    mint = await _call(
        twin.openai_origin,
        "POST /v1/realtime/client_secrets",
        f"authorization: Bearer {twin.keys.openai}",
        {"session": {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}},
    )
    engine = {"type": "openai-realtime", "client_secret": mint["value"]}
    session = await _call(twin.avaturn_origin, "POST /api/v1/sessions", project, {"conversation_engine": engine})
    token = f"x-session-token: {session['token']}"
    grant = await _call(twin.avaturn_origin, "GET /_sdk/v0/sessions", token, None)
    user = _User()
    headers = {"Authorization": f"Bearer {grant['limited_access_token']}"}
    transport, _ = await ws_connect(lambda: user, grant["room_url"], extra_headers=headers, max_redirects=0)
    await user.live.wait()
    speech = tone(duration_ms=200)
    for start in range(0, len(speech), FRAME_BYTES):
        transport.send(WSMsgType.BINARY, speech[start : start + FRAME_BYTES])
    for _ in range(40):
        transport.send(WSMsgType.BINARY, SILENT_FRAME)
    await user.answered.wait()
    await _call(twin.avaturn_origin, f"DELETE /api/v1/sessions/{session['session_id']}", project, None)
    await transport.wait_disconnected()


class _User(WSListener):
    """Waits for the avatar, and for its answer."""

    def __init__(self) -> None:
        self.live = asyncio.Event()
        self.answered = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT and b'"first_frame": true' in frame.get_payload_as_bytes():
            self.live.set()
        elif frame.msg_type == WSMsgType.BINARY and rms(frame.get_payload_as_bytes()) > 0:
            self.answered.set()


async def _call(origin: str, what: str, header: str, body: object) -> dict[str, str]:
    """One request on a connection of its own; returns the JSON answer, {} for null."""
    host, _, port = origin.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    content = b"" if body is None else json.dumps(body).encode()
    kind = "" if body is None else "content-type: application/json\r\n"
    length = f"content-length: {len(content)}\r\n"
    head = f"{what} HTTP/1.1\r\nhost: {origin}\r\n{header}\r\n{kind}{length}connection: close\r\n\r\n"
    writer.write(head.encode() + content)
    answer = await reader.read()
    writer.close()
    head_bytes, _, content = answer.partition(b"\r\n\r\n")
    if not head_bytes.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the twin refused its own warm-up: {what}: {head_bytes[:60]!r}")
    return json.loads(content) or {}
