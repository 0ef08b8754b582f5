"""What doctor says of a machine is what a run would meet there: the same checks, certificates and proxy."""

import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.exporters.conftest import certified as certified
from tests.loadtest.twin.process import running_twin
from tests.support import Done, call, free_port

KEYS = {"OPENAI_API_KEY": "sk-good", "AVATURN_API_KEY": "good", "AVALOAD_OUTPUT__METRICS_PORT": "off"}


class _Answers(BaseHTTPRequestHandler):
    """Anything, and remembers what it was asked for."""

    date: str | None = None

    def do_GET(self) -> None:
        self.server.asked.append(re.sub("[0-9a-f-]{36}", "ID", self.path))  # type: ignore[attr-defined]
        self.send_response_only(404)
        if self.date is not None:
            self.send_header("Date", self.date)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server(*, certified: tuple[Path, Path] | None = None, date: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Its port, and the paths that it is asked for."""
    handler = type("Handler", (_Answers,), {"date": date})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        listening.asked = asked = []  # type: ignore[attr-defined]
        if certified is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certified)
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield listening.server_address[1], asked
        finally:
            listening.shutdown()
            thread.join()


def examined(cwd: Path, *arguments: str, **environ: str) -> Done:
    done = call("doctor", *arguments, cwd=cwd, environ={**KEYS, **environ})
    assert "Traceback" not in done.err + done.out
    return done


def at(origin: str) -> dict[str, str]:
    return {"AVALOAD_TARGET__OPENAI_BASE_URL": f"{origin}/v1", "AVALOAD_TARGET__AVATURN_BASE_URL": origin}


@pytest.mark.parametrize("how", ["AVALOAD_TARGET__CA_FILE", "SSL_CERT_FILE"])
def test_certificates_are_trusted_as_a_run_trusts_them(how: str, certified: tuple[Path, Path], tmp_path: Path) -> None:
    with server(certified=certified) as (port, asked):
        target = at(f"https://127.0.0.1:{port}")
        assert examined(tmp_path, **target).code == 2
        good = examined(tmp_path, **target, **{how: str(certified[0])})
    assert good.code == 0, good
    assert f"ok    avaturn: https://127.0.0.1:{port} answers" in good.out
    assert sorted(asked) == ["/api/v1/sessions/ID", "/v1/models"]


def test_a_proxy_is_asked_as_a_run_asks_it(tmp_path: Path) -> None:
    origin = f"http://127.0.0.1:{free_port()}"
    with server() as (port, asked):
        done = examined(tmp_path, **at(origin), AVALOAD_TARGET__PROXY=f"http://127.0.0.1:{port}")
    assert done.code == 0, done
    assert sorted(asked) == [f"{origin}/api/v1/sessions/ID", f"{origin}/v1/models"]


def test_a_backend_of_ones_own_is_looked_at_instead_of_openai_and_not_called(tmp_path: Path) -> None:
    with server(date="yesterday") as (port, asked):
        origin = f"http://127.0.0.1:{port}"
        (tmp_path / "own.toml").write_text(
            f'[target]\navaturn_base_url = "{origin}"\n[target.backend]\nurl = "{origin}/token"\n'
            '[target.backend.headers]\nAuthorization = "env:OUR_TOKEN"\n'
        )
        done = examined(tmp_path, "own.toml", OUR_TOKEN="Bearer x")
    assert done.code == 0, done
    assert asked == ["/api/v1/sessions/ID"]
    assert f"ok    backend: {origin}/token answers" in done.out
    assert "ok    OUR_TOKEN: set" in done.out
    assert "clock" not in done.out


def test_what_a_run_is_refused_for_is_bad_here_too(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[[conversation.turns]]\nkind = "say"\nclip = "gone.wav"\n')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    run = call("run", "s.toml", cwd=tmp_path)
    done = examined(tmp_path, "s.toml")
    assert (run.code, done.code) == (2, 2)
    assert run.err == "avaload: gone.wav: no WAV file or folder of WAV files there\n"
    assert "bad   start: gone.wav: no WAV file or folder of WAV files there" in done.out


def test_it_takes_the_options_of_a_run_and_says_what_of_its_models_is_to_be_shut_down(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[realtime]\nmodel = "gpt-realtime"\n[load]\nusers = 3\n')
    with running_twin() as twin:
        keys = {"OPENAI_API_KEY": twin.openai_key, "AVATURN_API_KEY": twin.avaturn_key}
        at = ("--openai-base-url", twin.openai_url, "--avaturn-base-url", twin.avaturn_url)
        done = call("doctor", "s.toml", *at, "--users", 7, "--metrics-port", "off", cwd=tmp_path, environ=keys)
        wrong = call("doctor", *at, "--json", cwd=tmp_path, environ=keys | {"AVATURN_API_KEY": "wrong"})
    assert done.code == 0, done
    assert "7 users at once" in done.out
    assert "warn  model gpt-realtime: /v1/models says that it is shut down on 2027-01-20, in" in done.out
    assert "ok    model gpt-transcribe: /v1/models announces no end" in done.out
    (bad,) = (check for check in json.loads(wrong.out) if check["state"] == "bad")
    assert (wrong.code, bad["name"]) == (2, "avaturn")
    assert bad["text"].startswith(f"AVATURN_API_KEY: {twin.avaturn_url} doesn't take it (HTTP 401)")


@pytest.mark.parametrize("command", ["run", "capacity", "probe"])
def test_a_wrong_key_ends_each_command_before_it_has_made_anything(command: str, tmp_path: Path) -> None:
    with running_twin() as twin:
        at = ("--openai-base-url", twin.openai_url, "--avaturn-base-url", twin.avaturn_url)
        keys = {"OPENAI_API_KEY": "sk-of-somebody-else", "AVATURN_API_KEY": twin.avaturn_key}
        done = call(command, *at, "--run-dir", "made", "--metrics-port", "off", cwd=tmp_path, environ=keys)
        assert twin.state()["sessions"] == []
    said = "doesn't take it (HTTP 401): is it whole, still valid, of this service?"
    assert (done.code, done.out, done.err_lines) == (2, "", [f"avaload: OPENAI_API_KEY: {twin.openai_url} {said}"])
    assert not (tmp_path / "made").exists()


def test_a_look_is_in_no_figure_and_can_be_left_out(tmp_path: Path) -> None:
    """A double that lists no models is a note; with --no-check nothing is asked and nothing is told."""
    words = ("run", "--room", "none", "--users", 1, "--duration", "1s", "--ramp", "0s")
    for more, notes, looks in (((), 1, 1), (("--no-check",), 0, 0)):
        with running_twin() as twin, server() as (port, asked):
            environ = {
                "OPENAI_API_KEY": twin.openai_key, "AVATURN_API_KEY": twin.avaturn_key,
                "AVALOAD_TARGET__AVATURN_BASE_URL": twin.avaturn_url,
                "AVALOAD_TARGET__OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            }  # fmt: skip
            run_dir = tmp_path / f"run-{looks}"
            done = call(*words, *more, "--run-dir", run_dir, cwd=tmp_path, environ=environ)
            deletes = twin.state()["counters"]["requests"].get("delete", {})
        told = [line for line in done.err_lines if line.startswith("avaload: note: ")]
        assert (len(told), asked.count("/v1/models")) == (notes, looks), done
        report = json.loads((run_dir / "report.json").read_text())
        assert report["sessions"]["completed"] == 0
        assert (report["steps"]["delete"]["count"], deletes) == (0, {"404": 1} if looks else {})
