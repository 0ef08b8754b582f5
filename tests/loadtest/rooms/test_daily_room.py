"""The Daily room: against a double of the library, and, where it is installed, the library itself without a network."""

import asyncio
import importlib
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Mark
from loadtest.session.ports import Grant
from loadtest.sound.speech import SILENCE
from tests.loadtest.rooms import fake_daily
from tests.loadtest.rooms.fake_daily import AVATAR, GUEST, LOCAL, Call
from tests.loadtest.rooms.hearing import CLIP, DEADLINE_S, LOUD, Recorder
from tests.programs import needed

GRANT = Grant(room_url="https://avaload.daily.co/room-1", token="token-1")
HERE = ({"participants": {"local": LOCAL, "guest-1": GUEST, "avatar-1": AVATAR}}, None)
ALONE = ({"participants": {"local": LOCAL}}, None)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """loadtest.rooms.daily on the double; process-wide effects of the library's start are left out."""
    monkeypatch.setitem(sys.modules, "daily", fake_daily)
    monkeypatch.delitem(sys.modules, "loadtest.rooms.daily", raising=False)
    monkeypatch.setattr("loadtest.rooms.native_stderr.quiet_stderr", lambda: None)
    monkeypatch.setattr("atexit.register", lambda _function: None)
    yield importlib.import_module("loadtest.rooms.daily")
    sys.modules.pop("loadtest.rooms.daily", None)


@asynccontextmanager
async def room_in(
    module: Any, call: Call, *, between: tuple[bytes, ...] = ()
) -> AsyncIterator[tuple[Any, Recorder, Call]]:
    """A room in this call, not yet joined; closed in the end."""
    fake_daily.call = call
    listener = Recorder()
    room = module.DailyRoom(GRANT, listener, between)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield room, listener, call
    finally:
        call.may_release.set()
        await room.close()


async def enter(room: Any, listener: Recorder) -> fake_daily.CallClient:
    """Join, with the avatar's first frame."""
    joining = asyncio.ensure_future(room.connect())
    await listener.until(lambda: Mark.AVATAR_PRESENT in listener.reached)
    client = fake_daily.call.client
    assert client is not None
    client.hear(SILENCE)
    await joining
    return client


async def failure_of(room: Any) -> StepError:
    with pytest.raises(StepError) as failed:
        await room.connect()
    return failed.value


def test_joining_reports_its_phases_in_order_and_hears_the_owner_of_the_room(module: Any) -> None:
    async def script() -> tuple[list[Mark], dict[str, Any]]:
        async with room_in(module, Call(answer=HERE)) as (room, listener, call):
            await enter(room, listener)
            return listener.reached, call.renderer

    marks, renderer = asyncio.run(script())
    assert marks == [Mark.JOINED, Mark.AVATAR_PRESENT, Mark.FIRST_FRAME]
    assert renderer == {"participant": "avatar-1", "sample_rate": 24_000, "callback_interval_ms": 20}


def test_an_avatar_that_comes_after_us_is_heard_too_and_once(module: Any) -> None:
    async def script() -> list[Mark]:
        async with room_in(module, Call(answer=ALONE)) as (room, listener, call):
            joining = asyncio.ensure_future(room.connect())
            await listener.until(lambda: Mark.JOINED in listener.reached)
            assert call.client is not None
            call.client.tell("on_participant_joined", GUEST)
            call.client.tell("on_participant_joined", AVATAR)
            call.client.tell("on_participant_updated", AVATAR)
            await listener.until(lambda: Mark.AVATAR_PRESENT in listener.reached)
            call.client.hear(SILENCE)
            await joining
            return listener.reached

    assert asyncio.run(script()) == [Mark.JOINED, Mark.AVATAR_PRESENT, Mark.FIRST_FRAME]


def test_only_the_microphone_is_sent_and_it_is_a_track_of_our_own(module: Any) -> None:
    async def script() -> Any:
        async with room_in(module, Call(answer=HERE)) as (room, listener, call):
            await enter(room, listener)
            return call.join_settings

    assert asyncio.run(script()) == {
        "inputs": {"camera": False, "microphone": {"isEnabled": True, "settings": {"customTrack": {"id": "track-1"}}}}
    }


def test_an_avatar_in_stereo_is_heard_as_long_as_it_speaks(module: Any) -> None:
    async def script() -> list[bytes]:
        async with room_in(module, Call(answer=HERE)) as (room, listener, _):
            client = await enter(room, listener)
            client.hear(b"\x00\x20\x00\x10" * 480, 2)
            client.hear(LOUD)
            await listener.until(lambda: len(listener.audio) == 3)
            return [pcm for _, pcm in listener.audio[1:]]

    assert asyncio.run(script()) == [b"\x00\x18" * 480, LOUD]


