"""Runs through an integrator's own endpoint whose sessions have the engine `external`: a broker and its engine in one
small server, which minds the user's speech by its level and answers with a tone, and forwards no transcripts."""

import asyncio
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from loadtest.twin.pcm import tone
from tests.e2e.target import not_deleted, unless_late
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import avaload

_LOUD, _SILENCE_MS, _FRAME_MS = 300, 300, 20
WAIVED = '[[waive]]\nrule = "INT-4"\nreason = "known since May"\n'


class Broker:
    """`POST /api/sessions` makes a session at the twin, which dials `/engine` with a secret of ours."""

    def __init__(self, twin: RunningTwin) -> None:
        self._twin, self._secret = twin, secrets.token_hex(16)
        self.origin = ""
        self.created: list[str] = []

    async def create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        engine = {
            "type": "external",
            "url": f"{self.origin.replace('http', 'ws')}/engine",
            "headers": {"Authorization": f"Bearer {self._secret}"},
            "audio": {"user": {"sample_rate": 24000}},
        }
        body = {"avatar_id": asked.get("avatar_id", "someone"), "model": "delta", "conversation_engine": engine}
        headers = {"Authorization": f"Bearer {self._twin.avaturn_key}"}
        url = f"{self._twin.avaturn_url}/api/v1/sessions"
        async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as made:
            answer = await made.json()
        self.created.append(answer["session_id"])
        return web.json_response(answer | {"api_host": self._twin.avaturn_url})

    async def engine(self, request: web.Request) -> web.WebSocketResponse:
        if request.headers.get("Authorization") != f"Bearer {self._secret}":
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        heard_ms, silent_ms, number = 0, 0, 0
        async for message in socket:
            if message.type != aiohttp.WSMsgType.BINARY:
                continue
            is_loud = np.abs(np.frombuffer(message.data, dtype="<i2").astype(int)).max(initial=0) > _LOUD
            if is_loud and not heard_ms:
                await socket.send_json({"type": "avatar.speech.interrupt"})
            heard_ms, silent_ms = (heard_ms + _FRAME_MS, 0) if is_loud else (heard_ms, silent_ms + _FRAME_MS)
            if heard_ms and silent_ms >= _SILENCE_MS:
                heard_ms, number = 0, number + 1
                await socket.send_json({"type": "avatar.speech.segment.create", "segment_uid": str(number)})
                await socket.send_bytes(tone(duration_ms=600))
                await socket.send_json({"type": "avatar.speech.segment.close", "segment_uid": str(number)})
        return socket


@contextmanager
def brokered(twin: RunningTwin) -> Iterator[Broker]:
    broker, loop, ready = Broker(twin), asyncio.new_event_loop(), threading.Event()

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/api/sessions", broker.create)
        app.router.add_get("/engine", broker.engine)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        broker.origin = f"http://{host}:{port}"
        ready.set()
        return runner

    def main() -> None:
        runner = loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=main)
    thread.start()
    try:
        assert ready.wait(10)
        yield broker
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


SCENARIO = """
name = "brokered"
{session}
[load]
users = 2
duration = "6s"
ramp = "0s"
[target.backend]
url = "{origin}/api/sessions"
body = {{}}
[conversation]
think_min_s = 0
think_max_s = 0.1
[[conversation.turns]]
kind = "say"
[[conversation.turns]]
kind = "say"
{waive}
"""


@pytest.mark.parametrize(
    ("session", "waive", "reason"),
    [
        ('[session]\nengine = "external"', WAIVED, "engine external forwards no transcripts"),
        ("", "", "not one transcript came; the endpoint's engine may forward none ([session] engine)"),
    ],
    ids=["said", "not said"],
)
def test_an_engine_that_forwards_no_transcripts_passes_and_what_it_hides_is_not_tested(
    session: str, waive: str, reason: str, tmp_path: Path
) -> None:
    with running_twin() as twin, brokered(twin) as broker:
        (tmp_path / "s.toml").write_text(SCENARIO.format(session=session, origin=broker.origin, waive=waive))
        environ = {
            "AVALOAD_TARGET__AVATURN_BASE_URL": twin.avaturn_url,
            "AVALOAD_TARGET__ROOM": "websocket",
            "AVATURN_API_KEY": twin.avaturn_key,
        }
        with avaload("run", tmp_path / "s.toml", cwd=tmp_path, environ=environ) as run:
            done = run.finish(within_s=90)
        report = run.report()
        assert not_deleted(twin) == []
    assert done.code == unless_late(0, report), done
    assert report["sessions"]["completed"] == report["sessions"]["started"] == len(broker.created) >= 2
    rules = {row["id"]: row for row in report["rules"]}
    assert (rules["TR-2"]["outcome"], rules["TR-2"]["summary"]) == ("not_tested", reason)
    assert rules["TR-1"]["outcome"] == "not_tested"
    assert [row["id"] for row in report["rules"] if row["outcome"] == "fail"] == []
    if waive:
        assert rules["INT-4"]["outcome"] == "waived"
        assert rules["INT-4"]["waived"]["cases"] == rules["INT-4"]["cases"] > 0
        named = f"rule INT-4 ({rules['INT-4']['statement']}): waived (known since May): held in"
        shown = json.dumps(report["verdict"]) + done.out
        assert named in shown
        assert "waived (known since May)" in (run.run_dir / "report.html").read_text()
        assert "🟡 rule INT-4" in (run.run_dir / "report.md").read_text()
        cases = ElementTree.parse(run.run_dir / "junit.xml").iter("testcase")
        (case,) = [each for each in cases if str(each.get("name")).startswith("INT-4")]
        skipped = case.find("skipped")
        assert skipped is not None
        assert "known since May" in str(skipped.get("message"))
