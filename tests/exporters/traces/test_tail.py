"""Which sessions' traces are kept."""

import json
from pathlib import Path

from msgspec.structs import replace

from exporters.sampling import in_share
from exporters.traces.tail import TailSampler
from loadtest.config.settings import Settings
from loadtest.criteria.slo import Slo
from loadtest.events.kinds import (
    Event,
    MediaMeasured,
    Outcome,
    Remains,
    RuleChecked,
    RuleOutcome,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)
from tests.exporters.traces.script import MS, S, session, session_id


def keeps(sampler: TailSampler, events: list[Event]) -> bool:
    first, *middle, last = events
    assert isinstance(first, SessionStarted)
    assert isinstance(last, SessionFinished)
    return sampler.keeps(first, middle, last)


def slower(events: list[Event], step: Step, by_ns: int) -> list[Event]:
    """The same session with that step longer."""
    return [
        replace(event, started_ns=event.started_ns - by_ns)
        if isinstance(event, StepFinished) and event.step == step
        else event
        for event in events
    ]


def test_a_session_that_went_well_is_left_out_and_one_that_failed_is_kept() -> None:
    sampler = TailSampler(0.0)
    assert not keeps(sampler, session(1))
    assert keeps(sampler, session(2, turn_fails=True))
    *events, last = session(3)
    assert isinstance(last, SessionFinished)
    assert keeps(sampler, [*events, replace(last, remains=Remains.LEAKED)])


def test_a_session_whose_avatar_broke_up_is_kept() -> None:
    sampler = TailSampler(0.0)
    for number, underruns in ((1, 0), (2, 1)):
        *events, last = session(number)
        heard = MediaMeasured(
            t_ns=3 * S, session=session_id(number), frames=100, underruns=underruns, stalled_ns=0, gap_max_ns=20 * MS
        )
        assert keeps(sampler, [*events, heard, last]) == (underruns > 0)


def test_a_session_of_which_one_attempt_failed_is_kept() -> None:
    failed = [
        replace(event, outcome=Outcome.FAILED)
        if isinstance(event, StepFinished) and event.step == Step.DELETE
        else event
        for event in session(1)
    ]
    assert keeps(TailSampler(0.0), failed)


def test_a_session_that_is_slower_than_a_service_level_allows_is_kept() -> None:
    sampler = TailSampler(
        0.0,
        slos=[
            Slo(name="create", indicator="create.p95", max=0.5),
            Slo(name="answer", indicator="turn.time_to_first_audio.p95", max=1.0),
            Slo(name="margin", indicator="secret.margin.min", min=10),
        ],
    )
    assert not keeps(sampler, session(1))
    assert not keeps(sampler, slower(session(2), Step.CREATE, 300 * MS))
    assert keeps(sampler, slower(session(3), Step.CREATE, 301 * MS))
    assert not keeps(sampler, slower(session(4), Step.MINT, 9 * S))
    late = [
        replace(event, first_audio_ns=1001 * MS)
        if isinstance(event, StepFinished) and event.step == Step.TURN
        else event
        for event in session(5)
    ]
    assert keeps(sampler, late)


def test_the_slowest_hundredth_is_kept_once_it_is_known() -> None:
    sampler = TailSampler(0.0)
    assert not keeps(sampler, slower(session(1), Step.CONNECT, S))  # nothing to compare it with
    for number in range(2, 402):
        assert not keeps(sampler, slower(session(number), Step.CONNECT, number % 100 * 100_000))
    assert keeps(sampler, slower(session(402), Step.CONNECT, 200 * MS))
    assert not keeps(sampler, slower(session(403), Step.CONNECT, 5 * MS))


def test_a_session_that_broke_a_rule_is_kept() -> None:
    *events, last = session(1)
    checked = [
        RuleChecked(t_ns=S, session=session_id(1), rule="EXP-1", outcome=outcome, detail="")
        for outcome in (RuleOutcome.PASS, RuleOutcome.FAIL)
    ]
    assert not keeps(TailSampler(0.0), [*events, checked[0], last])
    assert keeps(TailSampler(0.0), [*events, checked[1], last])


def test_service_levels_and_promises_are_those_of_the_run(tmp_path: Path) -> None:
    settings = Settings(name="support", slo=({"name": "x", "indicator": "mint.p95", "max": 0.05},))
    (tmp_path / "settings.json").write_text(json.dumps({"scenario": settings.model_dump(mode="json")}))
    assert keeps(TailSampler.of_run(tmp_path, 0.0), session(1))
    assert not keeps(TailSampler.of_run(tmp_path / "nowhere", 0.0), session(1))


def test_of_the_rest_a_share_is_kept_decided_by_the_trace_id_alone() -> None:
    ids = [f"{number * 0x9E3779B97F4A7C15 % (1 << 128):032x}" for number in range(2000)]
    chosen = {name for name in ids if in_share(name, 0.1)}
    assert 150 < len(chosen) < 250
    assert chosen < {name for name in ids if in_share(name, 0.2)}
    assert all(in_share(name, 1.0) for name in ids)
    assert not any(in_share(name, 0.0) for name in ids)
    assert keeps(TailSampler(1.0), session(1))
    name = next(iter(chosen))
    assert keeps(TailSampler(0.1), [replace(event, session=name) for event in session(1)])
