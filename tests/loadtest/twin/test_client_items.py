"""What an item of a client may be called and hold, and what is kept of it (docs/contract.md#client-events)."""

import base64
from typing import Any

import pytest

from loadtest.twin.openai_side.config.client_events import check
from loadtest.twin.openai_side.errors import RefusedError
from tests.loadtest.twin.in_memory import Talk, in_no_time

TEXTS = {kind: {"type": kind, "text": "Hello."} for kind in ("input_text", "output_text")}
SOUND = base64.b64encode(bytes(48 * 1000)).decode()
HEARD, SPOKEN = ({"type": kind, "audio": SOUND} for kind in ("input_audio", "output_audio"))
PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
CALL = {"type": "function_call", "name": "weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "output": "fog"}


def _message(role: str, *content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content), **more}


def _refusal(item: dict[str, Any]) -> tuple[str | None, str | None] | None:
    """Code and param; None: the item is taken."""
    try:
        check({"type": "conversation.item.create", "item": item})
    except RefusedError as refusal:
        return refusal.code, refusal.param
    return None


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("system", ["input_text"]),
        ("user", ["input_text", "input_audio", "input_image"]),
        ("assistant", ["output_text", "output_audio"]),
    ],
)
def test_a_message_holds_what_its_role_may_say(role: str, allowed: list[str]) -> None:
    for part in (*TEXTS.values(), HEARD, SPOKEN, PICTURE):
        refused = None if part["type"] in allowed else ("invalid_value", "item.content[0].type")
        assert _refusal(_message(role, part)) == refused


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("mine-1_A", None),
        ("x" * 32, None),
        ("x" * 33, "string_above_max_length"),
        ("mine/1", "invalid_value"),
        ("mine 1", "invalid_value"),
        ("mine\n", "invalid_value"),
        ("", "empty_string"),
    ],
)
def test_an_id_of_a_client_has_at_most_32_plain_characters(name: str, code: str | None) -> None:
    message = _message("user", TEXTS["input_text"], id=name)

    for item, param in (
        (message, "id"),
        ({**CALL, "call_id": name}, "call_id"),
        ({**RESULT, "call_id": name}, "call_id"),
    ):
        assert _refusal(item) == (None if code is None else (code, f"item.{param}"))


def test_sound_in_an_item_is_base64_and_no_longer_than_sound_may_be() -> None:
    param = "item.content[0].audio"

    for kind, role in (("input_audio", "user"), ("output_audio", "assistant")):
        assert _refusal(_message(role, {"type": kind, "audio": "??"})) == ("invalid_value", param)
        assert _refusal(_message(role, {"type": kind, "audio": "AA"})) == ("invalid_value", param)
        too_long = {"type": kind, "audio": "A" * (15 * 1024 * 1024 + 4)}
        assert _refusal(_message(role, too_long)) == ("string_above_max_length", param)
    assert _refusal(_message("user", {"type": "input_audio"})) == ("missing_required_parameter", param)


def test_sound_in_an_item_is_given_back_as_what_was_said_in_it() -> None:
    async def script() -> None:
        talk = Talk()
        for role, part, transcript in (("user", HEARD, None), ("user", HEARD, "Hi."), ("assistant", SPOKEN, "Ho.")):
            told = {} if transcript is None else {"transcript": transcript}
            talk.send("conversation.item.create", item=_message(role, part | told))
            item = talk.last("conversation.item.done")["item"]
            talk.send("conversation.item.retrieve", item_id=item["id"])
            kept = [{"type": part["type"], "transcript": transcript}]
            assert item["content"] == talk.last("conversation.item.retrieved")["item"]["content"] == kept

    in_no_time(script)
