"""Whether a report sees that answers get slower as a session grows older."""

from pathlib import Path

import pytest

from loadtest.criteria.trend import Trend
from loadtest.events.kinds import Event
from reports.data import frames
from reports.formats.charts.age_chart import answers_by_age, drift_words
from reports.sections.heard.age import drifts, interval_of_median, section
from tests.reports import journals as j

SLOWER = (0.5, 0.6, 0.7, 0.8)
"""10 s of conversation: 2.5 s from one to the next, so that a minute adds 2.4 s."""


def run_of(path: Path, *sessions: list[Event]) -> frames.Run:
    j.write_file(path, [event for session in sessions for event in session])
    return frames.load(path)


def test_each_turn_and_each_age_has_the_times_of_its_own_answers(tmp_path: Path) -> None:
    run = run_of(tmp_path, j.good_session(1, 0, first_audio_s=SLOWER), j.good_session(2, 5, first_audio_s=(0.3,)))
    found = section(run)
    assert [(row["from"], row["until"], row["count"], row["max_s"]) for row in found["by_turn"]] == [
        (1, 2, 2, 0.5),
        (2, 3, 1, 0.6),
        (3, 4, 1, 0.7),
        (4, 6, 1, 0.8),
    ]
    assert [(row["from"], row["until"], row["count"], row["p50_s"]) for row in found["by_minute"]] == [(0, 1, 5, 0.6)]


def test_an_hour_is_told_by_minutes(tmp_path: Path) -> None:
    times_s = [30.0, 61.0, 600.0, 3601.0]
    session = j.good_session(1, 0, first_audio_s=(0.5,))
    turns = [
        j.step(1, j.Step.TURN, 0.8 + at_s, 0.8 + at_s + 5, turn=number, first_audio_ns=j.ns(0.5 + number / 10))
        for number, at_s in enumerate(times_s)
    ]
    found = section(run_of(tmp_path, [*session[:7], *turns, *session[8:]]))["by_minute"]
    assert [(row["from"], row["until"], row["p50_s"]) for row in found] == [
        (0, 1, 0.5),
        (1, 2, 0.6),
        (10, 15, 0.7),
        (60, None, 0.8),
    ]


def test_the_drift_is_that_of_each_session_and_not_of_the_run(tmp_path: Path) -> None:
    later_and_slower = [
        j.good_session(number, 10.0 * number, first_audio_s=tuple(number + each for each in SLOWER))
        for number in range(1, 8)
    ]
    run = run_of(tmp_path, *later_and_slower)
    assert drifts(run).tolist() == pytest.approx([2.4] * 7)
    drift = section(run)["drift"]
    assert (drift["sessions"], drift["median_s_per_minute"]) == (7, pytest.approx(2.4))
    assert (drift["low_s_per_minute"], drift["high_s_per_minute"]) == (pytest.approx(2.4), pytest.approx(2.4))
    assert drift_words(drift) == (
        "Drift within a session: +2.4 s a minute, median of 7 sessions; with 95 % confidence between +2.4 s a minute "
        "and +2.4 s a minute."
    )


def test_what_has_no_drift_says_so(tmp_path: Path) -> None:
    of_two_turns = section(run_of(tmp_path / "two", j.good_session(1, 0)))
    assert of_two_turns["drift"] == {
        "sessions": 0, "median_s_per_minute": None, "low_s_per_minute": None, "high_s_per_minute": None,
    }  # fmt: skip
    assert drift_words(of_two_turns["drift"]) == "No session had the three answers that a drift takes."
    of_one_turn = section(run_of(tmp_path / "one", j.good_session(1, 0, first_audio_s=(0.5,))))
    assert answers_by_age(of_one_turn) is None
    silent = section(run_of(tmp_path / "none", [j.started(1, 0)]))
    assert (silent["by_turn"], silent["by_minute"]) == ([], [])


def test_a_line_takes_three_answers_at_different_times() -> None:
    trend = Trend()
    for at_s, value_s in ((100, 1.0), (130, 1.5)):
        trend.add(j.at(at_s), value_s)
    assert trend.slope is None
    trend.add(j.at(160), 2.0)
    assert trend.slope == pytest.approx(1.0)
    at_once = Trend()
    for value_s in (1.0, 2.0, 3.0):
        at_once.add(j.at(5), value_s)
    assert at_once.slope is None


@pytest.mark.parametrize(
    ("count", "places"),
    [(5, (None, None)), (6, (0, 5)), (9, (1, 7)), (20, (5, 14)), (100, (39, 60)), (4000, (1938, 2061))],
)
def test_the_interval_of_a_median_is_that_of_the_binomial_distribution(
    count: int, places: tuple[int | None, int | None]
) -> None:
    assert interval_of_median(range(count)) == places