def test_a_clip_is_paced_by_the_library_and_never_blocks_the_loop(module: Any) -> None:
    async def script() -> tuple[list[bytes], list[Mark], int]:
        async with room_in(module, Call(answer=HERE)) as (room, listener, call):
            await enter(room, listener)
            room.speak(CLIP)
            assert room._in_flight == 2
            await listener.until(lambda: Mark.SPEECH_END in listener.reached)
            return call.frames[: len(CLIP.frames) - 1], listener.reached[-2:], call.blocking_writes

    frames, marks, blocking = asyncio.run(script())
    assert frames == list(CLIP.frames[:-1])
    assert marks == [Mark.SPEECH_START, Mark.SPEECH_END]
    assert blocking == 0


def test_the_end_of_speech_is_stamped_when_the_frame_has_left_not_when_it_was_handed_over(module: Any) -> None:
    async def script() -> int:
        async with room_in(module, Call(answer=HERE)) as (room, listener, _):
            await enter(room, listener)
            room.speak(CLIP)
            await listener.until(lambda: Mark.SPEECH_END in listener.reached)
            return listener.at(Mark.SPEECH_END) - listener.at(Mark.SPEECH_START)

    voiced_ns = (CLIP.last_voiced - CLIP.first_voiced) * 20_000_000
    assert asyncio.run(script()) >= voiced_ns


def test_between_clips_the_microphone_goes_on(module: Any) -> None:
    async def script() -> list[bytes]:
        async with room_in(module, Call(answer=HERE), between=(LOUD, SILENCE)) as (room, listener, call):
            client = await enter(room, listener)
            while len(call.frames) < 4:
                client.hear(SILENCE)
                await listener.until(lambda: len(call.frames) >= 4 or len(listener.audio) > 0)
                listener.audio.clear()
            return call.frames[:4]

    assert asyncio.run(script()) == [LOUD, SILENCE, LOUD, SILENCE]


def test_messages_reach_the_listener_and_what_is_no_object_does_not(module: Any) -> None:
    async def script() -> list[dict[str, Any]]:
        async with room_in(module, Call(answer=HERE)) as (room, listener, _):
            client = await enter(room, listener)
            client.tell("on_app_message", "hello", "guest-1")
            client.tell("on_app_message", {"type": "avatar_ended_speaking"}, "avatar-1")
            await listener.until(lambda: bool(listener.messages))
            return [message for _, message in listener.messages]

    assert asyncio.run(script()) == [{"type": "avatar_ended_speaking"}]


@pytest.mark.parametrize(
    ("times", "size", "heard", "why"),
    [
        (1, 1 << 20, 0, "the room sent a message of more than 1 MiB"),
        (60, 50_000, 51, "the room sent more in a second than anybody could hear"),
    ],
)
def test_messages_without_an_end_end_the_room(module: Any, times: int, size: int, heard: int, why: str) -> None:
    async def script() -> tuple[int, list[tuple[Code, str]]]:
        async with room_in(module, Call(answer=HERE)) as (room, listener, _):
            await enter(room, listener)
            for _ in range(times):
                room.on_message(1, {"type": "x", "words": "x" * size})
            return len(listener.messages), [(end.code, end.detail) for end in listener.ends]

    assert asyncio.run(script()) == (heard, [(Code.BAD_SHAPE, why)])


def test_a_bad_url_is_a_broken_protocol(module: Any) -> None:
    async def script() -> StepError:
        async with room_in(module, Call(answer=(None, fake_daily.BAD_URL))) as (room, _, _):
            return await failure_of(room)

    error = asyncio.run(script())
    assert (error.kind, error.code) == (Kind.PROTOCOL, Code.BAD_SHAPE)


