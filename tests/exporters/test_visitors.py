"""A page of anybody's in the operator's browser reads nothing of a run, by whatever name it finds the way."""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporters.visitors import meant_only
from loadtest.config.keys.output import Output

ROOT = Path(__file__).parents[2]
LOOPBACK = ["127.0.0.1", "127.0.0.1:8089", "localhost:8089", "LOCALHOST", "localhost.", "[::1]:8089", "127.1.2.3"]
ADDRESSES = ["10.0.0.7:9646", "[2001:db8::7]:9646"]
STRANGE = [
    "evil.example", "evil.example:8089", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:localhost",
    "localhost@evil.example", "evil.example#localhost", "evil.example/localhost", "127.0.0.1, evil.example", "", "[::1",
    "2130706433", "0x7f.1", "localhost:x", "\\localhost",
]  # fmt: skip


def asked(bound: str, *served_as: str, **environ: str) -> tuple[int, dict[str, str]]:
    """Status and headers of a server that allows every origin, as Locust does."""
    said: list[Any] = []

    def open_to_all(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), ("Access-Control-Allow-Origin", "*")])
        return [b"all of it"]

    app = meant_only(open_to_all, bound=bound, served_as=served_as)
    body = b"".join(app(dict(environ), lambda status, headers, *_: said.extend((status, headers))))
    assert (body == b"all of it") == (said[0] == "200 OK")
    return int(said[0].split()[0]), dict(said[1])


@pytest.mark.parametrize("host", LOOPBACK)
def test_this_machine_is_meant_by_its_names(host: str) -> None:
    status, headers = asked("127.0.0.1", HTTP_HOST=host)
    assert status == 200
    assert not any(name.lower().startswith("access-control-") for name in headers)
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize("host", STRANGE + ADDRESSES)
def test_another_name_that_leads_here_is_refused(host: str) -> None:
    assert asked("127.0.0.1", HTTP_HOST=host)[0] == 403


@pytest.mark.parametrize("host", STRANGE)
def test_a_server_that_listens_everywhere_is_meant_by_any_address_and_by_no_strange_name(host: str) -> None:
    for bound in ("0.0.0.0", "::", ""):
        assert {asked(bound, HTTP_HOST=address)[0] for address in ADDRESSES + LOOPBACK} == {200}
        assert asked(bound, HTTP_HOST=host)[0] == 403


def test_names_that_were_given_are_meant_too() -> None:
    for host in ("avaload-metrics:9646", "Avaload-Metrics", "load.corp.example"):
        assert asked("0.0.0.0", "avaload-metrics", "load.corp.example", HTTP_HOST=host)[0] == 200
    assert asked("0.0.0.0", "avaload-metrics", HTTP_HOST="avaload-metrics.evil.example")[0] == 403
    assert asked("10.0.0.7", HTTP_HOST="10.0.0.7:9646")[0] == 200
    assert asked("10.0.0.7", HTTP_HOST="10.0.0.8:9646")[0] == 403


def test_a_page_of_another_origin_is_refused_and_one_of_ours_is_not() -> None:
    for origin in (
        "http://evil.example",
        "null",
        "http://localhost:3000",
        "http://127.0.0.1",
        "file://",
        "x",
        "http://[",
        "http://[x]",
    ):
        assert asked("127.0.0.1", HTTP_HOST="127.0.0.1:8089", HTTP_ORIGIN=origin)[0] == 403
    assert asked("127.0.0.1", HTTP_HOST="127.0.0.1:8089", HTTP_ORIGIN="http://127.0.0.1:8089")[0] == 200


def test_the_setting_takes_names_of_hosts_alone() -> None:
    assert Output(served_as="a.example,b").served_as == ("a.example", "b")  # type: ignore[arg-type]
    assert Output(served_as=["a", "b,c"]).served_as == ("a", "b", "c")  # type: ignore[arg-type]
    for bad in ("http://a", "a b", "", "a,,b", "*/x"):
        with pytest.raises(ValueError, match="not the name of a host"):
            Output(served_as=bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="valid string"):
        Output(served_as=["a", 5])  # type: ignore[arg-type]


def request(port: int, path: str, *, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@pytest.fixture(scope="module")
def ui() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.exporters.locust_ui.locust_ui"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.communicate(timeout=30)


@pytest.fixture(scope="module")
def metrics() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.exporters.metrics.serving", str(listener.fileno())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, pass_fds=[listener.fileno()],
        )  # fmt: skip
        yield listener.getsockname()[1]
        process.communicate(timeout=30)


PATHS = ["/", "/sessions", "/sessions/live.json", "/stats/requests", "/logs", "/exceptions", "/tasks", "/assets/x.js"]


@pytest.mark.parametrize("path", PATHS)
def test_locust_s_pages_are_no_stranger_s(ui: int, path: str) -> None:
    here = f"127.0.0.1:{ui}"
    status, headers, body = request(ui, path, Host=here)
    assert status in (200, 404)
    assert not [name for name in headers if name.startswith("access-control-")]
    for more in ({"Host": f"evil.example:{ui}"}, {"Host": here, "Origin": "http://evil.example"}):
        refused = request(ui, path, **more)
        assert refused[0] == 403
        assert not [name for name in refused[1] if name.startswith("access-control-")]
        assert refused[2] != body
    preflight = request(ui, path, method="OPTIONS", Host=here, Origin="http://evil.example")
    assert preflight[0] == 403


def test_the_page_s_own_requests_are_answered(ui: int) -> None:
    status, _, body = request(ui, "/sessions/live.json", Host=f"localhost:{ui}", Origin=f"http://localhost:{ui}")
    assert status == 200
    assert json.loads(body)["run"]


def test_metrics_are_no_stranger_s(metrics: int) -> None:
    assert request(metrics, "/metrics", Host=f"127.0.0.1:{metrics}")[0] == 200
    for headers in ({"Host": "evil.example"}, {"Host": f"127.0.0.1:{metrics}", "Origin": "http://evil.example"}, {}):
        status, _, body = request(metrics, "/metrics", **headers)
        assert (status, b"avaload_" in body) == (403, False)


def test_where_there_is_a_login_its_cookie_stays_with_its_own_pages() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.exporters.locust_ui.locust_ui", "--web-login"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    port = int(process.stdout.readline())
    _, headers, _ = request(port, "/sessions", Host=f"127.0.0.1:{port}")
    process.communicate(timeout=30)
    assert "; SameSite=Lax" in headers["set-cookie"]
    assert "; HttpOnly" in headers["set-cookie"]
