"""The language of avaload: facts in the past tense, written by the engine, read by everybody else.

Times are nanoseconds of `time.perf_counter_ns()` (CLOCK_MONOTONIC: one base for all processes of a host) unless the
name says `wall`. `None` means "not observed", never zero. `session` is 32 hex digits and is the trace id too, so a
journal row, a span and the target's own trace agree. `purpose` is "load", or "probe:<rule id>" for a session that was
made to provoke something; service levels read "load" alone.
"""

import math
from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from loadtest.errors.kinds import Code, Kind
from loadtest.events.vocabulary import ON_A_SECRET as ON_A_SECRET
from loadtest.events.vocabulary import STEPS as STEPS
from loadtest.events.vocabulary import TO_THE_ROOM as TO_THE_ROOM
from loadtest.events.vocabulary import AnswerEnd as AnswerEnd
from loadtest.events.vocabulary import DropReason as DropReason
from loadtest.events.vocabulary import EndedBy as EndedBy
from loadtest.events.vocabulary import Fault as Fault
from loadtest.events.vocabulary import Gone as Gone
from loadtest.events.vocabulary import Mark as Mark
from loadtest.events.vocabulary import Outcome as Outcome
from loadtest.events.vocabulary import Remains as Remains
from loadtest.events.vocabulary import RemainsReason as RemainsReason
from loadtest.events.vocabulary import RuleOutcome as RuleOutcome
from loadtest.events.vocabulary import SecretKind as SecretKind
from loadtest.events.vocabulary import Step as Step
from loadtest.events.vocabulary import Way as Way
from loadtest.events.vocabulary import WorkerState as WorkerState

LOAD: Final = "load"
SCHEMA: Final = 2
"""Version of the journal's line format; raised when a field changes its name or its meaning.

1: the session's id at the target was called after one vendor (`journal/lines.py` still reads it), and the first line
left its schema out. 2: `target_session_id`."""

Ns = Annotated[int, msgspec.Meta(ge=-(1 << 61), le=1 << 61)]
"""Up to the year 2043: two of them together, or one less another, are still a number that tables can hold."""
ROUNDING_S: Final = 1.0
"""expires_at and a Date header are whole seconds, each cut by itself."""
_ONE_CLOCK_S: Final = 5.0
"""Two clocks that differ by less are taken for one, where nothing but ours tells the time."""


def _tag(name: str) -> str:
    """SessionStarted → session_started: what its lines begin with."""
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class _Fact(msgspec.Struct, frozen=True, tag_field="event", tag=_tag, omit_defaults=True, gc=False):
    """What all events have in common: how they are written. To make a changed copy: `msgspec.structs.replace`."""


class Failure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a step failed. `detail` is redacted text for people; it never becomes a label."""

    step: Step  # in which step
    kind: Kind  # what sort of failure
    code: Code  # which one exactly
    detail: str = ""
    field: str | None = None  # of the mint's answer, that is missing or not what it must be


class RunStarted(_Fact, frozen=True, kw_only=True):
    """First line of every journal file: who writes it, and both clocks at one instant."""

    t_ns: Ns
    wall_ns: Ns
    run_id: str  # made once, by the master
    scenario: str
    role: str  # engine | load | master
    host: str
    process: int  # index of the load process in the run
    incarnation: int  # 0, or how often this engine was respawned
    pid: int  # of the writing process
    boot_id: str  # perf_counter_ns of two files compares only if this is equal
    schema: int = 1  # version of the lines; what has none is of the first


class StageStarted(_Fact, frozen=True, kw_only=True):
    """The plan's next stage. `users`: virtual users from now on, or how many open arrivals may have at once; `steady`:
    the level is held. Open arrivals only: `rate` per second at its start and, over all processes, how many `arrivals`
    the stage has."""

    t_ns: Ns
    stage: str  # its name in the plan
    users: int
    steady: bool
    rate: float | None = None  # open arrivals per second at its start
    arrivals: int | None = None  # open arrivals of the whole stage, over all processes


class SessionStarted(_Fact, frozen=True, kw_only=True):
    """An iteration became a session; its mint is next. `again`: it is its second one, which nobody planned: the
    caller's line was cut for longer than the first could live."""

    t_ns: Ns
    session: str
    span_id: str  # of the session's root span
    scenario: str
    user: int  # number of the virtual user
    due_ns: Ns  # when it was to start; t_ns - due_ns is the generator's lateness
    again: bool = False
    purpose: str = LOAD


