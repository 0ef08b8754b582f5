"""When sessions start: shapes, schedules, traces, populations, and the tickets that processes take from them."""

import itertools
import random
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals.schedule import WARM_UP, Arrival, ClosedPopulation, Shape, Span, read_trace, share
from loadtest.config.keys.workload import Load
from loadtest.config.resolve import resolve
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.load.tickets import Tickets, stages


def load(**fields: object) -> Load:
    return Load.model_validate(fields)


PACED = ClosedPopulation(shape=load(users=10, ramp=5, duration=60).shape(), pacing_s=1.0)
UNPACED = ClosedPopulation(shape=load(users=10, ramp=5, duration=60).shape(), pacing_s=None)


def test_users_come_in_evenly_over_the_ramp() -> None:
    assert [UNPACED.first_s(place) for place in (0.0, 1.0, 9.0)] == pytest.approx([0.0, 0.5, 4.5], abs=1e-6)
    assert UNPACED.first_s(9.999) == pytest.approx(4.9995)


def test_a_user_without_pacing_goes_on_at_once() -> None:
    assert UNPACED.next_s(3.0, 3.0, 13.2) == 13.2


@given(st.integers(5, 33), st.floats(0, 30), st.floats(0, 9.99))
def test_a_paced_user_keeps_its_phase_and_never_starts_in_the_past(beats: int, took_s: float, place: float) -> None:
    due_s = beats + place % 1
    next_s = PACED.next_s(place, due_s, due_s + took_s)
    if next_s is None:
        assert due_s + took_s + 1 >= 60
        return
    waited_s = next_s - (due_s + took_s)
    assert -1e-9 <= waited_s <= 1 + 1e-9
    assert (next_s - due_s) % 1.0 == pytest.approx(0, abs=1e-6) or (next_s - due_s) % 1.0 == pytest.approx(1)


def test_paced_users_who_come_back_keep_their_phases() -> None:
    shape = load(stages=[{"users": n, "duration": "30s"} for n in (1000, 0, 1000)]).shape()
    users = ClosedPopulation(shape=shape, pacing_s=20.0)
    places = [user + random.Random(user).random() for user in range(1000)]
    assert all(users.next_s(place, place % 1 * 20, 30.0) >= 60 for place in places)
    dues_s = [users.next_s(place, place % 1 * 20, 30.0) for place in places]
    assert [due_s % 20 for due_s in dues_s] == pytest.approx([place % 1 * 20 for place in places])
    assert sum(60 <= due_s < 70 for due_s in dues_s) == pytest.approx(500, abs=50)


def test_no_session_starts_at_or_after_the_end() -> None:
    assert (UNPACED.next_s(0.5, 50, 59.999), UNPACED.next_s(0.5, 50, 60.0)) == (59.999, None)


def test_users_above_a_stages_level_wait_for_the_next_stage_that_has_room() -> None:
    shape = load(stages=[{"users": n, "duration": "10s"} for n in (2, 1, 3)]).shape()
    users = ClosedPopulation(shape=shape, pacing_s=None)
    assert [users.first_s(place) for place in (0.5, 1.5, 2.5, 3.5)] == [0, 0, 20, None]
    assert [users.next_s(1.5, 0, now_s) for now_s in (9.9, 10.0, 20.1)] == [9.9, 20, 20.1]


def test_constant_arrivals_are_even_and_exactly_as_many_as_asked_for() -> None:
    offsets = list(load(rate=50, ramp=0, duration=60).schedule())
    assert len(offsets) == 3000
    assert offsets[0] == 0
    assert {round(b - a, 9) for a, b in itertools.pairwise(offsets)} == {0.02}


def test_a_ramp_of_arrivals_has_half_of_the_level_and_gets_denser() -> None:
    offsets = list(load(rate=10, ramp=10, duration=20).schedule())
    assert len(offsets) == 150
    assert sum(at_s < 10 for at_s in offsets) == 50
    assert sum(at_s < 5 for at_s in offsets) == pytest.approx(12.5, abs=1)


