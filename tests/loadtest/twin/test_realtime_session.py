"""What the knobs and the session's settings change in a Realtime session; without sockets."""

import asyncio
import base64
from typing import Any

import pytest

from tests.loadtest.twin.in_memory import Talk, in_no_time

WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
    },
}
LONG_S = 100


def _input(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def _answered(*knobs: str, session: dict[str, Any] | None = None, **options: Any) -> Talk:
    """One spoken turn and its answer."""
    talks = []

    async def script() -> None:
        talk = Talk(*knobs, session=session, **options)
        talk.say(speech_ms=600)
        await asyncio.sleep(LONG_S)
        talks.append(talk)

    in_no_time(script)
    return talks[0]


# --- the order of a turn


@pytest.mark.parametrize(
    ("where", "before", "after"),
    [("after", 0, 1), ("start", 1, 0), ("end", 0, 1), ("both", 1, 1), ("none", 0, 0)],
)
def test_rate_limits_come_where_the_knob_says(where: str, before: int, after: int) -> None:
    types = _answered(f"rate_limits={where}").types()

    split = types.index("response.output_audio.delta")
    assert types[:split].count("rate_limits.updated") == before
    assert types[split:].count("rate_limits.updated") == after


def test_an_answer_can_be_split_into_several_output_items() -> None:
    talk = _answered("output_items=3", "answer_s=1.5")

    output = talk.last("response.done")["response"]["output"]
    added = talk.all("response.output_item.added")
    assert [event["output_index"] for event in added] == [0, 1, 2]
    assert [item["id"] for item in output] == [event["item"]["id"] for event in added]
    assert {item["status"] for item in output} == {"completed"}
    assert talk.last("response.done")["response"]["usage"]["output_token_details"]["audio_tokens"] == 30
    said = [item["content"][0]["transcript"] for item in output]
    assert [event["transcript"] for event in talk.all("response.output_audio_transcript.done")] == said


@pytest.mark.parametrize("when", ["early", "late"])
def test_the_transcript_comes_before_or_after_the_response(when: str) -> None:
    types = _answered(f"transcript={when}", session=_input(transcription={"model": "gpt-transcribe"})).types()

    transcript = types.index("conversation.item.input_audio_transcription.completed")
    assert (transcript > types.index("response.done")) is (when == "late")


def test_generation_is_as_fast_as_the_knob_says() -> None:
    async def script() -> None:
        for speed, length_s in (("1", 1.6), ("4", 0.4)):
            talk = Talk(f"generation_speed={speed}", "answer_s=1.8")
            talk.send("response.create")
            await asyncio.sleep(length_s - 0.01)
            assert talk.all("response.done") == []
            await asyncio.sleep(0.02)
            assert len(talk.all("response.done")) == 1

    in_no_time(script)


def test_the_conversation_is_announced_if_the_knob_says_so() -> None:
    assert _answered("conversation_created=yes").types(since=0)[:2] == ["session.created", "conversation.created"]
    assert "conversation.created" not in _answered().types()


def test_a_slower_voice_speaks_longer() -> None:
    talk = _answered("answer_s=1", session={"audio": {"output": {"speed": 0.5}}})

    assert talk.last("response.done")["response"]["usage"]["output_token_details"]["audio_tokens"] == 40


# --- turn detection


@pytest.mark.parametrize(
    ("eagerness", "speech_ms", "patience_ms"),
    [
        *(("low", 600, 1500), ("medium", 600, 800), ("auto", 600, 800), ("high", 600, 400)),
        *(("low", 200, 8000), ("medium", 200, 4000), ("high", 200, 2000)),
    ],
)
def test_semantic_vad_waits_by_eagerness_and_longer_after_a_short_utterance(
    eagerness: str, speech_ms: int, patience_ms: int
) -> None:
    async def script() -> None:
        talk = Talk(session=_input(turn_detection={"type": "semantic_vad", "eagerness": eagerness}))
        talk.say(speech_ms=speech_ms, silence_ms=patience_ms - 20)
        assert talk.all("input_audio_buffer.speech_stopped") == []
        talk.say(speech_ms=0, silence_ms=20)
        assert talk.last("input_audio_buffer.speech_stopped")["audio_end_ms"] == speech_ms + patience_ms

    in_no_time(script)


def test_the_item_of_a_turn_lasts_from_its_padded_start_to_its_end() -> None:
    async def script() -> None:
        talk = Talk(session=_input(transcription={"model": "whisper-1"}))
        talk.say(speech_ms=0, silence_ms=60_000)
        talk.say(speech_ms=600)
        usage = talk.last("conversation.item.input_audio_transcription.completed")["usage"]
        assert usage == {"type": "duration", "seconds": 1.1}

    in_no_time(script)


def _idle(**more: Any) -> dict[str, Any]:
    detection = {"type": "server_vad", "idle_timeout_ms": 5000, **more}
    return _input(turn_detection=detection, transcription={"model": "gpt-transcribe"})


async def _silence(talk: Talk, seconds: float) -> None:
    """A microphone that nobody speaks into, for so long."""
    for _ in range(round(seconds / 0.05)):
        await asyncio.sleep(0.05)
        talk.say(speech_ms=0, silence_ms=50)


@pytest.mark.parametrize("scale", [1, 10])
def test_an_idle_user_is_answered_too(scale: float) -> None:
    async def script() -> None:
        talk = Talk("generation_speed=1000", "answer_s=1", session=_idle(), scale=scale)
        talk.say(speech_ms=600)
        await _silence(talk, 1 + 5 / scale - 0.1)
        assert talk.all("input_audio_buffer.timeout_triggered") == []
        await _silence(talk, 0.15)
        index = [event["type"] for event in talk.events].index("input_audio_buffer.timeout_triggered")
        triggered = talk.events[index]
        # What the avatar said for a second is no part of the silence, nor what the user said before it.
        assert triggered["audio_start_ms"] == pytest.approx(1200 + 1000, abs=60)
        assert triggered["audio_end_ms"] - triggered["audio_start_ms"] == pytest.approx(5000 / scale, abs=60)
        committed = talk.last("input_audio_buffer.committed")
        assert committed["item_id"] == triggered["item_id"]
        assert len(talk.all("response.created")) == 2

    in_no_time(script)


@pytest.mark.parametrize("manner", ["early", "late", "streamed"])
def test_a_silence_is_transcribed_as_nothing_and_costs_its_own_length(manner: str) -> None:
    async def script() -> None:
        talk = Talk(f"transcript={manner}", "generation_speed=1000", "answer_s=1", session=_idle())
        talk.say(speech_ms=900)
        await _silence(talk, 6.1)
        item_id = talk.last("input_audio_buffer.timeout_triggered")["item_id"]
        await asyncio.sleep(0.5)
        first, second = talk.all("conversation.item.input_audio_transcription.completed")
        assert (bool(first["transcript"]), second["transcript"], second["item_id"]) == (True, "", item_id)
        assert second["usage"]["input_tokens"] == 50
        assert item_id not in {
            each["item_id"] for each in talk.all("conversation.item.input_audio_transcription.delta")
        }

    in_no_time(script)


@pytest.mark.parametrize("silence_ms", [0, 400])
def test_silence_that_is_committed_after_speech_is_transcribed_as_nothing(silence_ms: int) -> None:
    async def script() -> None:
        talk = Talk(session=_input(transcription={"model": "gpt-transcribe"}))
        talk.say(speech_ms=600, silence_ms=silence_ms)
        talk.say(speech_ms=0, silence_ms=400)
        talk.send("input_audio_buffer.commit")
        told = [bool(each["transcript"]) for each in talk.all("conversation.item.input_audio_transcription.completed")]
        assert told == [True, False]

    in_no_time(script)


def test_an_answer_that_the_client_asks_for_ends_the_wait() -> None:
    async def script() -> None:
        talk = Talk("answer_s=8", "generation_speed=4", session=_idle())
        talk.say(speech_ms=600)
        await asyncio.sleep(2 + 8 + 4.9)
        assert len(talk.all("response.done")) == 1
        talk.send("response.create")
        await asyncio.sleep(2 + 8 + 4.8)
        assert (len(talk.all("response.done")), talk.all("error")) == (2, [])
        assert talk.all("input_audio_buffer.timeout_triggered") == []
        await asyncio.sleep(0.4)
        assert len(talk.all("input_audio_buffer.timeout_triggered")) == 1

    in_no_time(script)


@pytest.mark.parametrize(
    ("patch", "at_s"),
    [
        ({"instructions": "Be brief."}, 6),
        (_input(turn_detection={"type": "server_vad", "threshold": 0.6}), 6),
        (_input(turn_detection={"type": "server_vad", "idle_timeout_ms": 7000}), 4 + 7),
        (_input(turn_detection={"type": "server_vad", "idle_timeout_ms": None}), None),
        (_input(turn_detection=None), None),
    ],
)
def test_an_update_leaves_the_wait_alone_unless_it_changes_it(patch: dict[str, Any], at_s: float | None) -> None:
    async def script() -> None:
        talk = Talk("generation_speed=1000", "answer_s=1", session=_idle())
        talk.say(speech_ms=600)
        await asyncio.sleep(4)
        talk.send("session.update", session={"type": "realtime", **patch})
        await asyncio.sleep((at_s or LONG_S) - 4 - 0.1)
        assert talk.all("input_audio_buffer.timeout_triggered") == []
        await asyncio.sleep(0.2)
        assert len(talk.all("input_audio_buffer.timeout_triggered")) == (at_s is not None)

    in_no_time(script)


def test_nobody_waits_for_a_user_who_interrupts() -> None:
    async def script() -> None:
        talk = Talk(session=_idle(create_response=False))
        talk.send("response.create")
        await asyncio.sleep(0.3)
        talk.say(speech_ms=600, silence_ms=0)
        assert talk.last("response.done")["response"]["status"] == "cancelled"
        talk.say(speech_ms=0)
        await asyncio.sleep(LONG_S)
        assert talk.all("input_audio_buffer.timeout_triggered") == []

    in_no_time(script)


def test_speech_cancels_the_idle_timeout() -> None:
    async def script() -> None:
        detection = {"type": "server_vad", "idle_timeout_ms": 5000, "create_response": False}
        talk = Talk(session=_input(turn_detection=detection))
        talk.send("response.create")
        await asyncio.sleep(3)
        talk.say(speech_ms=600)
        await asyncio.sleep(LONG_S)
        assert talk.all("input_audio_buffer.timeout_triggered") == []

    in_no_time(script)


def test_a_commit_in_the_middle_of_speech_makes_two_turns() -> None:
    async def script() -> None:
        talk = Talk(session=_input(turn_detection={"type": "server_vad", "create_response": False}))
        talk.say(speech_ms=600, silence_ms=0)
        talk.send("input_audio_buffer.commit")
        talk.say(speech_ms=600)
        committed = talk.all("input_audio_buffer.committed")
        assert len({event["item_id"] for event in committed}) == len(committed) == 2
        assert committed[1]["previous_item_id"] == committed[0]["item_id"]

    in_no_time(script)


# --- transcripts


def test_a_transcription_can_fail() -> None:
    talk = _answered("fault.transcription=failed:1", session=_input(transcription={"model": "gpt-transcribe"}))

    failed = talk.last("conversation.item.input_audio_transcription.failed")
    message = f"Input transcription failed for item '{failed['item_id']}'."
    assert failed["error"] == {"type": "server_error", "code": None, "message": message, "param": None}
    assert talk.all("conversation.item.input_audio_transcription.completed") == []
    assert talk.last("response.done")["response"]["status"] == "completed"


def test_who_spoke_is_told_by_the_transcriber_that_tells_speakers_apart() -> None:
    talk = _answered(session=_input(transcription={"model": "gpt-4o-transcribe-diarize"}))

    segment = talk.last("conversation.item.input_audio_transcription.segment")
    completed = talk.last("conversation.item.input_audio_transcription.completed")
    assert (segment["item_id"], segment["text"]) == (completed["item_id"], completed["transcript"])
    assert (segment["speaker"], segment["start"], segment["end"]) == ("A", 0.0, 0.8)


def test_a_very_short_utterance_has_an_empty_transcript() -> None:
    async def script() -> None:
        talk = Talk(session=_input(transcription={"model": "gpt-transcribe"}))
        talk.say(speech_ms=60)
        completed = talk.last("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"] == ""
        assert talk.all("conversation.item.input_audio_transcription.delta") == []

    in_no_time(script)


def test_log_probabilities_come_if_they_are_included() -> None:
    wanted = {"include": ["item.input_audio_transcription.logprobs"], **_input(transcription={"model": "whisper-1"})}

    completed = _answered(session=wanted).last("conversation.item.input_audio_transcription.completed")

    assert [each["token"] for each in completed["logprobs"]] == completed["transcript"].split()


def test_a_newer_transcriber_counts_tokens() -> None:
    talk = _answered(session=_input(transcription={"model": "gpt-transcribe"}))

    usage = talk.last("conversation.item.input_audio_transcription.completed")["usage"]
    assert usage["type"] == "tokens"
    assert usage["input_tokens"] == usage["input_token_details"]["audio_tokens"] == 8
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


# --- tools


def test_an_offered_tool_is_called_and_nobody_answers() -> None:
    talk = _answered(session={"tools": [WEATHER]})

    done = talk.last("response.done")["response"]
    (call,) = done["output"]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "weather", "completed")
    assert call["arguments"] == '{"city": "example", "unit": "C", "days": 1}'
    assert talk.types()[-7:] == [
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    told = talk.last("response.function_call_arguments.done")
    assert (told["call_id"], told["name"], told["item_id"]) == (call["call_id"], "weather", call["id"])
    assert talk.all("response.output_audio.delta") == []


def test_after_the_result_of_a_tool_the_model_speaks() -> None:
    async def script() -> None:
        talk = Talk(session={"tools": [WEATHER]})
        talk.say(speech_ms=600)
        await asyncio.sleep(LONG_S)
        call_id = talk.last("response.done")["response"]["output"][0]["call_id"]
        item = {"type": "function_call_output", "call_id": call_id, "output": "sunny"}
        talk.send("conversation.item.create", item=item)
        talk.send("response.create")
        await asyncio.sleep(LONG_S)
        assert talk.last("response.done")["response"]["output"][0]["type"] == "message"

    in_no_time(script)


def _output(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "sunny"}


def test_a_result_of_a_call_that_nobody_made_is_refused() -> None:
    async def script() -> None:
        talk = Talk()
        talk.send("conversation.item.create", item=_output("call_nobody"), event_id="mine")
        assert talk.last("error")["error"] == {
            "type": "invalid_request_error",
            "code": "invalid_tool_call_id",
            "message": "Tool call ID 'call_nobody' not found in conversation.",
            "param": None,
            "event_id": "mine",
        }
        assert talk.all("conversation.item.added") == []
        assert talk.closed is None

    in_no_time(script)


def test_a_call_that_is_made_by_hand_has_an_id_and_takes_its_result_until_it_is_deleted() -> None:
    async def script() -> None:
        talk = Talk()
        call = {"type": "function_call", "name": "weather", "arguments": "{}"}
        for own in ({}, {"call_id": "mine"}):
            talk.send("conversation.item.create", item={**call, **own})
        first, second = (event["item"] for event in talk.all("conversation.item.added"))
        assert (first["call_id"].startswith("call_"), second["call_id"]) == (True, "mine")
        for each in (first, second):
            talk.send("conversation.item.create", item=_output(each["call_id"]))
            assert talk.last("conversation.item.done")["item"]["call_id"] == each["call_id"]
        assert talk.all("error") == []
        talk.send("conversation.item.delete", item_id=second["id"])
        talk.send("conversation.item.create", item=_output("mine"))
        assert talk.last("error")["error"]["code"] == "invalid_tool_call_id"

    in_no_time(script)


@pytest.mark.parametrize(
    ("settings", "share", "kind"),
    [
        ({"tool_choice": "none"}, "1", "message"),
        ({"tool_choice": "required"}, "0", "function_call"),
        ({"tool_choice": {"type": "function", "name": "weather"}}, "0", "function_call"),
        ({"tool_choice": "auto"}, "0", "message"),
    ],
)
def test_the_choice_of_tools_decides(settings: dict[str, Any], share: str, kind: str) -> None:
    talk = _answered(f"tool_calls={share}", session={"tools": [WEATHER], **settings})

    assert talk.last("response.done")["response"]["output"][0]["type"] == kind


# --- failures


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("server_error", "server_error", None),
        ("inference_rate_limit_exceeded", "invalid_request_error", "inference_rate_limit_exceeded"),
        ("rate_limit_exceeded", "tokens", "rate_limit_exceeded"),
        ("insufficient_quota", "insufficient_quota", "insufficient_quota"),
    ],
)
def test_a_response_can_fail_and_then_costs_nothing(fault: str, kind: str, code: str | None) -> None:
    talk = _answered(f"fault.response={fault}:1")

    done = talk.last("response.done")["response"]
    assert (done["status"], done["output"]) == ("failed", [])
    error = done["status_details"]["error"]
    assert (error["type"], error["code"]) == (kind, code)
    usage = done["usage"]
    assert [usage[name] for name in ("total_tokens", "input_tokens", "output_tokens")] == [0, 0, 0]
    assert talk.all("error") == []
    assert talk.all("response.output_audio.delta") == []


