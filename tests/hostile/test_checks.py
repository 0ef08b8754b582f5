"""Active checks, against answers, events and rooms that nobody here wrote: a finding, never a bug, and nothing left."""

import asyncio
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.config.settings import Target
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, RemainsChanged, RuleChecked, SessionFinished
from loadtest.probes import running
from loadtest.probes.bench import bench, visit, wire
from loadtest.probes.bench.wire import Answer, Realtime, Wire
from loadtest.probes.catalogue import BY_LEAD, PURPOSE
from loadtest.rooms.app_messages import translated
from loadtest.services.control import Control
from loadtest.session.ports import Call, Listener
from loadtest.session.ticket import Ticket
from loadtest.sound.speech import SILENCE
from tests.hostile import generated, target
from tests.hostile.test_fuzz import GOOD, TIMEOUT_S, Batch, batches, many
from tests.hostile.test_fuzz import quiet as quiet
from tests.loadtest.fakes import FakeControl, FakeRoom
from tests.loadtest.probes.doubles import ground

EVENT = {
    "type": "session.created",
    "session": {"model": "x"},
    "delta": "AAAA",
    "transcript": "well",
    "error": {"code": "x"},
}
EVENTS = (
    "session.created",
    "response.done",
    "response.output_audio.delta",
    "response.output_audio_transcript.done",
    "error",
)
Drawn = tuple[list[tuple[int, dict[str, str], bytes]], list[bytes], list[bytes]]


class Line:
    """Of a `Control`, what a `Wire` uses: every call is answered, every socket opened, with what was drawn."""

    keys = ("sk-of-the-test", "key-of-the-test")

    def __init__(self, drawn: Drawn) -> None:
        answers, events, _ = drawn
        self._answers, self._events = _round(answers), _round(events)

    async def exchange(self, call: Call, **_: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        call.http_status, headers, body = next(self._answers)
        return call.http_status, [(k.encode(), v.encode("utf-8", "replace")) for k, v in headers.items()], body

    async def websocket(self, _url: str, _headers: Mapping[str, str]) -> "Socket":
        return Socket([next(self._events) for _ in range(4)])


class Socket:
    """Of OpenAI's: these events, then it is closed."""

    def __init__(self, events: list[bytes]) -> None:
        self._events = events

    async def receive(self) -> aiohttp.WSMessage:
        if not self._events:
            return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)
        return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, self._events.pop(0).decode("utf-8", "replace"), None)

    async def send_json(self, _event: Any) -> None:
        if not self._events:
            raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    async def close(self) -> None:
        pass


class Babbling(FakeRoom):
    """A room that can be joined, and says these messages and some sound."""

    def __init__(self, messages: list[bytes]) -> None:
        super().__init__(self._babble)
        self._messages = messages

    async def connect(self) -> None:
        await super().connect()
        assert self.listener is not None
        self._babble(self.listener)

    def _babble(self, listener: Listener) -> None:
        listener.on_audio(1, SILENCE)
        for message in self._messages:
            try:
                read = json.loads(message)
            except (ValueError, RecursionError):
                continue
            if isinstance(read, dict):
                listener.on_message(2, translated(read))
        for _ in range(3):
            listener.on_audio(3, target.LOUD)


