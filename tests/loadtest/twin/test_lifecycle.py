"""Sessions end when they should and not before (docs/contract.md#a-sessions-life). Timers run 100 times faster here."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.loadtest.twin.process import RunningTwin
from tests.loadtest.twin.talking import in_room, realtime

SCALE = 100
EARLY_S = 0.5
"""The event loop's timers are good to a few milliseconds of real time."""


def _service_seconds(truth: dict[str, Any], since: str) -> float:
    return float((truth["ended_at"] - truth[since]) * SCALE) + EARLY_S


def test_a_session_that_nobody_joins_ends_after_the_absence_timeout(fast_twin: RunningTwin) -> None:
    session = fast_twin.new_session(user_absent_timeout=20)

    truth = fast_twin.eventually(session["session_id"], lambda found: found["state"] == "ended")

    assert truth["end_reason"] == "user_absent_timeout"
    assert truth["joined_at"] is None
    assert _service_seconds(truth, "created_at") >= 20
    assert fast_twin.sdk(session["token"]).status_code == 404


def test_the_cap_ends_a_session_with_the_user_in_it(fast_twin: RunningTwin) -> None:
    session = fast_twin.new_session(max_duration=60)
    grant = fast_twin.sdk(session["token"]).json()

    async def stay() -> int | None:
        async with in_room(grant) as user:
            await user.until(lambda: user.close_code is not None)
            return user.close_code

    assert asyncio.run(stay()) == 1000
    truth = fast_twin.truth(session["session_id"])
    assert truth["end_reason"] == "max_duration_reached"
    assert _service_seconds(truth, "created_at") >= 60


def test_leaving_starts_a_new_absence_and_coming_back_ends_it(fast_twin: RunningTwin) -> None:
    session = fast_twin.new_session(user_absent_timeout=100)
    session_id = session["session_id"]
    grant = fast_twin.sdk(session["token"]).json()

    async def come_and_go() -> None:
        for _ in range(2):
            async with in_room(grant) as user:
                await user.message("room.joined")
                await user.until(lambda user=user: user.frames)
            fast_twin.eventually(session_id, lambda found: found["state"] == "user_absent")

    asyncio.run(come_and_go())
    truth = fast_twin.eventually(session_id, lambda found: found["state"] == "ended")
    assert truth["end_reason"] == "user_absent_timeout"
    assert _service_seconds(truth, "joined_at") >= 100


def test_delete_closes_the_room_and_the_socket_to_openai(twin: RunningTwin) -> None:
    session = twin.new_session()
    session_id = session["session_id"]
    grant = twin.sdk(session["token"]).json()

    async def stay() -> tuple[int | None, dict[str, Any]]:
        async with in_room(grant) as user:
            await user.until(lambda: user.frames)
            assert twin.truth(session_id)["state"] == "active"
            assert twin.truth(session_id)["upstream_open"] is True
            assert (await asyncio.to_thread(twin.delete, session_id)).status_code == 200
            await user.until(lambda: user.close_code is not None)
            return user.close_code, user.all("room.participant")[-1]

    close_code, last = asyncio.run(stay())
    assert close_code == 1000
    assert last == {"type": "room.participant", "owner": True, "state": "left", "first_frame": False}
    truth = twin.eventually(session_id, lambda found: not found["upstream_open"])
    assert truth["avatar_audio_frames"] > 0
    assert truth["user_audio_frames"] > 0


@pytest.mark.parametrize("where", ["header", "query"])
def test_the_room_opens_to_its_token_only(twin: RunningTwin, where: str) -> None:
    session = twin.new_session()
    grant = twin.sdk(session["token"]).json()
    room_url, token = grant["room_url"], grant["limited_access_token"]

    async def knock(url: str, token: str) -> int | None:
        headers = {"authorization": f"Bearer {token}"} if where == "header" else {}
        url = url if where == "header" else f"{url}?token={token}"
        async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as socket:
            message = await socket.receive(timeout=10)
            return socket.close_code if message.type != aiohttp.WSMsgType.TEXT else None

    assert asyncio.run(knock(room_url, token)) is None
    assert asyncio.run(knock(room_url, "nonsense")) == 4401
    assert asyncio.run(knock(room_url, session["token"])) == 4401
    assert asyncio.run(knock(room_url.rsplit("/", 1)[0] + "/unknown", token)) == 4404
    twin.delete(session["session_id"])
    assert asyncio.run(knock(room_url, token)) == 4410


