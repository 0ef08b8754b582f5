"""Objectives judged from the journals: in windows, per scenario, over the steady part, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.criteria.slo import Slo
from loadtest.events.kinds import (
    Event,
    MediaMeasured,
    RunAborted,
    SessionFinished,
    SessionStarted,
    StageStarted,
    Step,
)
from reports.data import frames
from reports.verdict.gates import judge
from reports.verdict.objective_words import describe
from tests.reports import journals as j


def plan(*changes: tuple[float, bool]) -> list[Event]:
    return [StageStarted(t_ns=j.at(t_s), stage=str(t_s), users=1, steady=steady) for t_s, steady in changes]


def creates(number: int, *times: tuple[float, float]) -> list[Event]:
    """A session and its creates: when each ended, in seconds, and how long it took."""
    return [
        j.started(number, times[0][0] - 1),
        *(j.step(number, Step.CREATE, end_s - took_s, end_s) for end_s, took_s in times),
        j.finished(number, times[0][0] - 1, times[-1][0] + 1),
    ]


def judged(path: Path, events: list[Event], slo: Slo, *, planned_s: float | None = 60) -> dict[str, Any]:
    j.write_file(path, events)
    return judge(frames.load(path).load_only(), [slo], planned_s=planned_s)[0]


WINDOW = Slo(name="creates", indicator="create.p50", max=1.0, window_s=10)


def test_the_worst_window_decides_and_is_told_with_its_time(tmp_path: Path) -> None:
    quick = [(5 + index * 0.5, 0.2) for index in range(100)]
    slow = [(30 + index * 0.5, 2.0) for index in range(20)]
    found = judged(tmp_path, [*plan((0, False), (5, True)), *creates(1, *quick), *creates(2, *slow, *slow)], WINDOW)
    assert (found["outcome"], found["judged_over"]) == ("fail", "window")
    # From 25.5 s on more than half of a window's creates are slow, from 25 s on the median lies between both sorts.
    assert (found["observed"], found["worst"]) == (2.0, {"from_s": 25.5, "to_s": 35.5, "count": 42})
    assert found["windows"] == {"judged": 82, "broken": 21, "too_few": 0}
    assert describe(found) == (
        "objective missed: creates (create.p50): 2 s in the worst 10 s (from 25.5 s to 35.5 s, 21 windows broken), "
        "wanted at most 1 s"
    )
    whole = judged(tmp_path / "whole", [*plan((0, True)), *creates(1, *quick)], WINDOW)
    assert (whole["outcome"], whole["observed"], whole["windows"]["broken"]) == ("pass", pytest.approx(0.2), 0)


def test_windows_with_too_few_samples_are_not_judged_and_it_is_said(tmp_path: Path) -> None:
    p95 = Slo(name="n", indicator="create.p95", max=1.0, window_s=10)
    some = [(5 + index * 0.25, 0.2) for index in range(80)]  # 40 in a window, until 25 s
    found = judged(tmp_path / "some", [*plan((0, False), (5, True)), *creates(1, *some, (50, 3.0))], p95)
    assert (found["outcome"], found["judged_over"]) == ("pass", "window")
    assert found["note"] == "11 of 42 windows had fewer than 20 samples: not judged"
    few = [(5 + index, 0.2) for index in range(50)]
    found = judged(tmp_path / "few", [*plan((0, False), (5, True)), *creates(1, *few)], p95)
    assert (found["outcome"], found["judged_over"], found["count"]) == ("pass", "steady", 50)
    assert found["note"] == (
        "no window of 10 s had the 20 samples that it takes to say something (at most 10); judged over the whole "
        "steady part"
    )


def test_a_run_that_is_shorter_than_the_window_is_judged_as_a_whole(tmp_path: Path) -> None:
    found = judged(tmp_path, [*plan((0, True)), *creates(1, (3, 2.0), (4, 2.0))], WINDOW, planned_s=5)
    assert (found["outcome"], found["judged_over"], found["observed"]) == ("fail", "steady", 2.0)
    assert found["note"] == "no window of 10 s in the steady part had a sample; judged over all of it"


def test_what_happened_in_the_ramp_is_judged_by_no_rate_but_counts(tmp_path: Path) -> None:
    bad = [j.started(1, 1), j.failed_step(1, Step.CREATE, 2, 3)]
    events = [*plan((0, False), (10, True)), *bad, *creates(2, *[(12 + index / 100, 0.1) for index in range(100)])]
    j.write_file(tmp_path, events)
    slos = [Slo(name=name, indicator=name, max=0) for name in ("create.failed_rate", "create.failed")]
    rate, count = judge(frames.load(tmp_path).load_only(), slos)
    assert (rate["outcome"], rate["observed"], rate["judged_over"]) == ("pass", 0, "steady")
    assert (count["outcome"], count["observed"], count["judged_over"]) == ("fail", 1, "run")


def test_an_objective_of_a_scenario_reads_its_sessions_alone(tmp_path: Path) -> None:
    events = []
    for number, (scenario, create_s) in enumerate([("sales", 2.0), ("support", 0.2)]):
        events += [
            replace(event, scenario=scenario) if isinstance(event, SessionStarted | SessionFinished) else event
            for event in j.good_session(number, 1, create_s=create_s)
        ]
    j.write_file(tmp_path, events)
    slos = [Slo(name=name, indicator="create.max", max=1.0, scenario=name) for name in ("sales", "support")]
    slos.append(Slo(name="all", indicator="session.completed", min=2))
    rows = judge(frames.load(tmp_path).load_only(), slos)
    assert [(row["outcome"], row["observed"]) for row in rows] == [("fail", 2.0), ("pass", 0.2), ("pass", 2)]
    assert describe(rows[0]) == "objective missed: sales (create.max of sales): 2 s, wanted at most 1 s"


def test_a_count_of_what_went_wrong_says_nothing_of_none_in_windows_either(tmp_path: Path) -> None:
    j.write_file(tmp_path, [*plan((0, True)), *creates(1, (5, 0.2)), *creates(2, (40, 0.2))])
    slos = [Slo(name=name, indicator=name, max=0, window_s=10) for name in ("delete.failed", "create.failed")]
    deletes, created = judge(frames.load(tmp_path).load_only(), slos, planned_s=60)
    assert (deletes["outcome"], deletes["count"], deletes["needed"]) == ("not_enough_samples", 0, 1)
    assert deletes["windows"]["judged"] == created["windows"]["judged"] > 0
    assert created["outcome"] == "pass"


def test_a_count_may_have_to_be_reached_in_every_window(tmp_path: Path) -> None:
    starts = [2 * number for number in range(5)] + [20 + 2 * number for number in range(10)]
    events = [*plan((0, True)), *(e for n, s in enumerate(starts) for e in [j.started(n, s), j.finished(n, s, s + 1)])]
    enough = Slo(name="n", indicator="session.completed", min=5, window_s=10)
    found = judged(tmp_path, events, enough, planned_s=40)
    assert (found["outcome"], found["observed"], found["worst"]["to_s"]) == ("fail", 0, 19.5)


def test_an_objective_that_stopped_the_run_is_missed_whatever_came_after(tmp_path: Path) -> None:
    stopped = RunAborted(t_ns=j.at(30), slo="creates", indicator="create.p50", count=12, beyond=9, window_s=10)
    j.write_file(tmp_path, [*plan((0, True)), *j.good_session(1, 12), stopped], finish="aborted")
    report = j.reported(tmp_path, slos=[WINDOW])
    assert report["aborted"] == {
        "slo": "creates", "indicator": "create.p50", "at_s": 30.0, "count": 12, "beyond": 9, "window_s": 10.0,
    }  # fmt: skip
    assert report["verdict"]["exit_code"] == 3
    assert report["verdict"]["reasons"][0] == (
        "stopped early after 30.0 s by its objective creates (create.p50): 9 of 12 in 10 s were beyond it"
    )
    assert report["slos"][0]["outcome"] == "fail"


def test_windows_end_where_an_objective_ended_the_run(tmp_path: Path) -> None:
    stopped = RunAborted(t_ns=j.at(20), slo="other", indicator="create.p50", count=12, beyond=9, window_s=10)
    ended = [event for number in range(40) for event in (j.started(number, 0), j.finished(number, 0, number / 2))]
    enough = Slo(name="n", indicator="session.completed", min=10, window_s=10)
    events = [*plan((0, True)), *ended, stopped, j.started(99, 22), j.finished(99, 22, 26)]
    found = judged(tmp_path, events, enough)
    assert (found["outcome"], found["observed"], found["worst"]["to_s"]) == ("pass", 20, 10.0)


def test_a_stage_that_is_called_warm_up_is_judged_like_any_other(tmp_path: Path) -> None:
    named = replace(plan((0, True))[0], stage="warm_up")
    bad = [j.started(1, 11), j.failed_step(1, Step.CREATE, 12, 13)]
    good = creates(2, *[(2 + index / 10, 0.1) for index in range(30)])
    slo = Slo(name="n", indicator="create.failed_rate", max=0.01)
    found = judged(tmp_path, [named, *plan((10, False)), *good, *bad], slo)
    assert (found["judged_over"], found["count"], found["beyond"]) == ("run", 31, 1)


def heard(*sessions: MediaMeasured) -> list[Event]:
    """Those sessions, each an hour long, and what they heard."""
    return [
        *plan((0, True)),
        *(event for media in sessions for event in (_started(media), media, _finished(media))),
    ]


def _started(media: MediaMeasured) -> SessionStarted:
    return replace(j.started(1, 0), session=media.session)


def _finished(media: MediaMeasured) -> SessionFinished:
    return replace(j.finished(1, 0, 59), session=media.session)


def test_underruns_are_counted_by_the_time_that_all_sessions_listened(tmp_path: Path) -> None:
    """Not by the mean of the sessions' own rates: the one that heard two seconds would weigh as much as the others."""
    short = j.media(3, 30, underruns=1, heard_ns=2 * 10**9)
    events = heard(j.media(1, 10, underruns=2), j.media(2, 20), short, j.media(4, 40, underruns=9, heard_ns=None))
    found = judged(tmp_path, events, Slo(name="holes", indicator="media.underruns_per_minute", max=1))
    assert found["observed"] == pytest.approx(3 / (122 / 60))
    assert (found["outcome"], found["beyond"], found["count"], found["upper_bound"]) == ("fail", 3, 122_000, None)
    assert describe(found) == (
        "objective missed: holes (media.underruns_per_minute): 1.48 a minute, 3 in 2.03 min, wanted at most 1 a minute"
    )


