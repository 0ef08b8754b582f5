"""A reverse proxy between a run and its twin that notes every secret that passes, and sometimes answers like a careless
service: with an error that repeats what it was sent.
"""

import http.client
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.loadtest.twin.process import RunningTwin

SHARE = 0.25
"""Of the calls of each kind that get an error with the secret in it."""


class Tap:
    """`secrets`: kind → what was seen. `echoed`: kind → how many answers had a secret in an error."""

    def __init__(self, twin: RunningTwin, *, seed: int) -> None:
        self.secrets: dict[str, set[str]] = {
            "API key": {twin.openai_key, twin.avaturn_key},
            "client secret": set(),
            "session token": set(),
            "room token": set(),
        }
        self.echoed: dict[str, int] = {}
        self.url = ""
        self._openai, self._avaturn = urlsplit(twin.openai_url).netloc, urlsplit(twin.avaturn_url).netloc
        self._chance, self._lock = random.Random(seed), threading.Lock()
        self._refused_deletes: set[str] = set()

    def origin(self, path: str) -> str:
        return self._openai if path.startswith("/v1/") else self._avaturn

    def error_for(self, verb: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any] | None:
        """The careless answer to this call, if it is one of the unlucky."""
        with self._lock:
            if self._chance.random() >= SHARE:
                return None
            kind, status, answer = self._careless(verb, path, headers, body)
            if kind == "delete" and path in self._refused_deletes:
                return None  # once per session: the next attempt goes through
            self._refused_deletes.add(path)
            self.echoed[kind] = self.echoed.get(kind, 0) + 1
            return status, answer

    def _careless(self, verb: str, path: str, headers: dict[str, str], body: bytes) -> tuple[str, int, Any]:
        bearer = headers.get("authorization", "")
        if path.endswith("/client_secrets"):
            message = f"Incorrect API key provided: {bearer.removeprefix('Bearer ')}."
            return (
                "mint",
                401,
                {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}},
            )
        if verb == "POST":
            problem = {"type": "value_error", "loc": ["body"], "msg": "Value error", "input": json.loads(body)}
            return "create", 422, {"detail": [problem]}
        if verb == "DELETE":
            return "delete", 500, {"detail": f"not now, {bearer}"}
        return "sdk_session", 503, {"detail": f"no worker for {headers.get('x-session-token')}"}

    def note(self, verb: str, path: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Remember the secrets of a good answer. One of four room addresses then leads nowhere, token and all."""
        with self._lock:
            if path.endswith("/client_secrets"):
                self.secrets["client secret"].add(answer["value"])
            elif verb == "POST":
                self.secrets["session token"].add(answer["token"])
            elif "limited_access_token" in answer:
                token = answer["limited_access_token"]
                self.secrets["room token"].add(token)
                if self._chance.random() < SHARE:
                    self.echoed["room"] = self.echoed.get("room", 0) + 1
                    answer["room_url"] = f"ws://127.0.0.1:1/rooms/nowhere?token={token}"
        return answer


@contextmanager
def tapping(twin: RunningTwin, *, seed: int) -> Iterator[Tap]:
    """Serve the tap on loopback until the end."""
    tap = Tap(twin, seed=seed)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_call(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            careless = tap.error_for(self.command, self.path, headers, body)
            if careless is not None:
                self.reply(careless[0], json.dumps(careless[1]).encode())
                return
            upstream = http.client.HTTPConnection(tap.origin(self.path), timeout=30)
            try:
                kept = {name: value for name, value in headers.items() if name not in ("host", "connection")}
                upstream.request(self.command, self.path, body=body or None, headers=kept)
                answer = upstream.getresponse()
                text = answer.read()
            finally:
                upstream.close()
            if answer.status == 200 and isinstance(whole := json.loads(text), dict):
                text = json.dumps(tap.note(self.command, self.path, whole)).encode()
            self.reply(answer.status, text)

        do_GET = do_POST = do_DELETE = handle_call  # noqa: N815

        def reply(self, status: int, text: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    tap.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield tap
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
