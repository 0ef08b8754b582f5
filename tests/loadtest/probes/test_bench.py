import asyncio

import pytest

from loadtest.events.kinds import Event, RuleChecked
from loadtest.probes.bench.subject import End
from loadtest.probes.bench.visit import Visit
from loadtest.sound.speech import SILENCE
from tests.loadtest.fakes import CLIP, FakeControl, FakeRoom
from tests.loadtest.probes.doubles import bench, findings

S = 1_000_000_000
HOW = "the token was refused with 404"


def judged(end: End | None, *, scale: float = 1.0, rtt_ns: int = 0, until_s: float = 0.0) -> str:
    events: list[Event] = []

    async def scene() -> None:
        on = bench(FakeControl(), events, scale=scale)
        async with on.subject() as subject:
            subject.rtts_ns.append(rtt_ns)
            on.timer("TD-3", subject, end, since_ns=0, until_ns=int(until_s * S), nominal_s=10, what="the user left")

    asyncio.run(scene())
    ((_, outcome),) = findings(events)
    return outcome


def end(after_s: float, by_s: float) -> End:
    return End(after_ns=int(after_s * S), by_ns=int(by_s * S), how=HOW)


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (end(9.9, 10.1), "pass"),
        (end(8.7, 9.1), "pass"),  # within a second before
        (end(8.0, 8.9), "fail"),  # certainly too early
        (end(14.9, 15.6), "pass"),  # perhaps in time: our own look was late
        (end(15.1, 15.3), "fail"),  # certainly too late
        (None, "fail"),  # never
    ],
)
def test_a_timer_is_broken_only_where_that_is_certain(seen: End | None, outcome: str) -> None:
    assert judged(seen) == outcome


def test_an_uncertain_beginning_widens_what_is_in_time() -> None:
    assert judged(end(15.5, 15.6), until_s=0.6) == "pass"


def test_tolerances_scale_with_the_targets_clock() -> None:
    assert judged(end(1.0, 1.01), scale=10) == "pass"
    assert judged(end(0.5, 0.85), scale=10) == "fail"
    assert judged(end(1.6, 1.7), scale=10) == "fail"


def test_a_tolerance_under_three_lags_says_nothing() -> None:
    slow_ns = 200_000_000

    assert judged(end(1.0, 1.01), scale=10, rtt_ns=slow_ns) == "not_tested"
    assert judged(end(10.0, 10.1), scale=1, rtt_ns=slow_ns) == "pass"


def test_a_finding_without_a_session_has_one_to_refer_to() -> None:
    events: list[Event] = []
    bench(FakeControl(), events).leave("TD-3", "no reason")

    (checked,) = [event for event in events if isinstance(event, RuleChecked)]
    assert [type(event).__name__ for event in events] == ["SessionStarted", "RuleChecked", "SessionFinished"]
    assert checked.detail == "no reason"


@pytest.mark.parametrize(("gap_s", "frames", "outcome"), [(0.02, 1, "fail"), (0.5, 1, "not_tested"), (0.5, 25, "fail")])
def test_who_was_too_busy_to_hear_can_not_blame_the_target(gap_s: float, frames: int, outcome: str) -> None:
    events: list[Event] = []

    async def scene() -> None:
        on = bench(FakeControl(), events)
        async with on.subject() as subject:
            visit = Visit(subject.record)
            room = FakeRoom()
            room.listener = visit
            visit.room = room
            visit.speak(CLIP)
            for frame in range(3):
                visit.on_audio(int(frame * gap_s * S) + 1, SILENCE * frames)
            subject._visits.append(visit)
            on.judge_heard("INT-1", False, "the avatar spoke on", subject)

    asyncio.run(scene())
    assert findings(events) == [("INT-1", outcome)]
