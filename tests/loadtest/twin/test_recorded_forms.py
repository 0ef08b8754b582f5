"""What recordings of the real service show and its documents don't, and the knob for each other form."""

import asyncio
from typing import Any

import pytest

from tests.loadtest.twin.in_memory import Talk, in_no_time

LONG_S = 60.0
DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"
WHISPER = {"audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}}
WEATHER = {"type": "function", "name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}}
TWO_ONE = {"model": "gpt-realtime-2.1", "tools": [WEATHER]}


def _answered(*knobs: str, session: dict[str, Any] | None = None, speech_ms: int = 900) -> Talk:
    talks = []

    async def script() -> None:
        talk = Talk(*knobs, session=session)
        talk.say(speech_ms=speech_ms)
        await asyncio.sleep(LONG_S)
        talks.append(talk)

    in_no_time(script)
    return talks[0]


# --- the session object


@pytest.mark.parametrize(
    ("model", "silence_ms", "voice"),
    [
        ("gpt-realtime", 200, "alloy"),
        ("gpt-realtime-2025-08-28", 200, "alloy"),
        ("gpt-realtime-mini", 200, "alloy"),
        ("gpt-realtime-2", 500, "marin"),
        ("gpt-realtime-2.1", 500, "marin"),
        ("gpt-realtime-2.1-mini", 500, "marin"),
    ],
)
def test_the_default_silence_and_voice_go_by_the_model(model: str, silence_ms: int, voice: str) -> None:
    async def script() -> None:
        session = Talk(session={"model": model}).events[0]["session"]
        assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == silence_ms
        assert session["audio"]["output"]["voice"] == voice

    in_no_time(script)


def test_a_silence_that_was_asked_for_or_is_the_knob_s_is_kept() -> None:
    async def script() -> None:
        asked = {"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 700}}}}
        for talk, silence_ms in ((Talk("silence_ms=500", session=asked), 700), (Talk("silence_ms=500"), 500)):
            session = talk.events[0]["session"]
            assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == silence_ms

    in_no_time(script)


def test_server_vad_switched_on_later_has_the_model_s_silence_as_well() -> None:
    async def script() -> None:
        talk = Talk(session={"model": "gpt-realtime-2.1", "audio": {"input": {"turn_detection": None}}})
        talk.send(
            "session.update",
            session={"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
        )
        session = talk.last("session.updated")["session"]
        assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500

    in_no_time(script)


@pytest.mark.parametrize(
    ("knob", "shown"),
    [
        ("shapes=recorded", {"model": "gpt-realtime-whisper", "language": None, "prompt": None}),
        ("shapes=documented", {"model": "gpt-realtime-whisper"}),
    ],
)
def test_a_transcriber_is_shown_with_its_language_and_prompt(knob: str, shown: dict[str, Any]) -> None:
    async def script() -> None:
        talk = Talk(knob, session=WHISPER)
        assert talk.events[0]["session"]["audio"]["input"]["transcription"] == shown

    in_no_time(script)


@pytest.mark.parametrize(
    ("knob", "shown"), [("shapes=recorded", {"description": None, **WEATHER}), ("shapes=documented", WEATHER)]
)
def test_a_tool_is_shown_with_its_description(knob: str, shown: dict[str, Any]) -> None:
    async def script() -> None:
        clock = {"type": "function", "name": "clock", "description": "What time is it?"}
        talk = Talk(knob, session={"tools": [WEATHER]})
        assert talk.events[0]["session"]["tools"] == [shown]
        talk.send("session.update", session={"type": "realtime", "tools": [clock, WEATHER]})
        assert talk.last("session.updated")["session"]["tools"] == [clock, shown]

    in_no_time(script)


def test_what_session_created_shows_can_be_sent_back() -> None:
    async def script() -> None:
        talk = Talk(session={**WHISPER, "tools": [WEATHER]})
        shown = talk.events[0]["session"]
        patch = {name: shown[name] for name in ("audio", "tools")}
        talk.send("session.update", session={"type": "realtime", **patch})
        assert talk.all("error") == []
        assert talk.last("session.updated")["session"] == shown

    in_no_time(script)


# --- items and deltas


def test_items_have_no_object_and_results_of_calls_no_status() -> None:
    async def script() -> None:
        for knob, more in (("shapes=recorded", set()), ("shapes=documented", {"object", "status"})):
            talk = Talk(knob)
            call = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
            result = {"type": "function_call_output", "call_id": "call_1", "output": "fog"}
            for item in (call, result):
                talk.send("conversation.item.create", item=item)
            told = talk.last("conversation.item.done")["item"]
            assert set(told) == {"id", "type", "call_id", "output"} | more

    in_no_time(script)


def test_every_delta_of_text_is_padded_to_blocks_of_sixteen() -> None:
    spoken = _answered(session={**WHISPER, **TWO_ONE})
    written = _answered(session={"output_modalities": ["text"]})

    deltas = [each for talk in (spoken, written) for each in talk.events if each["type"].endswith(".delta")]
    padded = [each for each in deltas if each["type"] != "response.output_audio.delta"]
    assert {each["type"] for each in padded} == {
        DELTA,
        "response.output_audio_transcript.delta",
        "response.function_call_arguments.delta",
        "response.output_text.delta",
    }
    assert all((len(each["delta"]) + len(each["obfuscation"])) % 16 == 0 for each in padded)
    assert all(each["obfuscation"] for each in padded)
    assert [each for each in deltas if each not in padded and "obfuscation" in each] == []
    assert "obfuscation" not in _answered("shapes=documented").last("response.output_audio_transcript.delta")


@pytest.mark.parametrize(("knob", "is_told"), [("first_item_done=null", False), ("first_item_done=item", True)])
def test_the_first_item_of_the_model_is_done_without_the_one_before_it(knob: str, is_told: bool) -> None:
    talks = []

    async def script() -> None:
        talk = Talk(knob, "answer_s=0.4")
        for _ in range(2):
            talk.say(speech_ms=600)
            await asyncio.sleep(LONG_S)
        talks.append(talk)

    in_no_time(script)
    added, done = (
        [
            each["previous_item_id"]
            for each in talks[0].all(f"conversation.item.{step}")
            if each["item"]["role"] != "user"
        ]
        for step in ("added", "done")
    )
    assert done == [added[0] if is_told else None, added[1]]
    assert None not in added


# --- rate limits


def test_rate_limits_name_tokens_alone_and_may_be_left_out() -> None:
    async def script() -> None:
        talk = Talk("rate_limits=sometimes", "answer_s=0.2", seed=1)
        for _ in range(40):
            talk.say(speech_ms=600)
            await asyncio.sleep(LONG_S)
        kinds = [each["type"] for each in talk.events]
        told = [index for index, kind in enumerate(kinds) if kind == "rate_limits.updated"]
        assert 10 <= len(told) <= 30
        assert {kinds[index - 1] for index in told} == {"response.done"}
        assert {tuple(limit["name"] for limit in talk.events[index]["rate_limits"]) for index in told} == {("tokens",)}

    in_no_time(script)


# --- the transcript of the user


def test_whisper_transcribes_while_the_user_speaks_and_is_done_in_mid_answer() -> None:
    talk = _answered(session=WHISPER)

    kinds = [each["type"] for each in talk.events]
    first, last = kinds.index(DELTA), len(kinds) - 1 - kinds[::-1].index(DELTA)
    assert kinds.index("input_audio_buffer.speech_started") < first < kinds.index("input_audio_buffer.speech_stopped")
    assert last > kinds.index("response.created")
    completed = talk.last(COMPLETED)
    before, after = kinds[: kinds.index(COMPLETED)], kinds[kinds.index(COMPLETED) :]
    assert before.count("response.output_audio.delta") == after.count("response.output_audio.delta") == 5
    assert completed["usage"] == {"type": "duration", "seconds": 2}
    deltas = talk.all(DELTA)
    assert "".join(each["delta"] for each in deltas).strip() == completed["transcript"]
    assert {each["item_id"] for each in deltas} == {completed["item_id"]}


def test_whisper_s_transcript_comes_even_if_the_answer_is_cut_off_or_there_is_none() -> None:
    async def script() -> None:
        talk = Talk(session=WHISPER)
        talk.say(speech_ms=900)
        assert talk.all(COMPLETED) == []
        talk.send("response.cancel")
        assert len(talk.all(COMPLETED)) == 1
        quiet = {
            "transcription": {"model": "gpt-realtime-whisper"},
            "turn_detection": {"type": "server_vad", "create_response": False},
        }
        mute = Talk(session={"audio": {"input": quiet}})
        mute.say(speech_ms=900)
        assert len(mute.all(COMPLETED)) == 1

    in_no_time(script)


def test_other_transcribers_and_the_knob_keep_the_order_that_they_had() -> None:
    other = _answered(session={"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}})
    early = _answered("transcript=early", session=WHISPER)

    for talk in (other, early):
        kinds = [each["type"] for each in talk.events]
        assert kinds.index(COMPLETED) == kinds.index(DELTA) + 1 < kinds.index("response.created")
        assert len(talk.all(DELTA)) == 1


def _ignored(knob: str) -> Talk:
    """A user who says nothing after an answer, with the idle timeout on."""
    talks = []
    detection = {"type": "server_vad", "idle_timeout_ms": 5000}
    heard = {"input": {**WHISPER["audio"]["input"], "turn_detection": detection}}

    async def script() -> None:
        talk = Talk(knob, "answer_s=0.4", session={"audio": heard})
        talk.send("response.create")
        await asyncio.sleep(0.4)
        talk.say(speech_ms=0, silence_ms=5200)
        await asyncio.sleep(6)
        talks.append(talk)

    in_no_time(script)
    return talks[0]


def test_a_remark_of_the_system_comes_before_the_turn_of_a_user_who_says_nothing() -> None:
    talk = _ignored("shapes=recorded")

    kinds = [event["type"] for event in talk.events]
    at = kinds.index("input_audio_buffer.timeout_triggered")
    assert kinds[at : at + 7] == [
        "input_audio_buffer.timeout_triggered",
        "conversation.item.added",
        "conversation.item.done",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    triggered, added, _, committed, turn, done, _ = talk.events[at : at + 7]
    remark = added["item"]
    assert (remark["role"], remark["status"], remark["content"][0]["type"]) == ("system", "completed", "input_text")
    assert added["previous_item_id"] == talk.all("response.done")[0]["response"]["output"][0]["id"]
    assert {each["previous_item_id"] for each in (committed, turn, done)} == {remark["id"]}
    assert {triggered["item_id"], committed["item_id"]} == {turn["item"]["id"]}


def test_the_documents_know_of_no_remark() -> None:
    talk = _ignored("shapes=documented")

    kinds = [event["type"] for event in talk.events]
    at = kinds.index("input_audio_buffer.timeout_triggered")
    assert kinds[at + 1 : at + 3] == ["input_audio_buffer.committed", "conversation.item.added"]


def test_whisper_has_heard_nothing_of_a_user_who_says_nothing() -> None:
    completed = _ignored("shapes=recorded").last(COMPLETED)

    assert (completed["transcript"], completed["usage"]) == ("", {"type": "duration", "seconds": 0})


# --- gpt-realtime-2.1


def test_a_call_is_announced_in_the_same_response_and_begins_before_that_ends() -> None:
    talk = _answered(session=TWO_ONE)

    message, call = talk.last("response.done")["response"]["output"]
    assert (message["phase"], call["type"], "phase" in call) == ("commentary", "function_call", False)
    kinds = [each for each in talk.types() if each.startswith("response.") and not each.endswith(".delta")]
    assert kinds == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_item.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
    ]
    assert [each["output_index"] for each in talk.all("response.output_item.done")] == [0, 1]
    added = talk.all("conversation.item.added")
    assert added[-1]["previous_item_id"] == message["id"]


def test_an_answer_without_a_call_is_final_and_an_older_model_has_no_phases() -> None:
    final = _answered(session={"model": "gpt-realtime-2.1"}).last("response.done")["response"]["output"]
    older = _answered(session={"tools": [WEATHER]}).last("response.done")["response"]["output"]
    quiet = _answered("commentary=0", session=TWO_ONE).last("response.done")["response"]["output"]
    plain = _answered("shapes=documented", session={"model": "gpt-realtime-2.1"}).last("response.done")

    assert [item["phase"] for item in final] == ["final_answer"]
    assert [item["type"] for item in older] == [item["type"] for item in quiet] == ["function_call"]
    assert "phase" not in plain["response"]["output"][0]


@pytest.mark.parametrize(
    ("knob", "session", "is_told"),
    [
        ("reasoning_tokens=by_answer", {"model": "gpt-realtime-2.1"}, True),
        ("reasoning_tokens=by_answer", {"model": "gpt-realtime"}, False),
        ("reasoning_tokens=by_answer", TWO_ONE, False),
        ("reasoning_tokens=by_answer", {**TWO_ONE, "reasoning": {"effort": "low"}}, True),
        ("reasoning_tokens=always", TWO_ONE, True),
        ("reasoning_tokens=always", {"model": "gpt-realtime"}, False),
        ("reasoning_tokens=never", {"model": "gpt-realtime-2.1", "reasoning": {"effort": "low"}}, False),
    ],
)
def test_tokens_of_thinking_are_told(knob: str, session: dict[str, Any], is_told: bool) -> None:
    usage = _answered(knob, session=session).last("response.done")["response"]["usage"]

    details = usage["output_token_details"]
    assert ("reasoning_tokens" in details) is is_told
    assert usage["output_tokens"] == details["text_tokens"] + details["audio_tokens"]


def test_the_answer_to_a_tool_s_result_needs_no_thought_and_the_next_one_does() -> None:
    async def script() -> None:
        talk = Talk(session=TWO_ONE)
        talk.say(speech_ms=600)
        await asyncio.sleep(LONG_S)
        call_id = talk.last("response.done")["response"]["output"][-1]["call_id"]
        result = {"type": "function_call_output", "call_id": call_id, "output": "fog"}
        talk.send("conversation.item.create", item=result)
        for _ in range(2):
            talk.send("response.create", response={"tool_choice": "none"})
            await asyncio.sleep(LONG_S)
        details = [each["response"]["usage"]["output_token_details"] for each in talk.all("response.done")]
        assert ["reasoning_tokens" in each for each in details] == [False, False, True]

    in_no_time(script)


def test_a_call_cut_off_in_its_announcement_leaves_one_unfinished_item() -> None:
    async def script() -> None:
        talk = Talk(session=TWO_ONE)
        talk.say(speech_ms=600)
        await asyncio.sleep(0.1)
        talk.send("response.cancel")
        output = talk.last("response.done")["response"]["output"]
        assert [(item["type"], item["status"]) for item in output] == [("message", "incomplete")]

    in_no_time(script)
