"""Whoever keeps connections to a server of a run and says nothing, or little, keeps neither its files nor its scrapers
waiting."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from exporters.seats import MOST
from tests.support import eventually, get

ROOT = Path(__file__).parents[2]
BESIDES = 40
"""Files that such a process has open for other things."""
BEGINNINGS = (
    b"",
    b"G",
    b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    b"POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\nx",
    b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 40,  # and reads nothing of what comes
)


@pytest.fixture(params=["metrics", "live UI"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[int, int, str]]:
    """Process, port and page."""
    module = "tests.exporters.metrics.serving" if request.param == "metrics" else "tests.exporters.locust_ui.locust_ui"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(500)
        process = subprocess.Popen(
            [sys.executable, "-m", module, *([str(listener.fileno())] if request.param == "metrics" else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, pass_fds=[listener.fileno()],
        )  # fmt: skip
        assert process.stdout is not None
        if request.param == "metrics":
            yield process.pid, listener.getsockname()[1], "/metrics"
        else:
            yield process.pid, int(process.stdout.readline()), "/sessions/live.json"
        process.communicate(timeout=30)
        assert process.returncode == 0


def files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_hundreds_that_say_nothing_or_little_cost_few_files_and_nobody_else_an_answer(
    served: tuple[int, int, str],
) -> None:
    pid, port, page = served
    assert get(f"http://127.0.0.1:{port}{page}")[1]
    with ExitStack() as stack:
        lingering = []
        for number in range(5 * MOST):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            with contextlib.suppress(OSError):
                line.sendall(BEGINNINGS[number % len(BEGINNINGS)])
            lingering.append(line)
            if number % MOST == 0:
                assert get(f"http://127.0.0.1:{port}{page}", timeout_s=10)[1]
        eventually(lambda: files(pid) < MOST + BESIDES, within_s=10, what="connections cut off")
        assert get(f"http://127.0.0.1:{port}{page}", timeout_s=10)[1]
        lingering[0].settimeout(10)
        with contextlib.suppress(ConnectionError):
            assert lingering[0].recv(1) == b""
    eventually(lambda: files(pid) < BESIDES, within_s=10, what="all are gone")


def test_a_connection_that_is_used_stays_while_others_come_and_go(served: tuple[int, int, str]) -> None:
    _, port, page = served
    ask = f"GET {page} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with ExitStack() as stack:
        mine = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        for _ in range(4):
            answered(mine, ask)
            for _ in range(MOST // 2):
                other = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                answered(other, ask)  # so it has its place before the next one comes


def answered(line: socket.socket, ask: bytes) -> None:
    line.sendall(ask)
    with line.makefile("rb") as reader:
        assert reader.readline().startswith(b"HTTP/1.1 200")
        length = 0
        while (header := reader.readline().strip().lower()) != b"":
            length = int(header.partition(b":")[2]) if header.startswith(b"content-length") else length
        assert len(reader.read(length)) == length > 0
