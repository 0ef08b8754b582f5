"""Runs made by hand: real events through the real Journal writer, times given in seconds after the run's start."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    SCHEMA,
    EndedBy,
    Event,
    Failure,
    Gone,
    GoneChecked,
    HealthSampled,
    MediaMeasured,
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
from loadtest.journal import Journal, encode
from reports.build import assess
from reports.report_keys import keys

START_NS = 5_000_000_000_000
"""The monotonic clock at the run's start."""
WALL_NS = 1_790_000_000_000_000_000
"""Unix time of the same instant: 2026-09-21T14:13:20Z."""


def at(seconds: float) -> int:
    return START_NS + round(seconds * 1e9)


def media(number: int, at_s: float, *, frames: int = 3000, underruns: int = 0, **facts: Any) -> MediaMeasured:
    """What a session heard, told at `at_s`; a minute of it if nothing else is said."""
    facts = {"stalled_ns": 0, "heard_ns": 60 * 10**9} | facts
    return MediaMeasured(t_ns=at(at_s), session=sid(number), frames=frames, underruns=underruns, **facts)


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


def sid(number: int) -> str:
    return f"{number:032x}"


def write_file(
    run_dir: Path,
    events: Iterable[Event],
    *,
    role: str = "engine",
    process: int = 0,
    incarnation: int = 0,
    host: str = "host-a",
    boot_id: str = "boot-a",
    run_id: str = "run-1",
    started_s: float = 0.0,
    start_ns: int = START_NS,
    wall_ns: int = WALL_NS,
    schema: int = SCHEMA,
    finish: str | None = "completed",
    finished_s: float = 60.0,
    tail: bytes = b"",
) -> Path:
    """One journal file. finish=None: its writer was killed, and `tail` is what it had begun to write."""
    path = run_dir / "journal" / f"{host}-{role}-{process}-{incarnation}.jsonl"
    with Journal(path) as journal:
        journal.write(
            encode(
                RunStarted(
                    t_ns=start_ns + ns(started_s),
                    wall_ns=wall_ns + ns(started_s),
                    run_id=run_id,
                    scenario="support-call",
                    role=role,
                    host=host,
                    process=process,
                    incarnation=incarnation,
                    pid=100,
                    boot_id=boot_id,
                    schema=schema,
                )
            )
        )
        for event in events:
            journal.write(encode(event))
        if finish is not None:
            journal.write(encode(RunFinished(t_ns=start_ns + ns(finished_s), reason=finish)))
        if tail:
            journal.write(tail)
    return path


def reported(run_dir: Path, **options: Any) -> dict[str, Any]:
    """What is in report.json, without the pages: drawing them takes most of a report's time. Every key of it is
    one that docs/reference/report.md explains."""
    report = assess(run_dir, **options)[0]
    unexplained = sorted({key for key in _keys(report) if not _EXPLAINED.fullmatch(key)})
    assert not unexplained, f"reports/report_keys.py doesn't say what these mean: {unexplained}"
    return report


