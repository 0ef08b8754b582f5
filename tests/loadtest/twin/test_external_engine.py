"""The engine `external` over its real wire (docs/contract.md#creating-a-session)."""

from typing import Any

import numpy as np
import pytest

from loadtest.twin.avaturn_side.engines.external import is_loopback, resampled
from loadtest.twin.pcm import FRAME_BYTES, tone
from tests.loadtest.twin.engine_of_ours import our_engine
from tests.loadtest.twin.inside import inside, run

PLAYBACK = "avatar.speech.segment.playback"


def _engine(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "external", "url": url, **more}


def test_a_segment_is_said_and_its_playback_is_reported() -> None:
    async def script() -> None:
        async with our_engine() as ours, inside() as twin:
            session = await twin.new(conversation_engine=_engine(ours.url, headers={"x-tenant": "acme"}))
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                assert ours.headers["x-tenant"] == "acme"
                await ours.say("mine", tone(duration_ms=100))
                ended = await ours.message(f"{PLAYBACK}.ended")
                await user.message("avatar_ended_speaking")

            kinds = [each["type"].removeprefix("avatar.speech.segment.") for each in ours.messages]
            assert kinds == ["created", "closed", "playback.started", "playback.ended"]
            assert {each["segment_uid"] for each in ours.messages} == {"mine"}
            assert {each["segment_id"] for each in ours.messages} == {ended["segment_id"]}
            assert user.all("avatar_started_speaking_phrase")[0]["phrase_id"] == ended["segment_id"]
            assert sum(loud for _, loud in user.frames) == 5

    run(script())


def test_an_interruption_silences_the_avatar_and_tells_how_much_was_played() -> None:
    async def script() -> dict[str, Any]:
        async with our_engine() as ours, inside() as twin:
            session = await twin.new(conversation_engine=_engine(ours.url))
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                user.say(duration_ms=100)
                await ours.until(lambda: sum(any(sound) for sound in ours.sound) == 5)
                await ours.say("long", tone(duration_ms=5000))
                await ours.say("next", tone(duration_ms=100))
                await user.until(lambda: sum(loud for _, loud in user.frames) >= 10)
                user.say(duration_ms=100)
                await ours.until(lambda: any(ours.sound[-1]))
                await ours.tell("avatar.speech.interrupt")
                long = await ours.message(f"{PLAYBACK}.interrupted")
                never = await ours.message(f"{PLAYBACK}.interrupted", count=2)
                await user.message("avatar_ended_speaking")

                played_s = sum(loud for _, loud in user.frames) * 0.02
                assert (long["segment_uid"], never["segment_uid"]) == ("long", "next")
                assert long["played_duration"] == pytest.approx(played_s)
                assert never["played_duration"] == 0
                assert ours.all(f"{PLAYBACK}.ended") == []
            return await twin.truth(session["session_id"])

    (turn,) = run(script())["turns"]
    assert turn["last_voiced_ns"] < turn["first_audio_sent_ns"] < turn["barge_in_heard_ns"]
    assert turn["first_audio_sent_ns"] < turn["silenced_ns"]


def test_an_interruption_without_the_user_is_no_barge_in() -> None:
    async def script() -> dict[str, Any]:
        async with our_engine() as ours, inside() as twin:
            session = await twin.new(conversation_engine=_engine(ours.url))
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                user.say(duration_ms=100)
                await ours.until(lambda: sum(any(sound) for sound in ours.sound) == 5)
                await ours.say("long", tone(duration_ms=5000))
                await user.message("avatar_started_speaking")
                await user.until(lambda: sum(loud for _, loud in user.frames) >= 10)
                await ours.tell("avatar.speech.interrupt")
                await user.message("avatar_ended_speaking")
            return await twin.truth(session["session_id"])

    (turn,) = run(script())["turns"]
    assert turn["silenced_ns"] is not None
    assert turn["barge_in_heard_ns"] is None


def test_messages_pass_between_the_page_and_the_engine() -> None:
    async def script() -> None:
        async with (
            our_engine() as ours,
            inside() as twin,
            twin.joined(await twin.new(conversation_engine=_engine(ours.url))) as user,
        ):
            await user.until(lambda: user.frames)
            told = {"type": "conversation_engine.external.message.send", "data": {"prompt_update": True}}
            await user.socket.send_str("no JSON")
            await user.socket.send_str("[" * 100_000)
            await user.socket.send_json(told)
            assert await ours.message("sdk.message.receive") == {
                "type": "sdk.message.receive",
                "data": {"prompt_update": True},
            }
            await ours.tell("sdk.message.send", data=["any", 1])
            received = await user.message("conversation_engine.external.message.received")
            assert received["data"] == ["any", 1]

    run(script())


