"""Errors, limits and what only shows while nothing else goes on (ERR-1, LIM-1, SDK-3, TD-10)."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from loadtest.criteria.words import plural
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import GATEWAY_STATUS, SAYS_QUOTA
from loadtest.probes.bench.bench import Bench, NotTestedError, Probe
from loadtest.probes.bench.subject import QUOTA_STATUS, Subject
from loadtest.probes.bench.wire import MORE_TRIES_S, Answer
from loadtest.session.ports import GONE_STATUS, ClientSecret
from loadtest.system.clock import now_ns
from loadtest.text.validation import whole_number

SOON = {"audio": {"input": {"turn_detection": {"silence_duration_ms": 200}}, "output": {"speed": 0.25}}}
LEADS_S = (0.5, 0.15)
"""Before the end of the user's turn: the response must have begun by then, and not be over."""
MOST_SESSIONS = 24
UNKNOWN_SECRET = "ek_unknown_secret_of_a_probe"
TOO_LATE_S = 2.0
IDLE_MS = 5000
REMAINING = "x-ratelimit-remaining-tokens"
CLOSED_WITHIN_S = 5.0
ANSWER_S = 3.0
IDLE: dict[str, object] = {"audio": {"input": {"turn_detection": {"idle_timeout_ms": IDLE_MS}}}}


async def recoverable(bench: Bench) -> None:
    """A response is asked for by text while the user speaks: at the end of his turn OpenAI already has an active one,
    and says so in an `error` event (ERR-1)."""
    async with bench.subject() as subject:
        await subject.new(realtime=SOON)
        visit = await subject.join()
        try:
            for lead_s in LEADS_S:
                visit.speak(bench.clip)
                await asyncio.sleep(max(0.0, (bench.clip.last_voiced + 1) / 50 - lead_s))
                task = await bench.wire.sdk(
                    subject.created.token, "/tasks", method="POST", body={"text": "Tell me a story."}
                )
                if not task.ok:
                    raise NotTestedError(f"a text task answered HTTP {task.status}")
                await visit.until(lambda: visit.speaking, 10.0)
                await visit.until(lambda: not visit.speaking, 30.0)
            answered = await visit.ask(bench.clip, hear_out=False) is not None
        except StepError:
            answered = False
        what = "the session was over" if visit.over else "the next turn was not answered"
        bench.judge(
            "ERR-1",
            answered,
            f"after a response was asked for twice at a time {'the next turn was answered' if answered else what}",
        )


async def early_error(bench: Bench) -> None:
    """A session that fails before anybody listens (SDK-3)."""
    async with bench.subject() as subject:
        try:
            await subject.create(ClientSecret(value=UNKNOWN_SECRET, expires_at_s=0))
        except StepError as error:
            bench.tell("SDK-3", f"a bad secret is refused at create already: HTTP {error.http_status}")
            return
        await subject.grant()
        await asyncio.sleep(TOO_LATE_S)
        with contextlib.suppress(StepError):
            visit = await subject.enter()
            told = await visit.until(lambda: bool(visit.errors), 5.0, despite_end=True)
            bench.tell(
                "SDK-3", f"an error {TOO_LATE_S:g} s before the page came was {'told to it' if told else 'lost'}"
            )