def test_a_status_in_place_of_the_first_delta_is_a_failed_response() -> None:
    talk = _answered("fault.first_delta=503:1")

    done = talk.last("response.done")["response"]
    assert (done["status"], done["status_details"]["error"]["type"]) == ("failed", "server_error")
    assert talk.all("response.output_audio.delta") == []


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_a_response_can_end_early(reason: str) -> None:
    talk = _answered(f"fault.response={reason}:1")

    done = talk.last("response.done")["response"]
    assert (done["status"], done["status_details"]) == ("incomplete", {"type": "incomplete", "reason": reason})
    assert done["output"][0]["status"] == "incomplete"
    assert done["usage"]["output_token_details"]["audio_tokens"] == 20


_MANY = {f"field_{number}": {"type": "string"} for number in range(60)}
LARGE_TOOL = {"type": "function", "name": "fill_in", "parameters": {"type": "object", "properties": _MANY}}
TEXT = {"output_modalities": ["text"]}
THINKING = {"model": "gpt-realtime-2.1", "reasoning": {"effort": "low"}}


@pytest.mark.parametrize("most", [1, 20, 30, 40, 50])
@pytest.mark.parametrize(
    ("session", "least_left"),
    [
        ({}, 6),
        (TEXT, 0),
        ({"tools": [LARGE_TOOL]}, 0),
        (THINKING, 14),
        ({**THINKING, **TEXT}, 1),
        ({**THINKING, "tools": [LARGE_TOOL]}, 1),
    ],
)
def test_max_output_tokens_is_what_usage_counts(session: dict[str, Any], least_left: int, most: int) -> None:
    talk = _answered("answer_s=60", "commentary=0", session={**session, "max_output_tokens": most})

    done = talk.last("response.done")["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
    assert done["output"][0]["status"] == "incomplete"
    spent = done["usage"]["output_tokens"]
    assert spent <= most
    # The name of the function alone is more than one token: then nothing of the call is said.
    assert most - spent <= (most if most == 1 else least_left)


def test_a_call_is_cut_within_its_arguments() -> None:
    talk = _answered(session={"tools": [LARGE_TOOL], "max_output_tokens": 20})

    told = talk.last("response.function_call_arguments.done")["arguments"]
    assert told.startswith('{"field_0": "example", "field_1"')
    assert len("fill_in") + len(told) == 20 * 4
    assert "".join(event["delta"] for event in talk.all("response.function_call_arguments.delta")) == told
    assert talk.last("response.output_item.done")["item"]["arguments"] == told
    assert talk.types().count("conversation.item.done") == 1  # of the user's item


def test_a_limit_that_is_just_enough_cuts_nothing() -> None:
    for session in ({}, TEXT, {"tools": [LARGE_TOOL]}, {**THINKING, **TEXT}, {**THINKING, "tools": [WEATHER]}):
        whole = _answered(session=session).last("response.done")["response"]
        spent = whole["usage"]["output_tokens"]
        for most, status in ((spent, "completed"), (spent - 1, "incomplete")):
            limited = _answered(session={**session, "max_output_tokens": most}).last("response.done")["response"]
            assert (limited["status"], limited["usage"]["output_tokens"] <= most) == (status, True)


def test_an_empty_bucket_of_tokens_fails_the_response() -> None:
    async def script() -> None:
        talk = Talk("limit.tpm=30")
        for _ in range(2):
            talk.send("response.create")
            await asyncio.sleep(LONG_S)
        first, second = (event["response"] for event in talk.all("response.done"))
        assert (first["status"], second["status"]) == ("completed", "failed")
        assert second["status_details"]["error"]["code"] == "inference_rate_limit_exceeded"

    in_no_time(script)


def test_an_injected_error_leaves_the_session_open() -> None:
    talk = _answered("fault.realtime=conversation_already_has_active_response:1")

    assert talk.last("error")["error"]["code"] == "conversation_already_has_active_response"
    assert talk.last("response.done")["response"]["status"] == "completed"
    assert talk.closed is None


def test_a_fatal_error_closes_the_session() -> None:
    talk = _answered("fault.realtime=insufficient_quota:1")

    assert talk.last("error")["error"]["type"] == "insufficient_quota"
    assert talk.closed == (3000, "insufficient_quota.insufficient_quota")
    assert talk.all("response.done") == []


def test_a_close_can_be_injected_after_a_while() -> None:
    async def script() -> None:
        talk = Talk("fault.realtime_close=1011:1", "close_after=fixed:7")
        await asyncio.sleep(6.9)
        assert talk.closed is None
        await asyncio.sleep(0.2)
        assert talk.closed == (1011, "")

    in_no_time(script)


def test_a_close_can_be_injected_after_an_update() -> None:
    async def script() -> None:
        talk = Talk("fault.session_update=1000:1")
        talk.send("session.update", session={"type": "realtime"})
        assert talk.types() == ["session.updated"]
        assert talk.closed == (1000, "")

    in_no_time(script)


# --- other sessions and other events


def test_a_transcription_session_transcribes_and_never_answers() -> None:
    async def script() -> None:
        talk = Talk(session={"type": "transcription", **_input(transcription={"model": "gpt-4o-transcribe"})})
        assert talk.events[0]["session"]["object"] == "realtime.transcription_session"
        talk.say(speech_ms=600)
        talk.send("response.create")
        await asyncio.sleep(LONG_S)
        assert talk.last("conversation.item.input_audio_transcription.completed")["transcript"]
        assert talk.last("error")["error"]["code"] == "invalid_event"
        assert talk.all("response.created") == []

    in_no_time(script)


def test_a_transcription_session_shows_of_turn_detection_what_is_not_about_answers() -> None:
    async def script() -> None:
        asked = {"type": "server_vad", "create_response": False, "idle_timeout_ms": 5000}
        for more in ({}, {"turn_detection": asked}):
            found = Talk(session={"type": "transcription", **_input(**more)}).events[0]["session"]
            assert found["audio"]["input"]["turn_detection"] == {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 300,
                "silence_duration_ms": 200,
            }

    in_no_time(script)


@pytest.mark.parametrize("model", ["gpt-realtime-whisper", "gpt-live-transcribe"])
def test_a_transcriber_that_finds_no_turns_leaves_the_commit_to_its_client(model: str) -> None:
    def _heard(**more: Any) -> dict[str, Any]:
        return {"type": "transcription", **_input(transcription={"model": model}, **more)}

    async def script() -> None:
        talk = Talk(session={"type": "transcription"})
        talk.send("session.update", session=_heard(turn_detection={"type": "server_vad"}))
        error = talk.last("error")["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "session.audio.input.turn_detection")
        for update in (_heard(), _heard(turn_detection=None)):
            talk.send("session.update", session=update)
            assert talk.last("session.updated")["session"]["audio"]["input"]["turn_detection"] is None
        talk.say(speech_ms=600)
        await asyncio.sleep(LONG_S)
        talk.send("input_audio_buffer.commit")
        await asyncio.sleep(LONG_S)
        assert talk.all("input_audio_buffer.speech_started") == []
        assert talk.last("conversation.item.input_audio_transcription.completed")["transcript"]
        talk.send("session.update", session={"type": "transcription", **_input(turn_detection={"type": "server_vad"})})
        assert len(talk.all("error")) == 2
        spoken = Talk(session=_input(transcription={"model": model}, turn_detection={"type": "server_vad"}))
        spoken.say(speech_ms=600)
        assert len(spoken.all("input_audio_buffer.speech_started")) == 1

    in_no_time(script)


@pytest.mark.parametrize(("own", "other"), [("realtime", "transcription"), ("transcription", "realtime")])
def test_a_session_stays_of_its_type(own: str, other: str) -> None:
    async def script() -> None:
        talk = Talk(session={"type": own})
        talk.send("session.update", session={"type": other})
        error = talk.last("error")["error"]
        assert (error["code"], error["message"]) == (
            "invalid_parameter",
            f"Passing a {other} session update event to a {own} session is not allowed.",
        )

    in_no_time(script)


def test_a_response_out_of_band_leaves_the_conversation_alone() -> None:
    async def script() -> None:
        talk = Talk()
        talk.send("response.create", response={"conversation": "none", "metadata": {"topic": "summary"}})
        await asyncio.sleep(LONG_S)
        done = talk.last("response.done")["response"]
        assert (done["conversation_id"], done["metadata"]) == (None, {"topic": "summary"})
        assert talk.all("conversation.item.added") == []
        talk.send("conversation.item.retrieve", item_id=done["output"][0]["id"])
        assert talk.last("error")["error"]["code"] == "item_retrieve_invalid_item_id"

    in_no_time(script)


BESIDE = {"conversation": "none"}


def test_responses_out_of_band_run_beside_each_other_and_beside_an_answer() -> None:
    async def script() -> None:
        talk = Talk(session={"output_modalities": ["text"]})
        for request in (BESIDE, {}, BESIDE, {}):
            talk.send("response.create", response=request)
        ids = [event["response"]["id"] for event in talk.all("response.created")]
        (error,) = talk.all("error")
        assert error["error"]["code"] == "conversation_already_has_active_response"
        assert ids[1] in error["error"]["message"]
        await asyncio.sleep(LONG_S)
        ended = {event["response"]["id"]: event["response"] for event in talk.all("response.done")}
        assert set(ended) == set(ids)
        assert [ended[each]["status"] for each in ids] == ["completed"] * 3
        assert [ended[each]["conversation_id"] is None for each in ids] == [True, False, True]
        assert len(talk.all("conversation.item.done")) == 1

    in_no_time(script)


def test_a_user_interrupts_and_is_answered_whatever_runs_out_of_band() -> None:
    async def script() -> None:
        talk = Talk()
        talk.send("response.create", response=BESIDE)
        talk.say(speech_ms=600)
        talk.say(speech_ms=600)
        await asyncio.sleep(LONG_S)
        assert talk.all("error") == []
        told = {event["response"]["id"]: event["response"]["status"] for event in talk.all("response.done")}
        assert [told[event["response"]["id"]] for event in talk.all("response.created")] == [
            *("completed", "cancelled", "completed")
        ]

    in_no_time(script)


def _message(role: str, *content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content)}


def _usage(talk: Talk) -> dict[str, int]:
    """What the last response read."""
    told: dict[str, int] = talk.last("response.done")["response"]["usage"]["input_token_details"]
    return {name: told[name] for name in ("text_tokens", "audio_tokens", "cached_tokens")}


def test_a_response_with_an_input_of_its_own_reads_that_alone() -> None:
    async def script() -> None:
        talk = Talk(session={**TEXT, "instructions": ""})
        long = {"type": "input_text", "text": "x" * 4000}
        talk.send("conversation.item.create", item={**_message("user", long), "id": "long"})
        short = {**_message("user", {"type": "input_text", "text": "y" * 40})}
        for own, read in (([], 0), ([short], 10), ([{"type": "item_reference", "id": "long"}, short], 1010)):
            talk.send("response.create", response={**BESIDE, "input": own})
            await asyncio.sleep(LONG_S)
            assert _usage(talk) == {"text_tokens": read, "audio_tokens": 0, "cached_tokens": 0}
        talk.send("response.create")
        await asyncio.sleep(LONG_S)
        assert _usage(talk) == {"text_tokens": 1000, "audio_tokens": 0, "cached_tokens": 0}
        assert len(talk.all("conversation.item.added")) == 2

    in_no_time(script)


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        (5, "invalid_type", "response.input[0]"),
        ({"type": "poem"}, "invalid_value", "response.input[0].type"),
        ({"type": "message", "role": "user"}, "missing_required_parameter", "response.input[0].content"),
        ({"type": "item_reference", "id": "nobody"}, "item_not_found", "response.input[0].id"),
    ],
)
def test_an_input_that_cannot_be_read_is_refused(item: Any, code: str, param: str) -> None:
    async def script() -> None:
        talk = Talk()
        talk.send("response.create", response={"input": [item]})
        error = talk.last("error")["error"]
        assert (error["code"], error["param"]) == (code, param)
        talk.send("response.create")
        await asyncio.sleep(LONG_S)
        assert "Answer 1 " in talk.last("response.done")["response"]["output"][0]["content"][0]["transcript"]

    in_no_time(script)


