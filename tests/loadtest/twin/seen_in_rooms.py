"""What is seen and heard in a room: transcripts, interruptions, sound, tools (docs/contract.md#rules)."""

import time
from typing import Any

import numpy as np

from loadtest.twin.pcm import FRAME_BYTES, SAMPLE_RATE_HZ
from tests.loadtest.twin.inside import Inside
from tests.loadtest.twin.talking import User

INPUT, RESPONSE = "ce_events.realtime.input_transcript", "ce_events.realtime.response_transcript"
STARTED, ENDED = "avatar_started_speaking", "avatar_ended_speaking"
SOON = {"type": "server_vad", "silence_duration_ms": 100}
PLAIN: dict[str, Any] = {"audio": {"input": {"turn_detection": SOON}}}
TRANSCRIBED: dict[str, Any] = {"audio": {"input": {"turn_detection": SOON, "transcription": {"model": "whisper-1"}}}}
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
NOISE = b"\x20\x00\xe0\xff" * (FRAME_BYTES // 4)
"""An RMS of 32: about -60 dBFS."""


async def _turn(user: User, *, count: int = 1) -> None:
    user.say(duration_ms=100)
    await user.message(ENDED, count=count)


async def _after_a_turn(twin: Inside, config: dict[str, Any]) -> User:
    async with twin.joined(await twin.talking(config)) as user:
        await _turn(user)
        return user


async def transcripts(twin: Inside) -> tuple[int, int]:
    """Of the user and of the avatar, in a turn without transcription of the user."""
    user = await _after_a_turn(twin, PLAIN)
    return len(user.all(INPUT)), len(user.all(RESPONSE))


async def transcripts_with_input(twin: Inside) -> tuple[int, int]:
    user = await _after_a_turn(twin, TRANSCRIBED)
    return len(user.all(INPUT)), len(user.all(RESPONSE))


async def input_texts(twin: Inside) -> list[str]:
    return [each["transcript"] for each in (await _after_a_turn(twin, TRANSCRIBED)).all(INPUT)]


async def timestamp(twin: Inside) -> str:
    stamp = (await _after_a_turn(twin, PLAIN)).all(RESPONSE)[0]["timestamp"]
    if isinstance(stamp, str):
        return "text"
    return "seconds" if abs(stamp - time.time()) < 120 else "milliseconds"


async def words_of_another(twin: Inside) -> bool:
    """Whether two sessions are told the same words."""
    first, second = [(await _after_a_turn(twin, PLAIN)).all(RESPONSE)[0]["transcript"] for _ in range(2)]
    return bool(first == second)


async def transcripts_of_a_neighbour(twin: Inside) -> int:
    """In the room of one session, after a turn of another: those that are not its own."""
    first, second = await twin.talking(PLAIN), await twin.talking(PLAIN)
    async with twin.joined(first) as user, twin.joined(second) as neighbour:
        await _turn(user)
        await _turn(neighbour)
        # One more turn: a message of the neighbour's would have come before its end.
        await _turn(user, count=2)
        return len(user.all(RESPONSE)) - 2


async def _barge_in(twin: Inside, *, noise: bool = False) -> tuple[User, dict[str, Any]]:
    """The user interrupts a whole answer of 1 s after a few frames, then listens until all is quiet."""
    session = await twin.talking(PLAIN)
    async with twin.joined(session) as user:
        user.say(duration_ms=100)
        await user.until(lambda: sum(loud for _, loud in user.frames) >= 5)
        if noise:
            user._to_say += [NOISE] * 3
        else:
            user.say(duration_ms=100)
            await user.until(lambda: len(user.all(RESPONSE)) == 2)
        await user.until(lambda: user.frames and not any(loud for _, loud in user.frames[-3:]) and user.all(ENDED))
        found = twin.session(session["session_id"])
        assert found is not None
        await user.until(lambda: not found._voice.speaks)
        return user, await twin.truth(session["session_id"])


async def silenced(twin: Inside) -> bool:
    _, truth = await _barge_in(twin)
    turn = truth["turns"][0]
    assert (turn["silenced_ns"] is None) == (turn["barge_in_heard_ns"] is None)
    return turn["silenced_ns"] is not None


async def silenced_by_noise(twin: Inside) -> bool:
    _, truth = await _barge_in(twin, noise=True)
    return truth["turns"][0]["silenced_ns"] is not None


async def phrases_after_barge_in(twin: Inside) -> int:
    user, _ = await _barge_in(twin)
    return len(user.all("avatar_started_speaking_phrase"))


async def unbalanced_speech(twin: Inside) -> int:
    user, _ = await _barge_in(twin)
    return len(user.all(STARTED)) - len(user.all(ENDED))


async def _answer(twin: Inside) -> np.ndarray[Any, Any]:
    user = await _after_a_turn(twin, PLAIN)
    audible = [index for index, (_, loud) in enumerate(user.frames) if loud]
    sound = bytes(user.heard)[audible[0] * FRAME_BYTES : (audible[-1] + 1) * FRAME_BYTES]
    return np.frombuffer(sound, dtype="<i2").astype(float)


async def answer_sound(twin: Inside) -> tuple[int, int]:
    """Length in frames and pitch in Hz, the latter as exact as the length allows."""
    sound = await _answer(twin)
    strongest = int(np.argmax(np.abs(np.fft.rfft(sound, 10 * SAMPLE_RATE_HZ))))
    return sound.size * 2 // FRAME_BYTES, strongest // 10


async def answer_is_a_tone(twin: Inside) -> bool:
    power = np.abs(np.fft.rfft(await _answer(twin))) ** 2
    return bool(power.max() > 0.9 * power.sum())


async def event_is_early(twin: Inside) -> bool:
    """Whether more than half a second of silence follows `avatar_started_speaking`."""
    async with twin.joined(await twin.talking(PLAIN)) as user:
        user.say(duration_ms=100)
        await user.message(STARTED)
        at = len(user.frames)
        await user.until(lambda: any(loud for _, loud in user.frames))
        return next(index for index, (_, loud) in enumerate(user.frames) if loud) - at > 25


async def _tool_call(twin: Inside) -> tuple[User, int]:
    """A turn that the model answers with a tool call; also the spoken answers that follow."""
    session = await twin.talking({**PLAIN, "tools": [TOOL], "tool_choice": "required"})
    async with twin.joined(session) as user:
        found = twin.session(session["session_id"])
        assert found is not None
        user.say(duration_ms=100)
        await user.until(lambda: bool(found._voice.turns))
        begun = len(user.frames)
        await user.until(lambda: len(user.frames) >= begun + 50)
        return user, len(user.all(RESPONSE))


async def tool_messages(twin: Inside) -> bool:
    user, _ = await _tool_call(twin)
    return any("function_call" in each["type"] for each in user.messages)


async def answers_after_tool_call(twin: Inside) -> int:
    return (await _tool_call(twin))[1]
