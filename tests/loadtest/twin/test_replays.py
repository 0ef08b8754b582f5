"""What a replay repeats of a recording that is not plain: recorded and compared with the same twin, nothing differs."""

import base64

from tests.loadtest.twin.inside import Inside
from tests.loadtest.twin.process import DEADLINE_S
from tests.loadtest.twin.proxied import Proxied, recorded, replayed, talk
from tests.loadtest.twin.talking import Client

TEXT = {"output_modalities": ["text"]}


async def _asked(client: Client, **response: object) -> None:
    await client.send("response.create", response={**TEXT, **response})
    await client.until("response.done")


async def _in_a_room(to: Proxied) -> None:
    session = await to.talking()
    async with to.joined(session, microphone=False) as user:
        await user.until(lambda: any(each.get("first_frame") for each in user.messages))
        await to.sdk(session["token"], "/tasks", method="POST", body={"text": "Hello"})
        await user.message("avatar_ended_speaking")


def test_what_a_recorded_socket_decided_is_decided_there_alone() -> None:
    """Avaturn's own sessions decide for themselves, and two sockets do so beside each other."""

    async def cut(client: Client) -> None:
        await _asked(client, max_output_tokens=1)

    async def two(to: Proxied) -> None:
        async with to.realtime() as first, to.realtime() as second:
            for client in (first, second):
                await client.until("session.created")
            await cut(second)
            await _asked(first)

    lines = recorded(_in_a_room, two, knobs=["answer_s=0.4"])

    assert replayed(lines, "answer_s=0.4") == []


# --- keys


async def _looked(to: Proxied, *keys: str, query: str = "?model=gpt-realtime") -> None:
    """Sockets that are opened with these keys, up to what comes first."""
    for key in keys:
        async with to.realtime(query, key=key) as client:
            await client.socket.receive(DEADLINE_S)


def test_a_wrong_key_is_a_wrong_one_though_its_socket_opened() -> None:
    async def scene(to: Proxied) -> None:
        await _looked(to, to.parts.keys.openai, "sk-wrong")

    lines = recorded(scene)

    assert [line["type"] for line in lines if "type" in line] == ["session.created", "error"]
    assert replayed(lines) == []


def test_a_key_is_a_good_one_if_the_complaint_is_of_the_model() -> None:
    async def scene(to: Proxied) -> None:
        await _looked(to, to.parts.keys.openai, query="")
        await _looked(to, to.parts.keys.openai, query="?model=gpt-nothing")

    lines = recorded(scene)

    assert [line["shape"]["error"]["code"] for line in lines if "type" in line] == ["missing_model", "invalid_model"]
    assert replayed(lines) == []


def test_a_secret_that_was_minted_elsewhere_is_minted_for_such_a_session() -> None:
    """With the voice, the tools and the transcriber that it had, of which the recording knows by the greeting alone."""
    tool = {"type": "function", "name": "clock", "parameters": {"type": "object", "properties": {}}}
    heard = {"input": {"transcription": {"model": "whisper-1"}}, "output": {"voice": "cedar"}}
    session = {"audio": heard, "tools": [tool], "tool_choice": {"type": "function", "name": "clock"}}

    async def scene(to: Proxied) -> None:
        elsewhere = Inside(to.parts, to.http)
        await _looked(to, await elsewhere.secret({"model": "gpt-realtime-2.1", **session}), query="")

    lines = recorded(scene)

    assert lines[0]["credentials"] == {"authorization": "<key 1>"}
    assert replayed(lines) == []


def test_the_beta_by_sub_protocol_is_refused_again() -> None:
    async def scene(to: Proxied) -> None:
        offered = ("realtime", f"openai-insecure-api-key.{to.parts.keys.openai}", "openai-beta.realtime-v1", "mine")
        async with to.http.ws_connect(f"{to.openai}?model=gpt-realtime", protocols=offered) as socket:
            await socket.receive(DEADLINE_S)

    lines = recorded(scene)

    assert lines[0]["protocols"] == ["realtime", "openai-beta.realtime-v1"]
    assert [line["shape"]["error"]["code"] for line in lines if "type" in line] == ["beta_api_shape_disabled"]
    assert replayed(lines) == []


