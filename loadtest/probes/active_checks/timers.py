"""What ends a session by itself: absence, the longest duration, an idle page.

Source: docs/contract.md#rules-of-termination, #rules-of-durations.
"""

import asyncio
import contextlib
from typing import Any

from loadtest.criteria.words import plural
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code
from loadtest.probes.bench.bench import LATE_S, Bench, NotTestedError, Probe
from loadtest.probes.bench.subject import Subject
from loadtest.probes.bench.visit import Visit
from loadtest.session.hearing.ear import QUIET_NS
from loadtest.session.ports import GONE_STATUS
from loadtest.system.clock import now_ns

ABSENCE_S, DEFAULT_ABSENCE_S = 10, 60
BACK_BEFORE_S, STAY_S = 3, 6
STAYS_S = 0.5
"""Who is let in and shown out again at once has not come back."""
SHORTEST_S, OVERRUN_S = 60, 10.0
UNSTARTED_S, START_UP_S = 10.0, 8.0
IDLE_S = 300
OPENAI_LIMIT_S, FOREVER_S = 3600, 86400
CUT_WITHIN_S = 10.0
SHUT, LOST = (Code.WS_REFUSED, Code.WS_CLOSED), "1006"


def _every_s(bench: Bench, nominal_s: float) -> float:
    return min(1.0, max(0.02, bench.real_s(nominal_s / 40)))


async def left(bench: Bench) -> None:
    """A room that is left for a moment (TD-2)."""
    async with bench.subject() as subject:
        absence_s = bench.shortest(30)
        await subject.new(user_absent_timeout=absence_s)
        visit = await subject.join()
        left_ns = now_ns()
        await subject.leave(visit)
        await bench.pass_time(3)
        status = await subject.look()
        away_s = bench.service_s(now_ns() - left_ns)
        if away_s > absence_s - 1:
            raise NotTestedError("we were away for too long ourselves")
        if status in GONE_STATUS:
            bench.judge("TD-2", False, f"gone {away_s:.1f} s after its user left, of {absence_s} s that it should wait")
            return
        back, limit_s = await subject.enter(), bench.ground.around.settings.target.connect_timeout_s
        try:
            there = await back.until(lambda: back.first_frame_ns is not None, limit_s)
            await back.until(lambda: False, STAYS_S)
        except StepError as error:
            if bench.service_s((back.closed_ns or now_ns()) - left_ns) > absence_s - 1:
                raise
            bench.judge("TD-2", False, f"{away_s:.1f} s after leaving, coming back failed: {error.code}")
            return
        if not there and bench.service_s((back.joined_ns or now_ns()) - left_ns) > absence_s - 1:
            raise NotTestedError("coming back took too long")
        seen = "was there" if there else f"did not come within {limit_s:g} s"
        bench.judge("TD-2", there, f"came back after {away_s:.1f} s, and the avatar {seen}")


async def absent(bench: Bench) -> None:
    """A room that is left for good: politely, by a crash, and with the default of the timeout (TD-3)."""
    short_s = bench.shortest(ABSENCE_S)
    await _together(
        _absent(bench, short_s, "the user left"),
        _absent(bench, short_s, "the user's connection broke", crash=True),
        _absent(bench, None, "the user left, the timeout was not given"),
    )


async def _absent(bench: Bench, absence_s: int | None, what: str, *, crash: bool = False) -> None:
    nominal_s = absence_s or DEFAULT_ABSENCE_S
    async with bench.subject() as subject:
        await subject.new(user_absent_timeout=absence_s)
        visit = await subject.join()
        since_ns = now_ns()
        if crash:
            drop = getattr(visit.room, "drop", None)
            if drop is None:
                return  # this kind of room can't be left without a word
            drop()
        else:
            await subject.leave(visit)
        until_ns = now_ns()
        end = await subject.end(limit_s=_patience_s(bench, nominal_s), every_s=_every_s(bench, nominal_s))
        if end is None and await _is_locked(bench, subject, "TD-3"):
            return
        bench.timer("TD-3", subject, end, since_ns=since_ns, until_ns=until_ns, nominal_s=nominal_s, what=what)


