"""What doctor says of a machine is what a run would meet there: the same checks, certificates and proxy."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.exporters.conftest import certified as certified
from tests.support import Done, call, free_port

KEYS = {"OPENAI_API_KEY": "sk-good", "AVATURN_API_KEY": "good", "AVALOAD_OUTPUT__METRICS_PORT": "off"}


class _Answers(BaseHTTPRequestHandler):
    """Anything, and remembers what it was asked for."""

    date: str | None = None

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response_only(404)
        if self.date is not None:
            self.send_header("Date", self.date)
        self.send_header("Content-Length", "0")
        self.end_headers()

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
    assert asked == ["/", "/"]


def test_a_proxy_is_asked_as_a_run_asks_it(tmp_path: Path) -> None:
    origin = f"http://127.0.0.1:{free_port()}"
    with server() as (port, asked):
        done = examined(tmp_path, **at(origin), AVALOAD_TARGET__PROXY=f"http://127.0.0.1:{port}")
    assert done.code == 0, done
    assert asked == [f"{origin}/", f"{origin}/"]


def test_a_backend_of_ones_own_is_asked_instead_of_openai(tmp_path: Path) -> None:
    with server(date="yesterday") as (port, asked):
        origin = f"http://127.0.0.1:{port}"
        (tmp_path / "own.toml").write_text(
            f'[target]\navaturn_base_url = "{origin}"\n[target.backend]\nurl = "{origin}/token"\n'
            '[target.backend.headers]\nAuthorization = "env:OUR_TOKEN"\n'
        )
        done = examined(tmp_path, "own.toml", OUR_TOKEN="Bearer x")
    assert done.code == 0, done
    assert asked == ["/", "/"]
    assert f"ok    backend: {origin}/token answers" in done.out
    assert "ok    OUR_TOKEN: set" in done.out
    assert "warn  backend clock: not known: its Date header holds no date" in done.out


def test_what_a_run_is_refused_for_is_bad_here_too(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[[conversation.turns]]\nkind = "say"\nclip = "gone.wav"\n')
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    run = call("run", "s.toml", cwd=tmp_path)
    done = examined(tmp_path, "s.toml")
    assert (run.code, done.code) == (2, 2)
    assert run.err == "avaload: gone.wav: no WAV file or folder of WAV files there\n"
    assert "bad   start: gone.wav: no WAV file or folder of WAV files there" in done.out
