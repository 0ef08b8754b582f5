"""Client secrets (PROTOCOL.md 4.1)."""

import contextlib
from dataclasses import dataclass
from typing import Any

from loadtest.clock import now_ns, wall_ns
from loadtest.errors import Kind, StepError
from loadtest.ports import ClientSecret
from loadtest.probes.bench import Bench, NotTestedError, Probe
from loadtest.probes.subject import QUOTA_STATUS, Subject
from loadtest.probes.visit import OF_AVATAR, Visit
from loadtest.probes.wire import Answer

TTL_S, PAST_S = 10, 5
REFUSED_WITHIN_S, TOLD_WITHIN_S = 30.0, 10.0
BOUNDS = {9: False, 10: True, 7200: True, 7201: False}
DEFAULT_TTL_S, TTL_TOLERANCE_S = 600, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a session began whose secret ought to be refused. `told_s`: from the join to an error message."""

    refused_at: str | None
    told_s: float | None = None
    error: dict[str, Any] | None = None
    conversed: bool = False
    started: bool = False


async def start_refused(bench: Bench, subject: Subject, secret: ClientSecret) -> Start:
    """Try to converse with it: create, join, and say something if the avatar appears."""
    try:
        await subject.create(secret)
        grant = await subject.grant()
    except StepError as error:
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
        used = f"a secret {PAST_S} s past its expiry"
        if seen.conversed:
            bench.judge("EXP-1", False, f"{used} still led to a conversation")
            return
        bench.judge("EXP-1", True, f"{used}: no conversation")
        if seen.refused_at is not None:
            bench.judge("EXP-1b", True, f"{used} was refused by {seen.refused_at}")
        else:
            avatar = "the avatar came and was mute" if seen.started else "nothing ever came"
            bench.judge("EXP-1b", False, f"{used}: {avatar}, and nobody said why for {REFUSED_WITHIN_S:g} s")
        judge_told(bench, seen)


def judge_told(bench: Bench, seen: Start) -> None:
    """How a refusal at the start is told (ERR-3, GA-3)."""
    if seen.refused_at is not None and seen.refused_at.startswith("HTTP"):
        why = f"refused at create already, with {seen.refused_at}"
        bench.leave("ERR-3", why)
        bench.leave("GA-3", why)
        return
    if seen.told_s is None:
        bench.judge("ERR-3", False, f"OpenAI refused, and no error message came within {TOLD_WITHIN_S:g} s")
        bench.leave("GA-3", "no error message came")
        return
    told = f"an error message {seen.told_s:.2f} s after the join"
    bench.judge("ERR-3", seen.told_s <= TOLD_WITHIN_S, told)
    message = seen.error or {}
    inner = message.get("error")
    nested = message.get("type") == "error" and isinstance(inner, dict)
    kind = inner.get("type") if isinstance(inner, dict) else None
    bench.judge(
        "GA-3",
        nested and kind == "session_lifecycle_error",
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


async def lifetimes(bench: Bench) -> None:
    """TTLs as asked for, by default, and out of bounds; nothing is created."""
    async with bench.subject():
        session = {"session": bench.realtime(None)}

        async def mint(ttl_s: int | None) -> Answer:
            wanted = {} if ttl_s is None else {"expires_after": {"anchor": "created_at", "seconds": ttl_s}}
            return await bench.wire.mint({**session, **wanted})

        asked = {ttl_s: await mint(ttl_s) for ttl_s in (*BOUNDS, None)}
        wrong = [
            f"{ttl_s} s: HTTP {answer.status}"
            for ttl_s, accepted in BOUNDS.items()
            if (answer := asked[ttl_s]).ok != accepted or answer.status // 100 == 5
        ]
        if any(answer.status in QUOTA_STATUS for answer in asked.values()):
            raise NotTestedError("the mint's limit is used up")
        bench.judge("EXP-4", not wrong, "; ".join(wrong) or "10 and 7200 s accepted, 9 and 7201 s refused")
        lives = {ttl_s or DEFAULT_TTL_S: asked[ttl_s] for ttl_s in (None, 10, 7200) if asked[ttl_s].ok}
        if not asked[None].ok:
            raise NotTestedError(f"a mint without a TTL answered HTTP {asked[None].status}")
        found = [(ttl_s, _expires_s(answer) - wall_ns() / 1e9) for ttl_s, answer in lives.items()]
        # By the difference of two answers, so that a clock that differs from ours is nobody's fault.
        off = [ttl_s for ttl_s, left_s in found if not _fits(ttl_s, left_s, found)]
        seen = ", ".join(
            f"{ttl_s} s {'by default' if ttl_s == DEFAULT_TTL_S else 'asked'}, {left_s:.0f} s left"
            for ttl_s, left_s in found
        )
        bench.judge("EXP-3", not off, seen)
        again = await mint(None)
        bench.judge(
            "EXP-5", again.fields.get("value") != asked[None].fields.get("value"), "two mints with equal bodies"
        )


def _expires_s(answer: Answer) -> float:
    value = answer.fields.get("expires_at")
    return float(value) if isinstance(value, int | float) else 0.0


def _fits(ttl_s: int, left_s: float, found: list[tuple[int, float]]) -> bool:
    others = [(other_s, other_left_s) for other_s, other_left_s in found if other_s != ttl_s]
    skew_fits = any(abs((left_s - ttl_s) - (seen - wanted)) <= TTL_TOLERANCE_S for wanted, seen in others)
    return abs(left_s - ttl_s) <= TTL_TOLERANCE_S or (skew_fits and abs(left_s - ttl_s) < 24 * 3600)


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
    Probe(rules=("EXP-4", "EXP-3", "EXP-5"), run=lifetimes),
    Probe(rules=("EXP-6",), run=two_uses),
    Probe(rules=("EXP-7",), run=configured),
)