async def _is_locked(bench: Bench, subject: Subject, rule: str) -> bool:
    """Whether a session whose token is still good is over all the same: its room lets nobody in. That is TD-5, and
    when it ended nobody can say."""
    try:
        visit = await subject.enter()
        await visit.until(lambda: visit.joined_ns is not None or visit.over, LATE_S, despite_end=True)
    except StepError:
        return False
    if visit.joined_ns is not None or visit.why is None or visit.why.code not in SHUT or LOST in visit.why.detail:
        return False
    bench.judge("TD-5", False, f"a session is over ({visit.why.detail}), and its token still gets its room", subject)
    bench.leave(rule, "its token is good for ever: when it ended can't be seen", subject)
    return True


def _patience_s(bench: Bench, nominal_s: float) -> float:
    return bench.real_s(nominal_s + max(LATE_S, 0.05 * nominal_s)) + 0.3


async def back_again(bench: Bench) -> None:
    """An absence that ends just in time, and a second one (TD-3b)."""
    absence_s = bench.shortest(ABSENCE_S)
    async with bench.subject() as subject:
        await subject.new(user_absent_timeout=absence_s)
        visit = await subject.join()
        # The absence before the first join is one too.
        present_s = absence_s + BACK_BEFORE_S - bench.service_s(now_ns() - subject.created_ns)
        if await visit.until(lambda: visit.over, bench.real_s(max(0.0, present_s)), despite_end=True):
            await _raise_if_alive(subject)
            bench.judge("TD-3b", False, "the first join did not stop the timer: the session ended with its user in it")
            return
        left_ns = now_ns()
        await subject.leave(visit)
        await bench.pass_time(absence_s - BACK_BEFORE_S)
        try:
            visit = await subject.join()
        except StepError:
            if bench.service_s(now_ns() - left_ns) > absence_s - 1:
                raise NotTestedError("coming back took too long") from None
            raise
        if bench.service_s((visit.joined_ns or now_ns()) - left_ns) > absence_s - 1:
            raise NotTestedError("coming back took too long")
        if await visit.until(lambda: visit.over, bench.real_s(BACK_BEFORE_S + STAY_S), despite_end=True):
            await _raise_if_alive(subject)
            bench.judge("TD-3b", False, "the timer went on: the session ended with its user in the room")
            return
        since_ns = now_ns()
        await subject.leave(visit)
        until_ns = now_ns()
        end = await subject.end(limit_s=_patience_s(bench, absence_s), every_s=_every_s(bench, absence_s))
        if end is None and await _is_locked(bench, subject, "TD-3b"):
            return
        bench.timer(
            "TD-3b", subject, end, since_ns=since_ns, until_ns=until_ns, nominal_s=absence_s, what="a second absence"
        )


async def _raise_if_alive(subject: Subject) -> None:
    """A room that has closed is no session that has ended. Raises NotTestedError."""
    if await subject.is_alive():
        raise NotTestedError("the room closed, and its session lived on")


