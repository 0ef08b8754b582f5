"""The order of a turn on the Realtime WebSocket, and its interruption.

Source: docs/contract.md#a-voice-turn, #interruption.
"""

import base64
from typing import Any

from loadtest.twin.pcm import tone
from tests.loadtest.twin.process import RunningTwin
from tests.loadtest.twin.talking import Client, converse

USER_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
ANSWER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
TRANSCRIPTION = [
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
]


def _input(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def test_the_secret_alone_drives_the_session(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        session = client.events[0]["session"]
        assert session["instructions"] == "Say mango."
        assert session["model"] == "gpt-realtime"
        assert session["id"].startswith("sess_")
        assert session["expires_at"] > 1_700_000_000

    converse(twin, script, session={"instructions": "Say mango."})


def test_a_turn_has_every_event_in_its_order(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        await client.say(speech_ms=300)
        done = (await client.until("response.done"))["response"]
        assert client.types() == USER_TURN + ANSWER
        assert (done["status"], done["status_details"]) == ("completed", None)
        by_type = {event["type"]: event for event in client.events}
        started, stopped = by_type[USER_TURN[0]], by_type[USER_TURN[1]]
        assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (0, 500)
        assert started["item_id"] == stopped["item_id"] == by_type[USER_TURN[2]]["item_id"]
        item = done["output"][0]
        assert item["content"] == [{"type": "output_audio", "transcript": by_type[ANSWER[7]]["transcript"]}]
        assert by_type[ANSWER[8]]["part"] == {"type": "audio", "transcript": by_type[ANSWER[7]]["transcript"]}
        spoken = "".join(event["delta"] for event in client.events if event["type"] == ANSWER[4])
        assert spoken == by_type[ANSWER[7]]["transcript"]
        assert sum(map(_sound_bytes, client.events)) == 2000 * 48
        assert len({event["event_id"] for event in client.events}) == len(client.events)
        tokens = done["usage"]
        assert tokens["output_token_details"]["audio_tokens"] == 40
        assert tokens["total_tokens"] == tokens["input_tokens"] + tokens["output_tokens"]

    converse(twin, script)


def test_input_usage_grows_with_each_turn(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        inputs = []
        for _ in range(3):
            await client.say(speech_ms=1000)
            inputs.append((await client.until("response.done"))["response"]["usage"])
        audio = [usage["input_token_details"]["audio_tokens"] for usage in inputs]
        assert audio[0] < audio[1] < audio[2]
        cached = [usage["input_token_details"]["cached_tokens"] for usage in inputs]
        assert cached[0] == 0
        assert 0 < cached[1] < cached[2]

    converse(twin, script)


def test_transcription_comes_if_it_is_configured(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        await client.say(speech_ms=300)
        await client.until("response.done")
        assert [kind for kind in client.types() if kind in TRANSCRIPTION] == TRANSCRIPTION

    converse(twin, script, session=_input(transcription={"model": "gpt-4o-transcribe"}))


def test_sound_in_odd_chunks_is_heard_as_well(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        sound = bytes(48 * 1000) + tone(duration_ms=100) + bytes(48 * 600)
        for start in range(0, len(sound), 1234):
            chunk = base64.b64encode(sound[start : start + 1234]).decode()
            await client.send("input_audio_buffer.append", audio=chunk)
        started = await client.until(USER_TURN[0])
        assert started["audio_start_ms"] == 700
        assert (await client.until(USER_TURN[1]))["audio_end_ms"] == 1300

    converse(twin, script)


def test_speaking_while_it_generates_cancels_the_response(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        await client.say(speech_ms=300)
        await client.until("response.output_audio.delta")
        await client.say(speech_ms=300)
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert done["output"][0]["status"] == "incomplete"
        after = client.types(since="input_audio_buffer.speech_started")
        assert after == [*ANSWER[6:9], "response.output_item.done", "response.done"]
        assert (await client.until("response.done"))["response"]["status"] == "completed"

    converse(twin, script)


def test_without_interrupt_response_the_second_turn_loses(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        await client.say(speech_ms=300)
        await client.until("response.output_audio.delta")
        await client.say(speech_ms=300)
        error = (await client.until("error"))["error"]
        assert error["code"] == "conversation_already_has_active_response"
        assert (await client.until("response.done"))["response"]["status"] == "completed"

    converse(twin, script, session=_input(turn_detection={"type": "server_vad", "interrupt_response": False}))


def test_without_create_response_nobody_answers_until_asked(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        await client.say(speech_ms=300)
        await client.until("conversation.item.done")
        await client.send("response.create", response={"metadata": {"turn": "1"}})
        created = (await client.until("response.created"))["response"]
        assert created["metadata"] == {"turn": "1"}
        await client.send("response.create", event_id="mine")
        error = (await client.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "mine")
        await client.send("response.cancel")
        done = (await client.until("response.done"))["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}

    converse(twin, script, session=_input(turn_detection={"type": "server_vad", "create_response": False}))


def test_without_turn_detection_the_client_commits(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        await client.say(speech_ms=300)
        await client.send("input_audio_buffer.commit")
        await client.until("conversation.item.done")
        assert client.types() == USER_TURN[2:]
        await client.send("input_audio_buffer.commit")
        assert (await client.until("error"))["error"]["code"] == "input_audio_buffer_commit_empty"
        await client.send("response.create")
        assert (await client.until("response.done"))["response"]["status"] == "completed"

    converse(twin, script, session=_input(turn_detection=None))


def test_a_text_response_speaks_no_sound(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        await client.send("response.create", response={"output_modalities": ["text"]})
        done = (await client.until("response.done"))["response"]
        assert done["output"][0]["content"][0]["type"] == "output_text"
        assert "response.output_text.done" in client.types()
        assert "response.output_audio.delta" not in client.types()

    converse(twin, script)


def _sound_bytes(event: dict[str, Any]) -> int:
    return len(base64.b64decode(event["delta"])) if event["type"] == "response.output_audio.delta" else 0