def test_the_result_of_a_tool_in_the_input_is_answered_in_words() -> None:
    async def script() -> None:
        talk = Talk(session={**TEXT, "tools": [WEATHER]})
        call = {"type": "function_call", "call_id": "mine", "name": "weather", "arguments": "{}"}
        for own, kind in (([call, _output("mine")], "message"), ([call], "function_call")):
            talk.send("response.create", response={**BESIDE, "input": own})
            await asyncio.sleep(LONG_S)
            assert talk.last("response.done")["response"]["output"][0]["type"] == kind

    in_no_time(script)


def test_what_comes_while_an_answer_is_made_is_read_by_the_next_one() -> None:
    async def script() -> None:
        talk = Talk(session={**TEXT, "instructions": ""})
        text = {"type": "input_text", "text": "x" * 400}
        talk.send("conversation.item.create", item=_message("user", text))
        talk.send("response.create")
        talk.send("conversation.item.create", item=_message("user", text))
        await asyncio.sleep(LONG_S)
        assert _usage(talk) == {"text_tokens": 100, "audio_tokens": 0, "cached_tokens": 0}
        said = talk.last("response.done")["response"]["usage"]["output_tokens"]
        talk.send("response.create")
        await asyncio.sleep(LONG_S)
        assert _usage(talk) == {"text_tokens": 200 + said, "audio_tokens": 0, "cached_tokens": 100}

    in_no_time(script)


