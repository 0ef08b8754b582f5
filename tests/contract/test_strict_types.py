"""Every event that the twin can send, against the types of the `openai` package: nothing lacking, nothing wrong, and
nothing more than recordings of the real service have as well."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, get_args

import pydantic
import pytest
from openai.types.realtime.realtime_server_event import RealtimeServerEvent

from loadtest.twin.pcm import tone
from tests.contract.cassettes import KEPT
from tests.loadtest.twin.in_memory import Talk, in_no_time

LONG_S = 60.0
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
MCP_CALL = {"server_label": "maps", "name": "find", "arguments": "{}"}
MCP_ITEMS: list[dict[str, Any]] = [
    {"type": "mcp_list_tools", "server_label": "maps", "tools": [{"name": "find", "input_schema": {}}]},
    {"type": "mcp_approval_request", **MCP_CALL},
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    {"type": "mcp_call", **MCP_CALL, "output": "here"},
    {"type": "mcp_call", **MCP_CALL, "output": None, "error": {"type": "http_error", "code": 502, "message": "Bad"}},
]
LOGPROBS = "item.input_audio_transcription.logprobs"


def _heard(model: str, **detection: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"transcription": {"model": model}}
    return {"audio": {"input": found | ({"turn_detection": detection} if detection else {})}}


async def _turn(*knobs: str, session: dict[str, Any] | None = None) -> Talk:
    talk = Talk("answer_s=0.4", *knobs, session=session)
    talk.say(speech_ms=900)
    await asyncio.sleep(LONG_S)
    return talk


async def _tool() -> Talk:
    talk = await _turn("reasoning_tokens=never", session={"model": "gpt-realtime-2.1", "tools": [WEATHER]})
    call_id = talk.last("response.done")["response"]["output"][-1]["call_id"]
    talk.send("conversation.item.create", item={"type": "function_call_output", "call_id": call_id, "output": "fog"})
    talk.send("response.create")
    await asyncio.sleep(LONG_S)
    return talk


async def _items() -> Talk:
    talk = await _turn("conversation_created=yes", session={"output_modalities": ["text"]})
    items: list[dict[str, Any]] = [*MCP_ITEMS]
    for role, kind in (("system", "input_text"), ("user", "input_text"), ("assistant", "output_text")):
        content = [{"type": kind, "text": "Hello."}]
        items.append({"type": "message", "role": role, "content": content})
    for item in items:
        talk.send("conversation.item.create", item=item)
        item_id = talk.last("conversation.item.done")["item"]["id"]
        talk.send("conversation.item.retrieve", item_id=item_id)
        talk.send("conversation.item.delete", item_id=item_id)
    assert talk.all("error") == []
    talk.send("session.update", session={"type": "realtime", "tools": [WEATHER], "tool_choice": "required"})
    talk.send("conversation.item.delete", item_id="nobody")
    return talk


async def _buffer() -> Talk:
    talk = Talk("answer_s=1", session={"audio": {"input": {"turn_detection": None}}})
    sound = base64.b64encode(tone(duration_ms=400)).decode()
    for then in ("clear", "commit"):
        talk.send("input_audio_buffer.append", audio=sound)
        talk.send(f"input_audio_buffer.{then}")
    talk.send("response.create", response={"metadata": {"a": "b"}})
    await asyncio.sleep(0.1)
    talk.send("response.cancel")
    item = talk.last("response.done")["response"]["output"][0]
    talk.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=100)
    return talk


async def _committed() -> Talk:
    talk = await _turn(session={"type": "transcription", **_heard("gpt-realtime-whisper")})
    talk.send("input_audio_buffer.commit")
    await asyncio.sleep(LONG_S)
    return talk


TALKS: list[Callable[[], Any]] = [
    _tool,
    _items,
    _buffer,
    lambda: _turn(session=_heard("gpt-realtime-whisper")),
    lambda: _turn(session={**_heard("gpt-4o-transcribe"), "include": [LOGPROBS]}),
    lambda: _turn("fault.transcription=failed:1", session=_heard("whisper-1")),
    lambda: _turn("rate_limits=both", session=_heard("whisper-1", type="semantic_vad")),
    lambda: _turn(
        "fault.response=max_output_tokens:1", session=_heard("whisper-1", type="server_vad", idle_timeout_ms=5000)
    ),
    lambda: _turn("fault.first_delta=server_error:1"),
    lambda: _turn("fault.realtime=server_error:1"),
    lambda: _turn(session={"tools": [WEATHER]}),
    lambda: _turn(session={"type": "transcription", **_heard("gpt-4o-transcribe-diarize")}),
    _committed,
]
SENT = {
    *("session.created", "session.updated", "conversation.created", "error", "rate_limits.updated"),
    *(f"conversation.item.{what}" for what in ("added", "done", "retrieved", "deleted", "truncated")),
    *(f"conversation.item.input_audio_transcription.{what}" for what in ("delta", "segment", "completed", "failed")),
    *(f"input_audio_buffer.{what}" for what in ("speech_started", "speech_stopped", "committed", "cleared")),
    *("input_audio_buffer.timeout_triggered", "response.created", "response.done"),
    *(f"response.{what}.{step}" for what in ("output_item", "content_part") for step in ("added", "done")),
    *(f"response.{what}.{step}" for what in ("output_text", "output_audio") for step in ("delta", "done")),
    *(f"response.output_audio_transcript.{step}" for step in ("delta", "done")),
    *(f"response.function_call_arguments.{step}" for step in ("delta", "done")),
}


@cache
def _events() -> dict[str, list[dict[str, Any]]]:
    """What the twin said in all the talks, by type."""
    found: dict[str, list[dict[str, Any]]] = {}

    async def talk() -> None:
        for each in TALKS:
            for event in (await each()).events:
                found.setdefault(event["type"], []).append({"event_id": "event_1", **event})

    in_no_time(talk)
    return found


@cache
def _types() -> dict[str, Any]:
    """The package's class for each type of event."""
    classes = get_args(get_args(RealtimeServerEvent)[0])
    return {get_args(each.model_fields["type"].annotation)[0]: each for each in classes}


