"""Runs against a provider whose clock is not ours, or who grants less than was asked for: what the report says of the
life that its secrets have left."""

import email.utils
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.target import reaching, unless_late
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import call

ASKED_S = 600


@contextmanager
def provider(twin: RunningTwin, *, ahead_s: int, granted_s: int) -> Iterator[str]:
    """The twin's mint behind a server with a clock of its own; its address."""

    class Mint(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
            answer = httpx.post(f"{twin.openai_url}/realtime/client_secrets", content=body, headers=kept)
            now_s = int(time.time()) + ahead_s
            text = json.dumps(answer.json() | {"expires_at": now_s + granted_s}).encode()
            self.send_response_only(answer.status_code)
            self.send_header("Date", email.utils.formatdate(now_s, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mint)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.mark.parametrize(
    ("ahead_s", "granted_s", "as_granted"),
    [(-60, ASKED_S, "pass"), (60, ASKED_S, "pass"), (0, 20, "fail"), (60, 20, "fail")],
    ids=["60 s behind ours", "60 s ahead of ours", "grants 20 of 600 s", "60 s ahead, and grants 20 of 600 s"],
)
def test_the_margin_of_secrets_is_right_whatever_the_provider_grants_and_its_clock_shows(
    ahead_s: int, granted_s: int, as_granted: str, tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text('[[slo]]\nindicator = "secret.margin.min"\nmin = 1\n')
    options = ("--room", "none", "--users", 1, "--duration", "2s", "--ramp", "0s", "--pacing", "1s", "--json")
    with running_twin() as twin, provider(twin, ahead_s=ahead_s, granted_s=granted_s) as url:
        environ = reaching(twin) | {"AVALOAD_TARGET__OPENAI_BASE_URL": url, "AVALOAD_TARGET__ROOM": "none"}
        done = call("run", "s.toml", *options, cwd=tmp_path, environ=environ)
    report = json.loads(done.out)

    rules = {rule["id"]: rule["outcome"] for rule in report["rules"]}
    assert (rules["EXP-3"], rules["EXP-8"]) == (as_granted, "pass")
    assert done.code == unless_late(0 if as_granted == "pass" else 3, report), done
    assert granted_s - 2.6 < report["secrets"]["min_margin_s"] < granted_s
    assert report["slos"][0]["observed"] == pytest.approx(report["secrets"]["min_margin_s"], abs=1e-6)
    assert report["secrets"]["skew"]["median_s"] == pytest.approx(ahead_s, abs=1.1)