@pytest.mark.parametrize(
    ("fields", "first_half", "second_half"),
    [
        ({"arrivals": "ramp"}, 250, 750),
        ({"arrivals": "steps", "step_count": 2}, 500, 1000),
        ({"arrivals": "spike"}, 1400, 1400),  # 45 s at 20, 5 of the 10 s at 100
        ({"arrivals": "spike", "peak": 40}, 1100, 1100),
    ],
)
def test_shapes_put_the_arrivals_where_they_say(fields: dict[str, object], first_half: int, second_half: int) -> None:
    rate = 10 if fields["arrivals"] == "ramp" else 20
    offsets = list(load(rate=rate, duration=100, **fields).schedule())
    total = {"ramp": 500, "steps": 1500, "spike": 2800 if "peak" not in fields else 2200}[str(fields["arrivals"])]
    if fields["arrivals"] == "ramp":
        first_half, second_half = 125, 375
    assert len(offsets) == pytest.approx(total, abs=1)
    assert sum(at_s < 50 for at_s in offsets) == pytest.approx(first_half, abs=1)
    assert sum(at_s >= 50 for at_s in offsets) == pytest.approx(second_half, abs=1)


def test_poisson_arrivals_have_the_rate_the_spread_and_the_seed() -> None:
    offsets = list(load(rate=40, ramp=0, duration=500, arrivals="poisson", seed=7).schedule())
    gaps = [b - a for a, b in itertools.pairwise(offsets)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert len(offsets) == pytest.approx(20_000, rel=0.02)
    assert deviation / mean == pytest.approx(1, abs=0.05)
    assert offsets == list(load(rate=40, ramp=0, duration=500, arrivals="poisson", seed=7).schedule())
    assert offsets != list(load(rate=40, ramp=0, duration=500, arrivals="poisson", seed=8).schedule())


@given(st.integers(1, 7), st.integers(0, 200))
def test_the_processes_share_one_schedule_without_a_gap_or_a_double(processes: int, count: int) -> None:
    offsets = [n / 10 for n in range(count)]
    shares = [list(share(offsets, process=k, processes=processes)) for k in range(processes)]
    together = sorted((arrival for part in shares for arrival in part), key=lambda arrival: arrival.index)
    assert together == [Arrival(index=n, due_s=at_s) for n, at_s in enumerate(offsets)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.lists(st.tuples(st.floats(0.1, 20), st.floats(0, 30), st.floats(0, 30)), min_size=1, max_size=5))
def test_a_schedule_has_as_many_arrivals_as_its_shape_has_area(parts: list[tuple[float, float, float]]) -> None:
    shape = Shape(tuple(Span(name="x", duration_s=d, start=a, end=b) for d, a, b in parts))
    offsets = list(shape.arrivals())
    assert abs(len(offsets) - sum(span.area for span in shape.spans)) <= 1 + 1e-6
    assert offsets == sorted(offsets)
    assert all(0 <= at_s <= sum(span.duration_s for span in shape.spans) + 1e-6 for at_s in offsets)


def test_the_warm_up_is_cut_from_the_beginning_and_changes_no_level() -> None:
    plain, warmed = load(rate=8, ramp=4, duration=20).shape(), load(rate=8, ramp=4, duration=20, warm_up=6).shape()
    assert [(s.name, s.duration_s, s.steady) for s in warmed.spans] == [
        (WARM_UP, 4, False),
        (WARM_UP, 2, False),
        ("steady", 14, True),
    ]
    assert list(warmed.arrivals()) == pytest.approx(list(plain.arrivals()))


def test_a_trace_is_sorted_shifted_to_its_first_start_and_may_have_a_heading(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("start_s,what\n1004.5,b\n1002,a\n\n1010,c\n")
    assert read_trace(tmp_path / "t.csv") == [0, 2.5, 8]
    settings = resolve(None, {"load.trace": str(tmp_path / "t.csv")}, {})
    assert list(settings.load.schedule()) == [0, 2.5, 8]
    assert settings.load.duration == pytest.approx(8.001)
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


OR_TWO = r", or two columns\? write {}, put semicolons between columns, or give each column a heading"


def test_two_columns_of_whole_numbers_are_told_by_their_headings(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("start,user\n0,5\n1,5\n2,75\n")
    assert read_trace(tmp_path / "t.csv") == [0, 1, 2]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf0\n2.5\n8\n",
        b"\xef\xbb\xbfstart,user\n0,a\n2.5,b\n8,c\n",
        b"0\r\n2.5\r\n8\r\n",
        "0\n2.5\n8\n".encode("utf-16"),
        b"0;a\n2,5;b\n8;c\n",
        b"start\tuser\n0\ta\n2.5\tb\n8\tc",
        b'"0","a"\n"2.5","b"\n\n"8","c"\n',
        b"start\n1,0\n3,5\n9,0\n",
        b"start\n1\n3,5\n9\n",
        b"start\n1,\n3,5\n9,\n",
        b"start (s; since midnight),id\n0,a\n2.5,b\n8,c\n",
        b"start (s; since midnight),id\n0,7\n2.5,8\n8,9\n",
        b"0,7\n2.5,8\n8,9\n",
        b"start,\n0,a\n2.5,b\n8,c\n",
    ],
    ids=[
        "byte-order mark",
        "and a heading",
        "line ends of Windows",
        "UTF-16",
        "semicolons",
        "tabs",
        "quotes",
        "decimal commas",
        "some without",
        "and a comma at the end",
        "a semicolon in a heading",
        "and numbers below",
        "numbers beside",
        "a heading less",
    ],
)
def test_a_trace_is_read_as_spreadsheets_write_it_without_losing_an_arrival(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert read_trace(tmp_path / "t.csv") == [0, 2.5, 8]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"start\n", "holds no start time"),
        (b"", "holds no start time"),
        (b"\xef\xbb\xbf", "holds no start time"),
        (b"0s\n1\n", "line 1: '0s' is not a number of seconds"),
        (b"2026-01-02T03:04:05Z\n", "line 1: '2026-01-02T03:04:05Z' is not a number of seconds"),
        (b"0\n\xff\n", "not a text in UTF-8"),
        (b"0\n" + b"x" * 200_000, "not a CSV file: .+"),
        (b"0,5\n1,5\n2,75\n", f"line 1: is 0,5 one number{OR_TWO.format('0.5')}"),
        (b"1\n2,5\n", f"line 2: is 2,5 one number{OR_TWO.format('2.5')}"),
        (b"0,5,a\n1,b\n", f"line 1: is 0,5 one number{OR_TWO.format('0.5')}"),
        (b"start,user\n0,5,17\n1,5,18\n", f"line 2: is 0,5 one number{OR_TWO.format('0.5')}"),
        (b"start\n0,5,17\n", f"line 2: is 0,5 one number{OR_TWO.format('0.5')}"),
    ],
)
def test_a_trace_that_can_not_be_read_is_one_clear_line(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=f"^load.trace: .*t.csv: {told}$"):
        resolve(None, {"load.trace": str(tmp_path / "t.csv")}, {})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"load.rate": 3, "load.users": 3}, "users is a closed population, rate and trace are open arrivals"),
        ({"load.arrivals": "poisson"}, "arrivals = poisson needs a rate, or stages with rates"),
        ({"load.arrivals": "spike"}, "arrivals = spike needs a rate"),
        ({"load.rate": 3, "load.pacing": 3}, "pacing is for a closed population"),
        ({"load.warm_up": 60}, "warm_up leaves nothing of duration to judge"),
        ({"load.trace": "nowhere.csv"}, "load.trace: nowhere.csv: No such file or directory"),
        ({"load.rate": 3, "load.max_users": 1, "load.processes": 2}, "more processes than users"),
        ({"load.stages": [{"users": 1, "rate": 2, "duration": 1}]}, "give users or rate, one of them"),
        ({"load.stages": [{"users": 1, "duration": 1}], "load.duration": 7}, "stages have durations of their own"),
    ],
)
def test_a_plan_that_does_not_fit_together_is_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        resolve(None, options, {})


