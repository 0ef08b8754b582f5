"""A bench without a network: the fakes of the lifecycle's tests, and a wire that answers what a test scripts."""

from typing import Any

from loadtest.events.kinds import Event, RuleChecked
from loadtest.probes.bench.bench import Bench, Ground, Probe
from loadtest.probes.bench.wire import Answer
from loadtest.session.ticket import Ticket
from tests.loadtest.fakes import FakeControl, around

TICKET = Ticket(number=0, user=0, iteration=0, due_ns=0, purpose="probe:TD-3")


def answer(status: int, **fields: Any) -> Answer:
    import json

    return Answer(status=status, headers={}, body=json.dumps(fields).encode(), rtt_ns=1_000_000)


class FakeWire:
    """Answers by the fake control's truth; `clock` is the target's scale."""

    def __init__(self, control: FakeControl, *, clock: float = 1.0) -> None:
        self._control, self._clock = control, clock
        self.deleted: list[str] = []

    async def clock_scale(self) -> float:
        return self._clock

    async def create(self, body: Any, *, traceparent: str, key: str | None = None, **_more: Any) -> Answer:
        if body.get("max_duration") == 59:
            return answer(422, detail=[{"loc": ["body", "max_duration"]}])
        self._control.alive.add("av-1")
        return answer(200, session_id="av-1", token="token-1")

    async def sdk(self, _token: str, _path: str = "", **_more: Any) -> Answer:
        return answer(200 if "av-1" in self._control.alive else 404)

    async def delete(self, target_session_id: str, **_more: Any) -> Answer:
        self.deleted.append(target_session_id)
        self._control.alive.discard(target_session_id)
        return answer(200)


def ground(
    control: FakeControl, events: list[Event], *, places: int = 100, clock: float = 1.0, **settings: Any
) -> Ground:
    left = [places]

    def reserve() -> bool:
        left[0] -= 1
        return left[0] >= 0

    return Ground(
        around=around(control, events, **settings),
        wire=FakeWire(control, clock=clock),  # type: ignore[arg-type]
        reserve=reserve,
    )


def bench(control: FakeControl, events: list[Event], *, scale: float = 1.0) -> Bench:
    async def nothing(_bench: Bench) -> None:
        raise AssertionError("not to be run")

    return Bench(ground(control, events), TICKET, Probe(rules=("TD-3",), run=nothing), scale=scale)


def findings(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.rule, event.outcome.value) for event in events if isinstance(event, RuleChecked)]
