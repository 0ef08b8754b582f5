"""Which events are samples of which indicator: the words of `slo.INDICATORS` as functions of an event.

A sample of seconds is its length; of a share, whether it is a bad one; of a count, true. What was cancelled is no
sample of anything, and a failure of the generator itself is no sample of the target. An event that speaks for many
samples at once (WEIGHTS) tells how many of them are bad.
"""

from collections.abc import Callable
from typing import Any, Final, get_args

from loadtest.criteria.trend import Trend
from loadtest.errors.kinds import OURS, Code, Kind
from loadtest.events.kinds import (
    STEPS,
    TO_THE_ROOM,
    AnswerEnd,
    Event,
    Gone,
    GoneChecked,
    IterationDropped,
    MediaMeasured,
    Outcome,
    Remains,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)

Remembered = StepFinished | SecretMinted
REMEMBERED: Final = get_args(Remembered)
"""Events of a session that tell something about a later sample of it: whoever samples shows them to `Running.saw`."""


class Running:
    """What has to be remembered of a session until it ends. `minted_from_ns`: where its set-up began: the mint's start,
    or the create's where a backend mints. `answers`: how the time to first audio changed so far."""

    __slots__ = ("answers", "due_ns", "first_step", "minted_from_ns", "scenario", "secret")

    def __init__(self, scenario: str, due_ns: int) -> None:
        self.scenario = scenario
        self.due_ns = due_ns
        self.answers = Trend()
        self.first_step: Step | None = None
        self.minted_from_ns: int | None = None
        self.secret: SecretMinted | None = None

    def saw(self, event: Remembered) -> None:
        """Everything of the session that is REMEMBERED, before it is asked about."""
        if type(event) is SecretMinted:
            self.secret = event
        elif type(event) is StepFinished:
            self._saw_step(event)

    def _saw_step(self, event: StepFinished) -> None:
        self.first_step = self.first_step or event.step
        if event.step is Step.TURN and (heard_s := _first_audio(event, self)) is not None:
            self.answers.add(event.started_ns, heard_s)
        if self.minted_from_ns is None and event.outcome is Outcome.OK and event.step in (Step.MINT, Step.CREATE):
            self.minted_from_ns = event.started_ns

    def setup_s(self, event: StepFinished) -> float | None:
        """How long its set-up took, if this step ended it: until it was connected."""
        connected = event.step is Step.CONNECT and event.outcome is Outcome.OK
        return (event.t_ns - self.minted_from_ns) / 1e9 if connected and self.minted_from_ns is not None else None

    def from_due_s(self, event: StepFinished) -> float:
        """How long after it was due this step ended."""
        return (event.t_ns - self.due_ns) / 1e9


Sampler = Callable[[Any, Running | None], float | None]
"""Of an event and its session: the sample's value, or None where it is none."""


def scenario_of(event: Event, running: Running | None) -> str | None:
    """Whose sample it is; None: of a session that is not known any more, by an event that doesn't say."""
    return getattr(event, "scenario", None) if running is None else running.scenario


Source = tuple[type, Step | None]
"""Type of an event; of a StepFinished, which step."""


def source_of(event: Event) -> Source:
    """Where SAMPLERS has it, if at all."""
    return type(event), event.step if type(event) is StepFinished else None


def _length(event: StepFinished, _: Running | None) -> float | None:
    good = event.outcome is Outcome.OK and event.attempt == 1
    return (event.t_ns - event.started_ns) / 1e9 if good else None


def _failed_rate(event: StepFinished | SessionFinished, _: Running | None) -> bool | None:
    if event.outcome is Outcome.CANCELLED or (type(event) is StepFinished and event.attempt != 1):
        return None
    if event.failure is not None and event.failure.kind in OURS:
        return None
    return event.outcome is Outcome.FAILED


def _failed(event: StepFinished | SessionFinished, running: Running | None) -> bool | None:
    return _failed_rate(event, running) or None