async def quota(bench: Bench) -> None:
    """Create until there is a refusal, or enough (LIM-1)."""
    async with contextlib.AsyncExitStack() as stack:
        first: Subject = await stack.enter_async_context(bench.subject())
        try:
            await first.new()
        except StepError as error:
            if error.http_status is not None and error.http_status // 100 == 5:
                raise NotTestedError(f"the very first create answered HTTP {error.http_status}") from None
            raise
        await first.grant()
        secret = await first.mint()
        body = {
            "conversation_engine": {"type": "openai-realtime", "client_secret": secret.value},
            "user_absent_timeout": bench.long_absence_s,
        }
        subjects, answer = [first], Answer(status=0, headers={}, body=b"", rtt_ns=0)
        while subjects[-1].exists and len(subjects) < MOST_SESSIONS:
            subject, answer = await _one_more(bench, stack, body)
            subjects.append(subject)
        tried, running = len(subjects), [subject for subject in subjects if subject.exists]
        seen = f"session {tried} was refused with HTTP {answer.status}"
        told = None
        if len(running) == tried:
            await first.join()
            told = await _refused_in_room(subjects[-1])
            if told is None:
                raise NotTestedError(f"{plural(tried)} at once: none was refused")
            seen = f"session {tried} was created, and refused in its room with {told}"
            running = [first]  # of the rest nobody knows whether they would be let in
        looks = [await subject.look() for subject in running]
        lost, alive = sum(status in GONE_STATUS for status in looks), looks.count(200)
        clean = told is not None or answer.status in QUOTA_STATUS
        if clean and not lost and alive < len(running):
            raise NotTestedError(f"{seen}; only {alive} of {plural(len(running), 'other')} could be looked at then")
        fate = f"{lost} of {plural(len(running), 'other')} ended with it" if lost else "the others lived on"
        bench.judge("LIM-1", clean and not lost, f"{seen}, {fate}")


async def _refused_in_room(last: Subject) -> str | None:
    """The word with which the room of one session too many turns us away; None: it doesn't, for that."""
    try:
        await last.join()
    except StepError as error:
        return error.code.value if error.code in SAYS_QUOTA else None
    return None


async def _one_more(bench: Bench, stack: contextlib.AsyncExitStack, body: Mapping[str, Any]) -> tuple[Subject, Answer]:
    """A create, and what it made; where a gateway answered, another one."""
    for pause_s in (*MORE_TRIES_S, 0.0):
        subject = await stack.enter_async_context(bench.subject())
        answer = await subject.attempt(body)
        if answer.status not in GATEWAY_STATUS:
            break
        await asyncio.sleep(pause_s)
    return subject, answer


async def upstream_closed(bench: Bench) -> None:
    """The bill as a witness: a socket to OpenAI that stays open answers the user's silence now and then, and the
    account's tokens go down although nobody is there any more (TD-10)."""

    async def remaining() -> int | None:
        answer = await bench.wire.mint({"expires_after": {"seconds": 1}})  # refused, but the account's limits are told
        return whole_number(answer.headers.get(REMAINING, ""))

    async def lowest(for_s: float) -> int:
        seen = []
        deadline_ns = now_ns() + int(for_s * 1e9)
        while now_ns() < deadline_ns:
            if (left := await remaining()) is not None:
                seen.append(left)
            await asyncio.sleep(0.05)
        return min(seen, default=0)

    if await remaining() is None:
        raise NotTestedError("OpenAI doesn't tell how many tokens are left")
    async with bench.subject() as subject:
        await subject.new(realtime=IDLE)
        visit = await subject.join()
        full = await remaining() or 0
        await bench.answer_in(visit, hear_out=False)
        # Not heard out: an answer to silence may follow upon the other.
        period_s = bench.real_s(IDLE_MS / 1000) + ANSWER_S
        if await lowest(period_s) >= full:
            raise NotTestedError("the account's tokens don't show that a session is answering")
        await subject.delete()
        await asyncio.sleep(CLOSED_WITHIN_S)
        settled = await remaining() or 0
        low = await lowest(2 * period_s)
        used = f"after the delete the account's tokens went from {settled} to {low}"
        bench.judge("TD-10", low >= settled, used if low < settled else "no tokens were used after the delete")


PROBES = (
    Probe(rules=("ERR-1",), run=recoverable),
    Probe(rules=("SDK-3",), run=early_error),
    Probe(rules=("TD-10",), run=upstream_closed, alone=True),
    Probe(rules=("LIM-1",), run=quota, alone=True),
)
