"""What is seen of errors, limits, validation and authorization (docs/contract.md#rules-of-errors)."""

import asyncio
from typing import Any

from tests.loadtest.twin.inside import Inside

UNKNOWN_SECRET = {"type": "openai-realtime", "client_secret": "ek_unknown"}


async def delete_with_nonsense(twin: Inside) -> int:
    return (await twin.delete((await twin.new())["session_id"], key="nonsense")).status


async def delete_with_token(twin: Inside) -> int:
    session = await twin.new()
    return (await twin.delete(session["session_id"], key=session["token"])).status


async def refusal_tells_token(twin: Inside) -> bool:
    session = await twin.new()
    await twin.delete(session["session_id"])
    return session["token"] in str((await twin.sdk(session["token"])).body)


async def message_tells_secret(twin: Inside) -> bool:
    async with twin.joined(await twin.talking()) as user:
        user.say(duration_ms=100)
        await user.message("avatar_ended_speaking")
        return any("client_secret" in str(each) for each in user.messages)


async def first_news(twin: Inside) -> str:
    """The code of the first error, if there is one before the avatar."""
    async with twin.joined(await twin.talking()) as user:
        await user.until(lambda: user.all("error") or user.frames)
        errors: list[dict[str, Any]] = user.all("error")
        return str(errors[0]["error"]["code"]) if errors else "first frame"


async def type_of_error(twin: Inside) -> str:
    async with twin.joined(await twin.talking()) as user:
        await user.until(lambda: any("error" in each["type"] for each in user.messages))
        return str(next(each["type"] for each in user.messages if "error" in each["type"]))


async def is_told_of_refusal(twin: Inside) -> bool:
    async with twin.joined(await twin.new(conversation_engine=UNKNOWN_SECRET)) as user:
        await twin.eventually(lambda: twin.parts.truth.realtime_sockets_opened == 1 and not twin.parts._realtime.open)
        return await twin.eventually(lambda: bool(user.all("error")), within_s=0.5)


async def beta_mint(twin: Inside) -> list[int]:
    key = twin.parts.keys.openai
    flat = {"model": "gpt-realtime", "voice": "alloy"}
    by_path = await twin.call("POST", f"{twin.openai}/sessions", bearer=key, body=flat)
    headers = {"authorization": f"Bearer {key}", "openai-beta": "realtime=v1"}
    async with twin.http.post(f"{twin.openai}/client_secrets", json={}, headers=headers) as by_header:
        return [by_path.status, by_header.status]


async def beta_handshake(twin: Inside) -> str:
    headers = {"authorization": f"Bearer {await twin.secret()}", "openai-beta": "realtime=v1"}
    async with twin.http.ws_connect(twin.openai, headers=headers) as socket:
        event: dict[str, Any] = await socket.receive_json(timeout=10)
        return str(event.get("error", {}).get("code", event["type"]))


async def after_an_error(twin: Inside) -> str:
    """The state after a turn in which OpenAI has sent a recoverable error."""
    session = await twin.talking()
    async with twin.joined(session) as user:
        user.say(duration_ms=100)
        await user.until(lambda: user.all("avatar_started_speaking") or user.close_code is not None)
        return twin.state(session["session_id"])


async def over_quota(twin: Inside) -> tuple[int, str]:
    """The answer to one session too many, and what became of the first."""
    first = await twin.new()
    return (await twin.create({})).status, twin.state(first["session_id"])


async def invalid_body(twin: Inside) -> int:
    return (await twin.create({"max_duration": 59})).status


async def invalid_and_over_quota(twin: Inside) -> tuple[int, int]:
    await twin.new()
    return (await twin.create({"max_duration": 59})).status, (await twin.create({})).status


async def bogus_presets(twin: Inside) -> list[int]:
    return [(await twin.create({name: "epsilon"})).status for name in ("model", "render_model")]


async def sdk_session_answers(twin: Inside) -> bool:
    session = await twin.new()
    try:
        async with asyncio.timeout(0.5):
            return (await twin.sdk(session["token"])).status == 200
    except TimeoutError:
        return False
