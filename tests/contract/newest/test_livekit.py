"""LiveKit's agents with their OpenAI realtime model, a microphone and a loudspeaker of ours in the room's place."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession, function_tool
from livekit.agents.voice import io
from livekit.plugins import openai

from tests.contract.newest.speaking import DEADLINE_S, FRAME_BYTES, SAMPLE_RATE, Voice
from tests.loadtest.twin.process import RunningTwin, running_twin


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--set", "answer_s=2") as started:
        yield started


class Microphone(io.AudioInput):
    def __init__(self, voice: Voice) -> None:
        super().__init__(label="microphone")
        self._frames = voice.frames()

    async def __anext__(self) -> rtc.AudioFrame:
        return rtc.AudioFrame(await anext(self._frames), SAMPLE_RATE, 1, FRAME_BYTES // 2)


class Loudspeaker(io.AudioOutput):
    """Plays in real time, without a sound."""

    def __init__(self) -> None:
        super().__init__(
            label="loudspeaker", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=SAMPLE_RATE
        )
        self.heard_s = 0.0
        self.interrupted = 0
        self._began_s: float | None = None
        self._length_s = 0.0
        self._end: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._began_s is None:
            self._began_s = asyncio.get_running_loop().time()
            self.on_playback_started(created_at=time.time())
        self._length_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._began_s is not None:
            loop = asyncio.get_running_loop()
            self._end = loop.call_at(self._began_s + self._length_s, self._finish, False)

    def clear_buffer(self) -> None:
        if self._began_s is not None:
            self._finish(True)

    def _finish(self, interrupted: bool) -> None:
        assert self._began_s is not None
        if self._end is not None:
            self._end.cancel()
        played_s = min(self._length_s, asyncio.get_running_loop().time() - self._began_s)
        self.heard_s += played_s
        self.interrupted += interrupted
        self._began_s, self._length_s, self._end = None, 0.0, None
        self.on_playback_finished(playback_position=played_s, interrupted=interrupted)


class Talk:
    """A session with its user; `tools` of the agent."""

    def __init__(self, twin: RunningTwin, *tools: object) -> None:
        self.voice, self.loudspeaker = Voice(), Loudspeaker()
        self.model = openai.realtime.RealtimeModel(
            base_url=twin.openai_url, api_key=twin.openai_key, model="gpt-realtime", voice="marin"
        )
        self.session: AgentSession[None] = AgentSession(llm=self.model, aec_warmup_duration=None)
        self.agent = Agent(instructions="Be brief.", tools=list(tools))
        self.states: asyncio.Queue[str] = asyncio.Queue()
        self.errors: list[object] = []
        self.session.on("agent_state_changed", lambda event: self.states.put_nowait(event.new_state))
        self.session.on("error", self.errors.append)

    async def until(self, state: str) -> None:
        while await self.states.get() != state:
            assert not self.errors, self.errors

    async def __aenter__(self) -> "Talk":
        self.session.input.audio = Microphone(self.voice)
        self.session.output.audio = self.loudspeaker
        await self.session.start(self.agent, record=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(RuntimeError):
            await self.session.aclose()
        await self.model.aclose()


def test_a_spoken_turn_is_answered(twin: RunningTwin) -> None:
    async def talk() -> tuple[float, list[str], list[object]]:
        async with asyncio.timeout(DEADLINE_S), Talk(twin) as user:
            user.voice.say(duration_ms=600)
            await user.until("speaking")
            await user.until("listening")
            said = [item.role for item in user.session.history.items if item.type == "message"]
            return user.loudspeaker.heard_s, said, user.errors

    heard_s, said, errors = asyncio.run(talk())
    assert heard_s == pytest.approx(2, abs=0.1)
    assert "assistant" in said
    assert errors == []


def test_a_tool_is_called_and_its_result_is_spoken_of(twin: RunningTwin) -> None:
    cities = []

    @function_tool
    async def weather(city: str) -> str:
        """The weather of a city."""
        cities.append(city)
        return "fog"

    async def talk() -> list[str]:
        async with asyncio.timeout(DEADLINE_S), Talk(twin, weather) as user:
            user.voice.say(duration_ms=600)
            kinds: list[str] = []
            while kinds.count("function_call_output") == 0 or kinds[-1] != "message":
                await user.until("listening")
                kinds = [item.type for item in user.session.history.items]
            return kinds

    kinds = asyncio.run(talk())
    assert cities == ["example"]
    assert kinds.index("function_call") < kinds.index("function_call_output") < len(kinds) - 1


def test_who_speaks_into_an_answer_ends_it(twin: RunningTwin) -> None:
    async def talk() -> tuple[int, float, list[object]]:
        async with asyncio.timeout(DEADLINE_S), Talk(twin) as user:
            user.voice.say(duration_ms=600)
            await user.until("speaking")
            await asyncio.sleep(0.5)
            user.voice.say(duration_ms=600)
            await user.until("listening")
            first_s = user.loudspeaker.heard_s
            await user.until("speaking")
            await user.until("listening")
            return user.loudspeaker.interrupted, first_s, user.errors

    interrupted, first_s, errors = asyncio.run(talk())
    assert interrupted == 1
    assert 0.3 < first_s < 1.8
    assert errors == []
