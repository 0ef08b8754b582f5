import asyncio

from loadtest.events.kinds import Event
from loadtest.leftovers.deleting import sweep
from loadtest.leftovers.finding import Leftovers
from tests.loadtest.fakes import FakeControl, refused


def test_whatever_one_delete_raises_the_others_are_done_and_told() -> None:
    control, told = FakeControl(delete=[ValueError("of ours"), refused(503), TimeoutError(), 204]), list[Event]()
    left = Leftovers(leaked={f"s{number}": f"av-{number}" for number in range(4)}, doubtful={})
    swept = asyncio.run(sweep(control, left, emit=told.append, timeout_s=5.0))
    assert swept.gone == ["s3"] == [event.session for event in told if hasattr(event, "session")]
    assert swept.failed == {
        "s0": "ValueError('of ours')",
        "s1": "rejected/http_5xx",
        "s2": "no answer within 5 s",
    }
