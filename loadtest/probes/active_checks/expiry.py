"""Client secrets (docs/contract.md#rules-of-expiry)."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Kind
from loadtest.probes.bench.bench import Bench, NotTestedError, Probe
from loadtest.probes.bench.subject import QUOTA_STATUS, Subject
from loadtest.probes.bench.visit import Visit
from loadtest.rooms.app_messages import ERROR, LIFECYCLE_ERROR, OF_AVATAR
from loadtest.session.ports import ClientSecret
from loadtest.system.clock import now_ns

TTL_S, PAST_S = 10, 5
REFUSED_WITHIN_S, TOLD_WITHIN_S = 30.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a session began whose secret ought to be refused. `told_s`: from the join to an error message; `hung`: the
    call that was never answered."""

    refused_at: str | None
    hung: str | None = None
    told_s: float | None = None
    error: Mapping[str, Any] | None = None
    conversed: bool = False
    started: bool = False


async def start_refused(bench: Bench, subject: Subject, secret: ClientSecret) -> Start:
    """Try to converse with it: create, join, and say something if the avatar appears."""
    call = "create"
    try:
        await subject.create(secret)
        call = "GET /sessions"
        grant = await subject.grant()
    except StepError as error:
        if error.kind is Kind.TIMEOUT:
            return Start(refused_at=None, hung=call)
        if error.http_status is None or error.http_status // 100 == 5 or error.http_status in QUOTA_STATUS:
            raise
        return Start(refused_at=f"HTTP {error.http_status}")
    entered_ns = now_ns()
    visit = await subject.enter(grant)

    def news() -> bool:
        return bool(visit.errors) or visit.over

    def left_s() -> float:
        return REFUSED_WITHIN_S - (now_ns() - entered_ns) / 1e9

    await visit.until(lambda: news() or visit.first_frame_ns is not None, left_s(), despite_end=True)
    if visit.first_frame_ns is not None and not news():
        with contextlib.suppress(StepError):  # it may end while we speak: that is an answer too
            await visit.ask(bench.clip, hear_out=False, limit_s=TOLD_WITHIN_S, despite_end=True)
    conversed = bool(visit.stretches or visit.all(OF_AVATAR))
    if not conversed:
        await visit.until(news, left_s(), despite_end=True)
    return _start(visit, entered_ns, conversed)


def _start(visit: Visit, entered_ns: int, conversed: bool) -> Start:
    told_ns, error = visit.errors[0] if visit.errors else (None, None)
    refused_at = "an error message" if error is not None else "the end of its room" if visit.over else None
    return Start(
        refused_at=refused_at,
        told_s=None if told_ns is None else (told_ns - (visit.joined_ns or entered_ns)) / 1e9,
        error=error,
        conversed=conversed,
        started=visit.first_frame_ns is not None,
    )


async def expired_secret(bench: Bench) -> None:
    """A session on a secret that has expired."""
    async with bench.subject() as subject:
        secret = await subject.mint(ttl_s=TTL_S)
        await bench.pass_time(TTL_S + PAST_S)
        seen = await start_refused(bench, subject, secret)
        if seen.hung is not None and not await _opens(bench):
            raise NotTestedError(f"{seen.hung} is never answered, with a good secret neither")
        used = f"a secret {PAST_S} s past its expiry"
        if seen.conversed:
            bench.judge("EXP-1", False, f"{used} still led to a conversation")
            return
        bench.judge("EXP-1", True, f"{used}: no conversation")
        if seen.refused_at is not None:
            bench.judge("EXP-1b", True, f"{used} was refused by {seen.refused_at}")
        else:
            silent = f"{seen.hung} was never answered" if seen.hung else "nothing ever came"
            avatar = "the avatar came and was mute" if seen.started else silent
            bench.judge("EXP-1b", False, f"{used}: {avatar}, and nobody said why for {REFUSED_WITHIN_S:g} s")
        judge_told(bench, seen)


async def _opens(bench: Bench) -> bool:
    """The control: whether a session on a good secret gets its room."""
    async with bench.subject() as subject:
        try:
            await subject.new()
            await subject.grant()
        except StepError:
            return False
        return True


