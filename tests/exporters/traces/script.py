"""Sessions as the engine would tell them, with round numbers."""

from msgspec.structs import replace

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    LOAD,
    EndedBy,
    Event,
    Failure,
    Gone,
    GoneChecked,
    HealthSampled,
    Mark,
    Observed,
    Outcome,
    Remains,
    RemainsChanged,
    RunFinished,
    RunStarted,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)

MS = 1_000_000
S = 1_000_000_000
WALL_S = 1_800_000_000
"""Unix time when the script's clock reads 0."""

NO_ANSWER = Failure(step=Step.TURN, kind=Kind.NO_RESPONSE, code=Code.NO_ANSWER, detail="silent for 5 s")


def session_id(number: int) -> str:
    return f"{number:032x}"


def span_id(number: int, place: int) -> str:
    return f"{number * 100 + place:016x}"


def run_started(*, role: str = "engine", process: int = 0, t_ns: int = 0, wall_ns: int | None = None) -> RunStarted:
    return RunStarted(
        t_ns=t_ns,
        wall_ns=WALL_S * S + t_ns if wall_ns is None else wall_ns,
        run_id="run-1",
        scenario="support",
        role=role,
        host="here",
        process=process,
        incarnation=0,
        pid=1,
        boot_id="boot",
    )


def run_finished(t_ns: int = 60 * S) -> RunFinished:
    return RunFinished(t_ns=t_ns, reason="completed")


def health(*, source: str = "engine", process: int = 0, lag_ms: int = 3, t_ns: int = S) -> HealthSampled:
    return HealthSampled(
        t_ns=t_ns,
        wall_ns=WALL_S * S + t_ns,
        source=source,
        process=process,
        lag_p99_ns=MS,
        lag_max_ns=lag_ms * MS,
        cpu_percent=25.0,
        rss_bytes=100_000_000,
        pacing_p99_ns=2 * MS,
        pool_wait_p99_ns=0,
        gc_pause_max_ns=40 * MS,
        events_lost=1,
    )


def session(
    number: int, *, at_s: int = 1, scenario: str = "support", turn_fails: bool = False, purpose: str = LOAD
) -> list[Event]:
    """mint 0.1 s, create 0.2 s, connect 0.4 s, converse 2 s (a turn, first audio 0.8 s), delete 0.05 s, gone 0.3 s."""
    name = session_id(number)
    t0 = at_s * S
    converse = t0 + 700 * MS
    delete = t0 + 2700 * MS
    failure = NO_ANSWER if turn_fails else None
    outcome = Outcome.FAILED if turn_fails else Outcome.OK

    def step(
        which: Step, place: int, started_ns: int, ended_ns: int, *, parent: int = 0, status: int | None = None
    ) -> StepFinished:
        return StepFinished(
            t_ns=ended_ns,
            session=name,
            step=which,
            started_ns=started_ns,
            outcome=Outcome.OK,
            span_id=span_id(number, place),
            parent_id=span_id(number, parent),
            http_status=status,
            purpose=purpose,
        )

    def mark(which: Mark, t_ns: int, turn: int | None = None) -> Observed:
        return Observed(t_ns=t_ns, session=name, mark=which, turn=turn, purpose=purpose)

    def remains(what: Remains, reason: str, t_ns: int) -> RemainsChanged:
        known = None if what is Remains.DOUBTFUL else f"avaturn-{number}"
        return RemainsChanged(
            t_ns=t_ns, session=name, remains=what, reason=reason, target_session_id=known, purpose=purpose
        )

    return [
        SessionStarted(
            t_ns=t0,
            session=name,
            span_id=span_id(number, 0),
            scenario=scenario,
            user=0,
            due_ns=t0 - 4 * MS,
            purpose=purpose,
        ),
        SecretMinted(
            t_ns=t0 + 100 * MS,
            session=name,
            fingerprint=f"f{number}",
            ttl_s=600,
            expires_at_s=WALL_S + at_s + 600,
            wall_ns=WALL_S * S + t0 + 100 * MS,
            purpose=purpose,
        ),
        step(Step.MINT, 1, t0, t0 + 100 * MS, status=200),
        remains(Remains.DOUBTFUL, "create_sent", t0 + 100 * MS),
        remains(Remains.LEAKED, "create_answered", t0 + 300 * MS),
        step(Step.CREATE, 2, t0 + 100 * MS, t0 + 300 * MS, status=201),
        mark(Mark.SDK_SESSION, t0 + 350 * MS),
        mark(Mark.JOINED, t0 + 500 * MS),
        mark(Mark.FIRST_FRAME, t0 + 600 * MS),
        step(Step.CONNECT, 3, t0 + 300 * MS, t0 + 700 * MS),
        mark(Mark.SPEECH_START, converse, 0),
        mark(Mark.SPEECH_END, converse + 500 * MS, 0),
        *([] if turn_fails else [mark(Mark.FIRST_AUDIO, converse + 1300 * MS, 0)]),
        mark(Mark.AVATAR_STARTED, converse + 1300 * MS),
        replace(
            step(Step.TURN, 5, converse, converse + 1900 * MS, parent=4),
            turn=0,
            outcome=outcome,
            failure=failure,
            first_audio_ns=None if turn_fails else 800 * MS,
        ),
        replace(step(Step.CONVERSE, 4, converse, delete), outcome=outcome, failure=failure),
        remains(Remains.NOTHING, "deleted", delete + 50 * MS),
        step(Step.DELETE, 6, delete, delete + 50 * MS, status=204),
        GoneChecked(
            t_ns=delete + 300 * MS,
            session=name,
            gone=Gone.CONFIRMED,
            deleted_ns=delete,
            looks=2,
            http_status=404,
            purpose=purpose,
        ),
        SessionFinished(
            t_ns=delete + 300 * MS,
            session=name,
            scenario=scenario,
            started_ns=t0,
            due_ns=t0 - 4 * MS,
            outcome=outcome,
            remains=Remains.NOTHING,
            failure=failure,
            ended_by=EndedBy.DELETE,
            gone=Gone.CONFIRMED,
            purpose=purpose,
        ),
    ]


def killed(number: int, *, remains: Remains, at_s: int = 1, t_ns: int = 9 * S) -> SessionFinished:
    """What the Locust process says of a session whose engine died."""
    return SessionFinished(
        t_ns=t_ns,
        session=session_id(number),
        scenario="support",
        started_ns=at_s * S,
        due_ns=at_s * S,
        outcome=Outcome.FAILED,
        remains=remains,
        failure=Failure(step=Step.CONVERSE, kind=Kind.ENGINE_DIED, code=Code.ENGINE_DIED),
    )
