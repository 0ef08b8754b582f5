"""Opening a Realtime socket, and the events that are no turn: updates, items, errors.

Source: docs/contract.md#the-realtime-socket.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.loadtest.twin.process import RunningTwin
from tests.loadtest.twin.talking import Client, converse, realtime


def test_an_update_changes_what_it_names_and_nothing_else(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        before = client.events[0]["session"]
        patch = {"type": "realtime", "instructions": "", "audio": {"input": {"turn_detection": None}}}
        await client.send("session.update", session=patch)
        after = (await client.until("session.updated"))["session"]
        assert after["instructions"] == ""
        assert after["audio"]["input"]["turn_detection"] is None
        assert after["audio"]["output"] == before["audio"]["output"]
        assert after["model"] == before["model"]

    converse(twin, script)


UPDATE_REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"model": "gpt-realtime"}, "missing_required_parameter", "session.type"),
    ({"type": "realtime", "model": "gpt-realtime-2"}, "invalid_value", "session.model"),
    ({"type": "realtime", "voice": "ash"}, "unknown_parameter", "session.voice"),
]


@pytest.mark.parametrize(("patch", "code", "param"), UPDATE_REFUSALS)
def test_a_refused_update_leaves_the_socket_open(
    twin: RunningTwin, patch: dict[str, Any], code: str, param: str
) -> None:
    async def script(client: Client) -> None:
        await client.send("session.update", session=patch)
        error = (await client.until("error"))["error"]
        assert (error["code"], error["param"]) == (code, param)
        await client.send("session.update", session={"type": "realtime"})
        await client.until("session.updated")

    converse(twin, script)


def test_the_voice_is_fixed_once_it_has_spoken(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        await client.send("response.create")
        await client.until("response.done")
        patch = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
        await client.send("session.update", session=patch)
        error = (await client.until("error"))["error"]
        assert (error["code"], error["param"]) == ("cannot_update_voice", None)

    converse(twin, script)


def test_items_can_be_created_retrieved_truncated_and_deleted(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        item = {"type": "message", "id": "mine", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        await client.send("conversation.item.create", item=item)
        added = await client.until("conversation.item.done")
        assert (added["item"]["id"], added["previous_item_id"]) == ("mine", None)
        await client.send("response.create")
        answer = (await client.until("response.done"))["response"]["output"][0]
        too_far = {"item_id": answer["id"], "content_index": 0, "audio_end_ms": 2001}
        await client.send("conversation.item.truncate", **too_far)
        error = (await client.until("error"))["error"]
        assert (error["message"], error["code"]) == ("Audio content of 2000ms is already shorter than 2001ms", None)
        await client.send("conversation.item.truncate", **{**too_far, "audio_end_ms": 500})
        assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 500
        await client.send("conversation.item.retrieve", item_id=answer["id"])
        assert (await client.until("conversation.item.retrieved"))["item"]["content"][0]["transcript"] is None
        await client.send("conversation.item.delete", item_id=answer["id"])
        assert (await client.until("conversation.item.deleted"))["item_id"] == answer["id"]
        await client.send("conversation.item.delete", item_id=answer["id"])
        assert (await client.until("error"))["error"]["code"] == "item_delete_invalid_item_id"

    converse(twin, script)


EVENT_REFUSALS = [
    ("{", "invalid_json"),
    pytest.param("[" * 100_000, "invalid_json", id="nested without an end"),
    ("[]", "invalid_event"),
    ("{}", "missing_required_parameter"),
    ('{"type": "response.wish"}', "invalid_value"),
    ('{"type": "output_audio_buffer.clear"}', "invalid_value"),
    ('{"type": "input_audio_buffer.append"}', "missing_required_parameter"),
    ('{"type": "input_audio_buffer.append", "audio": "?"}', "invalid_value"),
    ('{"type":"input_audio_buffer.append","audio":"?"}', "invalid_value"),
    ('{"type": "response.cancel"}', "response_cancel_not_active"),
    ('{"type": "conversation.item.create", "item": {"type": "poem"}}', "invalid_value"),
]


@pytest.mark.parametrize(("text", "code"), EVENT_REFUSALS)
def test_a_bad_event_brings_an_error_and_the_socket_stays_open(twin: RunningTwin, text: str, code: str) -> None:
    async def script(client: Client) -> None:
        await client.socket.send_str(text)
        error = (await client.until("error"))["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", code)
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")

    converse(twin, script)


def test_nothing_is_answered_before_the_session_is_there(start_twin: Callable[..., RunningTwin]) -> None:
    async def run() -> None:
        async with realtime(start_twin("--set", "latency.session_created=fixed:0.3")) as client:
            await client.send("session.update", session={"type": "realtime", "instructions": "Say mango."})
            await client.say(speech_ms=300)
            await client.until("response.done")
            kinds = [event["type"] for event in client.events[:3]]
            assert kinds == ["session.created", "session.updated", "input_audio_buffer.speech_started"]
            assert client.events[1]["session"]["instructions"] == "Say mango."

    asyncio.run(run())


def test_what_comes_before_the_session_is_there_has_a_bound(start_twin: Callable[..., RunningTwin]) -> None:
    async def run() -> None:
        async with realtime(start_twin("--set", "latency.session_created=fixed:60")) as client:
            for _ in range(16):
                await client.socket.send_str(" " * 2**20)
            assert await client.closed() == (1009, "")

    asyncio.run(run())


def test_a_browser_may_bring_its_secret_in_the_subprotocol(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        assert client.socket.protocol == "realtime"

    converse(twin, script, protocols=("realtime", f"openai-insecure-api-key.{twin.secret()}"))


def test_a_browser_may_ask_for_keep_alive_and_upgrade(twin: RunningTwin) -> None:
    port = int(twin.openai_url.removesuffix("/v1").rsplit(":", 1)[1])
    request = (
        "GET /v1/realtime HTTP/1.1\r\nHost: twin\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n"
    )

    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.encode())

        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")


def test_an_api_key_opens_a_session_for_the_model_in_the_query(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        assert client.events[0]["session"]["model"] == "gpt-realtime-2"

    converse(twin, script, key=twin.openai_key, query="?model=gpt-realtime-2")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "missing_model"),
        ("?model=gpt-4o-realtime-preview-of-old", "invalid_model"),
        ("?intent=transcription&model=gpt-4o-transcribe", "invalid_model"),
    ],
)
def test_an_api_key_opens_nothing_by_a_model_that_does_not_belong_there(
    twin: RunningTwin, query: str, code: str
) -> None:
    async def run() -> None:
        async with realtime(twin, key=twin.openai_key, query=query) as client:
            assert await client.closed() == (4000, f"invalid_request_error.{code}")
            assert [event["error"]["code"] for event in client.events] == [code]

    asyncio.run(run())


def test_an_api_key_opens_a_transcription_by_its_intent(twin: RunningTwin) -> None:
    async def script(client: Client) -> None:
        session = client.events[0]["session"]
        assert (session["type"], session["object"]) == ("transcription", "realtime.transcription_session")
        transcription = {"model": "gpt-4o-transcribe"}
        patch = {"type": "transcription", "audio": {"input": {"transcription": transcription}}}
        await client.send("session.update", session=patch)
        await client.until("session.updated")
        await client.say(speech_ms=600)
        completed = await client.until("conversation.item.input_audio_transcription.completed")
        assert completed["transcript"].startswith("This is what the user of twin-")

    converse(twin, script, key=twin.openai_key, query="?intent=transcription")


@pytest.mark.parametrize("model", ["gpt-realtime", "gpt-realtime-2025-08-28"])
def test_an_address_may_name_the_model_that_the_secret_has(twin: RunningTwin, model: str) -> None:
    async def script(client: Client) -> None:
        assert client.events[0]["session"]["model"] == "gpt-realtime"

    converse(twin, script, session={"model": "gpt-realtime"}, query=f"?model={model}")


REFUSED_OPENINGS: list[tuple[dict[str, Any], str, int]] = [
    ({"key": "ek_unknown"}, "invalid_api_key", 3000),
    ({"key": "sk-wrong"}, "invalid_api_key", 3000),
    ({"query": "?model=gpt-realtime-2"}, "invalid_model", 4000),
    ({"headers": {"OpenAI-Beta": "realtime=v1"}}, "beta_api_shape_disabled", 4000),
]


@pytest.mark.parametrize(("options", "code", "close"), REFUSED_OPENINGS, ids=lambda value: str(value))
def test_a_refused_opening_is_an_error_then_a_close(
    twin: RunningTwin, options: dict[str, Any], code: str, close: int
) -> None:
    async def run() -> None:
        async with realtime(twin, **options) as client:
            assert await client.closed() == (close, f"invalid_request_error.{code}")
            (event,) = client.events
            assert (event["type"], event["error"]["code"]) == ("error", code)

    asyncio.run(run())


def test_a_live_secret_opens_several_sessions(twin: RunningTwin) -> None:
    secret = twin.secret()

    async def script(client: Client) -> None:
        ids.append(client.events[0]["session"]["id"])

    ids: list[str] = []
    for _ in range(2):
        converse(twin, script, key=secret)

    assert len(set(ids)) == 2