@pytest.mark.parametrize(("role", "kind", "tokens"), [("user", "input_audio", 100), ("assistant", "output_audio", 200)])
def test_sound_that_comes_in_an_item_is_read_like_any_other(role: str, kind: str, tokens: int) -> None:
    async def script() -> None:
        talk = Talk(session=TEXT)
        sound = base64.b64encode(bytes(48 * 10_000 + 1)).decode()  # the odd byte is padded
        talk.send("conversation.item.create", item=_message(role, {"type": kind, "audio": sound}))
        odd = {"type": "input_image", "text": 5, "audio": 5}  # nobody has looked into these
        talk.send("conversation.item.create", item=_message("user", odd))
        talk.send("response.create")
        await asyncio.sleep(LONG_S)
        assert _usage(talk)["audio_tokens"] == tokens

    in_no_time(script)


def test_items_of_mcp_are_kept_read_and_given_back() -> None:
    async def script() -> None:
        server = {"type": "mcp", "server_label": "maps", "server_url": "https://maps.example/mcp"}
        talk = Talk(session={**TEXT, "instructions": "", "tools": [server]})
        call = {"type": "mcp_call", "id": "call", "server_label": "maps", "name": "find", "arguments": "{}"}
        answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": False, "reason": "No."}
        for item in ({**call, "output": "x" * 394}, answer, {**call, "id": "other", "output": None}):
            talk.send("conversation.item.create", item=item)
            done = talk.last("conversation.item.done")["item"]
            assert done == {**item, "id": done["id"]}
        talk.send("conversation.item.retrieve", item_id="call")
        assert talk.last("conversation.item.retrieved")["item"]["output"] == "x" * 394
        talk.send("response.create")
        await asyncio.sleep(LONG_S)
        assert (_usage(talk)["text_tokens"], talk.all("error")) == (102, [])
        assert [each for each in talk.types() if "mcp" in each] == []

    in_no_time(script)


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "mcp_approval_response", "approve": True}, "item.approval_request_id"),
        ({"type": "mcp_approval_response", "approval_request_id": "a", "approve": "yes"}, "item.approve"),
        ({"type": "mcp_approval_request", "server_label": "maps", "name": "find"}, "item.arguments"),
        ({"type": "mcp_list_tools", "server_label": "maps", "tools": [{"name": "find"}]}, "item.tools[0].input_schema"),
        ({"type": "mcp_call", "server_label": "maps", "name": "find", "arguments": "", "error": 5}, "item.error"),
    ],
)
def test_items_of_mcp_are_checked_like_any_other(item: dict[str, Any], param: str) -> None:
    async def script() -> None:
        talk = Talk()
        talk.send("conversation.item.create", item=item)
        assert talk.last("error")["error"]["param"] == param

    in_no_time(script)


