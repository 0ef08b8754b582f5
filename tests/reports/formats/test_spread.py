"""Charts of how times are spread, of failures over time and of a search: one far value doesn't hide the others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Step
from reports.data import frames
from reports.formats.charts import capacity_chart, spread_charts, timelines
from tests.reports import journals as j
from tests.reports.formats.test_explore import failing


def test_a_few_that_took_far_longer_are_told_and_not_drawn() -> None:
    spread = spread_charts.spread_of(np.array([0.1] * 150 + [0.2] * 150 + [60.0, 45.0]))
    assert spread.beyond == 2
    assert spread.edges_s[-1] < 1
    assert spread.beyond_words == " Not drawn: 2 beyond 650 ms, at most 60 s."
    assert [row[2] for row in spread.rows()] == ["150", "150", "2"]


def test_where_nothing_is_far_everything_is_drawn() -> None:
    spread = spread_charts.spread_of(np.array([0.1, 0.2, 0.3]))
    assert (spread.beyond, spread.beyond_words, int(spread.heights.sum())) == (0, "", 3)


def test_a_chart_is_the_same_whatever_somebodys_matplotlibrc_says(run_dir: Path) -> None:
    j.write_file(run_dir, [e for n in range(1, 5) for e in j.good_session(n, n, create_s=0.2 * n)])
    run = frames.load(run_dir)
    own, somebodys = timelines.latency(run), {"text.usetex": True, "axes.grid": False, "lines.linewidth": 9.0}
    with mpl.rc_context(somebodys):
        assert timelines.latency(run) == own


def test_every_step_has_its_distribution(run_dir: Path) -> None:
    j.write_file(run_dir, [e for n in range(1, 5) for e in j.good_session(n, n, create_s=0.2 * n)])
    chart = spread_charts.steps(frames.load(run_dir))
    assert chart is not None
    assert list(dict.fromkeys(row[0] for row in chart.rows)) == [
        "mint", "create", "connect", "converse", "delete", "first audio",
    ]  # fmt: skip
    assert sum(int(row[3]) for row in chart.rows if row[0] == "create") == 4
    assert "create: p50 500 ms, p95 770 ms" in chart.drawings["narrow"]


def test_failures_are_counted_over_time_by_what_they_were(run_dir: Path) -> None:
    kinds = [Code.HTTP_5XX, Code.HTTP_4XX, Code.RATE_LIMITED, Code.TIMEOUT, Code.CONNECT_FAILED, Code.LIMITS_EXCEEDED]
    events = [
        event
        for number, code in enumerate([kinds[0]] * 3 + kinds, 1)
        for event in failing(number, number, Step.CREATE, Kind.REJECTED, code)
    ]
    j.write_file(run_dir, events)
    chart = timelines.failures(frames.load(run_dir))
    assert chart is not None
    assert chart.rows[:4] == [
        ("create/rejected/http_5xx", "0:01", "1"),
        ("create/rejected/http_5xx", "0:02", "1"),
        ("create/rejected/http_5xx", "0:03", "1"),
        ("create/rejected/http_5xx", "0:04", "1"),
    ]
    assert chart.rows[-1][0] == "other failures"
    assert len({row[0] for row in chart.rows}) == 6


def stage(
    level: float, number: int, setup_s: float, found: str = "passed", goodput: float | None = None
) -> dict[str, Any]:
    return {
        "name": f"{number} grow", "number": number, "level": level, "found": found, "setup_p95_s": setup_s,
        "goodput_per_s": level / 10 if goodput is None else goodput, "refused": 0, "generator": {"outcome": "valid"},
    }  # fmt: skip


def places(drawing: str) -> list[float]:
    """Where along the x axis the marks of the upper panel stand, from the path of its line."""
    path = next(p for p in drawing.split('d="')[1:] if p.count("L ") == 4 and "z" not in p.split('"')[0])
    return [float(word.split()[0]) for word in path.split('"')[0].replace("M", "L").split("L")[1:]]


@pytest.mark.parametrize("far", [16, 1000])
def test_a_single_high_level_does_not_press_the_others_together(far: int) -> None:
    rows = [stage(level, n, 0.1) for n, level in enumerate((1, 2, 4, 8), 1)]
    rows.append(stage(far, 5, 30.0 if far == 1000 else 0.1, "failed", goodput=0.0 if far == 1000 else 1.6))
    chart = capacity_chart.chart(
        {"stages": rows, "max_passing": {"level": 8}, "first_failing": None, "unit": "users", "by": "users"}
    )
    drawing = chart.drawings["wide"]
    at = places(drawing)
    assert at == sorted(at)
    assert at[3] - at[0] > 0.25 * (at[4] - at[0])  # from 1 to 8 is a good part of the way, not a hair
    assert ("users (logarithmic)" in drawing) == (far == 1000)
    assert ("set-up p95, s (logarithmic)" in drawing) == (far == 1000)


@pytest.mark.parametrize("length_s", [0, 1, 90, 3_600, 86_400 * 365, 2**61 / 1e9])
def test_a_time_axis_has_few_pieces_however_long_the_run_says_it_was(run_dir: Path, length_s: float) -> None:
    j.write_file(run_dir, j.good_session(1, 1))
    run = frames.load(run_dir)
    run = replace(run, end_ns=run.start_ns + round(length_s * 1e9))
    assert length_s / timelines.bucket_s(run) <= timelines.BUCKETS
