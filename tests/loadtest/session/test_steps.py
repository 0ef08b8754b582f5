"""What belongs to every step, whoever adds one."""

import pytest

from loadtest.config.settings import Target
from loadtest.events.kinds import ON_A_SECRET, STEPS, TO_THE_ROOM, Event, Outcome, Step, StepFinished
from loadtest.session.ports import Call
from loadtest.session.record import Record

OWN = ("mint_timeout_s", "create_timeout_s", "connect_timeout_s", "delete_timeout_s")


def test_the_way_to_the_room_is_the_steps_before_the_conversation_and_all_but_the_mint_need_its_secret() -> None:
    assert (Step.MINT, *ON_A_SECRET) == TO_THE_ROOM
    assert (*TO_THE_ROOM, Step.CONVERSE, Step.DELETE) == STEPS


@pytest.mark.parametrize("step", Step)
def test_every_step_but_the_conversation_has_a_deadline_and_an_operator_can_set_it(step: Step) -> None:
    deadlines_s = {name: number for number, name in enumerate(OWN, start=1)}
    deadline_s = Target.model_validate(deadlines_s).deadline_s(step)
    assert (deadline_s is None) == (step in (Step.CONVERSE, Step.TURN))
    assert deadline_s in (None, *deadlines_s.values())


@pytest.mark.parametrize(
    ("told_ns", "kept_ns"), [(None, None), (0, 0), (700, 700), (1_000, 1_000), (1_001, None), (1 << 62, None)]
)
def test_a_target_cant_have_worked_longer_on_a_call_than_it_took(told_ns: int | None, kept_ns: int | None) -> None:
    events = list[Event]()
    record = Record(emit=events.append, lag_ns=lambda: 0, scenario="test", purpose="load")
    record.step(Step.MINT, Call(server_ns=told_ns), span="", started_ns=5_000, t_ns=6_000, outcome=Outcome.OK)
    assert [event.server_ns for event in events if isinstance(event, StepFinished)] == [kept_ns]
