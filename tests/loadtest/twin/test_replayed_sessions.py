"""What clients may do on a Realtime socket beside a plain turn: recorded and replayed, nothing differs. And a recording
whose events came in another order, where the real service keeps none, differs no more than one in which they didn't."""

import asyncio
import base64
import copy
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from loadtest.twin.recorder.differences import differences
from loadtest.twin.recorder.replaying import idle_s
from tests.contract.cassettes import KEPT, compared
from tests.loadtest.twin.process import running_twin
from tests.loadtest.twin.talking import Client, realtime

PICTURE = "data:image/png;base64,iVBORw0KGgo="
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
CLOCK = {"type": "function", "name": "clock", "parameters": {"type": "object", "properties": {}}}
MCP = {"type": "mcp", "server_label": "maps", "server_url": "https://maps.example/mcp", "require_approval": "never"}
Line = dict[str, Any]


def _message(role: str, *content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content), **more}


def _text(text: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": text}


async def _history(client: Client) -> None:
    """Earlier turns under ids of the client's own; one is looked at, one goes, one is put between two others."""
    for number, (role, kind) in enumerate(
        (("system", "input_text"), ("user", "input_text"), ("assistant", "output_text"))
    ):
        item = _message(role, _text("Hello.", kind), id=f"mine_{number}")
        await client.send("conversation.item.create", item=item)
        await client.until("conversation.item.done")
    between = _message("user", _text("And?"), id="mine_3")
    await client.send("conversation.item.create", item=between, previous_item_id="mine_1")
    await client.until("conversation.item.done")
    sound = {"type": "input_audio", "audio": base64.b64encode(bytes(48 * 200)).decode()}
    await client.send("conversation.item.create", item=_message("user", sound), previous_item_id="root")
    await client.until("conversation.item.done")
    await client.send("conversation.item.retrieve", item_id="mine_1")
    await client.until("conversation.item.retrieved")
    await client.send("conversation.item.delete", item_id="mine_0")
    await client.until("conversation.item.deleted")
    await client.send("conversation.item.delete", item_id="mine_0")
    await client.until("error")
    for number in range(2):  # calls of earlier, under names of the client's own, and what came of them
        call = {"type": "function_call", "call_id": f"call_mine_{number}", "name": "weather", "arguments": "{}"}
        await client.send("conversation.item.create", item=call)
    for _ in range(2):
        await client.until("conversation.item.done")
    for call_id, told in (("call_mine_1", "conversation.item.done"), ("call_nobody", "error")):
        result = {"type": "function_call_output", "call_id": call_id, "output": "fog"}
        await client.send("conversation.item.create", item=result)
        await client.until(told)
    await client.send("response.create")
    await client.until("response.done")


async def _picture(client: Client) -> None:
    shown = {"type": "input_image", "image_url": PICTURE, "detail": "low"}
    await client.send("conversation.item.create", item=_message("user", _text("What is it?"), shown))
    await client.send("response.create", response={"output_modalities": ["text"], "max_output_tokens": 1000})
    await client.until("response.done")


async def _beside(client: Client) -> None:
    """An answer outside the conversation, with a context of its own."""
    context = [_message("user", _text("In a word?"))]
    asked = {"conversation": "none", "output_modalities": ["text"], "metadata": {"topic": "walrus"}, "input": context}
    await client.send("response.create", response=asked)
    await client.until("response.done")


async def _cancelled(client: Client) -> None:
    await client.send("response.create")
    await client.until("response.output_audio.delta")
    await client.send("response.cancel", response_id=client.events[-1]["response_id"])
    item = (await client.until("response.done"))["response"]["output"][0]
    await client.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=10)
    await client.until("conversation.item.truncated")
    await client.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=60_000)
    await client.until("error")
    await client.send("response.cancel")
    await client.until("error")


async def _interrupted(client: Client) -> None:
    await client.say(speech_ms=600)
    await client.until("response.output_audio.delta")
    await client.say(speech_ms=600)
    for _ in range(2):
        await client.until("response.done")


async def _committed_in_speech(client: Client) -> None:
    await client.say(speech_ms=600, silence_ms=0)
    await client.until("input_audio_buffer.speech_started")
    await client.send("input_audio_buffer.commit")
    await client.until("conversation.item.done")


