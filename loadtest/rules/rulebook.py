"""All rules at once: a sink for events while the load runs, and the same again over the journals."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from loadtest.errors import Code
from loadtest.events import (
    LOAD,
    Event,
    Mark,
    Observed,
    Outcome,
    RemainsChanged,
    RuleChecked,
    RuleOutcome,
    SecretGivenBack,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)
from loadtest.rules import expiry, interruption, refusals, termination, transcripts
from loadtest.rules.fold import Fold, Handler
from loadtest.rules.life import Heard, Life, ended_before
from loadtest.rules.promise import Promise
from loadtest.rules.statements import RULES
from loadtest.rules.tally import Tally, row

FOLDS: Final[tuple[type[Fold], ...]] = (
    *expiry.FOLDS,
    *termination.FOLDS,
    *transcripts.FOLDS,
    *interruption.FOLDS,
    *refusals.FOLDS,
)
_SPOKEN: Final = ("say", "barge_in")
_WORST: Final = (RuleOutcome.FAIL, RuleOutcome.CHARACTERISED, RuleOutcome.NOT_TESTED, RuleOutcome.PASS)
_MOST_SEEN: Final = 20
"""Of what the probes of a rule saw, where they saw different things."""
_CLOCK_DOUBT_S: Final = 30.0
"""Further from the provider's clock than this, ours is taken to be wrong."""


