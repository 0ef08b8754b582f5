"""The official web SDK in headless Chromium against the twin, as far as it goes without Daily.

The SDK is proprietary: it is installed from npm for the test, run as it is, and gone afterwards.
"""

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.programs import needed, npm_install

PACKAGE = "@avaturn-live/web-sdk"
VERSION = "0.3.7"
PAGE = Path(__file__).with_name("web_sdk.html")
ECHO = {"type": "text-echo", "tts": {"voice_id": "one"}}
INSTALL_S = 60
PAGE_S = 40
# Offline but for this host: what the SDK wants from Daily and Sentry is "not found" at once.
CHROMIUM = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--disable-background-networking"),
    *("--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--remote-debugging-port=0"),
)


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK's bundle."""
    needed("chromium")
    folder = tmp_path_factory.mktemp("web-sdk")
    npm_install(folder, f"{PACKAGE}@{VERSION}", timeout_s=INSTALL_S)
    return folder / "node_modules" / PACKAGE / "dist" / "main.js"


@pytest.fixture(scope="module")
def told(sdk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the page reports, and what the twin has seen of it."""
    with running_twin() as twin:
        session, ended = (twin.create({"conversation_engine": ECHO}).json() for _ in range(2))
        twin.delete(ended["session_id"])
        asked = {"host": twin.avaturn_url, "token": session["token"], "ended": ended["token"]}
        report = _report_of_the_page(sdk, asked, profile=tmp_path_factory.mktemp("chromium"))
        yield {**report, "truth": _truth(twin, session["session_id"]), "seen": _requests(twin)}


def test_it_gets_the_session_and_stops_only_at_the_bundle_of_daily(told: dict[str, Any]) -> None:
    assert told["seen"]["sdk_session"] == {"200": 1}
    assert "call object bundle" in told["init"]["error"]
    assert told["init"]["status"] is None


def test_preconnect_starts_the_stream(told: dict[str, Any]) -> None:
    assert told["seen"]["start_stream"] == {"200": 1}
    assert told["truth"]["state"] == "active"


def test_a_task_comes_back_with_its_id(told: dict[str, Any]) -> None:
    assert told["task"]["value"]["task_id"].startswith("task_")
    assert told["seen"]["tasks"] == {"200": 1}


def test_tasks_are_cancelled_and_the_voice_is_changed(told: dict[str, Any]) -> None:
    assert (told["cancel"], told["voice"]) == ({"value": None}, {"value": None})
    assert told["seen"]["cancel"]["200"] == 1
    assert told["seen"]["config"] == {"200": 1}


def test_a_refusal_can_be_read_by_the_page(told: dict[str, Any]) -> None:
    assert (told["refused"]["status"], told["refused"]["body"]) == (404, {"detail": "Session not found"})
    assert told["seen"]["cancel"]["404"] == 1


def test_every_call_was_preflighted(told: dict[str, Any]) -> None:
    assert told["seen"]["preflight"]["200"] >= 5
    assert set(told["seen"]["preflight"]) == {"200"}


def _truth(twin: RunningTwin, session_id: str) -> dict[str, Any]:
    return twin.eventually(session_id, lambda found: found["state"] != "starting")


def _requests(twin: RunningTwin) -> dict[str, dict[str, int]]:
    seen: dict[str, dict[str, int]] = twin.state()["counters"]["requests"]
    return seen


def _report_of_the_page(sdk: Path, asked: dict[str, str], *, profile: Path) -> dict[str, Any]:
    reports: queue.Queue[dict[str, Any]] = queue.Queue()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = {"/sdk/main.js": (sdk, "text/javascript"), "/": (PAGE, "text/html")}.get(
                self.path.partition("?")[0]
            )
            self.send_response(404 if found is None else 200)
            self.send_header("content-type", found[1] if found else "text/plain")
            self.end_headers()
            self.wfile.write(found[0].read_bytes() if found else b"")

        def do_POST(self) -> None:
            reports.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with _serving(Site) as origin, _chromium(f"{origin}/?{urlencode(asked)}", profile):
        return reports.get(timeout=PAGE_S)


@contextmanager
def _serving(site: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _chromium(url: str, profile: Path) -> Iterator[None]:
    command = ["chromium", *CHROMIUM, f"--user-data-dir={profile}", url]
    # A process group of its own: the browser's helpers end with it.
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as browser:
        try:
            yield
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
