"""How a Realtime socket is refused and lost when the profile says so.

Source: docs/contract.md#opening-the-socket, #errors-and-closes, #latency-and-faults.
"""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from tests.loadtest.twin.process import RunningTwin
from tests.loadtest.twin.talking import Client, converse, in_room, realtime

StartTwin = Callable[..., RunningTwin]


def _status_of_upgrade(twin: RunningTwin, *, key: str | None = None) -> int:
    async def run() -> int:
        try:
            async with realtime(twin, key=key):
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status

    return asyncio.run(run())


def _close_of(twin: RunningTwin) -> tuple[int | None, str | None]:
    async def run() -> tuple[int | None, str | None]:
        async with realtime(twin) as client:
            return await client.closed()

    return asyncio.run(run())


async def _join(twin: RunningTwin) -> None:
    async with in_room(twin.sdk(twin.new_session()["token"]).json()):
        pass


def test_a_dead_secret_can_be_refused_on_the_upgrade(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "expired_secret=upgrade_401")

    assert _status_of_upgrade(twin, key="ek_unknown") == 401
    assert _status_of_upgrade(twin) == 101


def test_no_access_is_a_403_on_the_upgrade(start_twin: StartTwin) -> None:
    assert _status_of_upgrade(start_twin("--set", "fault.realtime_open=403:1")) == 403


def test_a_code_refuses_inside_the_socket(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "fault.realtime_open=insufficient_quota:1")

    assert _close_of(twin) == (3000, "insufficient_quota.insufficient_quota")


def test_a_refusal_in_place_of_the_session_is_an_error_and_a_close(start_twin: StartTwin) -> None:
    async def run() -> None:
        async with realtime(twin) as client:
            assert await client.closed() == (3000, "server_error")
            assert [event["type"] for event in client.events] == ["error"]
            assert client.events[0]["error"]["type"] == "server_error"

    twin = start_twin("--set", "fault.session_created=503:1", "--set", "fault.join=502:1")
    asyncio.run(run())
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        asyncio.run(_join(twin))
    assert refused.value.status == 502


def test_a_model_beside_a_client_secret_can_be_accepted(start_twin: StartTwin) -> None:
    async def script(client: Client) -> None:
        # The secret decides, whatever the query says.
        assert client.events[0]["session"]["model"] == "gpt-realtime-1.5"

    twin = start_twin("--set", "secret_with_model=accept")
    converse(twin, script, session={"model": "gpt-realtime-1.5"}, query="?model=gpt-realtime-2")


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_a_close_is_injected_with_its_code(start_twin: StartTwin, code: int) -> None:
    twin = start_twin("--set", f"fault.realtime_close={code}:1", "--set", "close_after=fixed:0.05")

    assert _close_of(twin)[0] == code


def test_1006_is_a_connection_that_ends_without_a_close_frame(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "fault.realtime_close=1006:1", "--set", "close_after=fixed:0.05")

    assert _close_of(twin) == (1006, None)
    assert twin.state()["counters"]["realtime_sockets_open"] == 0


def test_a_client_s_close_can_be_left_unanswered(start_twin: StartTwin) -> None:
    async def run() -> None:
        url, headers = twin.realtime_url, {"authorization": f"Bearer {twin.secret()}"}
        timeout = aiohttp.ClientWSTimeout(ws_close=0.2)
        async with aiohttp.ClientSession() as http:
            socket = await http.ws_connect(url, headers=headers, timeout=timeout)
            await socket.receive()
            await socket.close(code=1000)
            assert socket.close_code == 1006

    twin = start_twin("--set", "answers_close=no")
    asyncio.run(run())


def test_a_refused_socket_is_still_closed_when_closes_go_unanswered(start_twin: StartTwin) -> None:
    async def run() -> None:
        async with realtime(twin, key="ek_unknown") as client:
            assert (await client.closed())[0] == 3000

    twin = start_twin("--set", "answers_close=no")
    asyncio.run(run())
