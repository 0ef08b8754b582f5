"""What the folds remember of a load session while it lasts: shared facts, kept once, and a few words of each rule."""

from typing import Any, Final

from loadtest.config.promise import Promise
from loadtest.events.kinds import SessionStarted, StepFinished

ENDED_STATUS: Final = (404, 410)
"""Of a delete: there is no such session any more."""


HOLE_NS: Final = 100_000_000
"""So long without a frame, on top of a pause between two words, may end a speech for the service; a player's buffer is
as long (playout.py)."""


CUT: Final = "the caller's line was cut"


def ended_before(event: StepFinished) -> bool:
    """A delete's first attempt found nothing any more."""
    return event.attempt == 1 and event.http_status in ENDED_STATUS


class Life:
    """One session. All times are ns of the journal's clock, None = not seen.

    The window is what came since the user began to speak last: `phrases` and `starts` of the avatar, its transcripts;
    `heard_out`: the answer was listened to until its end; `user_told`: transcripts of the user; `impaired`: the line
    lost or held up what was said; `before_…`: the same of the window before.
    """

    __slots__ = (
        "answered_ends_ns",
        "avatar_transcripts",
        "before_impaired",
        "before_phrases",
        "before_transcripts",
        "connected_ns",
        "conversed_ns",
        "created_ns",
        "cut_phrase",
        "ended_ns",
        "error_ns",
        "expires_ns",
        "first_audio_ns",
        "first_frame_ns",
        "foreign",
        "handlers",
        "heard_out",
        "hesitations",
        "impaired",
        "impaired_turns",
        "joined_ns",
        "kind",
        "last_phrase",
        "mints_refused",
        "missing",
        "mute",
        "noted",
        "ok",
        "open_speech",
        "phrases",
        "promise",
        "room_ended_ns",
        "sdk_session",
        "secret",
        "session",
        "silenced_ns",
        "speaker",
        "speech_end_ns",
        "speech_start_ns",
        "speeches",
        "stalled",
        "stamps",
        "started_ns",
        "starts",
        "transcripts",
        "user_spoke_last",
        "user_told",
        "user_transcripts",
        "wall_offset_ns",
    )

    def __init__(self, event: SessionStarted, promise: Promise | None) -> None:
        self.session = event.session
        self.promise = promise
        self.handlers: dict[Any, Any] = {}  # what its rules want to see
        # The session
        self.secret: Any = None  # its SecretMinted
        self.expires_ns: int | None = None  # of that, worked out once: each turn is held against it
        self.wall_offset_ns: int | None = None  # provider's wall clock minus the journal's clock
        self.created_ns: int | None = None
        self.sdk_session = False
        self.joined_ns: int | None = None
        self.first_frame_ns: int | None = None
        self.connected_ns: int | None = None
        self.conversed_ns: int | None = None
        self.error_ns: int | None = None
        self.room_ended_ns: int | None = None
        self.stalled = False
        self.mints_refused = 0
        self.noted: set[str] = set()  # rules that count a session once, and have
        # Its talk
        self.speech_start_ns: int | None = None
        self.speech_end_ns: int | None = None
        self.silenced_ns: int | None = None
        self.answered_ends_ns: list[int] = []  # ends of the user's speeches that were answered
        self.speeches = 0
        self.speaker: str | None = None  # the code word of its transcripts
        self.impaired_turns = 0
        self.hesitations = 0  # speeches with a pause in their middle, which may be the end of one for the service
        self.mute: bool | None = False  # the last speech was not answered; None: nor may it have been heard
        self.user_transcripts = 0
        self.avatar_transcripts = 0
        self.open_speech = False
        self.last_phrase: str | None = None
        self.cut_phrase: str | None = None
        self.missing = 0  # transcripts that the avatar's phrases so far still owe
        self.stamps: dict[str, float] = {}  # latest time stamp by kind of transcript
        # The window
        self.phrases = self.starts = self.before_phrases = self.before_transcripts = 0
        self.transcripts: list[Heard] = []
        self.user_spoke_last = False
        self.user_told = 0
        self.impaired = self.before_impaired = False
        self.started_ns: int | None = None
        self.ended_ns: int | None = None
        self.first_audio_ns: int | None = None
        self.heard_out = self.ok = False
        self.kind: str | None = None
        self.foreign = False  # the transcript that has just come is of another session (TR-7)

    @property
    def split(self) -> bool:
        """The service may have made several turns of what the user said in one: the line had holes, or it told more of
        his words than he had said. What such a turn left over comes in the next window."""
        told_twice = self.user_told > 1 and self.user_transcripts > self.speeches
        return self.impaired or self.before_impaired or told_twice

    def is_over_by_age(self, t_ns: int) -> bool:
        """Whether the room may end now because `max_duration` is over. Whether that counts from the create or from the
        first frame, no one knows."""
        if self.promise is None or self.created_ns is None:
            return False
        limit_s = self.promise.max_duration_s
        latest_s = limit_s + max(5.0, 0.05 * limit_s)
        latest_ns = (self.first_frame_ns or self.created_ns) + latest_s * 1e9
        return self.created_ns + (limit_s - 1) * 1e9 <= t_ns <= latest_ns

    def once(self, rule: str) -> bool:
        """True for the first time that the rule asks."""
        if rule in self.noted:
            return False
        self.noted.add(rule)
        return True

    def impair(self) -> None:
        """What was said in this window may not be what the service heard: the line lost or held up some of it, or the
        caller's room was loud, too."""
        self.impaired_turns += not self.impaired
        self.impaired = True

    def cut(self) -> None:
        """The caller's own line is dead: what was told meanwhile was told to nobody."""
        self.noted.add(CUT)
        self.impair()
        self.phrases = self.starts = self.missing = 0
        self.transcripts = []
        self.open_speech = False

    def open_window(self, t_ns: int) -> None:
        """The user begins to speak."""
        self.speeches += 1
        self.before_phrases, self.before_transcripts = max(self.phrases, self.starts), len(self.transcripts)
        self.phrases = self.starts = 0
        self.transcripts = []
        self.user_spoke_last = False
        self.user_told = 0
        self.before_impaired, self.impaired = self.impaired, False
        if self.promise is not None and not self.promise.quiet_caller:
            self.impair()
        self.speech_start_ns, self.speech_end_ns, self.silenced_ns = t_ns, None, None
        self.started_ns = self.ended_ns = self.first_audio_ns = None
        self.heard_out = self.ok = False
        self.kind = None


class Heard:
    """A transcript that came; `twin`: another session to which an equal one came at the same moment."""

    __slots__ = ("digest", "is_told", "session", "t_ns", "twin")

    def __init__(self, t_ns: int, session: str, digest: str | None) -> None:
        self.t_ns, self.session, self.digest = t_ns, session, digest
        self.twin: str | None = None
        self.is_told = False  # its words say that they are another session's
