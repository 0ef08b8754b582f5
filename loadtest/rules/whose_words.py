"""Whose words a transcript holds: those of its own session, or of another (TR-7). Texts are never kept.

Source: docs/contract.md#rules-of-transcripts.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Final

from loadtest.config.keys.scenario import ASKING
from loadtest.events.kinds import Mark, Observed, SessionFinished, Step, StepFinished
from loadtest.rules.fold import Fold, Handler, Key
from loadtest.rules.life import Heard, Life
from loadtest.rules.tally import Tally

_OF_USER: Final = (Mark.USER_TRANSCRIPT, Mark.TRANSCRIPT_FAILED)
_SAME_MOMENT_NS: Final = 100_000_000
TWICE_NS: Final = 20_000_000
"""Equal texts so close together in one session were said twice; what others say comes when they say it."""
_NEIGHBOURS: Final = 16
_MOST_SAID: Final = 100_000
_LEAKS_OF_ONE: Final = 2
"""So many answers of one other session may end while this one's is heard."""


class ItsOwn(Fold):
    """A transcript with another session's code word is a leak, and so is one that is equal to another's to the
    microsecond of its stamp. Where words tell nothing: more transcripts than own words explain, one of which another
    session got at the same moment.

    The last is felt only between sessions of one load process, and only in answers heard out. Two sessions that are
    given one room, while one of them is in it, share all that is said there.
    """

    rule = "TR-7"

    def __init__(self) -> None:
        super().__init__()
        self._latest: deque[Heard] = deque(maxlen=_NEIGHBOURS)
        self._rooms: dict[str, str] = {}
        self._room_of: dict[str, str] = {}
        self._leaks = Tally()
        self._said_by: OrderedDict[str, str] = OrderedDict()  # code word, or text and stamp → the first session with it
        self._crossed: set[tuple[str, str]] = set()
        self._unexplained = 0

    def handlers(self) -> Mapping[Key, Handler]:
        return {
            Mark.AVATAR_TRANSCRIPT: self._transcript,
            **dict.fromkeys(_OF_USER, self._user_transcript),
            Mark.SPEECH_START: self._window_ends,
            Mark.SDK_SESSION: self._granted,
            Step.CONVERSE: self._conversed,
            SessionFinished: self._left,
        }

    def handlers_after_cut(self) -> Mapping[Key, Handler]:
        return {Mark.SDK_SESSION: self._granted, Step.CONVERSE: self._left, SessionFinished: self._left}

    def _granted(self, event: Observed, life: Life) -> None:
        if event.digest is None:
            return
        self._room_of[life.session] = event.digest
        if self._rooms.setdefault(event.digest, life.session) != life.session:
            self.tally.broken(life.session, "it was given the room that another session was in")

    def _conversed(self, event: StepFinished, life: Life) -> None:
        self._window_ends(event, life)
        self._left(event, life)

    def _left(self, _event: object, life: Life) -> None:
        room = self._room_of.pop(life.session, "")
        if self._rooms.get(room) == life.session:
            del self._rooms[room]

    def _user_transcript(self, event: Observed, life: Life) -> None:
        self._is_foreign(event, life)

    def _is_foreign(self, event: Observed, life: Life) -> str | None:
        """The session whose words these are, if it is another one; from now on the transcript is `life.foreign`."""
        life.foreign = False
        if event.speaker is not None:
            said, what = event.speaker, "words"
        elif event.digest is not None and event.stamped_s is not None and is_fine(event.stamped_s):
            said, what = f"{event.digest} {event.stamped_s!r}", "a transcript"
        else:
            return None
        owner = self._said_by.setdefault(said, life.session)
        if owner == life.session:
            if event.speaker is not None and life.speaker is None:
                life.speaker = event.speaker
            if len(self._said_by) > _MOST_SAID:
                self._said_by.popitem(last=False)
            return None
        # Who has words of his own is the one that got others'; else the one that was first heard with them.
        life.foreign = event.speaker is None or life.speaker not in (None, event.speaker)
        if (owner, life.session) not in self._crossed:
            self._crossed |= {(owner, life.session), (life.session, owner)}
            self.tally.broken(life.session, f"{what} of one session were told in another (session {owner[:12]})")
        return owner

    def _transcript(self, event: Observed, life: Life) -> None:
        heard = life.transcripts[-1]
        if (owner := self._is_foreign(event, life)) is not None and life.foreign:
            heard.twin, heard.is_told = owner, True
            return
        if heard.digest is None:
            return
        for other in self._latest:
            if (
                other.digest == heard.digest
                and other.session != heard.session
                and abs(other.t_ns - heard.t_ns) < _SAME_MOMENT_NS
            ):
                other.twin, heard.twin = heard.session, other.session
        self._latest.append(heard)

    def _window_ends(self, _event: object, life: Life) -> None:
        if life.kind not in ASKING or not life.ok or not life.heard_out or not life.transcripts:
            return
        excess = sum(not heard.is_told for heard in life.transcripts) - max(life.phrases, life.starts, 1) - life.missing
        if excess > 0 and life.split:
            return
        if 0 < excess <= foreign(life.transcripts):
            self._leaks.broken(life.session, "it got a transcript of what another session's avatar said")
            return
        self._unexplained += excess > 0
        if life.transcripts[0].digest is not None:
            self.tally.held()

    def value(self) -> Tally:
        if self._leaks.violations > _LEAKS_OF_ONE * self._unexplained:
            return self.tally.plus(self._leaks)
        return self.tally  # who says everything twice says it twice in two sessions at the same moment, too


def foreign(transcripts: list[Heard]) -> int:
    """How many may have come from another session, and are not just its own said twice. More than a few of each are
    not what leaks: pieces of answers are equal in many sessions."""
    sources = [
        heard.twin
        for heard in transcripts
        if heard.twin is not None
        and not any(
            other is not heard and other.digest == heard.digest and abs(other.t_ns - heard.t_ns) < TWICE_NS
            for other in transcripts
        )
    ]
    return len(sources) if len(sources) <= _LEAKS_OF_ONE * len(set(sources)) else 0


def is_fine(stamp_s: float) -> bool:
    """Whether a stamp is finer than a millisecond: two messages that are equal in it are one."""
    return 0.002 < stamp_s * 1000 % 1 < 0.998