# --- settings of one response


@pytest.mark.parametrize(
    ("settings", "code", "param"),
    [
        ({"reasoning": {"effort": "low"}}, "unsupported_parameter", "response.reasoning"),
        ({"parallel_tool_calls": True}, "unsupported_parameter", "response.parallel_tool_calls"),
        ({"tool_choice": {"type": "function", "name": "nope"}}, "invalid_value", "response.tool_choice"),
        ({"tool_choice": {"type": "mcp", "server_label": "nope"}}, "invalid_value", "response.tool_choice"),
        (
            {"tools": [], "tool_choice": {"type": "function", "name": "weather"}},
            "invalid_value",
            "response.tool_choice",
        ),
    ],
)
def test_settings_that_do_not_go_with_the_session_are_refused(settings: dict[str, Any], code: str, param: str) -> None:
    async def script() -> None:
        talk = Talk(session={"tools": [WEATHER]})
        talk.send("response.create", response=settings)
        error = talk.last("error")["error"]
        assert (error["code"], error["param"]) == (code, param)
        assert talk.all("response.created") == []

    in_no_time(script)


def test_a_response_has_the_tools_and_the_thoughts_that_it_is_told() -> None:
    async def script() -> None:
        talk = Talk(session={"model": "gpt-realtime-2.1", **TEXT})
        own = {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "weather"}, "parallel_tool_calls": True}
        for settings, kind, thinks in (
            (own, "function_call", False),
            ({"reasoning": {"effort": "low"}, "prompt": {"id": "pmpt_1"}}, "message", True),
            ({"reasoning": {"effort": None}}, "message", True),
        ):
            talk.send("response.create", response=settings)
            await asyncio.sleep(LONG_S)
            done = talk.last("response.done")["response"]
            assert done["output"][-1]["type"] == kind
            assert ("reasoning_tokens" in done["usage"]["output_token_details"]) is thinks
        assert talk.all("error") == []

    in_no_time(script)


