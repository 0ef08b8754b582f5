"""A run directory, or a scenario, that a stranger has made: whom it names is not contacted on its own word."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loadtest.cli import main
from loadtest.config.access.guard import guard
from loadtest.config.run_dir import write_settings
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import Remains
from tests.reports import journals as j

AVATURN_KEY = "avt-9Lk8Jh7Gf6Ds5Aq"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-Proj4711wertzu")
    monkeypatch.setenv("AVATURN_API_KEY", AVATURN_KEY)
    monkeypatch.setenv("MY_BANK_TOKEN", "b4nk-t0ken")
    monkeypatch.delenv("AVALOAD_TARGET__LIVE", raising=False)


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks up a name, and nobody connects."""

    def never(*told: Any, **_: Any) -> Any:
        raise AssertionError(f"asked for {told}")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    monkeypatch.setattr(socket.socket, "connect", never)


@contextmanager
def listening(*, refusing: str = "") -> Iterator[tuple[str, list[str]]]:
    """A service that takes every delete, or refuses it in these words; what it was told."""
    told: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            told.append(f"{self.path} {sorted(self.headers.items())}")
            self.send_response(500 if refusing else 204)
            self.send_header("content-length", str(len(refusing)))
            self.end_headers()
            self.wfile.write(refusing.encode())

        do_POST = do_DELETE  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", told
        finally:
            server.shutdown()
            thread.join(10)


def crafted(run_dir: Path, **target: Any) -> Path:
    """A run that has left a session, and a target of the stranger's choice."""
    j.write_file(run_dir, [j.started(1, 0.0), j.remains(1, 0.2, Remains.LEAKED, "create_answered")])
    write_settings(Settings.model_validate({"target": target}), run_dir, started_at=datetime.now(UTC))
    return run_dir


def of(origin: str, **more: Any) -> dict[str, Any]:
    return {"openai_base_url": f"{origin}/v1", "avaturn_base_url": origin, "live": True, "max_sessions": 5, **more}


def own_delete(url: str, **headers: str) -> dict[str, Any]:
    return {"url": "http://127.0.0.1:9/start", "headers": headers, "delete": {"url": url + "/stop/{session_id}"}}