def judge_told(bench: Bench, seen: Start) -> None:
    """How a refusal at the start is told (ERR-3, GA-3)."""
    if seen.refused_at is not None and seen.refused_at.startswith("HTTP"):
        why = f"refused at create already, with {seen.refused_at}"
        bench.leave("ERR-3", why)
        bench.leave("GA-3", why)
        return
    if seen.hung is not None:
        for rule in ("ERR-3", "GA-3"):
            bench.leave(rule, f"{seen.hung} was never answered: there was no room to be told in")
        return
    if seen.told_s is None:
        bench.judge("ERR-3", False, f"OpenAI refused, and no error message came within {TOLD_WITHIN_S:g} s")
        bench.leave("GA-3", "no error message came")
        return
    told = f"an error message {seen.told_s:.2f} s after the join"
    bench.judge("ERR-3", seen.told_s <= TOLD_WITHIN_S, told)
    message = seen.error or {}
    inner = message.get("error")
    nested = message.get("type") == ERROR and isinstance(inner, dict)
    kind = inner.get("type") if isinstance(inner, dict) else None
    bench.judge(
        "GA-3",
        nested and kind == LIFECYCLE_ERROR,
        f"type {message.get('type')!r}, {'nested type ' + repr(kind) if nested else 'nothing nested in it'}",
    )


async def open_socket(bench: Bench) -> None:
    """A conversation that goes on after its secret has expired."""
    ttl_s = bench.shortest(TTL_S)
    async with bench.subject() as subject:
        minted_ns = now_ns()
        await subject.create(await subject.mint(ttl_s=ttl_s))
        visit = await subject.join()
        if bench.service_s(now_ns() - minted_ns) > ttl_s - 1:
            raise NotTestedError("the session took longer to start than the secret lives")

        def age_s() -> float:
            return bench.service_s(now_ns() - minted_ns)

        try:
            if await visit.ask(bench.clip) is None:
                raise NotTestedError("the first turn was not answered")
            await visit.until(
                lambda: visit.over, bench.real_s(max(0.0, ttl_s + 3 * PAST_S - age_s())), despite_end=True
            )
            answered = not visit.over and await visit.ask(bench.clip) is not None
        except StepError:
            if age_s() < ttl_s - 1:
                raise
            answered = False
        what = "its room was closed" if visit.over else "the next turn was not answered"
        seen = "a turn was answered" if answered else what
        bench.judge("EXP-2", answered, f"{seen} {age_s() - ttl_s:.0f} s after the expiry of the secret")


async def configured(bench: Bench) -> None:
    """What the secret says, against what runs: told by OpenAI itself, and seen through Avaturn."""
    wanted: dict[str, Any] = {
        "instructions": "Answer in five words.",
        "audio": {
            "input": {
                "transcription": {"model": "whisper-1"},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 350, "create_response": False},
            },
            "output": {"voice": "cedar", "speed": 0.75},
        },
    }
    async with bench.subject() as subject:
        secret = await subject.mint(realtime=wanted)
        async with bench.wire.realtime(secret.value) as socket:
            created = await socket.first()
        if created.get("type") != "session.created":
            raise NotTestedError("OpenAI did not open a session")
        ignored = sorted(_differing(wanted, created.get("session", {})))
        if ignored:
            bench.judge("EXP-7", False, f"OpenAI's session ignores {', '.join(ignored)}")
            return
        await subject.create(secret)
        visit = await subject.join()
        answered = await visit.ask(bench.clip, hear_out=False, limit_s=6) is not None
        seen = "answered although create_response is false" if answered else "mute, as create_response: false says"
        bench.judge("EXP-7", not answered, f"OpenAI's session is as the secret says; through Avaturn it was {seen}")


def _differing(wanted: Any, got: Any, path: str = "") -> list[str]:
    if not isinstance(wanted, dict):
        return [] if wanted == got else [path]
    inner = got if isinstance(got, dict) else {}
    return [
        each for key, value in wanted.items() for each in _differing(value, inner.get(key), f"{path}.{key}".strip("."))
    ]


async def two_uses(bench: Bench) -> None:
    """One secret, two Avaturn sessions."""
    async with bench.subject() as first, bench.subject() as second:
        secret = await first.mint()
        await first.create(secret)
        await first.join()
        try:
            await second.create(secret)
            await second.join()
        except StepError as error:
            if error.kind is Kind.TRANSPORT:
                raise
            bench.tell("EXP-6", "the second session on a live secret was refused: a secret is good for one use")
        else:
            bench.tell("EXP-6", "one live secret opened two sessions")


PROBES = (
    Probe(rules=("EXP-1", "EXP-1b", "ERR-3", "GA-3"), run=expired_secret, lasts_s=TTL_S + PAST_S),
    Probe(rules=("EXP-2",), run=open_socket, lasts_s=TTL_S + 3 * PAST_S),
    Probe(rules=("EXP-6",), run=two_uses),
    Probe(rules=("EXP-7",), run=configured),
)
