"""DELETE, and what it leaves (TD-1, TD-5, TD-6, TD-11, SEC-3, SDK-2)."""

import asyncio
import contextlib
import uuid
from collections.abc import Sequence

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import NOBODYS_WORD, Kind
from loadtest.probes.bench.bench import Bench, NotTestedError, Probe
from loadtest.probes.bench.subject import Subject
from loadtest.probes.bench.wire import CALL_TIMEOUT_S
from loadtest.session.ports import Grant, is_deleted
from loadtest.system.clock import now_ns

GONE_WITHIN_S = 5.0
GRACE_S = 0.5
"""For the last look to be answered."""
SLOW_SPEECH = {"audio": {"output": {"speed": 0.25}}}
"""The slowest legal speed: an answer that is long enough to be cut."""
NO_KEY = frozenset({401, 403, 404})
"""By which a create can only mean its key: a body that is found wrong has come further."""
LEAVE_AFTER_S = 1.0
LAST_TRIES = 2
LATER_S = 5.0
PLACEHOLDER = "ek_placeholder_of_a_probe"


async def deleted(bench: Bench) -> None:
    """A session that is deleted while its user is in the room, and what is left of it then."""
    async with bench.subject() as subject:
        await subject.new(user_absent_timeout=bench.shortest(15))
        grant = await subject.grant()
        visit = await subject.join()
        sent_ns = now_ns()
        try:
            await subject.delete()
        except StepError:
            await _judge_refused(bench, subject)
            return
        first = subject.delete_status[0]
        if _is_refusal(first):
            bench.judge(
                "TD-1", False, f"a delete was answered with HTTP {first}, and had ended the session all the same"
            )
            return
        limit_s = GONE_WITHIN_S + GRACE_S
        end = await subject.end(limit_s=limit_s, every_s=0.25, visit=visit)
        if end is None:
            seen = f"confirmed, and {limit_s:g} s later the room was open and the token good"
            bench.judge("TD-1", False, f"a delete was {seen}")
            return
        ended_s = max(0.0, (end.after_ns - sent_ns) / 1e9)
        bench.judge("TD-1", ended_s <= GONE_WITHIN_S, f"over {ended_s:.2f} s after the delete ({end.how})")
        await visit.until(lambda: visit.over, limit_s, despite_end=True)
        bench.judge("SDK-2", visit.over, "the room told of the end" if visit.over else "the room stayed silent for 5 s")
        await _resurrected(bench, subject, grant)
        again = await bench.wire.delete(subject.created.target_session_id)
        unknown = await bench.wire.delete(str(uuid.uuid4()))
        statuses = (again.status, unknown.status)
        harmless = all(is_deleted(status) or status == 409 for status in statuses)
        bench.judge("TD-6", harmless, "a second delete: HTTP {}, one of an unknown id: HTTP {}".format(*statuses))


def _is_refusal(status: int | None) -> bool:
    """An answer by which a delete is denied; gateways and limits speak for nobody."""
    return status is not None and not is_deleted(status) and status not in NOBODYS_WORD


async def _judge_refused(bench: Bench, subject: Subject) -> None:
    """A delete that was refused again and again, of a session that is there (TD-1)."""
    statuses = [*subject.delete_status]
    for _ in range(LAST_TRIES):
        await asyncio.sleep(LEAVE_AFTER_S)
        statuses.append((await bench.wire.delete(subject.created.target_session_id)).status)
    seen = f"a delete was answered with HTTP {', '.join(map(str, statuses))}"
    if not all(map(_is_refusal, statuses)):
        raise NotTestedError(seen)
    alive = await subject.is_alive()
    bench.judge("TD-1", False, f"{seen}, and then the session {_state(alive)}")


async def _resurrected(bench: Bench, subject: Subject, grant: Grant) -> None:
    """Everything that might bring an ended session back to life (TD-5)."""
    alive, ended_ns = list[str](), now_ns()
    status = await subject.look()
    if status == 200:
        alive.append("its token still gets a room")
        subject.revives = True
    for path, answer in (
        ("tasks", await bench.wire.sdk(subject.created.token, "/tasks", method="POST", body={"text": "Hello?"})),
        ("start_stream", await bench.wire.sdk(subject.created.token, "/start_stream", method="POST")),
        ("public tasks", await bench.wire.task(subject.created.target_session_id, "Hello?")),
    ):
        if answer.ok:
            alive.append(f"{path}: HTTP {answer.status}")
    with contextlib.suppress(StepError):
        visit = await subject.enter(grant)
        await visit.until(lambda: visit.joined_ns is not None or visit.over, GONE_WITHIN_S, despite_end=True)
        if visit.joined_ns is not None:
            alive.append("its room can be joined")
    if status != 200:
        # Not at once, perhaps, but when somebody's cache has forgotten it.
        await asyncio.sleep(max(0.0, LATER_S - (now_ns() - ended_ns) / 1e9))
        if await subject.look() == 200:
            alive.append(f"{LATER_S:g} s later its token is good again")
            subject.revives = True
    bench.judge("TD-5", not alive, "; ".join(alive) or f"token (HTTP {status}), room and tasks were refused")