def _answered_early(event: StepFinished, running: Running | None) -> bool | None:
    if _failed_rate(event, running) is None:
        return None
    return event.failure is not None and event.failure.kind is Kind.ANSWERED_EARLY


def _first_audio(event: StepFinished, _: Running | None) -> float | None:
    heard = event.outcome is Outcome.OK and event.first_audio_ns is not None
    return event.first_audio_ns / 1e9 if heard and event.first_audio_ns is not None else None


def _drift(_: SessionFinished, running: Running | None) -> float | None:
    return None if running is None else running.answers.slope


def _barge_in(event: StepFinished, _: Running | None) -> float | None:
    return None if event.barge_in_ns is None else event.barge_in_ns / 1e9


def _dead_air(event: StepFinished, _: Running | None) -> float | None:
    heard = event.outcome is Outcome.OK and event.dead_air_ns is not None
    return event.dead_air_ns / 1e9 if heard and event.dead_air_ns is not None else None


def _response(event: StepFinished, running: Running | None) -> bool | None:
    """Of turns that are to be answered; who goes on speaking has not come to it. A good one was answered, whether or
    not anybody can say after what time."""
    code = None if event.failure is None else event.failure.code
    if event.talk_over_ns is None or code is Code.NOT_SILENCED or (early := _answered_early(event, running)) is None:
        return None
    return early or event.first_audio_ns is not None or event.outcome is Outcome.OK


def _premature(event: StepFinished, running: Running | None) -> bool | None:
    return None if event.talk_over_ns is None else _answered_early(event, running)


def _yield(event: StepFinished, running: Running | None) -> bool | None:
    if _failed_rate(event, running) is None or not (event.censored or event.barge_in_ns is not None):
        return None
    return event.barge_in_ns is not None


def _false_stop(event: StepFinished, running: Running | None) -> bool | None:
    return None if event.went_on is None or _failed_rate(event, running) is None else not event.went_on


def _unasked(event: StepFinished, running: Running | None) -> bool | None:
    return None if _failed_rate(event, running) is None else event.unasked > 0


def _ended(end: AnswerEnd) -> Sampler:
    """Of answers that were listened to until their end."""

    def ended(event: StepFinished, running: Running | None) -> bool | None:
        return None if event.answer is None or _failed_rate(event, running) is None else event.answer is end

    return ended


def _talk_over(event: StepFinished, running: Running | None) -> float | None:
    if event.talk_over_ns is None or _failed_rate(event, running) is None:
        return None
    return event.talk_over_ns / 1e9


def _setup(event: StepFinished, running: Running | None) -> float | None:
    return None if running is None else running.setup_s(event)


def _setup_from_due(event: StepFinished, running: Running | None) -> float | None:
    if event.outcome is not Outcome.OK or running is None:
        return None
    return running.from_due_s(event)


def _first_step_from_due(event: StepFinished, running: Running | None) -> float | None:
    if event.outcome is not Outcome.OK or running is None or running.first_step is not event.step:
        return None
    return running.from_due_s(event)


def _margin(event: StepFinished, running: Running | None) -> float | None:
    if event.outcome is not Outcome.OK or running is None or running.secret is None:
        return None
    return running.secret.left_s(event.t_ns)


def _time_to_gone(event: GoneChecked, _: Running | None) -> float | None:
    return (event.t_ns - event.deleted_ns) / 1e9 if event.gone is Gone.CONFIRMED else None


def _gap(event: MediaMeasured, _: Running | None) -> float | None:
    return None if event.gap_max_ns is None else event.gap_max_ns / 1e9


def _jitter(event: MediaMeasured, _: Running | None) -> float | None:
    return None if event.jitter_ns is None else event.jitter_ns / 1e9


def _underruns(event: MediaMeasured, _: Running | None) -> int | None:
    return None if event.heard_ns is None else event.underruns


def _packets_lost(event: MediaMeasured, _: Running | None) -> int | None:
    return event.packets_lost


