"""A voice turn through the room, and what the ground truth says about it.

Source: docs/contract.md#app-messages, #rules-of-transcripts, #rules-of-interruption.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.loadtest.twin.process import RunningTwin
from tests.loadtest.twin.talking import User, in_room

TRANSCRIBED = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
SPEECH_STARTED, SPEECH_ENDED = "avatar_started_speaking", "avatar_ended_speaking"


def converse(twin: RunningTwin, script: Callable[[User], Any], *, secret: str | None = None, mic: bool = True) -> Any:
    """Run `script` as the user of a fresh session; returns the session's truth afterwards."""
    session = twin.new_session(secret=secret)
    grant = twin.sdk(session["token"]).json()

    async def run() -> None:
        async with in_room(grant, microphone=mic) as user:
            await user.until(lambda: user.frames)
            await script(user)

    asyncio.run(run())
    return twin.truth(session["session_id"])


def test_a_tone_said_is_a_tone_answered(brief_twin: RunningTwin) -> None:
    async def script(user: User) -> None:
        user.say(duration_ms=300)
        await user.message(SPEECH_ENDED)
        audible = [index for index, (_, loud) in enumerate(user.frames) if loud]
        script.first_ns = user.frames[audible[0]][0]  # type: ignore[attr-defined]
        heard = np.frombuffer(bytes(user.heard), dtype="<i2")[audible[0] * 480 : (audible[-1] + 1) * 480]
        assert len(audible) == audible[-1] - audible[0] + 1 == 50
        assert abs(int(heard[0])) > 7000
        spectrum = np.abs(np.fft.rfft(heard.astype(float)))
        assert np.argmax(spectrum) * 24000 / heard.size == 440
        phrase_id = user.all("avatar_started_speaking_phrase")[0]["phrase_id"]
        assert user.all(SPEECH_STARTED) == [{"type": SPEECH_STARTED, "phrase_id": phrase_id}]
        assert user.all("avatar_ended_speaking_phrase")[0]["phrase_id"] == phrase_id
        said = user.all("ce_events.realtime.response_transcript")
        assert len(said) == 1
        assert said[0]["transcript"].startswith("Answer 1 of twin-")
        assert user.all("ce_events.realtime.input_transcript") == []

    turns = converse(brief_twin, script)["turns"]

    assert len(turns) == 1
    pause_s = (turns[0]["first_audio_sent_ns"] - turns[0]["last_voiced_ns"]) / 1e9
    assert pause_s >= 0.18
    assert turns[0]["first_audio_sent_ns"] < script.first_ns  # type: ignore[attr-defined]
    assert (turns[0]["barge_in_heard_ns"], turns[0]["silenced_ns"]) == (None, None)


def test_users_are_transcribed_only_if_it_is_configured(brief_twin: RunningTwin) -> None:
    async def script(user: User) -> None:
        user.say(duration_ms=100)
        heard = await user.message("ce_events.realtime.input_transcript")
        assert re.fullmatch(r"This is what the user of twin-[0-9a-f]{8} said\.", heard["transcript"])
        assert isinstance(heard["timestamp"], float)
        await user.message("ce_events.realtime.response_transcript")

    converse(brief_twin, script, secret=brief_twin.secret(TRANSCRIBED))


def test_speaking_discards_what_the_avatar_was_saying(brief_twin: RunningTwin) -> None:
    async def script(user: User) -> None:
        user.say(duration_ms=100)
        await user.message(SPEECH_STARTED)
        # By 400 ms of speech the answer of 1 s has been generated whole, so nothing is left to cancel.
        await user.until(lambda: sum(loud for _, loud in user.frames) >= 20)
        user.say(duration_ms=200)
        await user.message(SPEECH_ENDED)
        before = sum(loud for _, loud in user.frames)
        assert before < 40
        await user.message(SPEECH_ENDED, count=2)
        assert sum(loud for _, loud in user.frames) == before + 50

    first, second = converse(brief_twin, script)["turns"]

    assert first["first_audio_sent_ns"] < first["barge_in_heard_ns"] <= first["silenced_ns"] + 20_000_000
    assert first["silenced_ns"] - first["barge_in_heard_ns"] < 500_000_000
    assert second["last_voiced_ns"] > first["silenced_ns"]
    assert second["first_audio_sent_ns"] - second["last_voiced_ns"] >= 180_000_000
    assert second["silenced_ns"] is None


def test_noise_below_the_threshold_is_not_speech(brief_twin: RunningTwin) -> None:
    async def script(user: User) -> None:
        user.say(duration_ms=100)
        await user.message(SPEECH_STARTED)
        quiet = (b"\x20\x00\xe0\xff" * 240) * 1
        user._to_say += [quiet] * 30
        await user.message(SPEECH_ENDED)
        assert sum(loud for _, loud in user.frames) == 50

    turns = converse(brief_twin, script)["turns"]

    assert len(turns) == 1
    assert turns[0]["silenced_ns"] is None


def test_a_microphone_that_falls_silent_by_sending_nothing_still_ends_the_turn(brief_twin: RunningTwin) -> None:
    async def script(user: User) -> None:
        for _ in range(10):
            await user.socket.send_bytes(b"\x00\x20" * 480)
        await user.message(SPEECH_STARTED)

    assert len(converse(brief_twin, script, mic=False)["turns"]) == 1


def test_the_pause_before_the_answer_is_a_knob(start_twin: Callable[..., RunningTwin]) -> None:
    async def script(user: User) -> None:
        user.say(duration_ms=100)
        await user.message(SPEECH_ENDED)
        # 20 frames of sound; begun inside a frame, they are spread over one more.
        assert sum(loud for _, loud in user.frames) in (20, 21)

    twin = start_twin("--set", "answer_after=fixed:0.9", "--set", "answer_s=0.4")
    (turn,) = converse(twin, script)["turns"]

    pause_s = (turn["first_audio_sent_ns"] - turn["last_voiced_ns"]) / 1e9
    assert pause_s >= 0.9
    assert pause_s < 1.5


def test_the_room_gets_silence_at_50_frames_a_second_from_the_start(brief_twin: RunningTwin) -> None:
    async def script(user: User) -> None:
        await user.until(lambda: len(user.frames) >= 50)
        assert not any(loud for _, loud in user.frames)
        assert user.messages[0] == {"type": "room.joined"}
        assert user.all("room.participant")[-1]["first_frame"] is True
        # 49 intervals of 20 ms; the schedule is absolute, so the mean is exact even if single frames are late.
        mean_ms = (user.frames[49][0] - user.frames[0][0]) / 49 / 1e6
        assert 15 < mean_ms < 30

    converse(brief_twin, script)