def test_packets_are_lost_of_all_that_were_numbered_and_not_session_by_session(tmp_path: Path) -> None:
    events = heard(
        j.media(1, 10, frames=900, packets_lost=100),
        j.media(2, 20, frames=9000, packets_lost=0),
        j.media(3, 30, frames=500),  # of a room that numbers nothing
    )
    found = judged(tmp_path, events, Slo(name="loss", indicator="media.packet_loss", max=0.01))
    assert (found["outcome"], found["observed"], found["count"], found["beyond"]) == ("pass", 0.01, 10_000, 100)
    # Packets are lost in bursts: they say nothing about what was not seen, as independent samples would.
    assert found["upper_bound"] is None
    assert describe(found) == "objective met: loss (media.packet_loss): 1 % of 10,000 packets, wanted at most 1 %"


def test_where_no_packet_is_numbered_their_loss_is_neither_met_nor_missed(tmp_path: Path) -> None:
    found = judged(tmp_path, heard(j.media(1, 10)), Slo(name="loss", indicator="media.packet_loss", max=0.01))
    assert (found["outcome"], found["observed"]) == ("not_enough_samples", None)
    assert describe(found) == "not enough samples: loss (media.packet_loss): 0 packets, it takes 1, wanted at most 1 %"


def test_the_longest_gap_is_of_one_session_and_the_jitter_a_quantile_of_all(tmp_path: Path) -> None:
    events = heard(*(j.media(n, n, gap_max_ns=n * 10**7, jitter_ns=n * 10**6) for n in range(1, 21)), j.media(21, 21))
    gap = judged(tmp_path / "gap", events, Slo(name="gap", indicator="media.gap.max", max=0.1))
    assert (gap["outcome"], gap["observed"], gap["count"], gap["beyond"]) == ("fail", 0.2, 20, 10)
    jitter = judged(tmp_path / "jitter", events, Slo(name="jitter", indicator="media.jitter.p95", max=0.0195))
    assert (jitter["outcome"], jitter["observed"]) == ("pass", pytest.approx(0.01905))