def test_the_model_on_the_command_line_puts_that_of_the_scenario_aside(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[load]\nrate = 7\narrivals = 'poisson'\nduration = '30s'\n")
    assert not resolve(path, {"load.users": 4}, {}).load.open
    assert resolve(path, {"load.rate": 9}, {}).load.arrivals == "poisson"


def test_the_plan_is_told_with_the_arrivals_of_each_stage() -> None:
    settings = resolve(None, {"load.rate": 10, "load.ramp": 2, "load.duration": 12, "load.warm_up": 4}, {})
    assert [(s.t_ns // 10**9, s.stage, s.steady, s.rate, s.arrivals) for s in stages(settings)] == [
        (0, WARM_UP, False, 0, 10),
        (2, WARM_UP, False, 10, 20),
        (4, "steady", True, 10, 80),
    ]


def test_what_is_due_and_not_taken_is_handed_out_once_more_to_be_counted() -> None:
    tickets = Tickets(load(rate=10, ramp=0, duration=2), process=1, processes=2)
    assert tickets.take() == Arrival(index=1, due_s=0.1)
    assert [arrival.index for arrival in tickets.overdue(1.0)] == [3, 5, 7, 9]
    assert tickets.take() is None


def test_users_of_a_steered_plan_wait_for_its_stages_and_go_home_at_its_end() -> None:
    tickets = Tickets(load(rate=1), process=0, processes=1, steered=True)
    taken: list[Arrival | None] = []

    def user() -> None:
        while taken.append(tickets.take()) or taken[-1] is not None:
            pass

    waiting = gevent.spawn(user)
    gevent.sleep(0)
    assert taken == []
    tickets.add(Shape((Span(name="x", duration_s=1, start=2, end=2),), 5.0), open_=True, first_index=100)
    gevent.sleep(0)
    assert taken == [Arrival(index=100, due_s=5.0), Arrival(index=101, due_s=5.5)]
    tickets.close()
    waiting.join(5)
    assert taken[-1] is None


def starts_of(tickets: Tickets, place: float, *, session_s: float) -> list[float]:
    """When that user's sessions are due, each of them as long."""
    starts, due_s = [], tickets.first_s(place, 0.0)
    while due_s is not None:
        starts.append(due_s)
        due_s = tickets.next_s(place, due_s, due_s + session_s)
    return starts


@pytest.mark.parametrize("place", [0.5, 3.25, 9.9])
def test_a_paced_user_starts_no_session_between_his_last_beat_and_the_end(place: float) -> None:
    tickets = Tickets(load(users=10, ramp=0, duration=60, pacing=20), process=0, processes=1)
    phase_s = place % 1 * 20
    assert starts_of(tickets, place, session_s=0.1) == pytest.approx([phase_s, phase_s + 20, phase_s + 40])


def test_a_paced_user_of_a_steered_plan_waits_after_his_last_beat_for_the_next_stage() -> None:
    tickets = Tickets(load(users=10, pacing=2), process=0, processes=1, steered=True)
    starts: list[float] = []
    waiting = gevent.spawn(lambda: starts.extend(starts_of(tickets, 0.25, session_s=0.1)))
    tickets.add(Shape((Span(name="a", duration_s=5, start=1, end=1),)), open_=False, first_index=0)
    gevent.sleep(0)
    gevent.sleep(0)
    tickets.add(Shape((Span(name="b", duration_s=5, start=1, end=1),), 20.0), open_=False, first_index=0)
    tickets.close()
    waiting.join(5)
    assert starts == pytest.approx([0.5, 2.5, 4.5, 20.5, 22.5, 24.5])


def test_a_stage_that_is_shorter_than_the_pacing_has_its_share_of_the_sessions() -> None:
    """Of levels of ten seconds each, 25 s apart, and users who come once a minute."""
    places = [user + random.Random(user).random() for user in range(600)]
    waiting_s, population = dict.fromkeys(places, 0.0), ClosedPopulation(shape=Shape(()), pacing_s=60.0)
    for number, level in enumerate((300, 600, 600, 300)):
        shape = Shape((Span(name="a", duration_s=10, start=level, end=level),), 1.0 + 25 * number)
        population, begun = replace(population, shape=shape), 0
        for place, from_s in waiting_s.items():
            if (due_s := population.first_s(place, from_s)) is not None:
                waiting_s[place], begun = population.beat_s(due_s, due_s + 2), begun + 1
        assert begun == pytest.approx(level / 6, rel=0.25)
