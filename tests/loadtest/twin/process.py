"""A twin in a process of its own, and the HTTP calls that tests make to it."""

import json
import os
import selectors
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

DEADLINE_S = 30.0


class RunningTwin:
    """What the twin announced, and short names for its calls."""

    def __init__(self, process: subprocess.Popen[bytes], announcement: dict[str, Any], http: httpx.Client) -> None:
        self.process = process
        self.announcement = announcement
        self.http = http
        self.openai_url: str = announcement["openai_base_url"]
        self.avaturn_url: str = announcement["avaturn_base_url"]
        self.openai_key: str = announcement["openai_api_key"]
        self.avaturn_key: str = announcement["avaturn_api_key"]
        self.realtime_url = self.openai_url.replace("http", "ws", 1) + "/realtime"

    def mint(
        self, body: Any = None, *, key: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        auth = {"authorization": f"Bearer {key or self.openai_key}", **(headers or {})}
        return self.http.post(f"{self.openai_url}/realtime/client_secrets", json=body or {}, headers=auth)

    def secret(self, session: dict[str, Any] | None = None, *, ttl_s: int = 600) -> str:
        body = {"expires_after": {"seconds": ttl_s}, "session": {"type": "realtime", **(session or {})}}
        answer = self.mint(body)
        assert answer.status_code == 200, answer.text
        value: str = answer.json()["value"]
        return value

    def create(self, body: Any, *, key: str | None = None, headers: dict[str, str] | None = None) -> httpx.Response:
        auth = {"authorization": f"Bearer {key or self.avaturn_key}", **(headers or {})}
        return self.http.post(f"{self.avaturn_url}/api/v1/sessions", json=body, headers=auth)

    def new_session(self, *, secret: str | None = None, **fields: Any) -> dict[str, str]:
        engine = {"type": "openai-realtime", "client_secret": secret or self.secret()}
        answer = self.create({"conversation_engine": engine, **fields})
        assert answer.status_code == 200, answer.text
        session: dict[str, str] = answer.json()
        return session

    def delete(self, session_id: str, *, key: str | None = None) -> httpx.Response:
        auth = {"authorization": f"Bearer {key or self.avaturn_key}"}
        return self.http.delete(f"{self.avaturn_url}/api/v1/sessions/{session_id}", headers=auth)

    def sdk(self, token: str) -> httpx.Response:
        return self.http.get(f"{self.avaturn_url}/_sdk/v0/sessions", headers={"x-session-token": token})

    def state(self, *, alive: bool = False) -> dict[str, Any]:
        answer = self.http.get(self.announcement["state_url"], params={"alive": 1} if alive else {})
        found: dict[str, Any] = answer.json()
        return found

    def truth(self, session_id: str) -> dict[str, Any]:
        """The ground truth of one session."""
        return next(each for each in self.state()["sessions"] if each["session_id"] == session_id)

    def eventually(self, session_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The session's truth as soon as `holds` says so; fails at the deadline."""
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            found = self.truth(session_id)
            if holds(found):
                return found
            assert time.monotonic() < deadline_s, found
            time.sleep(0.01)


def trust(announcement: dict[str, Any]) -> ssl.SSLContext:
    """What a client of this twin trusts."""
    return ssl.create_default_context(cafile=announcement.get("ca_file"))


@contextmanager
def running_twin(*options: str, pass_fds: Sequence[int] = ()) -> Iterator[RunningTwin]:
    """Start a twin, wait until it accepts, stop it in the end and insist on exit code 0."""
    command = [sys.executable, "-m", "loadtest.twin", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=pass_fds, env=environment) as process,
    ):
        try:
            announcement = json.loads(_first_line(process))
            with httpx.Client(timeout=DEADLINE_S, verify=trust(announcement)) as http:
                yield RunningTwin(process, announcement, http)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
        finally:
            if process.poll() is None:
                process.kill()


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        assert ready.select(DEADLINE_S), "the twin said nothing"
    return process.stdout.readline()