FOREIGN = "https://evil.example"
REFUSALS: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "a foreign host": (of(FOREIGN), (), "--live --allow-host evil.example"),
    "a foreign host, live": (of(FOREIGN), ("--live",), "--live --allow-host evil.example"),
    "another host was allowed": (of(FOREIGN), ("--live", "--allow-host", "good.example"), "--allow-host evil.example"),
    "allowed, but not live": (of(FOREIGN), ("--allow-host", "evil.example"), "--live"),
    "the service itself": (of("https://api.avaturn.live"), (), "--live"),
    "its name without TLS": (of("http://api.avaturn.live"), ("--live",), "--allow-host api.avaturn.live"),
    "another port of it": (of("https://api.avaturn.live:8443"), ("--live",), "--allow-host api.avaturn.live"),
    "a foreign proxy": (of("https://api.avaturn.live", proxy="http://127.0.0.1:9"), ("--live",), "--proxy"),
    "a proxy before this machine": (of("http://127.0.0.1:9", proxy="http://evil.example"), ("--live",), "proxy"),
    "a foreign authority": (of("https://api.avaturn.live", ca_file="evil.pem"), ("--live",), "--ca-file"),
    "a foreign delete": (of("http://127.0.0.1:9", backend=own_delete(FOREIGN)), (), "evil.example"),
    "a variable of its choice": (
        of("http://127.0.0.1:9", backend=own_delete("http://127.0.0.1:9", X="env:MY_BANK_TOKEN")),
        (),
        "env:MY_BANK_TOKEN",
    ),
    "a value that is nowhere": (
        of("http://127.0.0.1:9", backend=own_delete("http://127.0.0.1:9", X="literal-value")),
        (),
        "--scenario FILE",
    ),
}


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize("case", REFUSALS)
def test_sweep_asks_nobody_on_a_directorys_word(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, options, told = REFUSALS[case]
    code = main(["sweep", str(crafted(tmp_path, **target)), *options])
    err = capsys.readouterr().err
    assert code == 2
    assert told in err
    assert err.splitlines()[-1] == f"avaload: nothing was sent; left: {j.sid(1)}"
    assert AVATURN_KEY not in err


@pytest.mark.usefixtures("no_names")
def test_a_password_in_a_url_is_refused_and_not_said_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = str(crafted(tmp_path, **of("https://api.avaturn.live")))
    for words in (
        ("sweep", run_dir, "--live", "--proxy", "http://me:pass-word-1@proxy.example:3128"),
        ("export", run_dir, "--otlp-endpoint", "http://me:pass-word-1@127.0.0.1:4318"),
        ("export", run_dir, "--otlp-endpoint", "https://me:pass-word-1@collector.example"),
    ):
        assert main([*words]) == 2
        said = capsys.readouterr()
        assert "pass-word-1" not in said.err + said.out
        assert words[-2] in said.err


def test_sweep_says_whom_it_asks_and_how_often_and_a_key_goes_to_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening() as (origin, told):
        assert main(["sweep", str(crafted(tmp_path, **of(origin)))]) == 0
    assert capsys.readouterr().err == f"sweep: 1 delete at {origin.removeprefix('http://')}\n"
    assert len(told) == 1
    assert f"Bearer {AVATURN_KEY}" in told[0]


def test_own_headers_come_from_the_scenario_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as (origin, told):
        headers = {"X": "literal-value", "Y": "env:MY_BANK_TOKEN"}
        run_dir = crafted(tmp_path / "run", **of(origin, backend=own_delete(origin, **headers)))
        lines = [
            f'url = "{origin}/start"',
            "[target.backend.headers]",
            *(f'{name} = "{headers[name]}"' for name in headers),
        ]
        (tmp_path / "shop.toml").write_text("\n".join(["[target.backend]", *lines]))
        assert main(["sweep", str(run_dir), "--scenario", str(tmp_path / "shop.toml")]) == 0
    capsys.readouterr()
    assert "('X', 'literal-value'), ('Y', 'b4nk-t0ken')" in told[0]
    assert AVATURN_KEY not in told[0]


def test_a_refusal_tells_nothing_that_the_run_has_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not what its creates held either: the run directory hides it, and the scenario has it."""
    sent = "Wq7-cart-of-customer-31337"
    with listening(refusing=f"no: {sent}") as (origin, _):
        backend = own_delete(origin) | {"body": {"cart": [sent]}}
        run_dir = crafted(tmp_path / "run", **of(origin, backend=backend))
        lines = ["[target.backend]", f'url = "{origin}/start"', f'body = {{ cart = ["{sent}"] }}']
        (tmp_path / "shop.toml").write_text("\n".join(lines))
        assert main(["sweep", str(run_dir), "--scenario", str(tmp_path / "shop.toml")]) == 5
    said = capsys.readouterr()
    assert "HTTP 500: no: [redacted]" in said.out
    assert sent not in said.out + said.err


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize(
    "options", [(), ("--live",), ("--live", "--allow-host", "other.example"), ("--allow-host", "otel.example")]
)
def test_export_sends_spans_to_no_host_that_was_not_allowed(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = crafted(tmp_path, **of("http://127.0.0.1:9"))
    assert main(["export", str(run_dir), "--otlp-endpoint", "https://otel.example", *options]) == 2
    assert "--live --allow-host otel.example" in capsys.readouterr().err


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize("word", ["true", '"yes"', "1"])
@pytest.mark.parametrize("command", [("run",), ("run", "--live", "--max-sessions", "1"), ("doctor",), ("capacity",)])
def test_a_scenario_is_live_on_nobodys_word_but_the_operators(
    command: tuple[str, ...], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(f"[target]\nlive = {word}\nmax_sessions = 5\n")
    assert main([command[0], str(scenario), *command[1:]]) == 2
    err = capsys.readouterr().err
    assert "target.live" in err
    assert "--live, or AVALOAD_TARGET__LIVE=true in the environment; not by a file" in err


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize(("key", "what"), [("otlp_endpoint", "spans"), ("otlp_metrics", "metrics")])
def test_a_collector_elsewhere_needs_the_operators_word_too(
    key: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(f'[output]\n{key} = "https://otel.example"\n')
    assert main(["run", str(scenario)]) == 2
    assert f"{what} go there only with --live" in capsys.readouterr().err


@pytest.mark.usefixtures("no_names")
@pytest.mark.parametrize(
    ("key", "variable", "value", "said"),
    [
        ("otlp_endpoint", "COMPRESSION", "zstd", True),
        ("otlp_metrics", "METRICS_COMPRESSION", "brotli", True),
        ("otlp_metrics", "TRACES_COMPRESSION", "brotli", False),
        ("otlp_endpoint", "TRACES_COMPRESSION", "GZIP", False),
    ],
)
def test_a_collector_gets_nothing_packed_otherwise_than_asked_for(
    key: str, variable: str, value: str, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name := f"OTEL_EXPORTER_OTLP_{variable}", value)
    settings = Settings.model_validate({"output": {key: "http://127.0.0.1:4318"}})
    problems: list[str] = []
    try:
        guard(settings)
    except ConfigError as error:
        problems = error.problems
    assert problems == [f"{name}: must be none, gzip or deflate"] * said


@pytest.mark.usefixtures("no_names")
def test_export_packs_nothing_otherwise_than_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")
    run_dir = crafted(tmp_path, **of("http://127.0.0.1:9"))
    assert main(["export", str(run_dir), "--otlp-endpoint", "http://127.0.0.1:1"]) == 2
    assert "OTEL_EXPORTER_OTLP_COMPRESSION: must be none, gzip or deflate" in capsys.readouterr().err


def test_the_directory_is_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = crafted(tmp_path, **of(FOREIGN))
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    assert main(["sweep", str(run_dir)]) == 2
    assert {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()} == before
    assert json.loads((run_dir / "settings.json").read_text())["settings"]["target"]["live"] is True
    capsys.readouterr()
