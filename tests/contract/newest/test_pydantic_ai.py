"""Pydantic AI's realtime sessions: a spoken turn, a tool that it calls itself, an answer that its user ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import FunctionToolResultEvent, SpeechPart
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.realtime import (
    RealtimeInputSpeechStartEvent,
    RealtimeSession,
    RealtimeSessionErrorEvent,
    RealtimeTurnCompleteEvent,
)
from pydantic_ai.realtime.openai import OpenAIRealtimeModel

from tests.contract.newest.speaking import DEADLINE_S, Voice
from tests.loadtest.twin.process import RunningTwin, running_twin


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--set", "answer_s=2") as started:
        yield started


@asynccontextmanager
async def talking(agent: Agent, twin: RunningTwin, voice: Voice) -> AsyncIterator[RealtimeSession]:
    model = OpenAIRealtimeModel(
        "gpt-realtime", provider=OpenAIProvider(base_url=twin.openai_url, api_key=twin.openai_key)
    )
    async with asyncio.timeout(DEADLINE_S), agent.realtime(model).session() as session:
        speaking = asyncio.create_task(session.send_audio(voice.frames()))
        try:
            yield session
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)


async def answers(session: RealtimeSession, count: int) -> list[Any]:
    """Events up to the end of that many answers."""
    events: list[Any] = []
    async for event in session:
        assert not isinstance(event, RealtimeSessionErrorEvent), event
        events.append(event)
        if sum(isinstance(each, RealtimeTurnCompleteEvent) for each in events) == count:
            break
    return events


def speech(session: RealtimeSession) -> list[tuple[str, str]]:
    parts = [part for message in session.all_messages() for part in message.parts if isinstance(part, SpeechPart)]
    return [(part.speaker, part.transcript or "") for part in parts]


def test_a_spoken_turn_is_answered(twin: RunningTwin) -> None:
    async def talk() -> list[tuple[str, str]]:
        voice = Voice()
        async with talking(Agent(instructions="Be brief."), twin, voice) as session:
            voice.say(duration_ms=600)
            await answers(session, 1)
            return speech(session)

    (user, heard), (assistant, said) = asyncio.run(talk())
    assert (user, assistant) == ("user", "assistant")
    assert "said" in heard
    assert said.startswith("Answer 1 of twin-")


def test_a_tool_is_called_and_its_result_is_spoken_of(twin: RunningTwin) -> None:
    cities = []
    agent = Agent(instructions="Be brief.")

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather of a city."""
        cities.append(city)
        return "fog"

    async def talk() -> tuple[list[Any], list[tuple[str, str]]]:
        voice = Voice()
        async with talking(agent, twin, voice) as session:
            voice.say(duration_ms=600)
            return await answers(session, 1), speech(session)

    events, spoken = asyncio.run(talk())
    assert cities == ["example"]
    assert any(isinstance(event, FunctionToolResultEvent) for event in events)
    assert spoken[-1][0] == "assistant"


def test_who_speaks_into_an_answer_ends_it(twin: RunningTwin) -> None:
    async def talk() -> tuple[list[Any], list[tuple[str, str]]]:
        voice = Voice()
        async with talking(Agent(instructions="Be brief."), twin, voice) as session:
            voice.say(duration_ms=600)

            async def cut() -> None:
                while not any(speaker == "assistant" for speaker, _ in speech(session)):
                    await asyncio.sleep(0.02)
                voice.say(duration_ms=600)

            cutting = asyncio.create_task(cut())
            events = await answers(session, 2)
            await cutting
            return events, speech(session)

    events, spoken = asyncio.run(talk())
    assert sum(isinstance(event, RealtimeInputSpeechStartEvent) for event in events) == 2
    assert [speaker for speaker, _ in spoken] == ["user", "assistant"] * 2