def test_a_response_is_cancelled_by_its_id_and_without_one_that_of_the_conversation() -> None:
    async def script() -> None:
        talk = Talk()
        for request in (BESIDE, BESIDE, {}):
            talk.send("response.create", response=request)
        first, second, own = (event["response"]["id"] for event in talk.all("response.created"))
        for fields in ({}, {}, {"response_id": second}, {"response_id": second}, {"response_id": "resp_nobody"}):
            talk.send("response.cancel", **fields)
        cancelled = [event["response"]["id"] for event in talk.all("response.done")]
        assert cancelled == [own, second]
        assert [event["error"]["code"] for event in talk.all("error")] == ["response_cancel_not_active"] * 3
        await asyncio.sleep(LONG_S)
        assert talk.last("response.done")["response"]["id"] == first

    in_no_time(script)


def test_what_is_said_out_of_band_fixes_no_voice_and_waits_for_no_user() -> None:
    async def script() -> None:
        talk = Talk(session=_input(turn_detection={"type": "server_vad", "idle_timeout_ms": 5000}))
        talk.send("response.create", response=BESIDE)
        await asyncio.sleep(LONG_S)
        assert len(talk.all("response.output_audio.delta")) == 10
        assert talk.all("input_audio_buffer.timeout_triggered") == []
        talk.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": "cedar"}}})
        assert talk.last("session.updated")["session"]["audio"]["output"]["voice"] == "cedar"

    in_no_time(script)


