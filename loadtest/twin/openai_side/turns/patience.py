"""How long the model waits for a silent user after its answer: `idle_timeout_ms` (docs/contract.md#a-voice-turn)."""

import asyncio
from collections.abc import Callable

from loadtest.twin.openai_side.alarms import Alarms


class Patience:
    """A timer that begins when an answer has been heard out, and ends when anybody speaks.

    `scale`: how much faster than real time the wait runs; the answer plays in real time. `position_ms` says how much
    sound of the user there was by now, `on_over` is called with what it was when the wait began.
    """

    def __init__(
        self, *, alarms: Alarms, scale: float, position_ms: Callable[[], int], on_over: Callable[[int], None]
    ) -> None:
        self._alarms = alarms
        self._scale = scale
        self._position_ms = position_ms
        self._on_over = on_over
        self._timer: asyncio.TimerHandle | None = None
        self._idle_ms: int | None = None
        self._since_ms: int | None = None
        """None: nobody waits."""

    def configure(self, idle_ms: int | None) -> None:
        """How long it lasts; None: for ever. Another length begins anew, the same one changes nothing."""
        is_changed, self._idle_ms = idle_ms != self._idle_ms, idle_ms
        if is_changed and self._since_ms is not None:
            self._begin()

    def answered(self, audio_s: float) -> None:
        """An answer of this length begins to play."""
        self.end()
        if audio_s > 0:
            self._timer = self._alarms.after(audio_s, self._begin)
        else:
            self._begin()

    def end(self) -> None:
        """Somebody speaks, the user or the model."""
        self._alarms.cancel(self._timer)
        self._since_ms = None

    def _begin(self) -> None:
        self._alarms.cancel(self._timer)
        self._since_ms = self._position_ms()
        if self._idle_ms is not None:
            self._timer = self._alarms.after(self._idle_ms / 1000 / self._scale, self._over)

    def _over(self) -> None:
        assert self._since_ms is not None
        since_ms, self._since_ms = self._since_ms, None
        self._on_over(since_ms)
