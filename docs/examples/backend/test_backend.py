"""The back end against a twin of both services: by one call, and under load."""

import socket
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn
from backend import app

from loadtest.api import Twin
from reports.figures import Report


@pytest.fixture
def backend(avaload_twin: Twin, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Our own back end, which calls the twin."""
    for name, value in avaload_twin.environment.items():
        monkeypatch.setenv(name, value)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


def test_a_page_gets_a_session_that_exists(backend: str, avaload_twin: Twin) -> None:
    answer = httpx.post(f"{backend}/avatar-session", timeout=10)
    assert answer.status_code == 200
    assert answer.json()["session_id"] in [each["session_id"] for each in avaload_twin.state()["sessions"]]


@pytest.mark.avaload_twin(fault__mint="429:1")
def test_a_page_is_told_when_openai_refuses(backend: str) -> None:
    answer = httpx.post(f"{backend}/avatar-session", timeout=10)
    assert answer.status_code == 503
    assert answer.json() == {"detail": "the assistant is not available"}


@pytest.mark.avaload_slo({"session.failed_rate": 0.0, "create.p50": 2.0})
def test_whole_sessions_hold_their_bounds(backend: str, avaload_run: Callable[..., Report]) -> None:
    report = avaload_run(users=2, duration="5s", room="none", backend_url=f"{backend}/avatar-session")
    assert report.sessions.completed > 2
    assert report.sessions.leaked == 0
