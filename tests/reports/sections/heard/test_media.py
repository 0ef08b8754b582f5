"""What a report says of the avatars' sound."""

from pathlib import Path

from loadtest.events.kinds import LineMeasured, MediaMeasured, Way
from reports.data import frames
from reports.sections.heard.media import section
from tests.reports import journals as j


def told(path: Path, *heard: MediaMeasured) -> dict[str, object]:
    j.write_file(path, [event for media in heard for event in (j.started(int(media.session, 16), 0), media)])
    return section(frames.load(path))


def test_totals_are_of_all_sessions_and_quantiles_have_a_value_of_each_that_heard_speech(tmp_path: Path) -> None:
    found = told(
        tmp_path,
        j.media(1, 5, underruns=3, stalled_ns=10**9, gap_max_ns=3 * 10**8, jitter_ns=10**6, packets_lost=1000),
        j.media(2, 6, gap_max_ns=10**8, jitter_ns=3 * 10**6, packets_lost=0, frames=6000, heard_ns=120 * 10**9),
        j.media(3, 7, frames=10, heard_ns=2 * 10**8),
    )
    assert (found["sessions"], found["frames"], found["heard_s"]) == (3, 9010, 180.2)
    assert (found["underruns"], found["underruns_per_minute"], found["stalled_s"]) == (3, round(3 * 60 / 180.2, 9), 1.0)
    assert found["gap"] == {"count": 2, "p50_s": 0.2, "p90_s": 0.28, "p95_s": 0.29, "p99_s": 0.298, "max_s": 0.3}
    assert found["jitter"]["max_s"] == 0.003  # type: ignore[index]
    assert (found["packets"], found["packet_loss"]) == ({"expected": 10_000, "lost": 1000}, 0.1)


def test_speech_that_came_faster_than_it_plays_is_told_as_a_fact(tmp_path: Path) -> None:
    heard = (j.media(1, 5, ahead_ns=j.ns(4.5)), j.media(2, 6, ahead_ns=0), j.media(3, 7, ahead_ns=j.ns(0.5)))
    assert told(tmp_path, *heard)["ahead"] == {"sessions": 2, "sound_s": 5.0}


def test_what_was_not_measured_is_null_and_never_zero(tmp_path: Path) -> None:
    found = told(tmp_path / "old", j.media(1, 5, underruns=2, heard_ns=None))
    assert (found["underruns"], found["underruns_per_minute"], found["heard_s"]) == (2, None, None)
    assert (found["packets"], found["packet_loss"], found["ahead"]) == (None, None, None)
    assert found["gap"] == {"count": 0, "p50_s": None, "p90_s": None, "p95_s": None, "p99_s": None, "max_s": None}
    j.write_file(tmp_path / "none", [j.started(1, 0)])
    nothing = section(frames.load(tmp_path / "none"))
    assert (nothing["sessions"], nothing["underruns_per_minute"], nothing["packet_loss"]) == (0, None, None)


def line(number: int, way: Way, **facts: int) -> LineMeasured:
    return LineMeasured(t_ns=j.at(9), session=j.sid(number), way=way, **facts)  # type: ignore[arg-type]


def test_what_the_callers_own_line_did_is_told_beside_each_way_by_all_its_packets(tmp_path: Path) -> None:
    up = {"packets": 1000, "lost": 100, "held": 0, "delay_ns": j.ns(0.1), "delay_max_ns": j.ns(0.3)}
    more = {"packets": 500, "lost": 50, "held": 0, "delay_ns": j.ns(0.4), "delay_max_ns": j.ns(0.5)}
    down = {"packets": 10, "lost": 0, "held": 2, "delay_ns": j.ns(0.02), "delay_max_ns": j.ns(0.2), "underruns": 3}
    events = [j.started(1, 0), j.started(2, 0), line(1, Way.UP, **up), line(1, Way.DOWN, **down)]
    j.write_file(tmp_path, [*events, line(2, Way.UP, **more)])
    found = section(frames.load(tmp_path))["line"]
    assert found["sessions"] == 2
    assert (found["up"]["packets"], found["up"]["lost"], found["up"]["loss"]) == (1500, 150, 0.1)
    assert (found["up"]["delay_mean_s"], found["up"]["delay_max_s"]) == (0.2, 0.5)
    assert (found["down"]["held"], found["down"]["underruns"], found["down"]["loss"]) == (2, 3, 0.0)
    assert found["added"]["count"] == 0


def test_where_no_scenario_has_a_line_nothing_is_told_of_one(tmp_path: Path) -> None:
    assert told(tmp_path, j.media(1, 5))["line"] is None
