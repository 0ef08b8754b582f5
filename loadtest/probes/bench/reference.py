"""The control experiment: the same question to OpenAI itself, whose answer is the yardstick for what Avaturn makes of
it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.errors.exceptions import StepError
from loadtest.probes.bench.bench import Bench
from loadtest.probes.bench.subject import Subject
from loadtest.sound.speech import RATE_HZ
from loadtest.text.validation import plain

GENERATED_WITHIN_S = 60.0
_SOUND, _TEXT = "response.output_audio.delta", "response.output_audio_transcript.done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """An answer as OpenAI sends it: PCM16LE of 24 kHz, mono, and its text."""

    pcm: bytes
    text: str

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / 2 / RATE_HZ


async def spoken_by_openai(bench: Bench, subject: Subject, realtime: Mapping[str, Any]) -> Spoken | None:
    """OpenAI's own answer to the probe's clip; None: there was none, or it was not said to its end."""
    try:
        secret = await subject.mint(realtime=realtime)
        async with bench.wire.realtime(secret.value) as socket:
            if (await socket.first()).get("type") != "session.created":
                return None
            await socket.say(bench.clip, silence_s=1.5)
            events = await socket.until("response.done", within_s=GENERATED_WITHIN_S)
    except StepError:
        return None
    ended = events[-1].get("response") if events else None
    if not isinstance(ended, dict) or ended.get("status") != "completed":
        return None
    try:
        pcm = b"".join(base64.b64decode(event["delta"]) for event in events if event.get("type") == _SOUND)
    except (KeyError, TypeError, ValueError):
        return None
    text = "".join(plain(event.get("transcript")) for event in events if event.get("type") == _TEXT)
    return Spoken(pcm=pcm, text=text) if pcm else None
