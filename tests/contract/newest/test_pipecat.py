"""Pipecat's OpenAI realtime service in a pipeline of its own, with a microphone and a loudspeaker of ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from tests.contract.newest.speaking import DEADLINE_S, SAMPLE_RATE, Voice
from tests.loadtest.twin.process import RunningTwin, running_twin


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--set", "answer_s=2") as started:
        yield started


class Loudspeaker(FrameProcessor):
    """Notes what would be played."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: asyncio.Queue[Frame] = asyncio.Queue()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, (TTSAudioRawFrame, TTSStoppedFrame, InterruptionFrame, ErrorFrame)):
            self.heard.put_nowait(frame)
        await self.push_frame(frame, direction)

    async def until(self, kind: type[Frame]) -> float:
        """Seconds of sound up to the first frame of that kind."""
        seconds = 0.0
        while True:
            frame = await self.heard.get()
            assert not isinstance(frame, ErrorFrame), frame
            if isinstance(frame, TTSAudioRawFrame):
                seconds += len(frame.audio) / 2 / frame.sample_rate
            if isinstance(frame, kind):
                return seconds


@asynccontextmanager
async def talking(twin: RunningTwin, *tools: Any) -> AsyncIterator[tuple[Voice, Loudspeaker, LLMContext]]:
    voice, loudspeaker = Voice(), Loudspeaker()
    service = OpenAIRealtimeLLMService(
        api_key=twin.openai_key,
        base_url=twin.realtime_url,
        settings=OpenAIRealtimeLLMService.Settings(
            system_instruction="Be brief.",
            session_properties=SessionProperties(
                audio=AudioConfiguration(input=AudioInput(transcription=InputAudioTranscription()))
            ),
        ),
    )
    schemas = [FunctionSchema(tool.__name__, tool.__doc__, {"city": {"type": "string"}}, ["city"]) for tool in tools]
    for tool in tools:
        service.register_function(tool.__name__, tool)
    context = LLMContext(tools=ToolsSchema(standard_tools=schemas)) if tools else LLMContext()
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
    )
    worker = PipelineWorker(
        Pipeline([user, service, loudspeaker, assistant]),
        params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE, audio_out_sample_rate=SAMPLE_RATE),
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    async def speak() -> None:
        async for frame in voice.frames():
            await worker.queue_frame(InputAudioRawFrame(audio=frame, sample_rate=SAMPLE_RATE, num_channels=1))

    async with asyncio.timeout(DEADLINE_S):
        running = asyncio.create_task(runner.run())
        speaking = asyncio.create_task(speak())
        try:
            yield voice, loudspeaker, context
        finally:
            speaking.cancel()
            await worker.cancel()
            await asyncio.gather(running, speaking, return_exceptions=True)


def test_a_spoken_turn_is_answered(twin: RunningTwin) -> None:
    async def talk() -> float:
        async with talking(twin) as (voice, loudspeaker, _):
            voice.say(duration_ms=600)
            return await loudspeaker.until(TTSStoppedFrame)

    assert asyncio.run(talk()) == pytest.approx(2, abs=0.1)


def test_a_tool_is_called_and_its_result_is_spoken_of(twin: RunningTwin) -> None:
    cities = []

    async def weather(params: FunctionCallParams) -> None:
        """The weather of a city."""
        cities.append(params.arguments["city"])
        await params.result_callback("fog")

    async def talk() -> float:
        async with talking(twin, weather) as (voice, loudspeaker, _):
            voice.say(duration_ms=600)
            seconds = 0.0
            while not cities or seconds < 1.9:
                seconds = await loudspeaker.until(TTSStoppedFrame)
            return seconds

    assert asyncio.run(talk()) == pytest.approx(2, abs=0.1)
    assert cities == ["example"]


def test_who_speaks_into_an_answer_ends_it(twin: RunningTwin) -> None:
    async def talk() -> float:
        async with talking(twin) as (voice, loudspeaker, _):
            voice.say(duration_ms=600)
            await loudspeaker.until(TTSAudioRawFrame)
            voice.say(duration_ms=600)
            await loudspeaker.until(InterruptionFrame)
            return await loudspeaker.until(TTSStoppedFrame)

    asyncio.run(talk())