def test_what_the_engine_does_wrong_is_an_error_and_no_end() -> None:
    async def script() -> None:
        async with (
            our_engine() as ours,
            inside() as twin,
            twin.joined(await twin.new(conversation_engine=_engine(ours.url))) as user,
        ):
            await user.until(lambda: user.frames)
            await ours.send("{")
            await ours.send("[" * 100_000)
            await ours.tell("avatar.dance")
            await ours.send(tone(duration_ms=20))
            await ours.tell("avatar.speech.segment.close", segment_uid="x")
            await ours.tell("avatar.speech.segment.create")
            await ours.tell("avatar.speech.segment.create", segment_uid="x")
            await ours.tell("avatar.speech.segment.create", segment_uid="y")
            await ours.send(b"odd")
            await ours.message("error", count=8)
            assert [each["subtype"] for each in ours.all("error")] == [
                *("invalid_message", "invalid_message", "unknown_message_type", "segment_not_open", "segment_not_open"),
                *("invalid_message", "segment_already_open", "invalid_audio"),
            ]
            assert all(each["reason"] for each in ours.all("error"))

    run(script())


@pytest.mark.parametrize(("rate_hz", "size"), [(24_000, FRAME_BYTES), (16_000, FRAME_BYTES * 2 // 3)])
def test_the_microphone_comes_at_the_rate_that_was_asked_for(rate_hz: int, size: int) -> None:
    async def script() -> None:
        async with our_engine() as ours, inside() as twin:
            engine = _engine(ours.url, audio={"user": {"sample_rate": rate_hz}})
            async with twin.joined(await twin.new(conversation_engine=engine)) as user:
                await user.until(lambda: user.frames)
                await ours.until(lambda: ours.sound)
                assert len(ours.sound[0]) == size

    run(script())


def test_resampling_keeps_the_pitch() -> None:
    samples = np.frombuffer(resampled(tone(duration_ms=1000), to_hz=16_000), dtype="<i2")

    assert samples.size == 16_000
    assert int(np.argmax(np.abs(np.fft.rfft(samples)))) == 440


def test_the_connection_ends_with_the_session_and_the_session_with_the_connection() -> None:
    async def script() -> None:
        async with our_engine() as ours, our_engine() as theirs, inside() as twin:
            deleted = await twin.new(conversation_engine=_engine(ours.url))
            async with twin.joined(deleted) as user:
                await user.until(lambda: user.frames)
                await twin.delete(deleted["session_id"])
                await ours.until(lambda: ours.close_code == 1000)
            lost = await twin.new(conversation_engine=_engine(theirs.url))
            async with twin.joined(lost) as user:
                await user.until(lambda: user.frames)
                await theirs.close()
                assert (await user.message("error"))["error"]["code"] == "internal_error"
                await user.until(lambda: user.close_code == 1000)
            assert (await twin.truth(lost["session_id"]))["end_reason"] == "engine_failed"

    run(script())


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        (_engine("ws://engine.example/x"), "The twin connects to engines on loopback addresses only."),
        (_engine("ws://127.0.0.1:1/x"), "The conversation engine could not be reached."),
        ({"type": "cartesia", "access_token": "t", "agent_id": "a"}, "The twin has no Cartesia to connect to."),
    ],
)
def test_an_engine_that_cannot_be_reached_is_reported_cleanly(engine: dict[str, Any], reason: str) -> None:
    async def script() -> None:
        async with inside() as twin:
            session = await twin.new(conversation_engine=engine)
            async with twin.joined(session) as user:
                error = (await user.message("error"))["error"]
            assert error == {
                "type": "session_lifecycle_error",
                "code": "internal_error",
                "message": reason,
                "session_id": session["session_id"],
            }

    run(script())


def test_an_engine_cannot_send_the_twin_elsewhere() -> None:
    async def script() -> None:
        async with our_engine() as ours, inside() as twin:
            engine = _engine(ours.url.replace("/engine", "/moved"))
            async with twin.joined(await twin.new(conversation_engine=engine)) as user:
                assert (await user.message("error"))["error"]["code"] == "internal_error"
            assert ours.headers == {}

    run(script())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://127.0.0.1:9/x", True),
        ("wss://localhost/x", True),
        ("ws://[::1]:9/x", True),
        ("http://127.0.0.1/x", False),
        ("ws://127.0.0.1.example/x", False),
        ("ws://10.0.0.1/x", False),
        ("ws://user@example.com:80#@127.0.0.1/", False),
        ("ws://[", False),
        ("", False),
    ],
)
def test_only_this_host_is_dialled(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
