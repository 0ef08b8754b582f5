"""A plan of open arrivals over several load processes: all begin at one moment or none does, and what was due from one
that is killed is counted."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from loadtest import journal
from loadtest.events.kinds import Event, SessionFinished, SessionStarted, StageStarted
from tests.e2e.target import alive, leftovers, reaching, unexplained
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, Done, avaload, eventually

RATE, DURATION_S = 20, 4
ENGINE = "loadtest.engine.process"


def of_process(run: Avaload, number: int, kind: type) -> list[Event]:
    """Events of that kind in the journals of one load process, its engine's included."""
    found = journal.read_run(run.run_dir) if any(run.writers(role) for role in ("load", "engine")) else []
    return [event for file in found if file.started.process == number for event in file.events if type(event) is kind]


@dataclass
class Runs:
    """`lame`: an engine stands still before it is ready; `dead`: a load process dies before it is. `cut`: one is killed
    in mid-run; all of them ended."""

    twin: RunningTwin
    cut: Avaload
    killed: int
    ended: dict[str, Done]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with ExitStack() as stack:
        twin = stack.enter_context(running_twin("--set", "latency.create=fixed:0.1"))
        idle = stack.enter_context(running_twin())

        def start(name: str, at: RunningTwin, *more: object) -> Avaload:
            plan = (
                "--no-check",
                "--rate",
                RATE,
                "--ramp",
                "0s",
                "--duration",
                f"{DURATION_S}s",
                "--room",
                "none",
                "--processes",
                2,
            )
            cwd = tmp_path_factory.mktemp(name)
            return stack.enter_context(avaload("run", *plan, *more, cwd=cwd, environ=reaching(at)))

        cut = start("cut", twin)
        for number in (0, 1):
            eventually(
                lambda number=number: of_process(cut, number, SessionFinished),  # type: ignore[misc]
                within_s=60,
                what=f"load process {number} at work",
                during=cut,
            )
        killed = cut.writers("load")[-1]
        os.kill(killed.pid, signal.SIGKILL)

        lame, dead = start("lame", idle, "--max-wait", "3s"), start("dead", idle)
        second = eventually(
            lambda: [pid for pid, command in lame.processes(ENGINE).items() if f"{lame.run_dir} 1 0 " in command],
            within_s=60,
            what="its second engine starts",
            during=lame,
        )
        os.kill(second[0], signal.SIGSTOP)
        eventually(lambda: dead.writers("load"), within_s=60, what="a load process starts", during=dead)
        os.kill(dead.writers("load")[0].pid, signal.SIGKILL)
        ended = {name: run.finish(within_s=90) for name, run in (("cut", cut), ("lame", lame), ("dead", dead))}
        assert idle.state()["counters"]["requests"] == {}
        yield Runs(twin, cut, killed.process, ended)


@pytest.mark.parametrize(
    ("name", "why"),
    [("lame", r"[01] of 2 are ready"), ("dead", r"[01] of 2 are ready, load process [01] died")],
)
def test_a_run_whose_load_processes_are_not_all_ready_does_not_begin(runs: Runs, name: str, why: str) -> None:
    done = runs.ended[name]
    assert done.code == 4, done
    assert re.fullmatch(
        f"avaload: gave up waiting for load processes: {why}; nothing was started", done.err_lines[-1]
    ), done


def test_every_arrival_of_both_is_due_on_one_grid_from_one_zero(runs: Runs) -> None:
    zeros = {event.t_ns for number in (0, 1) for event in of_process(runs.cut, number, StageStarted)}
    assert len(zeros) == 1
    zero_ns, step_ns = zeros.pop(), 1_000_000_000 // RATE
    due = {number: of_process(runs.cut, number, SessionStarted) for number in (0, 1)}
    for number, sessions in due.items():
        places = [(event.due_ns - zero_ns) / step_ns for event in sessions]
        assert places == pytest.approx([round(place) for place in places], abs=1e-3)
        assert {round(place) % 2 for place in places} == {number}


def test_what_a_killed_load_process_had_left_to_start_is_counted_and_nothing_it_started_stays(runs: Runs) -> None:
    assert runs.ended["cut"].code == 4, runs.ended["cut"]
    report = runs.cut.report()
    arrivals, sessions = report["arrivals"], report["sessions"]
    survivor, killed = (of_process(runs.cut, number, SessionStarted) for number in (1 - runs.killed, runs.killed))
    assert report["generator"]["faults"] == {"worker_lost": 1}
    assert len(survivor) == RATE * DURATION_S / 2
    assert arrivals["scheduled"] == RATE * DURATION_S == arrivals["started"] + arrivals["dropped"]
    assert arrivals["dropped_by"] == {"worker_lost": RATE * DURATION_S / 2 - len(killed)}
    counters = runs.twin.state()["counters"]
    assert sessions["started"] == len(survivor) + len(killed)
    # Those that were still minting as it died were never created.
    assert len(survivor) <= counters["sessions_created"] <= sessions["started"]
    assert (sessions["leaked"], sessions["unknown"]) == (0, 0)
    eventually(lambda: not unexplained(alive(runs.twin), runs.cut.run_dir), within_s=5, what="only doubtful ones alive")
    assert sessions["doubtful"] == len(leftovers(runs.cut.run_dir).doubtful)