def _left(remains: Remains) -> Sampler:
    """What a dead engine left is settled by the journal of the next one, not here."""

    def left(event: SessionFinished, _: Running | None) -> bool | None:
        died = event.failure is not None and event.failure.kind is Kind.ENGINE_DIED
        return (event.remains is remains and not died) or None

    return left


def _yes(_event: object, _: Running | None) -> bool:
    return True


def _no(_event: object, _: Running | None) -> bool:
    return False


_STARTED: Final[Source] = (SessionStarted, None)
_FINISHED: Final[Source] = (SessionFinished, None)
_DROPPED: Final[Source] = (IterationDropped, None)
_TURN: Final[Source] = (StepFinished, Step.TURN)
_CONNECT: Final[Source] = (StepFinished, Step.CONNECT)
_MEDIA: Final[Source] = (MediaMeasured, None)

TAKING_SAMPLERS: Final[dict[str, Sampler]] = {
    "response": _response,
    "premature": _premature,
    "yield": _yield,
    "false_stop": _false_stop,
    "self_interruption": _ended(AnswerEnd.SELF_INTERRUPTED),
    "unasked": _unasked,
    "cut": _ended(AnswerEnd.CUT),
}
"""`loadtest.criteria.slo.TAKING` → what `turn.…_rate` is of a turn, None where it says nothing of it."""

SAMPLERS: Final[dict[str, dict[Source, Sampler]]] = {
    **{f"{step}": {(StepFinished, step): _length} for step in STEPS},
    **{f"{step}.failed_rate": {(StepFinished, step): _failed_rate} for step in STEPS},
    **{f"{step}.failed": {(StepFinished, step): _failed} for step in STEPS},
    "turn.time_to_first_audio": {_TURN: _first_audio},
    "turn.time_to_first_audio.drift": {_FINISHED: _drift},
    "turn.barge_in": {_TURN: _barge_in},
    "turn.dead_air": {_TURN: _dead_air},
    "turn.failed_rate": {_TURN: _failed_rate},
    "turn.failed": {_TURN: _failed},
    "turn.answered_early_rate": {_TURN: _answered_early},
    **{f"turn.{what}_rate": {_TURN: sampler} for what, sampler in TAKING_SAMPLERS.items()},
    "turn.talk_over": {_TURN: _talk_over},
    "session.setup": {_CONNECT: _setup},
    "session.setup_from_due": {_CONNECT: _setup_from_due},
    "session.first_step_from_due": {(StepFinished, step): _first_step_from_due for step in TO_THE_ROOM},
    "session.failed_rate": {_FINISHED: _failed_rate},
    "session.failed": {_FINISHED: _failed},
    "session.started": {_STARTED: _yes},
    "session.completed": {_FINISHED: lambda event, _: event.outcome is Outcome.OK or None},
    "session.dropped": {_DROPPED: _yes},
    "session.dropped_rate": {_DROPPED: _yes, _STARTED: _no},
    "session.leaked": {_FINISHED: _left(Remains.LEAKED)},
    "session.doubtful": {_FINISHED: _left(Remains.DOUBTFUL)},
    "session.unconfirmed": {_FINISHED: lambda event, _: event.gone is Gone.UNCONFIRMED or None},
    "teardown.time_to_gone": {(GoneChecked, None): _time_to_gone},
    "secret.margin": {_CONNECT: _margin},
    "media.underruns_per_minute": {_MEDIA: _underruns},
    "media.gap": {_MEDIA: _gap},
    "media.packet_loss": {_MEDIA: _packets_lost},
    "media.jitter": {_MEDIA: _jitter},
}
"""`Slo.measure` → the events that are its samples."""

WEIGHTS: Final[dict[str, Callable[[Any], int]]] = {
    "media.underruns_per_minute": lambda event: (event.heard_ns or 0) // 1_000_000,
    "media.packet_loss": lambda event: event.frames + (event.packets_lost or 0),
}
"""`Slo.measure` of a ratio whose events speak for many samples → for how many, as `RATIOS` counts them. These are not
independent of each other: what befell one packet befell its neighbours."""
