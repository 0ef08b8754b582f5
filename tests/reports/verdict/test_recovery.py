"""How long it takes until objectives hold again after a peak of the load."""

from pathlib import Path

import pytest

from loadtest.criteria.slo import Slo
from loadtest.events.kinds import Event, StageStarted
from reports.data import frames
from reports.verdict.recovery import section
from tests.reports import journals as j

QUICK = Slo(name="quick create", indicator="create.p95", max=0.5, window_s=2)
SPIKE = ((0, 10.0), (20, 50.0), (30, 10.0))
"""Begin of each stage in s, and its arrivals per second."""


def run_of(
    path: Path,
    slow: tuple[float, float],
    stages: tuple[tuple[float, float], ...] = SPIKE,
    ramps: tuple[float, ...] = (),
) -> frames.Run:
    """Ten creates a second for a minute; those that end between the two times of `slow` take a second, others 0.1 s.
    `ramps`: begins of the stages that aren't steady."""
    names = iter(("before", "peak", "after"))
    events: list[Event] = [
        StageStarted(
            t_ns=j.at(at_s),
            stage=f"to {at_s}" if at_s in ramps else next(names),
            users=0,
            rate=rate,
            steady=at_s not in ramps,
        )
        for at_s, rate in stages
    ]
    for number in range(600):
        begin_s = number / 10
        took_s = 1.0 if slow[0] <= begin_s < slow[1] else 0.1
        events += [
            j.started(number, begin_s),
            j.step(number, j.Step.CREATE, begin_s - took_s, begin_s),
            j.finished(number, begin_s - took_s, begin_s),
        ]
    j.write_file(path, sorted(events, key=lambda event: event.t_ns))
    return frames.load(path)


@pytest.mark.parametrize(
    ("slow", "during", "after", "recovered_s"),
    [
        ((24, 36), 59, 59, 6.0),
        ((24, 26), 39, 0, 0.0),
        ((24, 70), 61, 281, None),
        ((70, 70), 0, 0, 0.0),
    ],
    ids=["6 s after it", "within it", "never", "nothing broke"],
)
def test_from_the_end_of_the_peak_to_when_all_windows_hold(
    tmp_path: Path, slow: tuple[float, float], during: int, after: int, recovered_s: float | None
) -> None:
    (row,) = section(run_of(tmp_path, slow), [QUICK])
    assert (row["stage"], row["ended_at_s"], row["name"], row["window_s"]) == ("peak", 30.0, "quick create", 2)
    assert row["recovered_s"] == (None if recovered_s is None else pytest.approx(recovered_s, abs=0.2))
    assert (row["during"]["broken"], row["after"]["broken"]) == (
        pytest.approx(during, abs=3),
        pytest.approx(after, abs=3),
    )


@pytest.mark.parametrize(
    "stages", [SPIKE[:2], ((0, 10.0), (20, 10.0), (30, 10.0)), ((0, 50.0), (20, 20.0), (30, 10.0))]
)
def test_a_plan_without_a_peak_has_no_recovery(tmp_path: Path, stages: tuple[tuple[float, float], ...]) -> None:
    assert section(run_of(tmp_path, (24, 36), stages), [QUICK]) == []


def test_a_ramp_down_from_the_peak_is_part_of_what_comes_after_it(tmp_path: Path) -> None:
    run = run_of(tmp_path, (24, 38), ((0, 10.0), (10, 10.0), (20, 50.0), (30, 50.0), (35, 10.0)), ramps=(10, 30))
    (row,) = section(run, [QUICK])
    assert (row["stage"], row["ended_at_s"]) == ("peak", 30.0)
    assert row["recovered_s"] == pytest.approx(8, abs=0.2)


def test_a_window_of_too_few_samples_says_nothing(tmp_path: Path) -> None:
    needs_100 = Slo(name="n", indicator="create.p99", max=2, window_s=1)
    (row,) = section(run_of(tmp_path, (24, 36)), [needs_100])
    assert (row["during"]["windows"], row["after"]["windows"], row["recovered_s"]) == (0, 0, None)


def test_the_verdict_tells_what_broke_and_when_it_held_again(tmp_path: Path) -> None:
    run_of(tmp_path, (24, 36))
    report = j.reported(tmp_path, slos=[QUICK])
    assert [row["name"] for row in report["recovery"]] == ["quick create"]
    assert "after the stage peak, quick create held again after 5.9 s" in report["verdict"]["reasons"]