# --- sound


def _sound(length_ms: int) -> str:
    return base64.b64encode(bytes(48 * length_ms)).decode()


async def _in_vain(client: Client) -> None:
    """Nothing is left when the turn was found, and too little is there later; then there is enough."""
    await client.say(speech_ms=600, silence_ms=200)
    await client.until("input_audio_buffer.committed")
    await client.send("input_audio_buffer.commit")
    await client.until("error")
    await client.until("response.done")
    for length_ms, then in ((40, "error"), (400, "input_audio_buffer.committed")):
        await client.send("input_audio_buffer.append", audio=_sound(length_ms))
        await client.send("input_audio_buffer.commit")
        await client.until(then)


def test_a_commit_of_too_little_sound_is_refused_again() -> None:
    lines = recorded(talk(_in_vain))

    errors = [line["shape"]["error"]["code"] for line in lines if line.get("type") == "error"]
    assert errors == ["input_audio_buffer_commit_empty"] * 2
    assert replayed(lines) == []


# --- ids


async def _misled(client: Client) -> None:
    """Ids that are refused, among some that aren't."""
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    for own, after, then in (
        ("mine_1", None, "conversation.item.done"),
        ("mine_2", "nobody", "error"),
        ("mine_2", "mine_1", "conversation.item.done"),
        ("m" * 33, "mine_1", "error"),
        ("my own", None, "error"),
        ("", None, "error"),
    ):
        item = {**message, "id": own}
        await client.send("conversation.item.create", item=item, previous_item_id=after)
        await client.until(then)
    await client.send("response.create", response=TEXT)
    await client.send("response.cancel", response_id="nobody")
    await client.until("response.done")


def test_an_id_that_was_refused_is_refused_again() -> None:
    lines = recorded(talk(_misled))

    errors = [line["shape"]["error"]["code"] for line in lines if line.get("type") == "error"]
    too_long = ("string_above_max_length", "invalid_value", "empty_string")
    assert errors == ["item_not_found", *too_long, "response_cancel_not_active"]
    assert replayed(lines) == []


# --- what is no event, and bodies that are not as they should be


async def _garbled(client: Client) -> None:
    for text in ("{", "[]", "7", "{}", '{"session": {"type": "realtime"}}', '{"type": 7}', '{"type": "no such"}'):
        await client.socket.send_str(text)
        await client.until("error")
    await client.socket.send_bytes(b"sound")
    await client.until("error")


def test_what_is_no_event_is_sent_again() -> None:
    lines = recorded(talk(_garbled))

    told = [
        (line["shape"]["error"]["code"], line["shape"]["error"]["param"])
        for line in lines
        if line.get("type") == "error"
    ]
    missing, invalid = ("missing_required_parameter", "type"), ("invalid_value", "type")
    assert told == [
        ("invalid_json", None),
        *[("invalid_event", None)] * 2,
        missing,
        missing,
        invalid,
        invalid,
        ("invalid_event", None),
    ]
    assert replayed(lines) == []


async def _bodies(to: Proxied) -> None:
    auth = {"authorization": f"Bearer {to.parts.keys.avaturn}"}
    for kind, body in (
        ("application/json", '{"max_duration": 90,'),
        ("application/json", '{"max_duration": "90"}'),
        ("application/json", '{"user_absent_timeout": "90"}'),
        ("application/json", "null"),
        ("text/plain", "{}"),
    ):
        headers = {**auth, "content-type": kind}
        async with to.http.post(f"{to.avaturn}/api/v1/sessions", data=body, headers=headers) as answer:
            await answer.read()


def test_a_body_is_sent_again_as_good_or_bad_as_it_was() -> None:
    lines = recorded(_bodies)

    assert [line["status"] for line in lines if "status" in line] == [422, 200, 200, 422, 422]
    assert lines[1]["response"]["detail"][0]["loc"] == ["body", "<number>"]
    assert replayed(lines) == []