def test_an_unreachable_room_fails_by_our_own_deadline_and_is_left_without_waiting_for_the_library(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOIN_TIMEOUT_S", 0.05)
    monkeypatch.setattr(module, "LEAVE_TIMEOUT_S", 0.05)
    call = Call(answer=None)
    call.may_release.clear()

    async def script() -> tuple[StepError, int, int]:
        async with room_in(module, call) as (room, _, _):
            error = await failure_of(room)
            await room.close()
            return error, call.left, call.released

    error, left, released = asyncio.run(script())
    assert (error.kind, error.code) == (Kind.TIMEOUT, Code.DAILY_CONNECTION_ERROR)
    assert (left, released) == (0, 0)


def test_a_call_that_is_left_by_somebody_else_is_over(module: Any) -> None:
    async def script() -> list[tuple[Kind, Code]]:
        async with room_in(module, Call(answer=HERE)) as (room, listener, _):
            client = await enter(room, listener)
            client.tell("on_error", "Meeting ended: Ejected")
            client.tell("on_call_state_updated", "leaving")
            client.tell("on_call_state_updated", "left")
            await listener.until(lambda: bool(listener.ends))
            with pytest.raises(StepError):
                room.speak(CLIP)
            return [(why.kind, why.code) for why in listener.ends]

    assert asyncio.run(script()) == [(Kind.TRANSPORT, Code.DAILY_EJECTED)]


def test_a_call_without_its_avatar_is_over(module: Any) -> None:
    async def script() -> list[str]:
        async with room_in(module, Call(answer=HERE)) as (room, listener, _):
            client = await enter(room, listener)
            client.tell("on_participant_left", GUEST, "leftCall")
            client.tell("on_participant_left", AVATAR, "leftCall")
            await listener.until(lambda: bool(listener.ends))
            return [why.detail for why in listener.ends]

    assert asyncio.run(script()) == ["the avatar left the call"]


def test_a_close_leaves_releases_and_leaves_no_thread(module: Any) -> None:
    async def script() -> tuple[int, int, int, list[StepError]]:
        before = threading.active_count()
        async with room_in(module, Call(answer=HERE)) as (room, listener, call):
            client = await enter(room, listener)
            await room.close()
            await room.close()
            client.handler.on_error("too late")
            del client
            call.client = None
        return call.left, call.released, threading.active_count() - before, listener.ends

    assert asyncio.run(script()) == (1, 1, 0, [])


def test_a_leave_that_is_never_answered_does_not_hold_up_the_close(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAVE_TIMEOUT_S", 0.05)
    call = Call(answer=HERE)
    call.leave_is_answered = False

    async def script() -> int:
        async with room_in(module, call) as (room, listener, _):
            await enter(room, listener)
            await room.close()
            return call.released

    assert asyncio.run(script()) == 1


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (fake_daily.BAD_URL, Kind.PROTOCOL, Code.BAD_SHAPE),
        (fake_daily.LOOK_UP_FAILED, Kind.TRANSPORT, Code.DAILY_CONNECTION_ERROR),
        ("Connection(Api(RoomLookup(NoRoom)))", Kind.REJECTED, Code.DAILY_NO_ROOM),
        ("exp-token", Kind.REJECTED, Code.DAILY_EXP_TOKEN),
        ("Join(ExpRoom)", Kind.REJECTED, Code.DAILY_EXP_ROOM),
        ("nbf-room", Kind.REJECTED, Code.DAILY_NBF_ROOM),
        ("NbfToken", Kind.REJECTED, Code.DAILY_NBF_TOKEN),
        ("MeetingFull", Kind.REJECTED, Code.DAILY_MEETING_FULL),
        ("NotAllowed", Kind.REJECTED, Code.DAILY_NOT_ALLOWED),
        ("EndOfLife", Kind.TRANSPORT, Code.DAILY_END_OF_LIFE),
        ("ejected", Kind.TRANSPORT, Code.DAILY_EJECTED),
        ("something new", Kind.TRANSPORT, Code.DAILY_CONNECTION_ERROR),
    ],
)
def test_what_the_library_says_becomes_one_of_a_closed_set(module: Any, words: str, kind: Kind, code: Code) -> None:
    error = module.classify(words, "token-1")
    assert (error.kind, error.code) == (kind, code)


def test_a_failure_is_named_by_its_chain_and_shows_no_token(module: Any) -> None:
    error = module.classify("Connection(Api(Get(token-1)))", "token-1")
    assert error.detail.startswith("Connection.Api.Get: ")
    assert "token-1" not in error.detail


# --- the library itself

_REAL = """
import asyncio, json, os, sys, time
from loadtest.errors.exceptions import StepError
from loadtest.session.ports import Grant
from loadtest.rooms import daily
from tests.loadtest.rooms.hearing import Recorder

def threads():
    return len(os.listdir("/proc/self/task"))

async def join(url):
    room = daily.DailyRoom(Grant(room_url=url, token="token-1"), Recorder(), ())
    started = time.monotonic()
    try:
        await room.connect()
    except StepError as error:
        failure = [error.kind, error.code]
    took = time.monotonic() - started
    await room.close()
    return failure, took, time.monotonic() - started

async def main():
    daily.JOIN_TIMEOUT_S = 1.0
    bad, bad_s, _ = await join("not a url")
    idle = threads()
    unreachable, unreachable_s, left_s = await join("https://avaload-nowhere.daily.co/x")
    deadline = time.monotonic() + 45
    while threads() > idle and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    print(json.dumps({"bad": bad, "bad_s": bad_s, "unreachable": unreachable, "unreachable_s": unreachable_s,
                      "left_s": left_s, "more_threads": threads() - idle}))

asyncio.run(main())
"""


def test_the_real_library_fails_by_our_deadline_leaves_no_thread_and_is_quiet() -> None:
    pytest.importorskip("daily", reason="needs the extra daily")
    alone = [needed("unshare"), "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip("not permitted here: a network namespace of its own, so that nobody out there is asked")
    done = subprocess.run([*alone, sys.executable, "-c", _REAL], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["bad"] == ["protocol", "bad_shape"]
    assert seen["unreachable"] == ["timeout", "daily_connection_error"]
    assert 1.0 <= seen["unreachable_s"] < 3.0
    assert seen["left_s"] < 6.0
    assert seen["more_threads"] <= 0
    assert done.stderr == ""