def _keys(value: Any, key: str = "") -> Iterator[str]:
    """The keys of all that holds something, from the root."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _keys(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, f"{key}[]")
    elif value is not None:
        yield key


_EXPLAINED = re.compile("|".join(re.sub("<[^>]*>", r"[^\\[\\]]+", re.escape(key)) for key in keys()))


def started(number: int, begin_s: float, *, due_s: float | None = None, purpose: str = "load") -> SessionStarted:
    due_ns = at(begin_s if due_s is None else due_s)
    return SessionStarted(
        t_ns=at(begin_s), session=sid(number), span_id="a" * 16, scenario="support-call", user=number, due_ns=due_ns,
        purpose=purpose,
    )  # fmt: skip


def step(number: int, which: Step, begin_s: float, end_s: float, **more: Any) -> StepFinished:
    more.setdefault("outcome", Outcome.OK)
    return StepFinished(
        t_ns=at(end_s), session=sid(number), step=which, started_ns=at(begin_s), span_id="b" * 16, parent_id="a" * 16,
        **more,
    )  # fmt: skip


def failed_step(
    number: int, which: Step, begin_s: float, end_s: float, kind: Kind = Kind.TIMEOUT, code: Code = Code.TIMEOUT,
    **more: Any,
) -> StepFinished:  # fmt: skip
    return step(
        number, which, begin_s, end_s, outcome=Outcome.FAILED,
        failure=Failure(step=which, kind=kind, code=code, detail=f"{which} went wrong"), **more,
    )  # fmt: skip


def secret(number: int, t_s: float, *, fingerprint: str = "", ttl_s: int = 600, skew_s: int = 0, **more: Any) -> Event:
    wall_ns = WALL_NS + ns(t_s)
    return SecretMinted(
        t_ns=at(t_s), session=sid(number), fingerprint=fingerprint or f"fingerprint-{number}", ttl_s=ttl_s,
        expires_at_s=wall_ns // 1_000_000_000 + ttl_s + skew_s, wall_ns=wall_ns, **more,
    )  # fmt: skip


def remains(number: int, t_s: float, what: Remains, reason: str, *, purpose: str = "load") -> RemainsChanged:
    known = reason in ("create_answered", "deleted", "delete_failed", "still_alive", "swept")
    return RemainsChanged(
        t_ns=at(t_s), session=sid(number), remains=what, reason=reason,
        target_session_id=f"ava-{number}" if known else None, purpose=purpose,
    )  # fmt: skip


def look(number: int, deleted_s: float, t_s: float, gone: Gone = Gone.CONFIRMED, **more: Any) -> GoneChecked:
    return GoneChecked(
        t_ns=at(t_s), session=sid(number), gone=gone, deleted_ns=at(deleted_s), looks=2, http_status=404, **more
    )


def finished(number: int, begin_s: float, end_s: float, **more: Any) -> SessionFinished:
    fields: dict[str, Any] = {"outcome": Outcome.OK, "remains": Remains.NOTHING, "due_ns": at(begin_s)} | more
    return SessionFinished(
        t_ns=at(end_s), session=sid(number), scenario="support-call", started_ns=at(begin_s), **fields
    )


def failure(which: Step, kind: Kind, code: Code, detail: str = "") -> Failure:
    return Failure(step=which, kind=kind, code=code, detail=detail)


def good_session(
    number: int, begin_s: float, *, mint_s: float = 0.1, create_s: float = 0.2, connect_s: float = 0.5,
    first_audio_s: tuple[float, ...] = (0.8, 1.2), delete_s: float = 0.05, gone_s: float = 0.3, purpose: str = "load",
) -> list[Event]:  # fmt: skip
    """A whole session, 10 s of conversation, deleted and proved gone."""
    tag: dict[str, Any] = {"purpose": purpose}
    minted = begin_s + mint_s
    created = minted + create_s
    connected = created + connect_s
    talked = connected + 10
    deleted = talked + delete_s
    turn_s = 10 / len(first_audio_s)
    return [
        started(number, begin_s, purpose=purpose),
        step(number, Step.MINT, begin_s, minted, pool_wait_ns=0, lag_ns=0, **tag),
        secret(number, minted, **tag),
        remains(number, minted, Remains.DOUBTFUL, "create_sent", purpose=purpose),
        remains(number, created, Remains.LEAKED, "create_answered", purpose=purpose),
        step(number, Step.CREATE, minted, created, pool_wait_ns=0, lag_ns=0, **tag),
        step(number, Step.CONNECT, created, connected, **tag),
        *(
            step(number, Step.TURN, connected + index * turn_s, connected + (index + 1) * turn_s, turn=index,
                 first_audio_ns=ns(wait_s), **tag)
            for index, wait_s in enumerate(first_audio_s)
        ),
        step(number, Step.CONVERSE, connected, talked, **tag),
        step(number, Step.DELETE, talked, deleted, pool_wait_ns=0, lag_ns=0, http_status=204, **tag),
        remains(number, deleted, Remains.NOTHING, "deleted", purpose=purpose),
        look(number, deleted, deleted + gone_s, **tag),
        finished(number, begin_s, deleted + gone_s, ended_by=EndedBy.DELETE, gone=Gone.CONFIRMED, **tag),
    ]  # fmt: skip


def health(t_s: float, *, source: str = "engine", lag_p99_s: float = 0.001, **more: Any) -> HealthSampled:
    more = {"process": 0, "cpu_percent": 20.0, "rss_bytes": 50_000_000, "lag_max_ns": ns(lag_p99_s * 2)} | more
    return HealthSampled(t_ns=at(t_s), wall_ns=WALL_NS + ns(t_s), source=source, lag_p99_ns=ns(lag_p99_s), **more)
