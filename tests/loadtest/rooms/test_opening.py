"""Which room a grant leads to, and what is imported for it."""

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.commands.work.doctor_checks import examine
from loadtest.commands.work.load_run import run
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError, StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.rooms.opening import kind_of, open_room, prepare
from loadtest.rooms.websocket import WebSocketRoom
from loadtest.session.ports import Grant
from tests.loadtest.rooms.hearing import HandTicker, Recorder

TRUST = ssl.create_default_context()
LIVE = {"live": True, "max_sessions": 1}


def opened(room_url: str, **target: Any) -> Any:
    async def script() -> Any:
        settings = Settings.model_validate({"target": target})
        grant = Grant(room_url=room_url, token="t")
        return open_room(grant, Recorder(), (), HandTicker(), settings, TRUST)  # type: ignore[arg-type]

    return asyncio.run(script())


def refusal_of(room_url: str, **target: Any) -> tuple[Kind, Code, str]:
    with pytest.raises(StepError) as refused:
        opened(room_url, **target)
    return refused.value.kind, refused.value.code, refused.value.detail


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ws://127.0.0.1:9/rooms/1", "websocket"),
        ("wss://room.example/1", "websocket"),
        ("http://127.0.0.1:9/rooms/1/whip", "webrtc"),
        ("https://room.example/whip", "webrtc"),
        ("https://avaturn.daily.co/abc", "daily"),
        ("https://daily.co/abc", "daily"),
        ("http://avaturn.daily.co/abc", None),
        ("https://evildaily.co/abc", None),
        ("https://room.example/abc", None),
        ("file:///etc/passwd", None),
        ("", None),
    ],
)
def test_the_address_tells_the_kind_of_room(url: str, kind: str | None) -> None:
    assert kind_of(url) == kind


def test_a_websocket_address_opens_a_websocket_room() -> None:
    assert isinstance(opened("ws://127.0.0.1:9/rooms/1"), WebSocketRoom)


@pytest.mark.parametrize(
    "url", ["ws://192.0.2.7/rooms/1", "http://192.0.2.7/whip", "https://x.daily.co/1", "ws://localhost.example/1"]
)
def test_a_run_that_is_not_live_reaches_no_room_elsewhere(url: str) -> None:
    kind, code, detail = refusal_of(url)
    assert (kind, code) == (Kind.PROTOCOL, Code.BAD_SHAPE)
    assert "not --live" in detail


def test_an_address_of_no_known_kind_is_refused() -> None:
    _, code, detail = refusal_of("http://127.0.0.1:9/rooms/1")
    assert (code, detail) == (Code.BAD_SHAPE, "room_url is no address of a known kind of room")


@pytest.mark.parametrize("kind", ["websocket", "webrtc"])
def test_a_kind_that_was_insisted_on_must_fit_the_address(kind: str) -> None:
    url = "http://127.0.0.1:9/whip" if kind == "websocket" else "ws://127.0.0.1:9/rooms/1"
    assert refusal_of(url, room=kind)[1:] == (Code.BAD_SHAPE, f"room_url is no address of a {kind} room")


@pytest.mark.parametrize(
    ("url", "extra", "library"),
    [("http://127.0.0.1:9/whip", "webrtc", "aiortc"), ("https://x.daily.co/1", "daily", "daily")],
)
def test_a_room_whose_extra_is_missing_says_which(
    monkeypatch: pytest.MonkeyPatch, url: str, extra: str, library: str
) -> None:
    forget_imports(monkeypatch)
    monkeypatch.setitem(sys.modules, library, None)
    sentence = f"a {extra} room needs the extra {extra}: pip install 'avaload[{extra}]'"
    assert refusal_of(url, **LIVE) == (Kind.BUG, Code.EXTRA_MISSING, sentence)
    with pytest.raises(ConfigError) as refused:
        asyncio.run(prepare(Settings.model_validate({"target": {"room": extra}}), ()))
    assert refused.value.problems == [sentence]


def forget_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has opened no such room yet."""
    for name in [name for name in sys.modules if name.startswith("loadtest.rooms.")]:
        if name.rsplit(".", 1)[1] in ("webrtc", "peer", "opus", "rehearsal", "daily"):
            monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    ("target", "without", "imported"),
    [
        ({}, (), ["webrtc"]),
        (LIVE, (), ["daily", "webrtc"]),
        (LIVE, ("aiortc",), ["daily"]),
        (LIVE, ("aiortc", "daily"), []),
        ({"room": "daily"}, (), ["daily"]),
        ({"room": "webrtc"}, (), ["webrtc"]),
        ({"room": "websocket"}, (), []),
        ({"room": "none"}, (), []),
    ],
)
def test_what_a_room_needs_is_imported_before_the_first_session(
    monkeypatch: pytest.MonkeyPatch, target: dict[str, Any], without: tuple[str, ...], imported: list[str]
) -> None:
    forget_imports(monkeypatch)
    for library in without:
        monkeypatch.setitem(sys.modules, library, None)

    asyncio.run(prepare(Settings.model_validate({"target": target}), ()))

    found = {name for name in ("daily", "webrtc") if f"loadtest.rooms.{name}" in sys.modules}
    assert sorted(found) == imported


@pytest.mark.parametrize(("kind", "library"), [("webrtc", "aiortc"), ("daily", "daily")])
def test_a_run_that_insists_on_a_kind_without_its_extra_is_not_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    run_dir = tmp_path / "run"
    settings = Settings.model_validate({"target": {"room": kind}, "output": {"run_dir": run_dir}})

    with pytest.raises(ConfigError) as refused:
        run(settings)

    assert refused.value.problems == [
        f"target.room: a {kind} room needs the extra {kind}: pip install 'avaload[{kind}]'"
    ]
    assert not run_dir.exists()


def test_the_doctor_says_which_room_can_not_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiortc", None)
    target, output = {"room": "webrtc"}, {"metrics_port": "off"}

    checks = asyncio.run(examine(Settings.model_validate({"target": target, "output": output})))

    (room,) = (check for check in checks if check.name == "room")
    assert (room.state, room.text) == ("bad", "a webrtc room needs the extra webrtc: pip install 'avaload[webrtc]'")


def test_the_engine_imports_neither_webrtc_nor_daily_unless_such_a_room_is_opened() -> None:
    script = (
        "import sys, loadtest.engine.process;"
        "print([name for name in ('aiortc', 'av', 'daily', 'pylibsrtp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_native_messages_go_nowhere_and_pythons_own_still_arrive() -> None:
    script = (
        "import os, sys; from loadtest.rooms.native_stderr import quiet_stderr; quiet_stderr(); quiet_stderr();"
        "os.write(2, b'native\\n'); print('python', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "python\n")


def test_the_embedded_twin_has_no_daily_rooms_and_says_so_before_anything_is_started(tmp_path: Path) -> None:
    settings = Settings.model_validate({"target": {"room": "daily"}, "output": {"run_dir": tmp_path / "run"}})

    with pytest.raises(ConfigError) as refused:
        run(settings)

    assert refused.value.problems == [
        "target.room: the embedded twin has no Daily rooms; real endpoints and --live lead to them"
    ]
    assert not (tmp_path / "run").exists()