def test_an_expired_secret_opens_nothing_and_the_first_to_join_is_told(fast_twin: RunningTwin) -> None:
    secret = fast_twin.secret(ttl_s=10)

    async def hold_until_expired() -> tuple[Any, list[str]]:
        # The socket outlives its secret; once it can't be opened again, the secret has expired.
        async with realtime(fast_twin, key=secret) as first:
            await first.until("session.created")
            while True:
                async with realtime(fast_twin, key=secret) as later:
                    if (await _first_event(later)) == "error":
                        closed = await later.closed()
                        break
            await first.send("input_audio_buffer.clear")
            await first.until("input_audio_buffer.cleared")
            return closed, [event["error"]["code"] for event in later.events]

    closed, codes = asyncio.run(asyncio.wait_for(hold_until_expired(), 10))
    assert closed == (3000, "invalid_request_error.invalid_api_key")
    assert codes == ["invalid_api_key"]

    session = fast_twin.new_session(secret=secret, user_absent_timeout=1000)
    grant = fast_twin.sdk(session["token"]).json()

    async def join() -> dict[str, Any]:
        async with in_room(grant) as user:
            return await user.message("error")

    error = asyncio.run(join())["error"]
    assert (error["type"], error["code"]) == ("session_lifecycle_error", "internal_error")
    assert error["session_id"] == session["session_id"]
    assert fast_twin.truth(session["session_id"])["state"] in ("starting", "created")


async def _first_event(client: Any) -> str:
    event = await client.socket.receive_json(timeout=10)
    client.events.append(event)
    return str(event["type"])


def test_after_60_minutes_openai_cuts_and_the_session_ends_visibly(start_twin: Callable[..., RunningTwin]) -> None:
    twin = start_twin("--clock-scale", "3600")
    session = twin.new_session(max_duration=86400, user_absent_timeout=86400)
    grant = twin.sdk(session["token"]).json()

    async def stay() -> dict[str, Any]:
        async with in_room(grant) as user:
            error = await user.message("error")
            await user.until(lambda: user.close_code == 1000)
            return error

    async def cut() -> tuple[Any, str]:
        async with realtime(twin) as client:
            closed = await client.closed()
            return closed, client.events[-1]["error"]["code"]

    assert asyncio.run(stay())["error"]["code"] == "internal_error"
    assert twin.truth(session["session_id"])["end_reason"] == "engine_failed"
    closed, code = asyncio.run(cut())
    assert closed == (1001, "Your session hit the maximum duration of 60 minutes.")
    assert code == "session_expired"


def test_the_truth_knows_the_traces_of_every_call(twin: RunningTwin) -> None:
    def header(digit: str) -> dict[str, str]:
        return {"traceparent": f"00-{digit * 32}-{digit * 16}-01"}

    minted = twin.mint({"session": {"type": "realtime"}}, headers=header("a")).json()["value"]
    engine = {"type": "openai-realtime", "client_secret": minted}
    session = twin.create({"conversation_engine": engine}, headers=header("b")).json()
    sdk_headers = {"x-session-token": session["token"], **header("c")}
    twin.http.get(f"{twin.avaturn_url}/_sdk/v0/sessions", headers=sdk_headers)
    auth = {"authorization": f"Bearer {twin.avaturn_key}", **header("a")}
    twin.http.delete(f"{twin.avaturn_url}/api/v1/sessions/{session['session_id']}", headers=auth)

    assert twin.truth(session["session_id"])["trace_ids"] == ["a" * 32, "b" * 32, "c" * 32]


def test_the_state_of_the_living_leaves_out_the_ended(twin: RunningTwin) -> None:
    session = twin.new_session()
    alive = {each["session_id"] for each in twin.state(alive=True)["sessions"]}
    twin.delete(session["session_id"])

    assert session["session_id"] in alive
    assert session["session_id"] not in {each["session_id"] for each in twin.state(alive=True)["sessions"]}
    assert set(twin.truth(session["session_id"])) == {
        *("session_id", "state", "end_reason", "created_at", "joined_at", "ended_at", "upstream_open"),
        *("render_preset", "user_audio_frames", "avatar_audio_frames", "heard", "trace_ids", "turns"),
    }
