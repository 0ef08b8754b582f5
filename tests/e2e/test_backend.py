"""A run through an integrator's own endpoint: a small real one, which mints with the OpenAI SDK and creates with httpx
as integrators do, and knows its users by a cookie."""

import http.server
import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai

from tests.e2e.target import not_deleted, unless_late
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import avaload

TOKEN = "Bearer shop-4711-secret"


class Shop:
    """What the endpoint saw."""

    def __init__(self, twin: RunningTwin) -> None:
        self.openai = openai.OpenAI(api_key=twin.openai_key, base_url=twin.openai_url, max_retries=0)
        self.avaturn = httpx.Client(
            base_url=twin.avaturn_url, headers={"Authorization": f"Bearer {twin.avaturn_key}"}, trust_env=False
        )
        self.numbers = itertools.count()
        self.created: Counter[str] = Counter()
        self.owner: dict[str, str] = {}
        self.stopped: list[tuple[str, str]] = []
        self.unauthorised = 0
        self.started: list[tuple[str, dict[str, object]]] = []
        """Its own header and body of every start."""

    def start(self, body: dict[str, str], cookie: str | None) -> tuple[dict[str, object], str]:
        secret = self.openai.realtime.client_secrets.create(session={"type": "realtime", "model": "gpt-realtime"})
        engine = {"type": "openai-realtime", "client_secret": secret.value}
        made = self.avaturn.post("/api/v1/sessions", json={"conversation_engine": engine, "user_absent_timeout": 10})
        made.raise_for_status()
        who = cookie or f"visitor={next(self.numbers)}-of-{body['visitor']}"
        self.created[who] += 1
        self.owner[made.json()["session_id"]] = who
        return {"data": {"id": made.json()["session_id"], "grants": [{"token": made.json()["token"]}]}}, who

    def stop(self, session_id: str, cookie: str | None) -> int:
        self.stopped.append((session_id, cookie or ""))
        return self.avaturn.delete(f"/api/v1/sessions/{session_id}").status_code


@contextmanager
def shop_on(twin: RunningTwin) -> Iterator[tuple[Shop, str]]:
    shop = Shop(twin)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            if self.headers.get("Authorization") != TOKEN:
                shop.unauthorised += 1
                self._answer(401, {}, "")
            elif self.path.startswith("/stop/"):
                self._answer(shop.stop(self.path.rpartition("/")[2], self.headers.get("Cookie")), {}, "")
            else:
                shop.started.append((self.headers.get("X-Own", ""), body))
                self._answer(201, *shop.start(body, self.headers.get("Cookie")))

        def _answer(self, status: int, body: dict[str, object], cookie: str) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            if cookie:
                self.send_header("Set-Cookie", f"{cookie}; Path=/; HttpOnly")
            self.send_header("Content-Length", "0" if status == 204 else str(len(text)))
            self.end_headers()
            if status != 204:
                self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield shop, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
        shop.openai.close()
        shop.avaturn.close()


SCENARIO = """
[load]
users = 2
duration = "3s"
ramp = "0s"
[target]
room = "none"
[target.backend]
url = "{url}/start"
headers = {{ Authorization = "env:SHOP_TOKEN" }}
body = {{ visitor = "{{user}}" }}
session_id = "data.id"
token = "data.grants.0.token"
[target.backend.delete]
url = "{url}/stop/{{session_id}}"
method = "POST"
"""


def test_a_run_through_ones_own_backend_is_a_run_like_any_other(tmp_path: Path) -> None:
    with running_twin() as twin, shop_on(twin) as (shop, url):
        (tmp_path / "shop.toml").write_text(SCENARIO.format(url=url))
        environ = {"AVALOAD_TARGET__AVATURN_BASE_URL": twin.avaturn_url, "SHOP_TOKEN": TOKEN}
        with avaload("run", tmp_path / "shop.toml", cwd=tmp_path, environ=environ) as run:
            done = run.finish(within_s=90)
        report, written = run.report(), b"".join(p.read_bytes() for p in run.run_dir.rglob("*") if p.is_file())
        assert not_deleted(twin) == []
    assert done.code == unless_late(0, report), done
    sessions = report["sessions"]
    assert sessions["completed"] == sessions["started"] == sum(shop.created.values()) >= 2
    assert report["steps"]["mint"]["count"] == 0
    assert report["steps"]["create"]["count"] == report["steps"]["delete"]["count"] == sessions["started"]
    assert report["teardown"]["confirmed_gone"] == sessions["started"]
    assert sessions["setup"]["count"] == sessions["started"]
    assert sessions["setup"]["p50_s"] >= report["steps"]["create"]["p50_s"]
    assert report["secrets"]["minted"] == 0
    # Each virtual user was given one cookie, and came back with it, also to end his session.
    assert len(shop.created) == 2
    assert {who.rpartition("-")[2] for who in shop.created} == {"0", "1"}
    assert sorted(shop.stopped) == sorted(shop.owner.items())
    assert shop.unauthorised == 0
    assert TOKEN.encode() not in written