async def longest(bench: Bench) -> None:
    """Talk on until `max_duration` (TD-4)."""
    async with bench.subject(max_duration_s=SHORTEST_S) as subject:
        await subject.new(max_duration=SHORTEST_S)
        visit = await subject.join()
        began_ns = visit.first_frame_ns or now_ns()
        deadline_ns = began_ns + int(bench.real_s(SHORTEST_S + OVERRUN_S) * 1e9)
        talking = asyncio.ensure_future(_talk_on(bench, visit))
        bench.background(talking)
        end = await subject.end(
            limit_s=(deadline_ns - now_ns()) / 1e9, every_s=_every_s(bench, SHORTEST_S), visit=visit
        )
        if end is not None and not visit.over:
            # The token is dead. The room?
            await visit.until(lambda: visit.over, max(0.0, (deadline_ns - now_ns()) / 1e9), despite_end=True)
        spoke_on = end is not None and not visit.over and visit.spoke_at(deadline_ns - QUIET_NS)
        talking.cancel()
        if end is None or spoke_on:
            alive = "the avatar spoke on" if spoke_on else "alive"
            bench.judge(
                "TD-4",
                False,
                f"{alive} {SHORTEST_S + OVERRUN_S:.0f} s after its first frame, max_duration {SHORTEST_S} s",
            )
            return
        of_life_s = bench.service_s(end.by_ns - subject.sent_ns)
        of_stream_s = bench.service_s(end.after_ns - began_ns)
        holds = of_life_s >= SHORTEST_S - 1 and of_stream_s <= SHORTEST_S + OVERRUN_S
        zero = "create" if abs(of_life_s - SHORTEST_S) < abs(of_stream_s - SHORTEST_S) else "first frame"
        seen = f"over {of_life_s:.1f} s after create, {of_stream_s:.1f} s after the first frame"
        bench.judge("TD-4", holds, f"{seen}: max_duration {SHORTEST_S} s counts from {zero}")


async def _talk_on(bench: Bench, visit: Visit) -> None:
    with contextlib.suppress(StepError):
        while True:
            await visit.ask(bench.clip, despite_end=False)


async def never_joined(bench: Bench) -> None:
    """Sessions that nobody comes to: one that was only created, one whose stream was started (TD-7, TD-9)."""
    await _together(_never_joined(bench, started=False), _never_joined(bench, started=True))


async def _never_joined(bench: Bench, *, started: bool) -> None:
    absence_s = bench.shortest(ABSENCE_S)
    async with bench.subject() as subject:
        await subject.new(user_absent_timeout=absence_s)
        start_up_s = 0.0
        if started:
            await bench.wire.sdk(subject.created.token, "/start_stream", method="POST")
            start_up_s = START_UP_S
        await asyncio.sleep(bench.real_s(absence_s + UNSTARTED_S) + (start_up_s if bench.scale < 2 else 1.0))
        # The first look ever: an earlier one might itself have started the stream.
        gone = not await subject.is_alive()
        waited_s = bench.service_s(now_ns() - subject.created_ns)
        if not gone and await _is_locked(bench, subject, "TD-7"):
            bench.leave("TD-9", "its token is good for ever: when it ended can't be seen", subject)
            return
        how = "whose stream was started" if started else "that was only created"
        what = f"a session {how} and that nobody joined was {'gone' if gone else 'alive'} after {waited_s:.0f} s"
        bench.judge("TD-7", gone, f"{what}, user_absent_timeout {absence_s} s", subject)
        if started:
            # All that a create leaves whose client gave up: nobody ever comes.
            bench.judge("TD-9", gone, f"{what}: so is one whose client gave up on the create", subject)


async def idle_page(bench: Bench) -> None:
    """A page without `keepAlive`, as the web SDK is: no message for 300 s, and it leaves (TD-8)."""
    absence_s = bench.shortest(ABSENCE_S)
    async with bench.subject() as subject:
        await subject.new(user_absent_timeout=absence_s)
        visit = await subject.join()
        joined_ns = now_ns()
        limit_ns = joined_ns + int(bench.real_s(IDLE_S + LATE_S + 60) * 1e9)

        def last_ns() -> int:
            return max([joined_ns, *(t_ns for t_ns, _ in visit.messages)])

        def idle() -> bool:
            return now_ns() - last_ns() >= bench.real_s(IDLE_S) * 1e9

        while not idle() and now_ns() < limit_ns:
            if await visit.until(lambda: visit.over, max(0.01, bench.real_s(1)), despite_end=True):
                raise NotTestedError("the session ended before the page was idle")
        if not idle():
            chatter = len([1 for t_ns, _ in visit.messages if t_ns > joined_ns])
            bench.judge("TD-8", False, f"{plural(chatter, 'message')} in a silent room: a page never counts as idle")
            return
        since_ns = now_ns()
        await subject.leave(visit)
        until_ns = now_ns()
        end = await subject.end(limit_s=_patience_s(bench, absence_s), every_s=_every_s(bench, absence_s))
        if end is None and await _is_locked(bench, subject, "TD-8"):
            return
        bench.timer(
            "TD-8",
            subject,
            end,
            since_ns=since_ns,
            until_ns=until_ns,
            nominal_s=absence_s,
            what=f"a page that had been idle for {IDLE_S} s",
        )