def test_an_item_goes_behind_the_one_it_names() -> None:
    async def script() -> None:
        talk = Talk()
        for item_id, after in (("a", None), ("b", None), ("c", "a"), ("d", "root"), ("e", "b")):
            item = {"type": "message", "id": item_id, "role": "user", "content": []}
            talk.send("conversation.item.create", item=item, previous_item_id=after)
        told = [event["previous_item_id"] for event in talk.all("conversation.item.added")]
        assert told == [None, "a", "a", None, "b"]
        talk.send("conversation.item.create", item={**item, "id": "f"}, previous_item_id="nobody")
        assert talk.last("error")["error"]["param"] == "previous_item_id"

    in_no_time(script)


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"item_id": "mine"}, "item_id"), ({"content_index": 1}, "content_index")],
)
def test_only_the_sound_of_an_answer_can_be_truncated(fields: dict[str, Any], param: str) -> None:
    async def script() -> None:
        talk = Talk()
        talk.send("conversation.item.create", item={"type": "message", "id": "mine", "role": "user", "content": []})
        talk.send("response.create")
        await asyncio.sleep(LONG_S)
        item_id = talk.last("response.done")["response"]["output"][0]["id"]
        request = {"item_id": item_id, "content_index": 0, "audio_end_ms": 100, **fields}
        talk.send("conversation.item.truncate", **request)
        assert talk.last("error")["error"]["param"] == param

    in_no_time(script)