class SecretMinted(_Fact, frozen=True, kw_only=True):
    """A client secret was answered. `fingerprint` is a salted hash: equal for equal secrets of one run, useless
    outside. `provider_s`: unix time of the answer by the provider's own clock, its Date header (None: it sent none)."""

    t_ns: Ns
    session: str
    fingerprint: str  # salted hash, equal for equal secrets of one run
    ttl_s: int  # as asked for
    expires_at_s: int  # unix seconds, the provider's clock
    wall_ns: Ns  # our wall clock at t_ns
    provider_s: int | None = None
    purpose: str = LOAD

    @property
    def told_s(self) -> float:
        """What `expires_at` says that the secret lives from `t_ns` on: by the provider's clock, or else by ours."""
        now_s = self.wall_ns / 1e9 if self.provider_s is None else self.provider_s
        return self.expires_at_s - now_s

    @property
    def off_s(self) -> float:
        """By how much it lives longer than was asked for, as `expires_at` says."""
        return self.told_s - self.ttl_s

    @property
    def lives_s(self) -> float | None:
        """How long the secret lives from `t_ns` on: the one answer to how much life it has.

        What was asked for where `expires_at` agrees with it: both are whole seconds, so that is the exacter word. What
        the provider granted instead where it differs by the provider's own clock. None: it differs, and there is no
        clock but ours to say whether the grant or the clock is off.
        """
        told_s, near_s = self.told_s, _ONE_CLOCK_S if self.provider_s is None else ROUNDING_S
        if abs(told_s - self.ttl_s) <= near_s:
            return float(self.ttl_s)
        return None if self.provider_s is None else told_s - ROUNDING_S / 2  # its clock showed a whole second

    @property
    def expires_ns(self) -> int | None:
        """When its life is over, on our monotonic clock; None where `lives_s` is not known."""
        lives_s = self.lives_s
        return None if lives_s is None else self.t_ns + round(lives_s * 1e9)

    def age_s(self, at_ns: int) -> float:
        """How old it is then."""
        return (at_ns - self.t_ns) / 1e9

    def share_used(self, at_ns: int) -> float | None:
        """How much of its life is over then, 1 at its end; None where `lives_s` is not known."""
        lives_s = self.lives_s
        return None if lives_s is None else share_used(self.age_s(at_ns), lives_s)

    def left_s(self, at_ns: int) -> float | None:
        """How much life it has left then, below 0 after its end; None where `lives_s` is not known."""
        expires_ns = self.expires_ns
        return None if expires_ns is None else (expires_ns - at_ns) / 1e9


def share_used(age_s: float, lives_s: float) -> float:
    """Of a life; infinite of one that was over before it began: such a secret had expired when it was handed out."""
    return math.inf if lives_s <= 0 else age_s / lives_s


class RemainsChanged(_Fact, frozen=True, kw_only=True):
    """What the session may leave behind from now on; written before the call that could leave it."""

    t_ns: Ns
    session: str
    remains: Remains  # what may be left from now on
    reason: RemainsReason  # why that remains
    target_session_id: str | None = None
    purpose: str = LOAD


class StepFinished(_Fact, frozen=True, kw_only=True):
    """A step, a turn, or one attempt of a delete, ended at `t_ns`.

    `server_ns`: how long the target says it worked on it (`x-twin-handled-ns`; None in production).
    `pool_wait_ns`: waited for a connection of our own pool: the generator's fault. `lag_ns`: how late our event loop
    was when the end was stamped. Turns only: `turn_kind` as in the scenario; `first_audio_ns`: from the end of the
    user's speech to the first audible sample of the answer; `barge_in_ns`: from the user's speech over the avatar to
    the avatar's last audible frame. Neither is known where the caller's own line may have 100 ms in it. `censored`: it
    never fell silent while we listened, so there is no such number;
    `dead_air_ns`: the longest silence inside the answer, of 240 ms or more, else 0; `answer`: how it ended. Both None:
    it wasn't heard out, or the line had a hole. `talk_over_ns`: for how long both could be heard at once; None: nothing
    was said that is to be answered. `went_on`: whether the avatar spoke on despite a sound that asks for nothing.
    `unasked`: answers that began since the turn before, and nobody had said anything. `clip`: what the user said, by
    its name, and `language`: a tag like de; None: he said nothing, or nobody has told.
    What the line did meanwhile: `hole_ns`: the longest time for which no frame came, though the avatar's silence comes
    as frames too; `packets_lost`: of the room's, ours that the other side missed among them; `line_ns`: what the
    caller's own line (`[caller]`) added to a question and its answer, both ways together; it is in no other figure.
    None: not known, or there is none.
    """

    t_ns: Ns
    session: str
    step: Step  # which step
    started_ns: Ns
    outcome: Outcome
    span_id: str
    parent_id: str
    failure: Failure | None = None
    turn: int | None = None
    attempt: int = 1  # of a delete, from 1
    http_status: int | None = None
    server_ns: Ns | None = None
    pool_wait_ns: Ns | None = None
    lag_ns: Ns | None = None
    turn_kind: str | None = None  # as in the scenario
    first_audio_ns: Ns | None = None
    barge_in_ns: Ns | None = None
    censored: bool = False
    dead_air_ns: Ns | None = None
    answer: AnswerEnd | None = None  # how it ended
    talk_over_ns: Ns | None = None
    went_on: bool | None = None  # despite a sound that asks for nothing
    unasked: int = 0
    hole_ns: Ns | None = None
    packets_lost: int | None = None
    line_ns: Ns | None = None
    clip: str | None = None  # what the user said, by its name
    language: str | None = None  # in which it was said: a tag like de
    purpose: str = LOAD


