"""What a replay takes from a recording before it begins, and how a response ends that was decided by it."""

import asyncio
from typing import Any

import pytest

from loadtest.twin.openai_side.surroundings import Decision
from loadtest.twin.recorder.foresight import heard, scripts, too_short
from loadtest.twin.recorder.reading import read
from tests.contract.cassettes import KEPT
from tests.loadtest.twin.in_memory import Talk, in_no_time

LONG_S = 60.0
WEATHER = {"type": "function", "name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}}
TEXT = {"output_modalities": ["text"]}
Line = dict[str, Any]


def _line(kind: str, *, by: str = "service", **shape: Any) -> Line:
    return {"socket": 1, "from": by, "type": kind, "shape": shape}


def _item(response: str, kind: str) -> Line:
    return _line("response.output_item.added", response_id=response, item={"type": kind})


def _created(name: str = "<string>") -> Line:
    """By default without a name: an id is learnt where an event refers to it."""
    return _line("response.created", response={"id": name})


def _done(name: str, status: Any, **details: Any) -> Line:
    return _line("response.done", response={"id": name, "status": status, "status_details": details or None})


def test_a_replay_decides_as_the_recorded_model_did() -> None:
    lines = [
        *(_created(), _item("<response 1s>", "message"), _item("<response 1s>", "function_call")),
        *(_created(), _item("<response 1s.2>", "message")),
        *(_created(), _item("<response 1s.3>", "mcp_call")),
        _created(),
    ]

    elsewhere = [_created() | {"socket": 2}, _item("<response 2s>", "function_call") | {"socket": 2}]

    assert scripts([*lines[:2], *elsewhere, *lines[2:]]) == {
        "1": [Decision(items=("message", "call")), Decision(items=("message",)), Decision(), Decision()],
        "2": [Decision(items=("call",))],
    }


@pytest.mark.parametrize(
    ("told", "status", "reason"),
    [
        (("completed", {}), "completed", None),
        (("cancelled", {"reason": "turn_detected"}), "cancelled", None),
        (("incomplete", {"reason": "content_filter"}), "incomplete", "content_filter"),
        (("incomplete", {"reason": "<string>"}), "incomplete", "max_output_tokens"),
        (("failed", {"error": {"code": "inference_rate_limit_exceeded"}}), "failed", "inference_rate_limit_exceeded"),
        (("failed", {"error": {"code": "rate_limit_exceeded"}}), "failed", "rate_limit_exceeded"),
        (("failed", {"error": {"code": "insufficient_quota"}}), "failed", "insufficient_quota"),
        (("failed", {"error": None}), "failed", "server_error"),
        (("failed", {}), "failed", "server_error"),
    ],
)
def test_a_replay_ends_a_response_as_it_was_recorded(told: tuple[str, Any], status: str, reason: str | None) -> None:
    first, second = "<response 1s>", "<response 1s.2>"
    lines = [_created(first), _created(second), _item(second, "message"), _done(first, told[0], **told[1])]

    decided = [Decision(items=(), status=status, reason=reason), Decision(items=("message",))]
    assert scripts(lines) == {"1": decided}


def test_a_replay_decides_as_each_recorded_session_did() -> None:
    decided = {path.stem.partition("__")[2]: scripts(read(path)).get("1", []) for path in sorted(KEPT.glob("*.jsonl"))}
    message, call = (Decision(items=(kind,), status="completed") for kind in ("message", "call"))

    assert decided == {
        "test_audio_in_server_vad_turn": [message],
        "test_input_audio_retention_segments_three_server_vad_turns": [message] * 3,
        "test_text_in_audio_out_turn": [message],
        "test_tool_call_round": [call, message],
        "text_tool_round_openai_current": [Decision(items=("message", "call"), status="completed"), message],
        "text_tool_round_openai_previous": [call, message],
        "test_create_client_secret": [],
    }


def test_sound_is_heard_in_which_speech_was_found_before_the_client_ended_the_turn_itself() -> None:
    append, started = _line("input_audio_buffer.append", by="client"), _line("input_audio_buffer.speech_started")
    ends = [_line(kind, by="client") for kind in ("input_audio_buffer.commit", "input_audio_buffer.clear")]
    ends.append(_line("session.update", by="client"))

    for end in ends:
        pushed, spoken, held = dict(append), dict(append), dict(append)
        elsewhere = append | {"socket": 2}
        lines = [pushed, end, elsewhere, spoken, started, held, _line("input_audio_buffer.speech_stopped"), end]
        assert heard(lines) == {id(spoken), id(held)}


def test_sound_was_too_short_if_the_commit_behind_it_was_refused_for_that() -> None:
    small = _line("error", error={"code": "input_audio_buffer_commit_empty"})
    commit, clear = (_line(f"input_audio_buffer.{kind}", by="client") for kind in ("commit", "clear"))
    stopped, committed = (_line(f"input_audio_buffer.{kind}") for kind in ("speech_stopped", "committed"))
    first, second, third, fourth, fifth = (_line("input_audio_buffer.append", by="client") for _ in range(5))
    pipelined = [first, commit, second, commit, committed, small]
    lines = [*pipelined, third, clear, fourth, stopped, committed, commit, small, fifth, commit, _line("error")]

    assert too_short(lines) == {id(second), id(fourth)}


# --- a response whose end is decided


def _asked(decision: Decision, *, session: dict[str, Any] | None = None, cancel_after_s: float | None = None) -> Talk:
    talks = []

    async def script() -> None:
        talk = Talk(session=session, script=[decision])
        talk.send("response.create")
        if cancel_after_s is not None:
            await asyncio.sleep(cancel_after_s)
            assert talk.all("response.done") == []
            talk.send("response.cancel")
        await asyncio.sleep(LONG_S)
        talks.append(talk)

    in_no_time(script)
    return talks[0]


def _end(talk: Talk) -> tuple[str, list[str]]:
    """The status, and those of the items."""
    response = talk.last("response.done")["response"]
    return response["status"], [item["status"] for item in response["output"]]


@pytest.mark.parametrize(
    ("decided", "kinds"),
    [(("message",), ["message"]), (("call", "call"), ["function_call"] * 2), (None, ["function_call"])],
)
def test_the_script_outweighs_the_twin_s_own_choice(decided: tuple[str, ...] | None, kinds: list[str]) -> None:
    talk = _asked(Decision(items=decided), session={"tools": [WEATHER]})

    assert [item["type"] for item in talk.last("response.done")["response"]["output"]] == kinds


def test_a_response_that_was_cancelled_before_its_first_item_says_nothing_until_then() -> None:
    talk = _asked(Decision(items=(), status="cancelled"), cancel_after_s=LONG_S)

    assert talk.types() == ["response.created", "response.done", "rate_limits.updated"]
    assert _end(talk) == ("cancelled", [])


@pytest.mark.parametrize("items", [("message",), ("message", "call")])
def test_a_response_that_was_cancelled_in_its_middle_does_not_end_before(items: tuple[str, ...]) -> None:
    talk = _asked(Decision(items=items, status="cancelled"), session={"tools": [WEATHER]}, cancel_after_s=LONG_S)

    status, (*_, last) = _end(talk)
    assert (status, last, len(talk.all("response.output_item.done"))) == ("cancelled", "incomplete", len(items))


@pytest.mark.parametrize("items", [(), ("message",), ("call",)])
@pytest.mark.parametrize(
    ("status", "reason"), [("incomplete", "max_output_tokens"), ("failed", "server_error"), ("completed", None)]
)
def test_a_response_ends_as_it_is_decided(items: tuple[str, ...], status: str, reason: str | None) -> None:
    decision = Decision(items=items, status=status, reason=reason)
    talk = _asked(decision, session={"tools": [WEATHER]})

    assert _end(talk) == (status, ["completed" if status == "completed" else "incomplete"] * len(items))


def test_a_response_that_was_completed_is_not_cut_short() -> None:
    session = {**TEXT, "max_output_tokens": 1}

    assert _end(_asked(Decision(items=("message",), status="completed"), session=session)) == (
        "completed",
        ["completed"],
    )
    assert _end(_asked(Decision(items=("message",)), session=session)) == ("incomplete", ["incomplete"])


def test_a_response_has_no_item_before_its_first_delta_is_due() -> None:
    async def talk() -> None:
        slow = Talk("latency.first_delta=fixed:0.5")
        slow.send("response.create")
        await asyncio.sleep(0.4)
        assert slow.types() == ["response.created"]
        await asyncio.sleep(0.2)
        assert slow.types()[:2] == ["response.created", "response.output_item.added"]

    in_no_time(talk)
