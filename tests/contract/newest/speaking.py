"""What a user of every client stack says: frames in real time, silence between the words."""

import asyncio
from collections.abc import AsyncIterator

from loadtest.twin.pcm import tone

FRAME_MS, SAMPLE_RATE = 20, 24_000
FRAME_BYTES = SAMPLE_RATE * FRAME_MS // 1000 * 2
DEADLINE_S = 30


class Voice:
    """A microphone that never ends: 20 ms of 24 kHz PCM at a time, as they fall due."""

    def __init__(self) -> None:
        self._words = b""

    def say(self, *, duration_ms: int) -> None:
        """Begin to speak with the next frame."""
        self._words += tone(duration_ms=duration_ms)

    async def frames(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            frame, self._words = self._words[:FRAME_BYTES], self._words[FRAME_BYTES:]
            yield frame.ljust(FRAME_BYTES, b"\0")
            due_s += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due_s - loop.time()))