class Rulebook:
    """The fold. `add` is a `Sink`. `promises`: by name of the scenario; a session of any other has none.

    Passive evidence is read from load sessions alone: what a probe does on purpose is judged by the probe, which says
    RuleChecked.
    """

    def __init__(self, promises: Mapping[str, Promise]) -> None:
        self._promises = promises
        self._lives: dict[str, Life] = {}
        self._folds = {kind.rule: kind() for kind in FOLDS}
        self._probed = {rule: Tally() for rule in RULES}
        self._why_not: dict[str, str] = {}
        self._seen: dict[str, dict[str, RuleOutcome]] = {}  # by rule, what its probes saw
        self._probed_s: dict[str, float] = {}  # by purpose, how long its sessions went on
        self._probed_by: dict[str, set[str]] = {}  # by rule, purposes
        own: dict[Any, Callable[[Any, Life], None]] = {
            SecretMinted: _minted,
            RemainsChanged: _remains,
            Step.CONNECT: _connected,
            Step.CONVERSE: _conversed,
            Step.TURN: _turn,
            Step.DELETE: _deleted,
            Mark.SDK_SESSION: _asked,
            Mark.JOINED: _joined,
            Mark.FIRST_FRAME: _first_frame,
            Mark.MESSAGES_CUT: self._messages_cut,
            Mark.ROOM_ENDED: _room_ended,
            Mark.SESSION_ERROR: _error,
            Mark.SPEECH_END: _speech_ended,
            Mark.FIRST_AUDIO: _first_audio,
            Mark.LAST_AUDIO: _last_audio,
            Mark.SILENCED: _silenced,
            Mark.AVATAR_STARTED: _avatar_started,
            Mark.AVATAR_ENDED: _avatar_ended,
            Mark.PHRASE_STARTED: _phrase_started,
            Mark.AVATAR_TRANSCRIPT: _avatar_said,
        }
        after: dict[Any, Callable[[Any, Life], None]] = {
            # A rule looks at what was before: the window that a speech ends, the transcript that is the second.
            Mark.SPEECH_START: _speech_started,
            Mark.USER_TRANSCRIPT: _user_said,
            Mark.TRANSCRIPT_FAILED: _user_said,
        }
        self._handlers: dict[Any, list[Handler]] = {key: [handler] for key, handler in own.items()}
        for fold in self._folds.values():
            for key, handler in fold.handlers().items():
                self._handlers.setdefault(key, []).append(handler)
        for key, handler in after.items():
            self._handlers.setdefault(key, []).append(handler)

    def add(self, event: Event) -> None:
        """Fold one event in."""
        kind: Any = type(event)
        if kind is Observed:
            kind = event.mark  # type: ignore[union-attr]
        elif kind is StepFinished:
            kind = event.step  # type: ignore[union-attr]
        elif kind is SessionStarted:
            self._session_started(event)  # type: ignore[arg-type]
            return
        elif kind is RuleChecked:
            self._checked(event)  # type: ignore[arg-type]
            return
        elif kind is SecretGivenBack and event.purpose != LOAD:  # type: ignore[union-attr]
            self._probed["SEC-2"].broken(event.session, refusals.given_back(event))  # type: ignore
            return
        handlers = self._handlers.get(kind)
        if handlers is None:
            return
        life = self._lives.get(event.session)  # type: ignore[union-attr]
        if life is None:
            if kind is SessionFinished and event.purpose != LOAD:  # type: ignore[union-attr]
                self._probe_ended(event)  # type: ignore[arg-type]
            return
        for handler in handlers:
            handler(event, life)
        if kind is SessionFinished:
            self._lives.pop(life.session, None)

    def tally(self, rule: str) -> Tally:
        """What load sessions and probes have shown of a rule."""
        fold = self._folds.get(rule)
        return self._probed[rule] if fold is None else fold.value().plus(self._probed[rule])

    def violations(self) -> dict[str, int]:
        """By rule, of all rules. Asked after every session (exporters/tail.py), so nothing is built but the numbers."""
        counts = {rule: probed.violations for rule, probed in self._probed.items()}
        for rule, fold in self._folds.items():
            counts[rule] += fold.value().violations
        return counts

    def rows(self, beside: Mapping[str, Tally] | None = None) -> list[dict[str, Any]]:
        """`rules` of report.json: every rule, in the order of PROTOCOL.md. `beside`: by rule, what was found elsewhere
        than in events."""
        tallies = {rule: self.tally(rule) for rule in RULES}
        for rule, tally in (beside or {}).items():
            tallies[rule] = tallies[rule].plus(tally)
        return [
            row(rule, tally, why_not=self._why_not.get(rule), seen=self._worst(rule), took_s=self._took_s(rule))
            for rule, tally in tallies.items()
        ]

    def _worst(self, rule: str) -> list[str]:
        """What the probes saw of it whose finding was the worst."""
        seen = self._seen.get(rule, {})
        worst = min(seen.values(), key=_WORST.index, default=None)
        return [detail for detail, outcome in seen.items() if outcome == worst]

    def _took_s(self, rule: str) -> float | None:
        took_s = sum(self._probed_s.get(purpose, 0.0) for purpose in self._probed_by.get(rule, ()))
        return round(took_s, 3) or None

    def _probe_ended(self, event: SessionFinished) -> None:
        before_s = self._probed_s.get(event.purpose, 0.0)
        self._probed_s[event.purpose] = before_s + (event.t_ns - event.started_ns) / 1e9

    def _session_started(self, event: SessionStarted) -> None:
        if event.purpose != LOAD:
            return
        life = self._lives[event.session] = Life(event, self._promises.get(event.scenario))
        for handler in self._handlers.get(SessionStarted, ()):
            handler(event, life)

    def _messages_cut(self, event: Observed, _life: Life) -> None:
        """What comes from now on isn't in the journal: nothing can be missed in this session any more."""
        del self._lives[event.session]

    def _checked(self, event: RuleChecked) -> None:
        tally = self._probed.get(event.rule)
        if tally is None:
            return
        seen = self._seen.setdefault(event.rule, {})
        if event.detail in seen or len(seen) < _MOST_SEEN:
            seen[event.detail] = RuleOutcome(event.outcome)
        self._probed_by.setdefault(event.rule, set()).add(event.purpose)
        if event.outcome == RuleOutcome.PASS:
            tally.held()
        elif event.outcome == RuleOutcome.FAIL:
            tally.broken(event.session, event.detail)
        elif event.outcome == RuleOutcome.CHARACTERISED:
            tally.held()
            tally.tell(event.session, event.detail)
        else:
            self._why_not[event.rule] = event.detail


# What the session's life is made of; a rule's own handlers come after these.


def _minted(event: SecretMinted, life: Life) -> None:
    life.secret, life.minted_ns = event, event.t_ns
    life.expires_ns = event.expires_ns
    if event.provider_s is None or abs(event.provider_s - event.wall_ns / 1e9) < _CLOCK_DOUBT_S:
        life.wall_offset_ns = event.wall_ns - event.t_ns


def _remains(event: RemainsChanged, life: Life) -> None:
    if event.reason == "create_answered":
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
    if event.turn_kind in _SPOKEN:
        life.mute = event.failure is not None and event.failure.code == Code.NO_ANSWER
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
    life.user_spoke_last = True