async def openai_cut(bench: Bench) -> None:
    """OpenAI ends every socket after an hour at the latest: what becomes of the avatar (DUR-1, DUR-2)."""
    async with bench.subject() as subject:
        await subject.new(max_duration=FOREVER_S)
        visit = await subject.join()
        began_ns = visit.first_frame_ns or now_ns()
        first = None
        with contextlib.suppress(StepError):  # the end of its room: what follows judges that
            first = await visit.ask(bench.clip, hear_out=False)
        if first is None and not visit.over and bench.service_s(now_ns() - began_ns) < OPENAI_LIMIT_S:
            raise NotTestedError("the avatar does not answer before the cut either")
        await _still_answers(bench, visit, CUT_WITHIN_S / 2)
        if "DUR-1" in bench.said:
            return
        full_s = bench.real_s(OPENAI_LIMIT_S + 60)
        if full_s > 70 and not bench.ground.around.settings.probes.slow:
            raise NotTestedError(f"the hour of OpenAI's cut lasts {full_s / 60:.0f} min here: needs --slow")
        left_s = full_s - (now_ns() - began_ns) / 1e9
        await visit.until(lambda: visit.over or bool(visit.errors), left_s, despite_end=True)
        await _still_answers(bench, visit, 0)
        lasted_s = bench.service_s((visit.closed_ns or now_ns()) - began_ns)
        if "DUR-1" not in bench.said:
            bench.judge("DUR-1", True, f"a turn was answered {lasted_s:.0f} s after the first frame")
        state = "over" if visit.over else "alive"
        bench.tell("DUR-2", f"with max_duration {FOREVER_S} s the conversation was {state} after {lasted_s:.0f} s")


async def _still_answers(bench: Bench, visit: Visit, after_s: float) -> None:
    """Judge DUR-1 where two turns in a row are not answered, or the session is over."""
    if await visit.until(lambda: visit.over or bool(visit.errors), after_s, despite_end=True):
        bench.judge("DUR-1", True, "the cut was told" if visit.errors else "the cut ended the session")
        return
    with contextlib.suppress(StepError):
        for _ in range(2):
            if await visit.ask(bench.clip) is not None:
                return
    told = await visit.until(lambda: visit.over or bool(visit.errors), CUT_WITHIN_S, despite_end=True)
    seen = "an error or an end came" if told else "the room stayed open, without an answer or an error"
    bench.judge("DUR-1", told, f"turns were not answered any more: {seen}")


async def _together(*parts: Any) -> None:
    """All of them to their end; then raise what one of them raised."""
    outcomes = await asyncio.gather(*parts, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


PROBES = (
    Probe(rules=("TD-4",), run=longest, lasts_s=SHORTEST_S + OVERRUN_S),
    Probe(rules=("TD-3",), run=absent, lasts_s=DEFAULT_ABSENCE_S + LATE_S),
    Probe(rules=("TD-3b",), run=back_again, lasts_s=45),
    Probe(rules=("TD-7", "TD-9"), run=never_joined, lasts_s=30),
    Probe(rules=("TD-2",), run=left),
    Probe(rules=("TD-8",), run=idle_page, lasts_s=IDLE_S + ABSENCE_S),
    Probe(rules=("DUR-1", "DUR-2"), run=openai_cut),
)
