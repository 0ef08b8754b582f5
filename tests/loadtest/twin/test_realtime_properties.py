"""Whatever a client sends, in any order: no crash, no hang, one response.done each, and ids that belong together."""

import asyncio
import base64
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.twin.pcm import tone
from tests.loadtest.twin.in_memory import Talk, in_no_time

LONG_S = 100
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}

item_ids = st.sampled_from(["mine", "other", "root", "@user", "@assistant", "@newest"])
"""A name, or by @ one of those that the session has given out."""
detections = st.one_of(
    st.none(),
    st.builds(
        lambda create, interrupt, silence_ms: {
            "type": "server_vad",
            "create_response": create,
            "interrupt_response": interrupt,
            "silence_duration_ms": silence_ms,
            "idle_timeout_ms": 5000,
        },
        st.booleans(),
        st.booleans(),
        st.integers(0, 1000),
    ),
    st.builds(
        lambda eagerness: {"type": "semantic_vad", "eagerness": eagerness}, st.sampled_from(["low", "high", "auto"])
    ),
)
inputs = st.fixed_dictionaries(
    {},
    optional={
        "turn_detection": detections,
        "transcription": st.sampled_from([None, {"model": "whisper-1"}, {"model": "gpt-transcribe"}]),
    },
)
sessions = st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={
        "instructions": st.text(max_size=5),
        "output_modalities": st.sampled_from([["audio"], ["text"]]),
        "tools": st.sampled_from([[], [TOOL]]),
        "max_output_tokens": st.sampled_from(["inf", 1, 20, 4096]),
        "audio": st.fixed_dictionaries({"input": inputs}),
    },
)
items = st.one_of(
    st.builds(
        lambda item_id, role, text: {
            "type": "message",
            "role": role,
            "content": [{"type": "input_text", "text": text}],
            **({"id": item_id} if item_id else {}),
        },
        st.sampled_from([None, "mine", "other"]),
        st.sampled_from(["user", "system"]),
        st.text(max_size=5),
    ),
    st.just({"type": "function_call", "name": "look", "arguments": "{}"}),
    st.just({"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}),
    st.just({"type": "function_call_output", "call_id": "call_1", "output": "done"}),
    st.just({"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}),
)
responses = st.fixed_dictionaries(
    {},
    optional={
        "conversation": st.sampled_from(["auto", "none"]),
        "output_modalities": st.sampled_from([["audio"], ["text"]]),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "max_output_tokens": st.integers(1, 4096),
        "metadata": st.none(),
        "input": st.lists(st.one_of(items, st.just({"type": "item_reference", "id": "mine"})), max_size=2),
    },
)


def _sound(voiced_ms: int, silent_ms: int) -> str:
    return base64.b64encode(tone(duration_ms=voiced_ms) + bytes(48 * silent_ms)).decode()


def _event(kind: str, **fields: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


moves = st.one_of(
    st.floats(0.001, 3).map(lambda seconds: seconds),
    _event("input_audio_buffer.append", audio=st.builds(_sound, st.integers(0, 900), st.integers(0, 900))),
    _event("input_audio_buffer.append", audio=st.binary(max_size=5).map(lambda raw: base64.b64encode(raw).decode())),
    _event("input_audio_buffer.commit"),
    _event("input_audio_buffer.clear"),
    _event("session.update", session=sessions),
    _event("conversation.item.create", item=items),
    _event("conversation.item.create", item=items, previous_item_id=item_ids),
    _event("conversation.item.retrieve", item_id=item_ids),
    _event("conversation.item.delete", item_id=item_ids),
    _event("conversation.item.truncate", item_id=item_ids, content_index=st.just(0), audio_end_ms=st.integers(0, 3000)),
    _event("response.create"),
    _event("response.create", response=responses),
    _event("response.cancel"),
)
knobs = st.lists(
    st.sampled_from(
        [
            *("rate_limits=both", "transcript=late", "output_items=3", "answer_s=0.5", "generation_speed=100"),
            *("latency.first_delta=uniform:0,1", "latency.transcription=uniform:0,2", "tool_calls=0.5"),
            "fault.response=server_error:0.2,content_filter:0.2",
            "fault.realtime=response_cancel_not_active:0.3",
            "fault.transcription=failed:0.3",
        ]
    ),
    max_size=3,
)


@given(st.lists(moves, max_size=25), sessions, knobs, st.integers(0, 3))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_sequence_of_legal_events_leaves_a_sound_session(
    sequence: list[Any], session: dict[str, Any], chosen: list[str], seed: int
) -> None:
    async def script() -> None:
        talk = Talk(*chosen, session=session, seed=seed)
        for move in sequence:
            if isinstance(move, float):
                await asyncio.sleep(move)
            else:
                talk.session.handle({name: _known(value, talk) for name, value in move.items()})
        # Idle timeouts would go on and on.
        talk.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        await asyncio.sleep(LONG_S)
        _every_response_is_whole(talk)
        _every_item_is_known(talk)
        talk.send("input_audio_buffer.clear")
        assert talk.events[-1]["type"] == "input_audio_buffer.cleared"
        talk.send("response.create", response={"output_modalities": ["text"], "tool_choice": "none"})
        await asyncio.sleep(LONG_S)
        assert talk.last("response.done")["response"]["id"] == talk.last("response.created")["response"]["id"]

    in_no_time(script)


def _known(value: Any, talk: Talk) -> Any:
    """The value, with an id that exists in place of one that begins with @."""
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    found = [event["item"] for event in talk.all("conversation.item.added")]
    matching = [item["id"] for item in found if value == "@newest" or item.get("role") == value[1:]]
    return matching[-1] if matching else "nobody"


def _every_response_is_whole(talk: Talk) -> None:
    running: dict[str, bool] = {}
    """Whether they write to the conversation, which one does at a time."""
    seen: set[str] = set()
    items: dict[str, str] = {}
    for event in talk.events:
        kind = event["type"]
        if kind == "response.created":
            response = event["response"]
            running[response["id"]] = response["conversation_id"] is not None
            assert list(running.values()).count(True) <= 1
            assert response["id"] not in seen
            seen.add(response["id"])
        elif kind == "response.done":
            response = event["response"]
            del running[response["id"]]
            assert response["status"] in ("completed", "cancelled", "incomplete", "failed")
            assert response["status"] == "failed" or _is_within_its_limit(response)
            assert [item["id"] for item in response["output"]] == [
                item_id for item_id, of in items.items() if of == response["id"]
            ]
        elif kind.startswith("response."):
            assert event["response_id"] in running
            if kind == "response.output_item.added":
                items[event["item"]["id"]] = event["response_id"]
            elif "item_id" in event:
                assert items[event["item_id"]] == event["response_id"]
    assert running == {}


def _is_within_its_limit(response: dict[str, Any]) -> bool:
    most = response["max_output_tokens"]
    return most == "inf" or response["usage"]["output_tokens"] <= most


def _every_item_is_known(talk: Talk) -> None:
    added: set[str] = set()
    committed: list[str] = []
    for event in talk.events:
        kind = event["type"]
        if kind == "conversation.item.added":
            item_id, previous = event["item"]["id"], event["previous_item_id"]
            assert previous is None or previous in added
            added.add(item_id)
        elif kind == "input_audio_buffer.committed":
            committed.append(event["item_id"])
        elif kind.startswith(("conversation.item.input_audio", "conversation.item.truncated")):
            assert event["item_id"] in added
    assert len(set(committed)) == len(committed)
    assert set(committed) <= added