def _round(these: list[Any]) -> Iterator[Any]:
    while True:
        yield from these


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what checks wait for."""
    sleep = asyncio.sleep

    async def soon(_s: float, result: Any = None) -> Any:
        return await sleep(0, result)

    async def until(self: visit.Visit, condition: Any, _within_s: float, *, despite_end: bool = False) -> bool:
        await sleep(0)
        if self.why is not None and not despite_end and not condition():
            raise self.why
        return bool(condition())

    monkeypatch.setattr(visit.Visit, "until", until)
    monkeypatch.setattr(asyncio, "sleep", soon)
    monkeypatch.setattr(wire, "MORE_TRIES_S", (0.0,))
    monkeypatch.setattr(bench, "_QUIET_LIMIT_S", 0.0)


events_of_openai = (
    st.builds(
        lambda kind, more: json.dumps({**EVENT, "type": kind, **more}).encode(),
        st.sampled_from(EVENTS) | generated.values,
        st.dictionaries(
            st.sampled_from(("delta", "transcript", "error", "session", "type")), generated.values, max_size=2
        ),
    )
    | generated.messages
)
drawings = st.tuples(
    st.lists(generated.answers({**GOOD["mint"], **GOOD["create"]}), min_size=3, max_size=6),
    st.lists(events_of_openai, min_size=3, max_size=6),
    st.lists(generated.messages, max_size=4),
)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("lead", BY_LEAD)
@pytest.mark.usefixtures("at_once")
def test_whatever_a_check_is_answered_it_finds_something_and_leaves_nothing(lead: str) -> None:
    async def run(batch: Batch) -> None:
        for drawn in batch:
            control, events = FakeControl(), list[Event]()
            on = ground(
                control, events, room=Babbling(drawn[2]), target={"prove_gone": False, "connect_timeout_s": 0.05}
            )
            on.wire, on.scale = Wire(Line(drawn), on.around.settings.target), 1000.0  # type: ignore[arg-type]
            async with asyncio.timeout(20):
                await running.run_probe(on, Ticket(number=0, user=0, iteration=0, due_ns=0, purpose=PURPOSE + lead))
            found = [event for event in events if isinstance(event, RuleChecked)]
            assert {event.rule for event in found} >= set(BY_LEAD[lead].rules)
            assert not [event for event in found if "a bug of ours" in event.detail]
            assert max(len(event.detail) for event in found) < 2_000
            ids = {e.target_session_id for e in events if isinstance(e, RemainsChanged) and e.target_session_id}
            assert all(each.encode() and len(each) <= 16_384 for each in ids)
            assert sum(isinstance(event, SessionFinished) for event in events) >= 1

    @many(100, batch=10)
    @given(batches(drawings, 10))
    def fuzz(batch: Batch) -> None:
        runner.run(run(batch))

    with asyncio.Runner() as runner:
        fuzz()


@pytest.mark.parametrize(
    ("headers", "provider_s"),
    [
        ({}, None),
        ({"date": "yesterday"}, None),
        ({"date": "Thu, 01 Jan 2026 00:00:00 +9999999999"}, None),
        ({"date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1_767_225_600),
    ],
)
def test_a_date_that_is_none_says_nothing(headers: dict[str, str], provider_s: int | None) -> None:
    assert Answer(status=200, headers=headers, body=b"", rtt_ns=1).provider_s == provider_s


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[" * 200_000, b'{"a": NaN}', b"\xff", b'{"a":' * 500 + b"1" + b"}" * 500]
)
def test_a_body_that_is_no_object_has_no_fields(body: bytes) -> None:
    assert Answer(status=200, headers={}, body=body, rtt_ns=1).fields == {}


@pytest.mark.parametrize("told", ["nan", "inf", "-5", "0", "1e308", "x", "\u00b2", "", "9" * 5000])
def test_a_clock_that_no_twin_can_have_is_real_time(told: str) -> None:
    line = Line(([(200, {wire.SCALE_HEADER: told}, b"")], [b""], []))
    on = Wire(line, Target(openai_base_url="http://127.0.0.1:1/v1", avaturn_base_url="http://127.0.0.1:1"))  # type: ignore[arg-type]
    assert asyncio.run(on.clock_scale()) == 1.0


@pytest.mark.parametrize("event", [b"[]", b"no JSON", b"[" * 200_000, b'{"type": NaN}'])
def test_what_is_no_event_of_openais_is_openais_own_doing(event: bytes) -> None:
    with pytest.raises(StepError) as raised:
        asyncio.run(Realtime(Socket([event])).first())  # type: ignore[arg-type]
    assert raised.value.kind is Kind.PROTOCOL


def test_events_without_an_end_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_EVENTS_BYTES", 10_000)
    with pytest.raises(StepError, match="more than 0 MiB of events"):
        asyncio.run(Realtime(Socket([b'{"type":"x"}'] * 2_000)).until("y", within_s=5))  # type: ignore[arg-type]


def test_a_socket_that_takes_no_sound_is_closed_by_openai() -> None:
    with pytest.raises(StepError) as raised:
        asyncio.run(Realtime(Socket([])).say(target.CLIP, silence_s=0.1))  # type: ignore[arg-type]
    assert (raised.value.kind, raised.value.code) == (Kind.TRANSPORT, Code.WS_CLOSED)


@pytest.mark.parametrize("session_id", ["a/../b?c#d", "a b", "αβγ", "..x", "%2e%2e"])
def test_a_check_deletes_by_the_id_that_it_was_told(session_id: str) -> None:
    """On a real line: what reaches the target names one session, whatever characters it has."""

    async def script() -> list[str]:
        paths: list[str] = []
        async with target.served({}) as served:
            answer = served._answer

            async def noting(verb: bytes, path: bytes, *rest: Any) -> bool:
                paths.append(path.decode())
                return await answer(verb, path, *rest)

            served._answer = noting  # type: ignore[method-assign]
            resolved = target.settings(served.url)
            async with Control(resolved, target.KEYS, connections=2) as control:
                await Wire(control, resolved.target).delete(session_id)
        return paths

    (path,) = asyncio.run(script())
    assert path.startswith("/api/v1/sessions/")
    assert path.count("/") == 4


def test_a_flood_is_not_kept_by_a_check() -> None:
    heard = visit.Visit(_Nowhere(), records=True)  # type: ignore[arg-type]
    chance = random.Random(1)
    for at in range(3_000):
        heard.on_message(at, translated({"type": "x", "text": "y" * chance.randrange(10_000)}))
    for at in range(2_000):
        heard.on_audio(at, target.LOUD * 50)
    assert sum(len(str(message)) for _, message in heard.messages) < visit.MAX_TEXT + 20_000
    assert len(heard.sound) < visit.MAX_SOUND_BYTES + 50_000


class _Nowhere:
    """A record that nobody reads."""

    def observe(self, *_: Any) -> None:
        pass
