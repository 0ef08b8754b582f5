"""Texts through `/tasks`, public and of the SDK (docs/contract.md#avaturns-public-api, #the-sdks-api)."""

from typing import Any

import pytest

from loadtest.twin.avaturn_side.engines.text_echo import spoken
from loadtest.twin.pcm import FRAME_BYTES
from tests.loadtest.twin.inside import Answer, Inside, inside, run
from tests.loadtest.twin.seen_in_rooms import ENDED, PLAIN, RESPONSE, STARTED

ECHO = {"type": "text-echo", "tts": {"voice_id": "one"}}
BOTH = pytest.mark.parametrize("public", [True, False], ids=["public", "sdk"])


async def _task(twin: Inside, session: dict[str, str], text: Any, *, public: bool = False) -> Answer:
    if not public:
        return await twin.sdk(session["token"], "/tasks", method="POST", body={"text": text})
    url = f"{twin.avaturn}/api/v1/sessions/{session['session_id']}/tasks"
    return await twin.call("POST", url, bearer=twin.parts.keys.avaturn, body={"text": text})


@BOTH
def test_text_echo_says_one_text_after_the_other(public: bool) -> None:
    async def script() -> None:
        async with inside() as twin:
            session = await twin.new(conversation_engine=ECHO)
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                ids = [(await _task(twin, session, text, public=public)).body["task_id"] for text in ("12345", "123")]
                await user.message(ENDED)

            said = [(each["type"], each.get("phrase_id")) for each in user.messages if "speaking" in each["type"]]
            assert said == [
                (STARTED, ids[0]),
                ("avatar_started_speaking_phrase", ids[0]),
                ("avatar_ended_speaking_phrase", ids[0]),
                ("avatar_started_speaking_phrase", ids[1]),
                ("avatar_ended_speaking_phrase", ids[1]),
                (ENDED, None),
            ]
            assert sum(loud for _, loud in user.frames) == 15 + 9

    run(script())


def test_a_spoken_text_lasts_60_ms_for_each_character_and_sounds_like_its_voice() -> None:
    assert len(spoken("1234", voice="a")) == 12 * FRAME_BYTES
    assert spoken("1234", voice="a") != spoken("1234", voice="b")


def test_changing_the_voice_changes_the_next_text() -> None:
    async def script() -> list[bytes]:
        async with inside() as twin:
            session = await twin.new(conversation_engine=ECHO)
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                for count, voice in ((1, None), (2, "two")):
                    if voice is not None:
                        body = {"conversation_engine": {"type": "text-echo", "tts": {"voice_id": voice}}}
                        changed = await twin.sdk(session["token"], "/config", method="PATCH", body=body)
                        assert (changed.status, changed.body) == (200, None)
                    await _task(twin, session, "123")
                    await user.message(ENDED, count=count)
                loud = [index for index, (_, audible) in enumerate(user.frames) if audible]
                return [bytes(user.heard)[at * FRAME_BYTES : (at + 1) * FRAME_BYTES] for at in (loud[0], loud[9])]

    first, second = run(script())
    assert first == spoken("123", voice="elevenlabs/one")[:FRAME_BYTES]
    assert second == spoken("123", voice="elevenlabs/two")[:FRAME_BYTES]


def test_nothing_is_said_while_nobody_is_there() -> None:
    async def script() -> None:
        async with inside() as twin:
            session = await twin.new(conversation_engine=ECHO)
            assert (await _task(twin, session, "early")).status == 200
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                await _task(twin, session, "1")
                await user.message(ENDED)
                assert sum(loud for _, loud in user.frames) == 3

    run(script())


def test_cancelling_silences_the_avatar() -> None:
    async def script() -> None:
        async with inside() as twin:
            session = await twin.new(conversation_engine=ECHO)
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                await _task(twin, session, "a text of some six seconds " * 4)
                await _task(twin, session, "and another")
                await user.message(STARTED)
                cancelled = await twin.sdk(session["token"], "/cancel_all_speech_tasks", method="POST")
                assert (cancelled.status, cancelled.body) == (200, None)
                await user.message(ENDED)
                assert len(user.all("avatar_started_speaking_phrase")) == 1
                assert sum(loud for _, loud in user.frames) < 50

    run(script())


@BOTH
def test_on_a_realtime_session_the_model_answers_the_text(public: bool) -> None:
    async def script() -> dict[str, Any]:
        async with inside("answer_s=0.4") as twin:
            session = await twin.talking(PLAIN)
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                for _ in range(2):
                    assert (await _task(twin, session, "Hello?", public=public)).body["task_id"].startswith("task_")
                await user.until(lambda: len(user.all(RESPONSE)) == 2)
                await user.message(ENDED)
                assert len(user.all("avatar_started_speaking_phrase")) == 2
            return await twin.truth(session["session_id"])

    assert run(script())["turns"] == []


def test_an_answer_to_a_text_is_no_answer_to_the_user() -> None:
    async def script() -> dict[str, Any]:
        async with inside("answer_s=1", "generation_speed=100") as twin:
            session = await twin.talking(PLAIN)
            async with twin.joined(session) as user:
                user.say(duration_ms=100)
                await user.message(ENDED)
                await _task(twin, session, "Go on.")
                await user.message(STARTED, count=2)
                await user.until(lambda: user.frames[-1][1])
                user.say(duration_ms=100)
                await user.message(ENDED, count=3)
            return await twin.truth(session["session_id"])

    first, second = run(script())["turns"]
    # The user has interrupted the answer to the text, not the one to the first turn.
    assert (first["barge_in_heard_ns"], first["silenced_ns"]) == (None, None)
    assert second["first_audio_sent_ns"] > second["last_voiced_ns"] > first["first_audio_sent_ns"]


def test_cancelling_on_a_realtime_session_stops_the_generation() -> None:
    async def script() -> None:
        async with inside("answer_s=20") as twin:
            session = await twin.talking(PLAIN)
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                await _task(twin, session, "Tell me everything.")
                await user.message(STARTED)
                await twin.sdk(session["token"], "/cancel_all_speech_tasks", method="POST")
                said = await user.message(RESPONSE)
                await user.message(ENDED)
                assert len(said["transcript"].split()) < 100

    run(script())


@pytest.mark.parametrize("text", [None, 7], ids=["no text", "a number"])
def test_a_task_without_a_text_is_a_422(text: object) -> None:
    async def script() -> Answer:
        async with inside() as twin:
            return await _task(twin, await twin.new(), text)

    answer = run(script())
    assert answer.status == 422
    assert answer.body["detail"][0]["loc"] == ["body", "text"]


@BOTH
def test_tasks_end_with_the_session(public: bool) -> None:
    async def script() -> Answer:
        async with inside("gone_status=410") as twin:
            session = await twin.new()
            await twin.delete(session["session_id"])
            return await _task(twin, session, "Hello?", public=public)

    assert run(script()).status == 410


def test_tasks_on_realtime_can_be_refused() -> None:
    async def script() -> Answer:
        async with inside("tasks.realtime=refuse") as twin:
            return await _task(twin, await twin.talking(), "Hello?")

    assert run(script()).status == 400