class Observed(_Fact, frozen=True, kw_only=True):
    """A mark inside a step: `turn` counts from 0, None outside of turns. `text`: of a transcript, and of
    what the user begins to say where a manifest tells it; only if the operator keeps them.

    Of an app-message only: `well_formed`: it has the shape of docs/contract.md#app-messages; `stamped_s`: its own time
    stamp, unix seconds of the provider's clock; `digest`: a salted hash of its text or phrase_id, equal for equal ones
    of one run, useless outside; `speaker`: the same of the code word in a transcript's text that says in which session
    it was said.
    """

    t_ns: Ns
    session: str
    mark: Mark  # what was observed
    turn: int | None = None
    lag_ns: Ns | None = None
    text: str | None = None
    well_formed: bool | None = None
    stamped_s: float | None = None
    digest: str | None = None
    speaker: str | None = None
    purpose: str = LOAD


class MediaMeasured(_Fact, frozen=True, kw_only=True):
    """What a session heard of its avatar, said once it has left the room. All of its own measuring (`playout.py`).

    `frames` of audio arrived, within `heard_ns` of listening: from the first to the last, without the time for which
    the caller's line was cut. `underruns`: how often the avatar's speech ran dry in a player with a buffer of 100 ms,
    for `stalled_ns` in all; `gap_max_ns`: the longest wait for the next frame of speech, None where none was heard.
    `jitter_ns`: by how much those waits differed from the length of what came, on average. `ahead_ns`: so much of the
    speech came faster than it plays that a player would not have kept it. `packets_lost`: by the room's numbering,
    those that came over 100 ms late among them; None: no room of it numbers anything.
    `messages_unwritten`: app-messages that came after the most that are written down of a session.
    """

    t_ns: Ns
    session: str
    frames: int  # of audio that arrived
    underruns: int
    stalled_ns: Ns  # how long the avatar's speech stood still, in all
    gap_max_ns: Ns | None = None
    packets_lost: int | None = None  # of all its rooms
    messages_unwritten: int = 0
    heard_ns: Ns | None = None  # from the first frame to the end of the last one, a cut of the line left out
    jitter_ns: Ns | None = None  # mean deviation of the waits for frames of speech
    ahead_ns: Ns | None = None  # sound that came faster than it plays, more than a player keeps
    purpose: str = LOAD


class LineMeasured(_Fact, frozen=True, kw_only=True):
    """What the caller's own line did to the sound of a session, one way; only where its scenario has a line
    (`[caller]`). It is ours: no other figure has any of it, and the target answers for none of it.

    Of `packets` so many were `lost`; `held` were lost at first, and sent again. `underruns` and `stalled_ns` are of a
    player at the end of the way down, as in MediaMeasured.
    """

    t_ns: Ns
    session: str
    way: Way  # up: from the caller; down: to him
    packets: int  # of sound that were sent
    lost: int  # of them
    held: int  # lost and sent again, as TCP does
    delay_ns: Ns  # mean time on the way
    delay_max_ns: Ns  # the longest
    underruns: int = 0  # how often the avatar's speech ran dry
    stalled_ns: Ns = 0  # how long the avatar's speech stood still, in all
    purpose: str = LOAD


class GoneChecked(_Fact, frozen=True, kw_only=True):
    """The look after the delete. `deleted_ns`: when the confirmed delete was sent; `t_ns`: when the last look was
    answered."""

    t_ns: Ns
    session: str
    gone: Gone  # what the look showed
    deleted_ns: Ns
    looks: int  # how often it was looked
    http_status: int | None
    purpose: str = LOAD


class SecretGivenBack(_Fact, frozen=True, kw_only=True):
    """An answer held a secret that was sent: which kind, and in which place of which answer, never what. `foreign`: one
    that another session has sent. A session tells each place once."""

    t_ns: Ns
    session: str
    secret: SecretKind  # which kind
    place: str  # where in which answer
    foreign: bool = False
    purpose: str = LOAD


class RuleChecked(_Fact, frozen=True, kw_only=True):
    """A probe's finding about one rule: what it provoked was answered as the rule says, or not. `detail`: redacted,
    one line, for people: what was done and what was seen."""

    t_ns: Ns
    session: str
    rule: str  # its id
    outcome: RuleOutcome  # what is known of it now
    detail: str
    purpose: str = LOAD