async def deleted_in_speech(bench: Bench) -> None:
    """A session that is deleted while the avatar speaks."""
    async with bench.subject() as subject:
        await subject.new(realtime=SLOW_SPEECH)
        visit = await subject.join()
        await bench.answer_in(visit, hear_out=False)
        await asyncio.sleep(LEAVE_AFTER_S)
        if not visit.speaking:
            raise NotTestedError("the answer was too short to be cut")
        sent_ns = await subject.delete()
        await visit.until(lambda: visit.over, GONE_WITHIN_S + GRACE_S, despite_end=True)
        spoke_s = (max(at for at in (visit.closed_ns, now_ns()) if at) - sent_ns) / 1e9
        if visit.over:
            bench.judge("TD-1b", True, "the room was over at once, in the middle of the answer")
        elif visit.speaking:
            bench.judge("TD-1b", False, f"the avatar still spoke {spoke_s:.1f} s after the delete")
        else:
            gone = not await subject.is_alive()
            bench.judge(
                "TD-1b", gone, f"silent, and the token {'refused' if gone else 'still good'} after {spoke_s:.1f} s"
            )


async def wrong_keys(bench: Bench) -> None:
    """Keys on the wrong side of the wall."""
    async with bench.subject() as subject, bench.subject() as other, bench.subject() as third:
        await subject.new()
        await subject.grant()
        session_id, own = subject.created.target_session_id, subject.created.token
        foreign = await bench.wire.delete(session_id, key="probe-" + uuid.uuid4().hex)
        keyless = await bench.wire.delete(session_id, key="")
        alive = await subject.is_alive()
        _judge_wall(
            bench,
            "TD-11",
            subject,
            [(status, _says_no(status)) for status in (foreign.status, keyless.status)],
            f"a delete with an unknown key: HTTP {foreign.status}, without a key: HTTP {keyless.status},"
            f" then the session {_state(alive)}",
            unharmed=alive,
        )
        await other.new()
        await other.grant()
        token, page = other.created.token, await bench.wire.sdk(own)
        with_token = await bench.wire.delete(other.created.target_session_id, key=token)
        other_alive = await other.is_alive()
        made = await third.attempt(
            {
                "conversation_engine": {"type": "openai-realtime", "client_secret": PLACEHOLDER},
                "user_absent_timeout": bench.long_absence_s,
            },
            key=token,
        )
        by_key = await bench.wire.sdk(bench.wire.avaturn_key)
        told = [
            what
            for what, secret in (
                ("another session's token", token),
                ("the API key", bench.wire.avaturn_key),
                ("OpenAI's key", bench.wire.openai_key),
            )
            if secret.encode() in page.body
        ]
        _judge_wall(
            bench,
            "SEC-3",
            other,
            [
                (made.status, made.status in NO_KEY),
                *((call.status, _says_no(call.status)) for call in (with_token, by_key)),
            ],
            f"with a session's token a delete: HTTP {with_token.status}, then the session {_state(other_alive)},"
            f" a create: HTTP {made.status}; the API key at the SDK's API: HTTP {by_key.status}"
            + (f"; an SDK session told {', '.join(told)}" if told else ""),
            unharmed=other_alive and not told,
        )


def _says_no(status: int) -> bool:
    """Whether the service refuses what it was asked; a limit stops a good key, too."""
    return status // 100 == 4 and status not in NOBODYS_WORD


def _judge_wall(
    bench: Bench, rule: str, subject: Subject, calls: Sequence[tuple[int, bool]], seen: str, *, unharmed: bool
) -> None:
    """`calls`: the status of each, and whether that is a refusal. What a limit or an error has stopped says nothing of
    the wall behind it, but what was let through or harmed does."""
    stands = unharmed and not any(status // 100 == 2 for status, _ in calls)
    if stands and not all(refused for _, refused in calls):
        bench.leave(rule, seen, subject)
    else:
        bench.judge(rule, stands, seen, subject)


def _state(alive: bool) -> str:
    return "lived on" if alive else "was gone"


async def opened(bench: Bench) -> None:
    """Opening a session, each call against our own deadline."""
    async with bench.subject() as subject:
        await subject.new()
        try:
            answer = await bench.wire.sdk(subject.created.token)
        except StepError as error:
            if error.kind is not Kind.TIMEOUT:
                raise
            bench.judge("SDK-1", False, f"GET /_sdk/v0/sessions was not answered within {CALL_TIMEOUT_S:g} s")
            return
        seen = f"GET /_sdk/v0/sessions was answered with {answer.status}"
        if not answer.ok:
            bench.judge("SDK-1", True, seen)
            return
        visit, limit_s = await subject.enter(), bench.ground.around.settings.target.connect_timeout_s

        def settled() -> bool:
            return visit.joined_ns is not None or visit.first_frame_ns is not None or visit.over or bool(visit.errors)

        entered = await visit.until(settled, limit_s, despite_end=True)
        room = "its room let us in, or told us" if entered else f"of its room nothing came for {limit_s:g} s"
        bench.judge("SDK-1", entered, f"{seen}; {room}")


PROBES = (
    Probe(rules=("TD-1", "TD-5", "TD-6", "SDK-2"), run=deleted),
    Probe(rules=("TD-1b",), run=deleted_in_speech),
    Probe(rules=("TD-11", "SEC-3"), run=wrong_keys),
    Probe(rules=("SDK-1",), run=opened),
)
