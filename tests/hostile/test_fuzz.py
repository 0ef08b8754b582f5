"""Hypothesis in place of the target: none of ours is raised, nothing stays behind, and memory doesn't grow.

`AVALOAD_FUZZ=N`: N times as many examples as in a usual run of the tests.
"""

import asyncio
import json
import logging
import os
import pickle
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import picows.picows
import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import OURS
from loadtest.events.kinds import Event, Remains, SessionFinished
from loadtest.http_client import connection
from loadtest.http_client.pool import Pool
from loadtest.journal import decode, encode
from loadtest.rooms import webrtc
from loadtest.rooms.websocket import WebSocketRoom
from loadtest.session.hearing.conversation import Conversation
from loadtest.session.ports import Grant, is_deleted
from loadtest.session.record import Record
from tests.hostile import generated, target
from tests.hostile.scripts import hang_up, once
from tests.loadtest.rooms.hearing import HandTicker

EXAMPLES = int(10_000 * float(os.environ.get("AVALOAD_FUZZ", "1")))
BATCH = 50
TIMEOUT_S = 600 + EXAMPLES // 10
REPLAYED = 200
"""Answers of each endpoint that are played again without hypothesis, ten times over: its own memory goes up and down
by some 70 MB with what it draws, and would hide ours."""
ENGINE_BYTES = 200 << 20
GROWTH_BYTES = 8 << 20
URL = "http://127.0.0.1:1"
BACKEND = {"url": f"{URL}/backend", "session_id": "session_id", "delete": {"url": f"{URL}/gone/{{session_id}}"}}
GOOD: dict[str, dict[str, Any]] = {
    "mint": target.SECRET,
    "create": {"session_id": "av-0", "token": "token-av-0"},
    "sdk": {"room_url": "ws://127.0.0.1:1/rooms/1", "limited_access_token": "room"},
    "delete": {"error": {"message": "x"}},
    "backend": {"session_id": "av-0", "token": "token-av-0"},
}
BOTH_WAYS = ("mint", "create", "delete")
"""Endpoints whose answers are read in two ways: each gets half of the examples."""
Answer = tuple[int, dict[str, str], bytes]


class Batch:
    """Examples that are tried on one engine. Not shown as a whole: a failed assertion shows its own."""

    def __init__(self, examples: list[Any]) -> None:
        self._examples = examples

    def __iter__(self) -> Iterator[Any]:
        return iter(self._examples)

    def __repr__(self) -> str:
        return f"Batch of {len(self._examples)}"


def batches(of: st.SearchStrategy[Any], size: int = BATCH) -> st.SearchStrategy[Batch]:
    return st.lists(of, min_size=size, max_size=size).map(Batch)


