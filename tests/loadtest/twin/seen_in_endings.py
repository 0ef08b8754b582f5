"""What is seen of the ends of sessions (docs/contract.md#rules-of-termination, #rules-of-durations)."""

from collections.abc import Callable

from loadtest.twin.avaturn_side.sessions.lifespan import Lifespan
from loadtest.twin.knobs.avaturn import AvaturnKnobs
from tests.loadtest.twin.hand_clock import HandClock
from tests.loadtest.twin.inside import Inside

Ends = list[tuple[float, str]]
Step = tuple[float, Callable[[Lifespan], None]]

ECHO = {"type": "text-echo", "tts": {"voice_id": "v"}}
SHORT, LONG = "12345", "1234567890"


def life(make: Callable[[type[Lifespan]], type[Lifespan]], *steps: Step, knobs: AvaturnKnobs | None = None) -> Ends:
    """When and why a life ends: absence 30 s, at most 100 s; each step so many seconds after the one before."""
    clock, ends = HandClock(), Ends()
    span = make(Lifespan)(
        absence_s=30,
        longest_s=100,
        knobs=knobs or AvaturnKnobs(),
        timers=clock,
        end=lambda reason: ends.append((clock.now_s(), reason)),
    )
    span.created()
    for delay_s, step in steps:
        clock.advance(delay_s)
        step(span)
    clock.advance(10_000)
    return ends[:1]


async def life_without_start(twin: Inside) -> Ends:
    return life(twin.parts._make)


async def life_without_user(twin: Inside) -> Ends:
    return life(twin.parts._make, (0, lambda span: span.first_frame()))


async def life_with_user(twin: Inside) -> Ends:
    return life(twin.parts._make, (0, lambda span: span.first_frame()), (0, lambda span: span.joined()))


async def life_with_visits(twin: Inside) -> Ends:
    """Absent for 10 s, there for 35, absent for good."""
    return life(twin.parts._make, (10, lambda span: span.joined()), (35, lambda span: span.left()))


async def after_delete(twin: Inside) -> tuple[int, str]:
    session = await twin.new(conversation_engine=ECHO)
    async with twin.joined(session):
        assert (await twin.delete(session["session_id"])).status == 200
        return (await twin.sdk(session["token"])).status, twin.state(session["session_id"])


async def phrases_after_delete(twin: Inside) -> int:
    """Of two phrases, those that are said to their end after a DELETE during the first."""
    session = await twin.new(conversation_engine=ECHO)
    async with twin.joined(session) as user:
        await user.until(lambda: user.frames)
        for _ in range(2):
            await twin.sdk(session["token"], "/tasks", method="POST", body={"text": SHORT})
        await user.message("avatar_started_speaking_phrase")
        await twin.delete(session["session_id"])
        await user.until(lambda: user.close_code is not None)
        return len(user.all("avatar_ended_speaking_phrase"))


async def after_leave(twin: Inside) -> str:
    session = await twin.new(conversation_engine=ECHO)
    async with twin.joined(session) as user:
        await user.until(lambda: user.frames)
    await twin.eventually(lambda: twin.state(session["session_id"]) != "active")
    return twin.state(session["session_id"])


async def default_absence_s(twin: Inside) -> float:
    created = twin.session((await twin.new())["session_id"])
    assert created is not None
    return created.lifespan.absence_s


async def absence_of_9(twin: Inside) -> int:
    return (await twin.create({"user_absent_timeout": 9})).status


async def cap_survives_speech(twin: Inside) -> bool:
    """Whether the timer of max_duration is still the same after the user has spoken."""
    session = await twin.talking()
    async with twin.joined(session) as user:
        found = twin.session(session["session_id"])
        assert found is not None
        before = found.lifespan._longest
        user.say(duration_ms=100)
        await user.message("avatar_started_speaking")
        return found.lifespan._longest is before


async def token_after_end(twin: Inside) -> tuple[int, str]:
    session = await twin.new(conversation_engine=ECHO)
    await twin.delete(session["session_id"])
    status = (await twin.sdk(session["token"])).status
    await twin.eventually(lambda: twin.state(session["session_id"]) != "starting")
    return status, twin.state(session["session_id"])


async def second_delete(twin: Inside) -> list[int]:
    session_id = (await twin.new())["session_id"]
    await twin.delete(session_id)
    return [(await twin.delete(each)).status for each in (session_id, "unknown")]


async def _undisturbed(twin: Inside) -> dict[str, str]:
    return await twin.new(conversation_engine=ECHO, max_duration=86400, user_absent_timeout=86400)


async def messages_in_silence(twin: Inside) -> int:
    """Whether (1) or not (0) the page gets phrases while nobody says anything for several minutes."""
    async with twin.joined(await _undisturbed(twin)) as user:
        await user.until(lambda: len(user.frames) >= 20)
        return min(1, len(user.all("avatar_started_speaking_phrase")))


async def upstream_closes(twin: Inside) -> bool:
    session = await twin.talking()
    async with twin.joined(session) as user:
        await user.until(lambda: user.frames)
        assert len(twin.parts._realtime.open) == 1
        await twin.delete(session["session_id"])
        return await twin.eventually(lambda: not twin.parts._realtime.open, within_s=1)


async def after_cut(twin: Inside) -> str:
    """The state after OpenAI's 60 minutes."""
    session = await twin.talking(max_duration=86400, user_absent_timeout=86400)
    async with twin.joined(session) as user:
        await user.until(lambda: user.frames)
        await twin.eventually(lambda: not twin.parts._realtime.open)
        await twin.eventually(lambda: twin.state(session["session_id"]) == "ended", within_s=1)
        return twin.state(session["session_id"])