@cache
def _recorded() -> frozenset[str]:
    """Every member that the recorded service has sent: the type of the event, then the way to it."""
    lines = [json.loads(line) for path in sorted(KEPT.glob("*.jsonl")) for line in path.read_text().splitlines()]
    told = [line for line in lines if line.get("from") == "service"]
    return frozenset(way for line in told for way in _ways(line["shape"], line["type"]))


def _ways(value: Any, way: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield f"{way} {name}"
            yield from _ways(each, f"{way} {name}")
    elif isinstance(value, list):
        for each in value:
            yield from _ways(each, way)


def _extras(value: Any, way: str) -> Iterator[str]:
    """Members that the package's classes don't know."""
    if isinstance(value, pydantic.BaseModel):
        yield from (f"{way} {name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from _extras(getattr(value, name), f"{way} {name}")
    elif isinstance(value, list):
        for each in value:
            yield from _extras(each, way)


def complaints(event: dict[str, Any]) -> list[str]:
    """What the package and the recordings have against an event."""
    kind = event["type"]
    try:
        parsed = pydantic.TypeAdapter(_types()[kind]).validate_python(event)
    except pydantic.ValidationError as error:
        return [f"{kind} {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return [f"{way}: unknown" for way in _extras(parsed, kind) if way not in _recorded()]


def test_all_that_the_twin_can_send_is_looked_at() -> None:
    assert set(_events()) == SENT


@pytest.mark.parametrize("kind", sorted(SENT))
def test_an_event_is_as_the_package_and_the_recordings_have_it(kind: str) -> None:
    assert {complaint for event in _events()[kind] for complaint in complaints(event)} == set()


def test_a_member_too_many_and_one_too_few_are_noticed() -> None:
    event = _events()["response.output_text.delta"][0]

    assert complaints({**event, "colour": "red"}) == ["response.output_text.delta colour: unknown"]
    (complaint,) = complaints({name: value for name, value in event.items() if name != "delta"})
    assert complaint == "response.output_text.delta delta: Field required"
    done = json.loads(json.dumps(_events()["response.done"][0]))
    done["response"]["usage"]["colour"] = 1
    assert complaints(done) == ["response.done response usage colour: unknown"]