def many(count: int = EXAMPLES, *, batch: int = BATCH) -> Callable[[Any], Any]:
    return settings(
        max_examples=max(1, count // batch),
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Services:
    """Both services without a socket; `wrong`: the answer of one endpoint."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint, self.wrong, self.calls = endpoint, (200, {}, b""), list[str]()

    def ask(self, into: connection.Answer, method: str, url: str) -> None:
        """Of `Pool.ask`, what it does for its caller."""
        into.status, headers, body = self._answer(method, url)
        into.headers = [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()]
        into.encoding = dict(into.headers).get(b"content-encoding", b"")
        into.pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)]

    def _answer(self, method: str, url: str) -> Answer:
        endpoint = (
            "backend"
            if url.endswith("/backend")
            else "mint"
            if url.endswith("client_secrets")
            else "create"
            if method == "POST"
            else "delete"
            if method == "DELETE"
            else "sdk"
        )
        is_wrong = endpoint == self.endpoint and not (endpoint == "sdk" and endpoint in self.calls)
        self.calls.append(endpoint)
        if is_wrong:
            return self.wrong
        if endpoint == "sdk" and "delete" in self.calls:
            return 404, {}, b"{}"
        return 200, {}, json.dumps(GOOD[endpoint]).encode()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a session waits for, and what each engine would read from the disk again."""
    monkeypatch.setattr("loadtest.session.patience.BACKOFF_S", 0.0)
    monkeypatch.setattr("loadtest.session.owned.DELETE_PATIENCE_S", 0.0)
    monkeypatch.setattr("loadtest.session.owned.GONE_LOOK_S", (0.0,))
    context = ssl.create_default_context()
    monkeypatch.setattr("loadtest.services.control.trust", lambda _: context)


async def play(endpoint: str, wrongs: Iterable[Answer], services: Services, *, http: str = "official") -> None:
    """One engine, and a session on it for each of the answers."""
    backend = {"backend": BACKEND} if endpoint == "backend" else {}
    resolved = target.settings(URL, room="none", timeout_s=0.05, http=http, **backend)
    async with target.engine(resolved) as (one, _lags):
        for services.wrong in wrongs:
            services.calls.clear()
            judge(await one(), services)


def answered_by(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(_self: Pool, _call: Any, into: connection.Answer, *, method: str, url: str, **_: Any) -> None:
        services.ask(into, method, url)

    monkeypatch.setattr(Pool, "ask", ask)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize(
    ("endpoint", "http", "examples"),
    [
        *((endpoint, http, EXAMPLES // 2) for endpoint in BOTH_WAYS for http in ("official", "lean")),
        *((endpoint, "official", EXAMPLES) for endpoint in GOOD if endpoint not in BOTH_WAYS),
    ],
)
@pytest.mark.usefixtures("at_once")
def test_any_answer_is_told_by_name_and_leaves_nothing(
    endpoint: str, http: str, examples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = Services(endpoint)
    answered_by(services, monkeypatch)

    @many(examples)
    @given(batches(generated.answers(GOOD[endpoint])))
    def fuzz(batch: Batch) -> None:
        runner.run(play(endpoint, batch, services, http=http))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        fuzz()


@pytest.mark.timeout(TIMEOUT_S)
def test_an_engine_that_meets_ten_thousand_of_them_stays_small(tmp_path: Path) -> None:
    """In a process of its own, as an engine is."""
    wrongs = {endpoint: some_answers(good) for endpoint, good in GOOD.items()}
    drawings = tmp_path / "answers"
    drawings.write_bytes(pickle.dumps(wrongs))
    command = [sys.executable, "-m", "tests.hostile.test_fuzz", str(drawings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)

    assert done.returncode == 0, done.stderr
    after_each = [int(word) for word in done.stdout.split()]
    assert sum(map(len, wrongs.values())) * len(after_each) >= 10_000
    assert max(after_each) < ENGINE_BYTES
    assert after_each[-1] - after_each[1] < GROWTH_BYTES, after_each


def some_answers(good: dict[str, Any]) -> list[Answer]:
    drawn: list[Answer] = []

    @many(REPLAYED)
    @given(batches(generated.answers(good)))
    def draw(batch: Batch) -> None:
        drawn.extend(batch)

    draw()
    return drawn


def replay(drawings: Path, rounds: int = 10) -> None:
    """Play all of them so many times, and say the memory of this process after each."""
    with pytest.MonkeyPatch.context() as patched, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        hurry(patched)
        logging.disable(logging.CRITICAL)
        wrongs = pickle.loads(drawings.read_bytes())
        for _ in range(rounds):
            for endpoint, each in wrongs.items():
                services = Services(endpoint)
                with pytest.MonkeyPatch.context() as answered:
                    answered_by(services, answered)
                    runner.run(play(endpoint, each, services))
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            print(pages * os.sysconf("SC_PAGE_SIZE"))


def judge(events: list[Event], services: Services) -> None:
    finished = events[-1]
    assert isinstance(finished, SessionFinished)
    assert finished.failure is None or finished.failure.kind not in OURS, (finished, services.wrong)
    if finished.remains is Remains.LEAKED:
        assert services.endpoint == "delete"
        assert not is_deleted(services.wrong[0])
    elif finished.remains is Remains.DOUBTFUL:
        assert services.endpoint in ("create", "backend")


class NoTransport:
    """What a room does to its socket."""

    is_disconnected = False
    response = SimpleNamespace(headers={"upgrade": "websocket"})

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_given, **_named: None


class NoPeer(NoTransport):
    is_open = True

    def __init__(self, *_given: Any, **_named: Any) -> None:
        pass


def talk() -> Conversation:
    """A listener that writes all that it observes as a journal would."""
    record = Record(
        emit=lambda event: (decode(encode(event)), None)[1], lag_ns=lambda: 0, scenario="fuzz", purpose="load"
    )
    return Conversation(observe=record.observe, digest=lambda text: text[:0], keep_transcripts=True)


def blameless(why: StepError | None) -> bool:
    return why is None or why.kind not in OURS


GRANT = Grant(room_url="ws://127.0.0.1:1/rooms/1", token="room")


@pytest.mark.timeout(TIMEOUT_S)
def test_any_frame_of_a_websocket_room_is_the_rooms_own_doing() -> None:
    trust = ssl.create_default_context()

    def opened() -> tuple[WebSocketRoom, Conversation]:
        heard = talk()
        room = WebSocketRoom(GRANT, heard, (), HandTicker(), proxy=None, trust=trust)  # type: ignore[arg-type]
        room.on_ws_connected(NoTransport())
        return room, heard

    async def play(batch: Batch) -> None:
        room, heard = opened()
        for opcode, payload, fin, reserved in batch:
            if heard.over is not None:
                room, heard = opened()
            if opcode == 8 and len(payload) < 2:  # picows refuses these itself
                continue
            kind = picows.WSMsgType(opcode)
            frame = picows.picows._make_test_ws_frame(kind, payload, fin, reserved)
            try:
                room.on_ws_frame(NoTransport(), frame)
            except UnicodeDecodeError:
                assert opcode == 8  # refused by picows before a listener sees it
            assert blameless(heard.over), (heard.over, opcode, payload[:200])

    @many()
    @given(batches(generated.frames))
    def fuzz(batch: Batch) -> None:
        runner.run(play(batch))

    with asyncio.Runner() as runner:
        fuzz()


@pytest.mark.timeout(TIMEOUT_S)
def test_any_app_message_is_the_rooms_own_doing() -> None:
    trust = ssl.create_default_context()

    async def play(batch: Batch) -> None:
        for message in batch:
            heard = talk()
            room = WebSocketRoom(GRANT, heard, (), HandTicker(), proxy=None, trust=trust)  # type: ignore[arg-type]
            room.on_ws_frame(
                NoTransport(), picows.picows._make_test_ws_frame(picows.WSMsgType.TEXT, message, True, False)
            )
            assert blameless(heard.over), (heard.over, message[:200])

    @many()
    @given(batches(generated.messages))
    def fuzz(batch: Batch) -> None:
        runner.run(play(batch))

    with asyncio.Runner() as runner:
        fuzz()


@pytest.mark.timeout(TIMEOUT_S)
def test_any_packet_and_message_of_a_webrtc_room_is_the_rooms_own_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    trust = ssl.create_default_context()
    monkeypatch.setattr(webrtc, "Peer", NoPeer)

    async def play(batch: Batch) -> None:
        for message, packet, sequence, timestamp in batch:
            heard = talk()
            room = webrtc.WebRtcRoom(GRANT, heard, (), HandTicker(), proxy=None, trust=trust)  # type: ignore[arg-type]
            room.on_packet(1, sequence, timestamp, packet)
            room.on_packet(2, sequence * 7 & 0xFFFF, timestamp * 7 & 0xFFFFFFFF, packet[::-1])
            room.on_packet(3, sequence * 7 + 1 & 0xFFFF, timestamp, packet)
            room.on_text(4, message)
            assert blameless(heard.over), (heard.over, message[:200], packet[:80])

    @many()
    @given(batches(st.tuples(generated.messages, generated.sounds, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))))
    def fuzz(batch: Batch) -> None:
        runner.run(play(batch))

    with asyncio.Runner() as runner:
        fuzz()


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize(
    ("endpoint", "http"),
    [
        *((endpoint, "official") for endpoint in ("mint", "create", "sdk", "delete", "upgrade", "room")),
        *((endpoint, "lean") for endpoint in ("mint", "create", "delete")),
    ],
)
@pytest.mark.usefixtures("at_once")
def test_any_bytes_on_a_real_socket_are_the_targets_own_doing(endpoint: str, http: str) -> None:
    room = "websocket" if endpoint in ("upgrade", "room") else "none"
    good = target.WELCOME if endpoint == "room" else target.UPGRADED if endpoint == "upgrade" else None
    good = good or target.answer(GOOD[endpoint], headers="date: x\r\ncontent-encoding: identity\r\n")

    async def play(batch: Batch) -> None:
        async with (
            target.served({}) as served,
            target.engine(target.settings(served.url, timeout_s=0.3, room=room, http=http)) as (one, _lags),
        ):
            for wrong in batch:
                script = once(wrong, then=hang_up)
                served.calls.clear()
                if endpoint == "room":
                    served.room = script
                else:
                    served.scripts = {endpoint: script}
                finished = (await one())[-1]
                assert isinstance(finished, SessionFinished)
                assert finished.failure is None or finished.failure.kind not in OURS, (finished, wrong)

    @many(60, batch=20)
    @given(batches(generated.damaged(good), 20))
    def fuzz(batch: Batch) -> None:
        runner.run(play(batch))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        fuzz()


if __name__ == "__main__":
    replay(Path(sys.argv[1]))