class SessionFinished(_Fact, frozen=True, kw_only=True):
    """Last word on a session. `censored`: cut off by the end of the run, so its length says nothing.

    `answers_searched`: HTTP answers, and messages of its room, in which the secrets that it had sent were looked for.
    """

    t_ns: Ns
    session: str
    scenario: str
    started_ns: Ns
    due_ns: Ns
    outcome: Outcome
    remains: Remains  # what it may have left behind
    failure: Failure | None = None
    ended_by: EndedBy | None = None  # what ended it at the target
    gone: Gone | None = None  # what the last look showed
    censored: bool = False
    answers_searched: int = 0
    purpose: str = LOAD


class IterationDropped(_Fact, frozen=True, kw_only=True):
    """An iteration that was due and did not become a session: counted, never silently skipped."""

    t_ns: Ns
    due_ns: Ns
    scenario: str
    reason: DropReason  # why
    purpose: str = LOAD


class HealthSampled(_Fact, frozen=True, kw_only=True):
    """One second of the generator's own health, and a fresh pair of both clocks.

    `source`: engine (asyncio loop) or hub (gevent). Lags, pool waits and `events_lost` are of that second;
    `pacing_p99_ns`: how late audio frames left. `cpu_percent`: of one core, this process. `steal_percent`: of the
    machine's CPU time, what its host gave to others. `open_files` of this process, of at most `files_limit`.
    """

    t_ns: Ns
    wall_ns: Ns
    source: str
    process: int
    lag_p99_ns: Ns  # how late the loop was
    lag_max_ns: Ns  # the same, at most
    cpu_percent: float
    rss_bytes: int  # memory of this process
    sessions_active: int = 0  # in progress
    pacing_p99_ns: Ns | None = None
    pool_wait_p99_ns: Ns | None = None  # wait for a connection of our own pool
    gc_pause_max_ns: Ns | None = None  # longest pause of the garbage collector
    events_lost: int = 0  # on their way to the sinks
    steal_percent: float | None = None
    open_files: int | None = None  # of this process
    files_limit: int | None = None  # open files that it may have


class GeneratorFailed(_Fact, frozen=True, kw_only=True):
    """Something of ours broke; `detail` is for people."""

    t_ns: Ns
    fault: Fault  # what broke
    process: int
    detail: str = ""


class RunAborted(_Fact, frozen=True, kw_only=True):
    """A service level with `abort` was broken: the run stops early. Of `count` samples (in the last `window_s`, or so
    far) `beyond` were on the wrong side of the bound; of a share, bad."""

    t_ns: Ns
    slo: str  # name of the objective
    indicator: str  # what it bounds
    count: int  # samples that were seen
    beyond: int  # how many of them were on the wrong side
    window_s: float | None = None  # in the last so many seconds


class WorkerChanged(_Fact, frozen=True, kw_only=True):
    """In the master's journal, of a run over several hosts: a worker's command, and which load processes of the run are
    its own. `directory`: its run directory over there; it holds all that they wrote."""

    t_ns: Ns
    worker: str  # one per command
    host: str
    state: WorkerState  # what the master knows of it
    numbers: tuple[int, ...] = ()  # of its load processes
    directory: str = ""
    detail: str = ""


class ClockCompared(_Fact, frozen=True, kw_only=True):
    """In the master's journal: `offset_ns` added to a monotonic stamp of that host and boot is a stamp of this file.

    Half of `rtt_ns` is the most that it can be off: the answer was read somewhere within the round trip.
    """

    t_ns: Ns
    host: str
    boot_id: str  # of the other host
    offset_ns: Ns  # to be added to a stamp of that host and boot
    rtt_ns: Ns  # round trip of the comparison


DISK_FULL: Final = "disk_full"
"""Why a run ended early that could write no more."""


class RunFinished(_Fact, frozen=True, kw_only=True):
    """Last line of a journal file; without it the file is truncated and is reported so."""

    t_ns: Ns
    reason: str  # completed | interrupted | aborted | orphaned | disk_full


SessionEvent = (
    SessionStarted
    | SecretMinted
    | RemainsChanged
    | StepFinished
    | Observed
    | MediaMeasured
    | LineMeasured
    | GoneChecked
    | SecretGivenBack
    | RuleChecked
    | SessionFinished
)
Event = (
    RunStarted
    | StageStarted
    | SessionEvent
    | IterationDropped
    | HealthSampled
    | GeneratorFailed
    | WorkerChanged
    | ClockCompared
    | RunAborted
    | RunFinished
)

Sink = Callable[[Event], None]
"""Takes an event. Never blocks, never raises: `fanout.Fanout` counts what a sink loses."""