async def _committed_in_words(client: Client) -> None:
    """The transcript begins before the client commits."""
    heard = {"audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}}
    await client.send("session.update", session={"type": "realtime", **heard})
    await client.say(speech_ms=900, silence_ms=0)
    await client.until("conversation.item.input_audio_transcription.delta")
    await client.send("input_audio_buffer.commit")
    await client.until("conversation.item.input_audio_transcription.completed")


async def _pushed_to_talk(client: Client) -> None:
    """Turns that the client ends itself, then one that is found."""
    for detection in (None, {"type": "server_vad", "create_response": False}):
        turns = {"audio": {"input": {"turn_detection": detection}}}
        await client.send("session.update", session={"type": "realtime", **turns})
        await client.until("session.updated")
        await client.say(speech_ms=600)
        if detection is None:
            await client.send("input_audio_buffer.commit")
        await client.until("conversation.item.done")


async def _cut_short(client: Client) -> None:
    await client.send("response.create", response={"output_modalities": ["text"], "max_output_tokens": 3})
    await client.until("response.done")


async def _left_in_speech(client: Client) -> None:
    await client.say(speech_ms=600, silence_ms=0)
    await client.until("input_audio_buffer.speech_started")


async def _nobody_speaks(client: Client) -> None:
    """Sound in which nothing is found; thrown away, and sent again."""
    silence = base64.b64encode(bytes(48 * 400)).decode()
    for then in ("clear", "commit"):
        await client.send("input_audio_buffer.append", audio=silence)
        await client.send(f"input_audio_buffer.{then}")
    await client.until("conversation.item.done")
    await client.send("input_audio_buffer.commit")
    await client.until("error")


def _patient(detection: dict[str, Any]) -> Callable[[Client], Awaitable[None]]:
    async def script(client: Client) -> None:
        session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        await client.send("session.update", session=session)
        await client.until("session.updated")
        await client.say(speech_ms=900, silence_ms=3000)
        await client.until("response.done")

    return script


async def _settings(client: Client) -> None:
    """Much of what a session can be told, one thing after another, and what it refuses."""
    for session in (
        {"tools": [WEATHER, CLOCK], "tool_choice": {"type": "function", "name": "clock"}},
        {"tools": [MCP], "tool_choice": "auto"},
        {"audio": {"input": {"noise_reduction": {"type": "far_field"}, "transcription": {"model": "whisper-1"}}}},
        {"audio": {"output": {"voice": {"id": "voice_123"}, "speed": 1.25}}, "max_output_tokens": 500},
        {"truncation": {"type": "retention_ratio", "retention_ratio": 0.8}, "tracing": "auto"},
        {"prompt": {"id": "pmpt_1", "version": "2", "variables": {"name": "walrus"}}},
    ):
        await client.send("session.update", session={"type": "realtime", **session})
        await client.until("session.updated")
    for refused in ({"reasoning": {"effort": "low"}}, {"output_modalities": ["audio", "text"]}, {"colour": "red"}):
        await client.send("session.update", session={"type": "realtime", **refused})
        await client.until("error")


async def _tools_at_hand(client: Client) -> None:
    await client.send("session.update", session={"type": "realtime", "tools": [WEATHER]})
    await client.send("response.create")
    await client.until("response.done")


TALKS: tuple[Callable[[Client], Awaitable[None]], ...] = (
    *(_history, _picture, _beside, _cancelled, _interrupted, _nobody_speaks, _settings),
    *(_committed_in_speech, _committed_in_words, _pushed_to_talk, _cut_short, _left_in_speech),
    _patient({"type": "server_vad", "silence_duration_ms": 2500}),
    _patient({"type": "semantic_vad", "eagerness": "low"}),
)


def _recorded(path: Path, *talks: Callable[[Client], Awaitable[None]], knobs: Sequence[str] = ()) -> None:
    """Record these talks, a socket each."""
    options = [option for knob in knobs for option in ("--set", knob)]
    with running_twin(*options) as real:
        to_record = ("--openai-base-url", real.openai_url, "--avaturn-base-url", real.avaturn_url)
        with running_twin("--record", str(path), *to_record) as recorder:
            recorder.openai_key = real.openai_key

            async def use() -> None:
                for talk in talks:
                    async with realtime(recorder) as client:
                        await client.until("session.created")
                        await talk(client)

            asyncio.run(use())


def test_whatever_a_client_may_do_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    _recorded(path, *TALKS)

    assert compared(path) == []
    assert "walrus" not in path.read_text()


def test_tools_that_the_recorded_model_left_alone_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    _recorded(path, _tools_at_hand, knobs=("tool_calls=0",))

    assert compared(path) == []


# --- orders


@pytest.mark.parametrize(
    ("idle_ms", "waits_s"), [(10_000, 10.0), (None, 0.0), ("<number>", 0.0), (-5, 0.0), (10**12, 30.0)]
)
def test_a_turn_of_silence_is_waited_for_as_long_as_the_session_says_within_what_it_may(
    idle_ms: Any, waits_s: float
) -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": idle_ms}
    assert idle_s({"session": {"audio": {"input": {"turn_detection": detection}}}}) == waits_s
    assert idle_s({"session": {"audio": {"input": {"turn_detection": None}}}}) == 0


def _of(name: str) -> list[Line]:
    return [json.loads(line) for line in (KEPT / f"{name}.jsonl").read_text().splitlines()[1:]]


def _moved(lines: list[Line], kind: str, behind: str, *, which: int = 0, of_item: str = "") -> list[Line]:
    """With the event of type `kind` put right behind the first one of type `behind` that follows, or came before."""
    found = copy.deepcopy(lines)
    places = [
        index
        for index, line in enumerate(found)
        if line.get("type") == kind and line["from"] == "service" and of_item in str(line["shape"].get("item", ""))
    ]
    line = found.pop(places[which])
    at = [index for index, each in enumerate(found) if each.get("type") == behind and each["from"] == "service"]
    after = [index for index in at if index >= places[which]] or at[::-1]
    found.insert(after[0] + 1, line)
    return found


TURNS = "openai_ws__test_input_audio_retention_segments_three_server_vad_turns"
TOOL = "parity_ws__text_tool_round_openai_current"


@pytest.mark.parametrize(
    ("kind", "behind"),
    [
        ("input_audio_buffer.speech_started", "conversation.item.input_audio_transcription.delta"),
        ("conversation.item.input_audio_transcription.completed", "rate_limits.updated"),
        ("conversation.item.input_audio_transcription.completed", "response.created"),
        ("rate_limits.updated", "input_audio_buffer.speech_started"),
        ("rate_limits.updated", "input_audio_buffer.committed"),
    ],
)
def test_no_order_is_asked_for_where_the_service_keeps_none(kind: str, behind: str) -> None:
    recorded = _of(TURNS)
    moved = _moved(recorded, kind, behind)

    assert moved != recorded
    assert differences(moved, recorded) == differences(recorded, moved) == []


def test_what_the_twin_says_when_the_client_has_left_differs_in_no_shape_either() -> None:
    recorded = _of(TURNS)
    committed = [index for index, line in enumerate(recorded) if line.get("type") == "input_audio_buffer.committed"]
    left = recorded[: committed[1] + 1]
    other = copy.deepcopy(recorded)
    for line in other[committed[1] + 1 :]:
        line.get("shape", {})["colour"] = "red"

    assert differences(left, other) == []
    assert "realtime: response.created has colour, which was not recorded" in differences(recorded, other)


@pytest.mark.parametrize("is_first", [True, False])
def test_two_items_of_an_answer_may_come_in_any_way_beside_each_other(is_first: bool) -> None:
    recorded = _of(TOOL)
    kinds = [line.get("type") for line in recorded]
    first, last = kinds.index("response.output_item.added"), kinds.index("response.done")

    def is_of_the_call(line: Line) -> bool:
        item = line["shape"].get("item") or {"type": "function_call" if "function_call" in line["type"] else "message"}
        return bool(item["type"] == "function_call")

    answer = sorted(recorded[first:last], key=lambda line: is_of_the_call(line) is not is_first)
    moved = recorded[:first] + answer + recorded[last:]

    assert moved != recorded
    assert differences(moved, recorded) == differences(recorded, moved) == []


@pytest.mark.parametrize(
    ("kind", "behind", "item", "said"),
    [
        ("rate_limits.updated", "response.created", "", "rate_limits.updated"),
        ("input_audio_buffer.committed", "conversation.item.done", "", "input_audio_buffer.committed"),
        ("conversation.item.done", "response.created", "user", "response.created"),
        ("response.output_audio.done", "response.content_part.done", "", "response.output_audio.done"),
        ("response.output_item.added", "response.content_part.added", "", "response.output_item.added"),
        ("session.updated", "session.created", "", ""),
    ],
)
def test_an_order_that_the_service_keeps_is_asked_for(kind: str, behind: str, item: str, said: str) -> None:
    recorded = _of(TURNS)
    found = differences(_moved(recorded, kind, behind, of_item=item), recorded)

    assert [line for line in found if said and said in line] == (found if said else [])
    assert bool(found) == bool(said)
