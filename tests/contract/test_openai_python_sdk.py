"""The official `openai` package against the twin: what it believes of OpenAI, it must believe of the twin."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import openai
import pytest

from loadtest.twin.pcm import FRAME_BYTES, tone
from tests.loadtest.twin.process import RunningTwin, running_twin

SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime",
    "instructions": "You are a helpful assistant.",
    "audio": {
        "input": {
            "transcription": {"model": "whisper-1"},
            "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500},
        },
        "output": {"voice": "marin"},
    },
}
DEADLINE_S = 15
NEEDS_WEBSOCKETS = "openai.realtime.connect needs the extra openai[realtime]"


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--set", "answer_s=0.6") as started:
        yield started


def _run(twin: RunningTwin, script: Callable[[openai.AsyncOpenAI], Awaitable[Any]], *, key: str | None = None) -> Any:
    async def run() -> Any:
        client = openai.AsyncOpenAI(base_url=twin.openai_url, api_key=key or twin.openai_key, max_retries=0)
        async with client, asyncio.timeout(DEADLINE_S):
            return await script(client)

    return asyncio.run(run())


def test_it_mints_a_secret_and_parses_the_session(twin: RunningTwin) -> None:
    async def script(client: openai.AsyncOpenAI) -> Any:
        return await client.realtime.client_secrets.create(
            expires_after={"seconds": 600, "anchor": "created_at"},
            session=SESSION,  # type: ignore[arg-type]
        )

    secret = _run(twin, script)

    assert secret.value.startswith("ek_")
    assert secret.session.type == "realtime"
    assert secret.session.audio.output.voice == "marin"
    assert secret.session.audio.input.turn_detection.silence_duration_ms == 500
    assert secret._request_id.startswith("req_")


@pytest.mark.parametrize(
    ("seconds", "session", "code", "param"),
    [
        (9, SESSION, "integer_below_min_value", "expires_after.seconds"),
        (600, {"type": "realtime", "voice": "marin"}, "unknown_parameter", "session.voice"),
        (600, {"model": "gpt-realtime"}, "missing_required_parameter", "session.type"),
    ],
)
def test_a_bad_request_is_its_own_exception(
    twin: RunningTwin, seconds: int, session: dict[str, Any], code: str, param: str
) -> None:
    async def script(client: openai.AsyncOpenAI) -> Any:
        await client.realtime.client_secrets.create(
            expires_after={"seconds": seconds},
            session=session,  # type: ignore[arg-type]
        )

    with pytest.raises(openai.BadRequestError) as caught:
        _run(twin, script)
    assert (caught.value.status_code, caught.value.code, caught.value.param) == (400, code, param)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id is not None


def test_a_wrong_key_is_an_authentication_error(twin: RunningTwin) -> None:
    async def script(client: openai.AsyncOpenAI) -> Any:
        await client.realtime.client_secrets.create(session=SESSION)  # type: ignore[arg-type]

    with pytest.raises(openai.AuthenticationError) as caught:
        _run(twin, script, key="sk-wrong")
    assert (caught.value.status_code, caught.value.code) == (401, "invalid_api_key")


def test_it_retries_a_server_error_and_then_says_so() -> None:
    async def script(client: openai.AsyncOpenAI) -> Any:
        await client.with_options(max_retries=1).realtime.client_secrets.create(session=SESSION)  # type: ignore[arg-type]

    with running_twin("--set", "fault.mint=503:1") as twin:
        with pytest.raises(openai.InternalServerError) as caught:
            _run(twin, script)
        assert caught.value.status_code == 503
        assert twin.state()["counters"]["requests"]["mint"] == {"503": 2}


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("rate_limit_exceeded", openai.RateLimitError, "rate_limit_exceeded"),
        ("unsupported_country_region_territory", openai.PermissionDeniedError, "unsupported_country_region_territory"),
        ("500", openai.InternalServerError, None),
    ],
)
def test_an_injected_fault_is_its_own_exception(fault: str, error: type[openai.APIStatusError], code: str) -> None:
    async def script(client: openai.AsyncOpenAI) -> Any:
        await client.realtime.client_secrets.create(session=SESSION)  # type: ignore[arg-type]

    with running_twin("--set", f"fault.mint={fault}:1") as twin:
        with pytest.raises(error) as caught:
            _run(twin, script)
        assert caught.value.code == code


TURN = [
    "session.created",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    *["response.output_audio_transcript.delta", "response.output_audio.delta"] * 3,
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def test_it_holds_a_voice_turn_with_a_client_secret_and_no_model(twin: RunningTwin) -> None:
    pytest.importorskip("websockets", reason=NEEDS_WEBSOCKETS)

    async def script(client: openai.AsyncOpenAI) -> list[Any]:
        events: list[Any] = []
        async with client.realtime.connect() as connection:
            sound = tone(duration_ms=400) + bytes(48 * 600)
            for start in range(0, len(sound), FRAME_BYTES):
                frame = base64.b64encode(sound[start : start + FRAME_BYTES]).decode()
                await connection.input_audio_buffer.append(audio=frame)
            async for event in connection:
                events.append(event)
                if event.type == "response.done":
                    return events
        return events

    events = _run(twin, script, key=twin.secret(SESSION))

    assert [event.type for event in events] == TURN
    by_type = {event.type: event for event in events}
    assert by_type["session.created"].session.audio.output.voice == "marin"
    assert by_type["input_audio_buffer.speech_stopped"].audio_end_ms == 900
    sound = b"".join(base64.b64decode(event.delta) for event in events if event.type == "response.output_audio.delta")
    assert len(sound) == 600 * 48
    done = by_type["response.done"].response
    assert (done.status, done.output[0].content[0].type) == ("completed", "output_audio")
    assert done.output[0].content[0].transcript == by_type["response.output_audio_transcript.done"].transcript
    assert done.usage.output_token_details.audio_tokens == 12


def test_it_interrupts_an_answer_by_speaking(twin: RunningTwin) -> None:
    pytest.importorskip("websockets", reason=NEEDS_WEBSOCKETS)

    async def script(client: openai.AsyncOpenAI) -> Any:
        async with client.realtime.connect() as connection:
            await connection.response.create()
            async for event in connection:
                if event.type == "response.output_audio.delta":
                    await connection.input_audio_buffer.append(audio=base64.b64encode(tone(duration_ms=100)).decode())
                elif event.type == "response.done":
                    return event.response
        return None

    response = _run(twin, script, key=twin.secret())

    assert response.status == "cancelled"
    assert response.status_details.reason == "turn_detected"


def test_it_truncates_an_answer_that_was_complete_when_the_user_spoke(twin: RunningTwin) -> None:
    pytest.importorskip("websockets", reason=NEEDS_WEBSOCKETS)

    async def script(client: openai.AsyncOpenAI) -> list[Any]:
        after_done: list[Any] = []
        async with client.realtime.connect() as connection:
            await connection.response.create()
            item_id = None
            async for event in connection:
                if event.type == "response.done":
                    item_id = event.response.output[0].id
                    await connection.input_audio_buffer.append(audio=base64.b64encode(tone(duration_ms=100)).decode())
                elif item_id is not None:
                    after_done.append(event)
                if event.type == "input_audio_buffer.speech_started":
                    for audio_end_ms in (601, 300):
                        await connection.conversation.item.truncate(
                            item_id=item_id or "", content_index=0, audio_end_ms=audio_end_ms
                        )
                elif event.type == "conversation.item.truncated":
                    break
        return after_done

    limits, started, refused, truncated = _run(twin, script, key=twin.secret())

    assert [each.name for each in limits.rate_limits] == ["tokens"]
    assert started.type == "input_audio_buffer.speech_started"
    assert refused.error.message == "Audio content of 600ms is already shorter than 601ms"
    assert (refused.error.code, truncated.audio_end_ms) == (None, 300)


def test_a_dead_secret_is_an_error_event_and_a_close(twin: RunningTwin) -> None:
    closing = pytest.importorskip("websockets.exceptions", reason=NEEDS_WEBSOCKETS)

    async def script(client: openai.AsyncOpenAI) -> Any:
        async with client.realtime.connect() as connection:
            refusal = await connection.recv()
            with pytest.raises(closing.ConnectionClosedError) as closed:
                await connection.recv()
            return refusal, closed.value.rcvd

    refusal, close = _run(twin, script, key="ek_never_minted")

    assert (refusal.type, refusal.error.code) == ("error", "invalid_api_key")
    assert (close.code, close.reason) == (3000, "invalid_request_error.invalid_api_key")
