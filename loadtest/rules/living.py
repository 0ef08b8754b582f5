"""What the life of a session is made of: what each event changes in it, before or after the rules look at it."""

from collections.abc import Mapping
from typing import Final

from loadtest.config.keys.scenario import ANSWERED, HESITATING
from loadtest.errors.kinds import Code
from loadtest.events.kinds import (
    Mark,
    Observed,
    Outcome,
    RemainsChanged,
    RemainsReason,
    SecretMinted,
    Step,
    StepFinished,
)
from loadtest.rules.fold import Handler, Key
from loadtest.rules.life import HOLE_NS, Heard, Life, ended_before

_HEARD_MORE: Final = (Code.ANSWERED_EARLY, Code.SELF_INTERRUPTED, Code.STOPPED_BY_BACKCHANNEL)
"""Of a turn in which the service has heard more speeches than the user has made, or other ones."""
_CLOCK_DOUBT_S: Final = 30.0
"""Further from the provider's clock than this, ours is taken to be wrong."""


def _minted(event: SecretMinted, life: Life) -> None:
    life.secret, life.expires_ns = event, event.expires_ns
    clock_off_s = event.off_s if event.provider_s is None else event.provider_s - event.wall_ns / 1e9
    if abs(clock_off_s) < _CLOCK_DOUBT_S:  # without the provider's clock, what it says of the secret's life shows ours
        life.wall_offset_ns = event.wall_ns - event.t_ns


def _remains(event: RemainsChanged, life: Life) -> None:
    if event.reason == RemainsReason.CREATE_ANSWERED:
        life.created_ns = event.t_ns


def _connected(event: StepFinished, life: Life) -> None:
    if event.outcome == Outcome.OK:
        life.connected_ns = event.t_ns


def _conversed(event: StepFinished, life: Life) -> None:
    life.conversed_ns = event.t_ns
    if event.failure is not None and event.failure.code == Code.MEDIA_STALLED:
        life.stalled = True


def _turn(event: StepFinished, life: Life) -> None:
    life.kind, life.ok = event.turn_kind, event.outcome == Outcome.OK
    life.hesitations += event.turn_kind in HESITATING
    if (event.packets_lost or 0) > 0 or (event.hole_ns or 0) >= HOLE_NS:
        life.impair()
    if event.unasked or (event.failure is not None and event.failure.code in _HEARD_MORE):
        life.impair()
    if event.turn_kind in ANSWERED:
        unanswered = event.failure is not None and event.failure.code == Code.NO_ANSWER
        life.mute = None if unanswered and event.outcome == Outcome.CANCELLED else unanswered
        if life.ok and life.speech_end_ns is not None:
            life.answered_ends_ns.append(life.speech_end_ns)


def _deleted(event: StepFinished, life: Life) -> None:
    if ended_before(event):
        life.noted.add("ended before its delete")


def _asked(_event: Observed, life: Life) -> None:
    life.sdk_session = True


def _joined(event: Observed, life: Life) -> None:
    life.joined_ns = event.t_ns


def _first_frame(event: Observed, life: Life) -> None:
    life.first_frame_ns = event.t_ns


def _room_ended(event: Observed, life: Life) -> None:
    life.room_ended_ns = event.t_ns


def _error(event: Observed, life: Life) -> None:
    if life.error_ns is None:
        life.error_ns = event.t_ns


def _speech_started(event: Observed, life: Life) -> None:
    life.open_window(event.t_ns)


def _speech_ended(event: Observed, life: Life) -> None:
    life.speech_end_ns = event.t_ns


def _first_audio(event: Observed, life: Life) -> None:
    life.first_audio_ns = event.t_ns


def _last_audio(_event: Observed, life: Life) -> None:
    life.heard_out = True


def _silenced(event: Observed, life: Life) -> None:
    life.silenced_ns = event.t_ns


def _avatar_started(event: Observed, life: Life) -> None:
    life.starts += 1
    if life.started_ns is None and life.speech_end_ns is not None:
        life.started_ns = event.t_ns


def _avatar_ended(event: Observed, life: Life) -> None:
    if life.ended_ns is None:
        life.ended_ns = event.t_ns


def _phrase_started(_event: Observed, life: Life) -> None:
    life.phrases += 1


def _avatar_said(event: Observed, life: Life) -> None:
    life.transcripts.append(Heard(event.t_ns, life.session, event.digest))
    life.avatar_transcripts += 1


def _user_said(_event: Observed, life: Life) -> None:
    if life.foreign:
        return
    life.user_transcripts += 1
    life.user_told += 1
    life.user_spoke_last = True


OWN: Final[Mapping[Key, Handler]] = {
    SecretMinted: _minted,
    RemainsChanged: _remains,
    Step.CONNECT: _connected,
    Step.CONVERSE: _conversed,
    Step.TURN: _turn,
    Step.DELETE: _deleted,
    Mark.SDK_SESSION: _asked,
    Mark.JOINED: _joined,
    Mark.FIRST_FRAME: _first_frame,
    Mark.ROOM_ENDED: _room_ended,
    Mark.SESSION_ERROR: _error,
    Mark.SPEECH_END: _speech_ended,
    Mark.SENT_LOST: lambda _event, life: life.impair(),
    Mark.LINE_CUT: lambda _event, life: life.cut(),
    Mark.FIRST_AUDIO: _first_audio,
    Mark.LAST_AUDIO: _last_audio,
    Mark.SILENCED: _silenced,
    Mark.AVATAR_STARTED: _avatar_started,
    Mark.AVATAR_ENDED: _avatar_ended,
    Mark.PHRASE_STARTED: _phrase_started,
    Mark.AVATAR_TRANSCRIPT: _avatar_said,
}
"""By event: a rule's own handlers come after these."""
AFTER: Final[Mapping[Key, Handler]] = {
    # A rule looks at what was before: the window that a speech ends, the transcript that is the second.
    Mark.SPEECH_START: _speech_started,
    Mark.USER_TRANSCRIPT: _user_said,
    Mark.TRANSCRIPT_FAILED: _user_said,
}
