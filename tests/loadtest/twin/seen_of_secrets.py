"""What is seen of client secrets (docs/contract.md#rules-of-expiry)."""

import time
from typing import Any

from tests.loadtest.twin.inside import Inside

SOON_S = 10


async def first_event(twin: Inside, secret: str) -> dict[str, Any]:
    """What an OpenAI socket with this secret says first."""
    headers = {"authorization": f"Bearer {secret}"}
    async with twin.http.ws_connect(twin.openai, headers=headers) as socket:
        event: dict[str, Any] = await socket.receive_json(timeout=SOON_S)
        return event


async def _service_time(twin: Inside, seconds: float) -> None:
    timers = twin.parts._secrets._timers
    until_s = timers.now_s() + seconds
    await twin.eventually(lambda: timers.now_s() > until_s)


async def _expired(twin: Inside) -> str:
    secret = await twin.secret(ttl_s=10)
    await _service_time(twin, 10)
    return secret


async def expired_secret(twin: Inside) -> str:
    return str((await first_event(twin, await _expired(twin)))["type"])


async def refused_session(twin: Inside) -> str:
    engine = {"type": "openai-realtime", "client_secret": "ek_unknown"}
    async with twin.joined(await twin.new(conversation_engine=engine)) as user:
        await user.until(lambda: user.all("error") or user.frames)
        return "error" if user.all("error") else "first frame"


async def session_after_expiry(twin: Inside) -> str:
    engine = {"type": "openai-realtime", "client_secret": await twin.secret(ttl_s=60)}
    session = await twin.new(conversation_engine=engine, user_absent_timeout=86400)
    async with twin.joined(session):
        await _service_time(twin, 61)
        return twin.state(session["session_id"])


async def default_ttl_s(twin: Inside) -> int:
    minted = await twin.mint({"session": {"type": "realtime"}})
    return round((minted.body["expires_at"] - time.time()) / 10) * 10


async def digits_of_expiry(twin: Inside) -> int:
    return len(str((await twin.mint({})).body["expires_at"]))


async def bounds(twin: Inside) -> list[int]:
    return [(await twin.mint({"expires_after": {"seconds": ttl_s}})).status for ttl_s in (9, 10, 7200, 7201)]


async def different_secrets(twin: Inside) -> int:
    return len({await twin.secret() for _ in range(2)})


async def second_use(twin: Inside) -> str:
    secret = await twin.secret()
    await first_event(twin, secret)
    return str((await first_event(twin, secret))["type"])


async def voice_of_session(twin: Inside) -> str:
    secret = await twin.secret({"audio": {"output": {"voice": "marin"}}})
    return str((await first_event(twin, secret))["session"]["audio"]["output"]["voice"])
