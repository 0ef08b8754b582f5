"""Packets on the caller's line: taken from the microphone or the room, handed on when they arrive."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from loadtest.caller.echo import Echo
from loadtest.caller.microphone import Marks
from loadtest.errors.exceptions import StepError
from loadtest.events.kinds import Mark
from loadtest.rules.life import HOLE_NS
from loadtest.session.line import Direction
from loadtest.session.ports import Listener, Told
from loadtest.sound.speech import SILENCE
from loadtest.system.clock import now_ns

_MESSAGE_BYTES = 200


class Later(Protocol):
    """Calls back at a time (`pacing.Ticker`)."""

    def at(self, due_ns: int, call: Callable[[], None]) -> None:
        """Once, `due_ns` of our clock; in order."""


class Uplink:
    """From the microphone to the room. `put` gets each frame when it arrives there, None for one that never does.

    A mark is of the moment at which its frame leaves this machine, as it is without a line: the service can't know it
    earlier. What of a speech is lost or held up is told the listener once (SENT_LOST).
    """

    def __init__(
        self,
        way: Direction,
        listener: Listener,
        later: Later,
        put: Callable[[bytes | None], None],
        *,
        sends_again: bool,
    ) -> None:
        self._way, self._listener, self._later, self._put = way, listener, later, put
        self._sends_again = sends_again
        self._sent: deque[tuple[int, bytes | None, Marks, bool, tuple[int, bytes] | None]] = deque()
        self._mixed: tuple[int, bytes] | None = None
        self._speaks = self._has_told = False
        self._least_ns: int | None = None
        self.is_cut = False

    def on_sent(self, t_ns: int, pcm: bytes) -> None:
        """The next frame holds an echo; that is told with its marks, when it arrives."""
        self._mixed = t_ns, pcm

    def send(self, frame: bytes, marks: Marks) -> None:
        t_ns = now_ns()
        due_ns, is_lost = self._way.carry(t_ns, len(frame), sends_again=self._sends_again)
        self._way.speech.sends(marks)
        if Mark.SPEECH_START in marks:
            self._speaks, self._has_told = True, False
        took_ns = due_ns - t_ns
        late = self._least_ns is not None and took_ns - self._least_ns >= HOLE_NS
        self._least_ns = took_ns if self._least_ns is None else min(self._least_ns, took_ns)
        tells = self._speaks and not self._has_told and (is_lost or late)
        self._has_told = self._has_told or tells
        if Mark.SPEECH_END in marks:
            self._speaks = False
        self._sent.append((t_ns, None if is_lost else frame, marks, tells, self._mixed))
        self._mixed = None
        self._later.at(due_ns, self._arrive)

    def _arrive(self) -> None:
        if self.is_cut:
            return
        sent_ns, frame, marks, tells, mixed = self._sent.popleft()
        t_ns = now_ns()
        self._put(frame)
        self._way.speech.arrives(t_ns, t_ns - sent_ns, marks, is_lost=frame is None)
        for mark in marks:
            self._listener.on_mark(t_ns, mark)
        if mixed is not None:
            self._listener.on_sent(mixed[0] + t_ns - sent_ns, mixed[1])
        if tells:
            self._listener.on_mark(t_ns, Mark.SENT_LOST)


class Downlink:
    """From the room to the caller, who is told of all later. The stamps are those of its arrival here, and sound that
    is lost on this line is told as well: what it does to the avatar's voice is no fault of the room, and in none of the
    session's figures. What came out of the line is in `Direction.heard`, and in the echo."""

    def __init__(
        self, way: Direction, listener: Listener, later: Later, echo: Echo | None, *, sends_again: bool
    ) -> None:
        self._way, self._listener, self._later, self._echo = way, listener, later, echo
        self._sends_again = sends_again
        self._sent: deque[tuple[int, Callable[[], None]]] = deque()
        way.sent_ns = None  # what a room before had sent arrives nowhere
        self.on_mark, self.on_sent = listener.on_mark, listener.on_sent
        self.is_cut = False

    def on_audio(self, t_ns: int, pcm: bytes, lost: int = 0, rest_ns: int = 0) -> None:
        due_ns, is_lost = self._way.carry(t_ns, len(pcm), sends_again=self._sends_again)

        def arrive() -> None:
            self._way.heard.rest(rest_ns)
            if not is_lost:
                self._way.heard.take(due_ns, pcm, speaking=pcm != SILENCE and bool(pcm.strip(b"\0")))
                if self._echo is not None:
                    self._echo.hear(due_ns, pcm)
            self._listener.on_audio(t_ns, pcm, lost, rest_ns)

        self._hand_on(t_ns, due_ns, arrive)

    def on_message(self, t_ns: int, told: Told) -> None:
        self._hand_on(t_ns, self._due_ns(t_ns), lambda: self._listener.on_message(t_ns, told))

    def on_closed(self, t_ns: int, why: StepError) -> None:
        self._hand_on(t_ns, self._due_ns(t_ns), lambda: self._listener.on_closed(t_ns, why))

    def _due_ns(self, t_ns: int) -> int:
        return self._way.carry(t_ns, _MESSAGE_BYTES, sends_again=True, may_be_lost=False)[0]

    def _hand_on(self, t_ns: int, due_ns: int, call: Callable[[], None]) -> None:
        self._sent.append((t_ns, call))
        self._way.sent_ns = self._sent[0][0]
        self._later.at(due_ns, self._arrive)

    def _arrive(self) -> None:
        if self.is_cut:
            return
        _, call = self._sent.popleft()
        self._way.sent_ns = self._sent[0][0] if self._sent else None
        call()