@pytest.mark.parametrize(
    ("verb", "doing", "more"),
    [
        ("retrieve", "retrieving", {}),
        ("delete", "deleting", {}),
        ("truncate", "truncating", {"content_index": 0, "audio_end_ms": 0}),
    ],
)
def test_an_item_that_is_not_there_is_named_with_what_was_to_be_done(
    verb: str, doing: str, more: dict[str, Any]
) -> None:
    async def script() -> None:
        talk = Talk()
        talk.send(f"conversation.item.{verb}", item_id="gone", **more)
        assert talk.last("error")["error"] == {
            "message": f"Error {doing} item: the item with id 'gone' does not exist.",
            "type": "invalid_request_error",
            "param": None,
            "code": f"item_{verb}_invalid_item_id",
            "event_id": None,
        }

    in_no_time(script)


@pytest.mark.parametrize(("modality", "items", "after_s"), [("text", 1, LONG_S), ("audio", 2, 0.3)])
def test_an_answer_without_sound_or_before_its_first_can_not_be_truncated(
    modality: str, items: int, after_s: float
) -> None:
    async def script() -> None:
        talk = Talk(f"output_items={items}", session={"output_modalities": [modality]})
        talk.send("response.create")
        await asyncio.sleep(after_s)
        item_id = talk.last("response.output_item.added")["item"]["id"]
        talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0)
        told = talk.last("error")["error"]
        assert (told["message"], told["code"]) == (
            "Only model output audio messages can be truncated",
            "unsupported_content_type",
        )
        await asyncio.sleep(LONG_S)
        (*_, (part,)) = (item["content"] for item in talk.last("response.done")["response"]["output"])
        assert "twin-" in part.get("transcript", part.get("text", ""))
        talk.send("conversation.item.retrieve", item_id=item_id)
        assert talk.last("conversation.item.retrieved")["item"]["content"] == [part]

    in_no_time(script)


def test_an_answer_truncated_before_it_is_cancelled_costs_what_was_made_and_keeps_no_words() -> None:
    async def script() -> None:
        talk = Talk("latency.first_delta=fixed:0", "answer_s=10", "generation_speed=1")
        talk.send("response.create")
        await asyncio.sleep(0.7)
        (item_id,) = {event["item_id"] for event in talk.all("response.output_audio.delta")}
        talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=100)
        await asyncio.sleep(0.6)
        talk.send("response.cancel")
        assert len(talk.all("response.output_audio.delta")) == 7
        response = talk.last("response.done")["response"]
        assert response["output"][0]["content"] == [{"type": "output_audio", "transcript": None}]
        said = talk.last("response.output_audio_transcript.done")["transcript"]
        assert response["usage"]["output_token_details"] == {"text_tokens": -(-len(said) // 4), "audio_tokens": 28}
        talk.send("conversation.item.retrieve", item_id=item_id)
        assert talk.last("conversation.item.retrieved")["item"]["content"] == response["output"][0]["content"]
        talk.send("response.create")
        await asyncio.sleep(20)
        read = talk.last("response.done")["response"]["usage"]["input_token_details"]
        assert read["audio_tokens"] == 2

    in_no_time(script)


def test_tracing_stays_as_it_is_once_on() -> None:
    async def script() -> None:
        talk = Talk(session={"tracing": "auto"})
        talk.send("session.update", session={"type": "realtime", "tracing": None})
        assert talk.last("error")["error"]["param"] == "session.tracing"

    in_no_time(script)


def test_a_response_whose_instructions_are_null_has_those_of_the_session() -> None:
    talks = []

    async def script() -> None:
        talk = Talk(session={"instructions": "Say mango."})
        talk.send("response.create", response={"instructions": None, "metadata": {"a": "b"}})
        await asyncio.sleep(LONG_S)
        talks.append(talk)

    in_no_time(script)
    (talk,) = talks
    assert talk.all("error") == []
    assert talk.last("response.done")["response"]["metadata"] == {"a": "b"}
