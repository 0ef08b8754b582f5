"""What counts as OpenAI's own answer, which others are held against."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.probes.bench.reference import Spoken, spoken_by_openai

PCM = bytes(480)
SAID = [
    {"type": "response.output_audio.delta", "delta": base64.b64encode(PCM).decode()},
    {"type": "response.output_audio_transcript.done", "transcript": "Well."},
]


class _Scripted:
    """OpenAI's end of a socket, which says `events`."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = events

    async def first(self) -> dict[str, Any]:
        return {"type": "session.created"}

    async def say(self, _clip: object, *, silence_s: float) -> None:
        """It listens to nobody."""

    async def until(self, _kind: str, *, within_s: float) -> list[dict[str, Any]]:
        return self._events


def _spoken(*events: dict[str, Any]) -> Spoken | None:
    @asynccontextmanager
    async def realtime(_secret: str) -> AsyncIterator[_Scripted]:
        yield _Scripted(list(events))

    async def mint(**_asked: object) -> SimpleNamespace:
        return SimpleNamespace(value="the secret")

    bench: Any = SimpleNamespace(wire=SimpleNamespace(realtime=realtime), clip=None)
    subject: Any = SimpleNamespace(mint=mint)
    return asyncio.run(spoken_by_openai(bench, subject, {}))


def _done(status: object) -> dict[str, Any]:
    return {"type": "response.done", "response": {"status": status}}


def test_an_answer_that_was_said_to_its_end_is_a_yardstick() -> None:
    assert _spoken(*SAID, _done("completed")) == Spoken(pcm=PCM, text="Well.")


@pytest.mark.parametrize(
    "end",
    [[_done("cancelled")], [_done("incomplete")], [_done("failed")], [{"type": "response.done", "response": None}], []],
)
def test_one_that_broke_off_is_none(end: list[dict[str, Any]]) -> None:
    assert _spoken(*SAID, *end) is None
    assert _spoken(*end) is None
