"""A `daily` module whose behaviour is the one measured of daily-python 0.36, for rooms that only Daily has.

Callbacks come on native threads; a join is answered at once (bad URL), never within a test (unreachable), or with the
participants; a frame written with a completion is done 20 ms after the one before it, one without blocks for as long;
`release` blocks while a join is unanswered. `Call` is the script of a test and its record.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

FRAME_S = 0.02
BAD_URL = 'Failed to parse url: InvalidUrl("not a url", RelativeUrlWithoutBase)'
LOOK_UP_FAILED = (
    "Connection(Api(RoomLookup(RoomInfoFetchFailed(Get(hyper_util::client::legacy::Error(Connect, Custom { kind:"
    ' Uncategorized, error: "failed to lookup address information: Name or service not known" }))))))'
)
AVATAR = {"id": "avatar-1", "info": {"isLocal": False, "isOwner": True}}
GUEST = {"id": "guest-1", "info": {"isLocal": False, "isOwner": False}}
LOCAL = {"id": "me", "info": {"isLocal": True, "isOwner": False}}


class Call:
    """What the next client meets, and what it did."""

    def __init__(self, *, answer: tuple[Any, Any] | None) -> None:
        self.answer = answer
        self.client: CallClient | None = None
        self.frames: list[bytes] = []
        self.renderer: dict[str, Any] = {}
        self.join_settings: Any = None
        self.blocking_writes = self.left = self.released = 0
        self.leave_is_answered = True
        self.may_release = threading.Event()
        self.may_release.set()


call = Call(answer=None)


class _Thread:
    """One native thread of the library, running what it is given in order."""

    def __init__(self) -> None:
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], None]) -> None:
        self._todo.put(work)

    def end(self) -> None:
        self._todo.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._todo.get()) is not None:
            work()


class EventHandler:
    pass


class CustomAudioSource:
    def __init__(self, sample_rate: int, channels: int, auto_silence: bool = True) -> None:
        assert (sample_rate, channels) == (24_000, 1)
        self._thread = _Thread()

    def __del__(self) -> None:
        self._thread.end()

    def write_frames(self, frame: bytes, completion: Callable[[int], None] | None = None) -> int:
        if completion is None:
            call.blocking_writes += 1
            time.sleep(FRAME_S)
            return len(frame) // 2

        def play() -> None:
            time.sleep(FRAME_S)
            call.frames.append(frame)
            completion(len(frame) // 2)

        self._thread.do(play)
        return 0


class CustomAudioTrack:
    def __init__(self, audio_source: CustomAudioSource) -> None:
        self.id = "track-1"


class AudioData:
    def __init__(self, audio_frames: bytes, num_channels: int) -> None:
        self.audio_frames, self.num_channels = audio_frames, num_channels


class CallClient:
    def __init__(self, event_handler: EventHandler | None = None) -> None:
        self.handler: Any = event_handler
        self.thread = _Thread()
        call.client = self

    def update_subscription_profiles(self, profiles: Any) -> None:
        assert profiles["base"]["camera"] == "unsubscribed"

    def join(self, url: str, token: str, client_settings: Any, completion: Callable[[Any, Any], None]) -> None:
        call.join_settings = client_settings
        if call.answer is not None:
            answer = call.answer
            self.thread.do(lambda: completion(*answer))
            if answer[1] is not None:
                self.tell("on_error", f"Error handling join: {answer[1]}")

    def tell(self, event: str, *arguments: Any) -> None:
        """An event, on the library's thread."""
        self.thread.do(lambda: getattr(self.handler, event)(*arguments))

    def set_audio_renderer(self, participant_id: str, callback: Any, **options: Any) -> None:
        call.renderer = {"participant": participant_id, **options}
        self.hear = lambda pcm, channels=1: self.thread.do(
            lambda: callback(participant_id, AudioData(pcm, channels), "microphone")
        )

    def leave(self, completion: Callable[[Any], None]) -> None:
        call.left += 1
        if call.leave_is_answered:
            self.thread.do(lambda: completion(None))

    def release(self) -> None:
        call.may_release.wait()
        self.thread.end()
        call.released += 1


class Daily:
    started = 0

    @classmethod
    def init(cls, worker_threads: int = 2) -> None:
        cls.started += 1

    @staticmethod
    def deinit() -> None:
        pass
