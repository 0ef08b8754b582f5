"""OpenAI's Agents SDK at its own default address, led to the twin by nothing but the connection: with a client secret,
the model named beside it, a tool that it calls itself, and a spoken turn."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
import websockets
from agents import function_tool, set_tracing_disabled
from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.realtime import openai_realtime as sdk

from loadtest.twin.pcm import tone
from tests.loadtest.twin.process import DEADLINE_S, RunningTwin, running_twin, trust


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--tls", "--set", "answer_s=0.4") as started:
        yield started


@pytest.fixture
def dialled(twin: RunningTwin, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the SDK dials; all of them lead to the twin."""
    found: list[str] = []
    to_twin = partial(
        websockets.connect,
        host="127.0.0.1",
        port=urlsplit(twin.openai_url).port,
        ssl=trust(twin.announcement),
        server_hostname="localhost",
    )

    async def connect(url: str, **options: Any) -> Any:
        found.append(url)
        return await to_twin(url, **options)

    set_tracing_disabled(True)
    monkeypatch.setattr(sdk.websockets, "connect", connect)
    return found


def test_it_opens_a_session_with_a_secret_and_the_model_beside_it_and_calls_its_tool(
    twin: RunningTwin, dialled: list[str]
) -> None:
    cities = []

    @function_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        cities.append(city)
        return "fog"

    async def talk() -> list[str]:
        agent = RealtimeAgent(name="twin", instructions="Be brief.", tools=[weather])
        secret = twin.secret({"model": sdk.OpenAIRealtimeWebSocketModel().model})
        kinds = []
        async with asyncio.timeout(DEADLINE_S):
            session = await RealtimeRunner(agent).run(model_config={"api_key": secret})
            async with session:
                await session.send_audio(tone(duration_ms=600) + bytes(48 * 900))
                async for event in session:
                    kinds.append(event.type)
                    if event.type == "error":
                        raise AssertionError(event)
                    if kinds.count("agent_end") == 2:
                        break
        return kinds

    kinds = asyncio.run(talk())

    assert [urlsplit(url)[:3] for url in dialled] == [("wss", "api.openai.com", "/v1/realtime")]
    assert "model=gpt-realtime" in dialled[0]
    assert cities == ["example"]
    # The model says that it will look, calls, and says what came of it.
    spoken = [index for index, kind in enumerate(kinds) if kind == "audio_end"]
    assert len(spoken) == 2
    assert kinds.index("tool_start") < kinds.index("tool_end") < spoken[-1]
