"""The Daily room, for real endpoints alone: the library looks every room up at Daily, so none can be served here.

daily-python's callbacks come on native threads: they take a stamp and hand over to the event loop, nothing else. It
waits 19 s for a room that it can't look up, so the deadline is our own (both measured, version 0.36).
"""

import asyncio
import atexit
import contextlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import daily

from loadtest.caller.microphone import Marks
from loadtest.caller.situations import Around
from loadtest.errors.causes import broken_by
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Mark
from loadtest.rooms.app_messages import bounded, translated
from loadtest.rooms.flood import FloodGate, of_text
from loadtest.rooms.native_stderr import quiet_stderr
from loadtest.secrecy.redact import redact
from loadtest.session.ports import Grant, Listener, Situation
from loadtest.sound.speech import FRAME_MS, FRAME_NS, RATE_HZ, Clip, mono
from loadtest.system.clock import now_ns

JOIN_TIMEOUT_S = 10.0
LEAVE_TIMEOUT_S = 2.0
WORKER_THREADS = 2
IN_FLIGHT = 2
"""Frames that the library holds: each one's completion lets the next one in, so that the library paces us."""

_REFUSALS = {
    "nbf-room": Code.DAILY_NBF_ROOM,
    "nbf-token": Code.DAILY_NBF_TOKEN,
    "exp-room": Code.DAILY_EXP_ROOM,
    "exp-token": Code.DAILY_EXP_TOKEN,
    "no-room": Code.DAILY_NO_ROOM,
    "meeting-full": Code.DAILY_MEETING_FULL,
    "not-allowed": Code.DAILY_NOT_ALLOWED,
}
_ENDS = {"ejected": Code.DAILY_EJECTED, "end-of-life": Code.DAILY_END_OF_LIFE}
_CHAIN = re.compile(r"^(?:[A-Za-z]+\()+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class DailyRoom:
    """One user's side of a call. `between`: frames for when nothing is spoken, in turn; none: the library's silence."""

    def __init__(
        self, grant: Grant, listener: Listener, between: tuple[bytes, ...], *, situation: Situation | None = None
    ) -> None:
        _start_library()
        around = Around(listener, situation, None, sends_again=False)
        self._grant, self._listener = grant, around.listener
        self._microphone = around.microphone(between, ahead_ns=IN_FLIGHT * FRAME_NS)
        self._relay = _Relay(asyncio.get_running_loop())
        self._joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._source: Any = daily.CustomAudioSource(RATE_HZ, 1, True)
        # A track per client: the names of virtual microphones are the process's.
        self._track: Any = daily.CustomAudioTrack(self._source)
        self._client: Any = daily.CallClient(event_handler=_handler(self, self._relay))
        self._avatar: str | None = None
        self._is_in = self._is_over = self._has_frame = False
        self._in_flight, self._last_error = 0, ""
        self._gate = FloodGate(now_ns())

    @property
    def lost(self) -> int | None:
        """Unknown: the library plays out what it got, and its own statistics could not be tried here."""
        return None

    async def connect(self) -> None:
        self._client.update_subscription_profiles({"base": {"camera": "unsubscribed", "microphone": "subscribed"}})
        microphone = {"isEnabled": True, "settings": {"customTrack": {"id": self._track.id}}}
        self._client.join(
            self._grant.room_url,
            self._grant.token,
            client_settings={"inputs": {"camera": False, "microphone": microphone}},
            completion=self._relay.to(self._on_join_answered),
        )
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                await self._joined
        except TimeoutError:
            detail = f"not joined within {JOIN_TIMEOUT_S:g} s {redact(self._last_error, self._grant.token)}".strip()
            raise StepError(Kind.TIMEOUT, Code.DAILY_CONNECTION_ERROR, detail) from None
        await self._ready

    def speak(self, clip: Clip) -> None:
        if self._is_over or not self._is_in:
            raise StepError(Kind.TRANSPORT, Code.DAILY_CONNECTION_ERROR, "the room is over")
        self._microphone.speak(clip.frames, first_voiced=clip.first_voiced, last_voiced=clip.last_voiced)
        self._feed()

    async def cut(self) -> None:
        await self.close()  # the library can't be gone without a word

    async def close(self) -> None:
        client, self._client = self._client, None
        self._is_over = True
        if client is None:
            return
        left, released = _Once(), _Once()
        if self._is_in:  # behind an unanswered join a leave would only wait with it
            client.leave(completion=self._relay.to(left.happened))
            await left.wait(LEAVE_TIMEOUT_S)
        # With a join unanswered this blocks until the library gives up on it (19 s), so it is not waited for that long.
        done = self._relay.to(released.happened)
        releasing = threading.Thread(target=lambda: (client.release(), done()), name="daily-release", daemon=True)
        releasing.start()
        if await released.wait(LEAVE_TIMEOUT_S):
            releasing.join()
        self._relay.stop()
        # Two threads, and the library aborts the process where one of these outlives it.
        self._source = self._track = None

    # --- what the library says, on the event loop

    def on_state(self, t_ns: int, state: str) -> None:
        if state == "left" and not self._is_over:
            said = self._last_error
            self._end(t_ns, classify(said, self._grant.token) if said else _gone("the call was left"))

    def on_error(self, t_ns: int, message: str) -> None:
        self._last_error = message
        self._grant.watch.look("room: error", message, in_room=True)

    def on_participant(self, t_ns: int, participant: Mapping[str, Any]) -> None:
        """The avatar is the one who owns the room (docs/contract.md#the-sdks-api)."""
        if self._avatar is None and not self._is_over and participant.get("info", {}).get("isOwner"):
            self._avatar = str(participant["id"])
            self._listener.on_mark(t_ns, Mark.AVATAR_PRESENT)
            hear = self._relay.to(self._on_audio)
            self._client.set_audio_renderer(
                self._avatar,
                lambda _id, audio, _source: hear(audio.audio_frames, audio.num_channels),
                sample_rate=RATE_HZ,
                callback_interval_ms=FRAME_MS,
            )

    def on_participant_left(self, t_ns: int, participant: Mapping[str, Any]) -> None:
        if participant.get("id") == self._avatar and not self._is_over:
            self._end(t_ns, _gone("the avatar left the call"))

    def on_message(self, t_ns: int, message: Any) -> None:
        if not isinstance(message, dict) or self._is_over:
            return
        text = json.dumps(message, default=str)
        try:
            self._gate.take(t_ns, of_text(len(text)))
            bounded(len(text))
            self._grant.watch.look("room: app-message", text, in_room=True)
            self._listener.on_message(t_ns, translated(message))
        except Exception as error:
            self._end(t_ns, broken_by(error))

    def _on_join_answered(self, t_ns: int, data: Mapping[str, Any] | None, error: str | None) -> None:
        if self._is_over:
            return
        if error is not None:
            self._is_over = True
            self._grant.watch.look("room: refused join", error, in_room=True)
            self._fail(classify(error, self._grant.token))
            return
        self._is_in = True
        if not self._joined.done():
            self._joined.set_result(None)
        self._listener.on_mark(t_ns, Mark.JOINED)
        for participant in (data or {}).get("participants", {}).values():
            if not participant.get("info", {}).get("isLocal"):
                self.on_participant(t_ns, participant)
        self._feed()

    def _on_audio(self, t_ns: int, pcm: bytes, channels: int) -> None:
        if self._is_over:
            return
        if not self._has_frame:
            self._has_frame = True
            self._listener.on_mark(t_ns, Mark.FIRST_FRAME)
            if not self._ready.done():
                self._ready.set_result(None)
        self._listener.on_audio(t_ns, pcm if channels == 1 else mono(pcm, channels))

    # --- the microphone

    def _feed(self) -> None:
        while self._in_flight < IN_FLIGHT and not self._is_over:
            frame, marks = self._microphone.take()
            if frame is None:
                return
            self._in_flight += 1
            # Without a completion this call would block for the length of the frame.
            self._source.write_frames(frame, completion=self._relay.to(self._sent(marks)))

    def _sent(self, marks: Marks) -> Callable[[int, int], None]:
        """The frame has left at its completion, not when it was handed over."""

        def sent(t_ns: int, _frames: int) -> None:
            self._in_flight -= 1
            for mark in marks:
                self._listener.on_mark(t_ns, mark)
            self._feed()

        return sent

    def _end(self, t_ns: int, why: StepError) -> None:
        self._is_over = True
        self._fail(why)
        self._listener.on_closed(t_ns, why)

    def _fail(self, error: StepError) -> None:
        for waited_for in (self._joined, self._ready):
            if not waited_for.done():
                waited_for.set_exception(error)
                waited_for.exception()  # seen: nobody may be waiting any more


class _Once:
    """Something that will have happened, or not."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def happened(self, *_: Any) -> None:
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), timeout_s)
        return self._event.is_set()


class _Relay:
    """Carries callbacks from the library's threads to the loop, the stamp of their arrival as first argument."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_stopped = False

    def to(self, target: Callable[..., Any]) -> Callable[..., None]:
        def arrived(*arguments: Any) -> None:
            t_ns = now_ns()
            if not self._is_stopped:
                try:
                    self._loop.call_soon_threadsafe(target, t_ns, *arguments)
                except RuntimeError:  # the loop has ended, and with it whoever wanted to know
                    self._is_stopped = True

        return arrived

    def stop(self) -> None:
        """Nothing is carried any more."""
        self._is_stopped = True


def _handler(room: DailyRoom, relay: _Relay) -> Any:
    """What of the library's events a room wants; it looks them up by name."""

    class Handler(daily.EventHandler):  # here, so that this module names its base only where the library was started
        on_call_state_updated = staticmethod(relay.to(room.on_state))
        on_error = staticmethod(relay.to(room.on_error))
        on_participant_joined = on_participant_updated = staticmethod(relay.to(room.on_participant))
        on_participant_left = staticmethod(relay.to(lambda t_ns, who, _reason: room.on_participant_left(t_ns, who)))
        on_app_message = staticmethod(relay.to(lambda t_ns, message, _sender: room.on_message(t_ns, message)))

    return Handler()


def classify(error: str, token: str) -> StepError:
    """A failure in the library's words: a chain of names like `Connection(Api(RoomLookup(…`, or a sentence."""
    detail = redact(error, token)
    if error.startswith("Failed to parse url"):
        return StepError(Kind.PROTOCOL, Code.BAD_SHAPE, detail)
    words = _CAMEL.sub("-", error).lower()
    for kind, codes in ((Kind.REJECTED, _REFUSALS), (Kind.TRANSPORT, _ENDS)):
        for name, code in codes.items():
            if name in words:
                return StepError(kind, code, detail)
    chain = _CHAIN.match(error)
    return _gone(f"{chain[0].rstrip('(').replace('(', '.')}: {detail}" if chain else detail)


def _gone(detail: str) -> StepError:
    return StepError(Kind.TRANSPORT, Code.DAILY_CONNECTION_ERROR, detail)


@cache
def _start_library() -> None:
    """Once per process, and stopped at its end."""
    quiet_stderr()
    daily.Daily.init(worker_threads=WORKER_THREADS)
    atexit.register(daily.Daily.deinit)
