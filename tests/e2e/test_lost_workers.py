"""One worker is killed and one paused in the same run: what /metrics says meanwhile and has counted in the end."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.target import reaching
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, avaload, eventually, free_port, get

Values = dict[tuple[str, ...], float]
"""Name and label values of a sample → its value."""

PAUSE_S = 8
USERS, WORKERS = 6, 3


@dataclass
class Lost:
    twin: RunningTwin
    run: Avaload
    port: int
    killed: str
    paused: str
    while_away: Values = field(default_factory=dict)
    back: Values = field(default_factory=dict)
    last: Values = field(default_factory=dict)

    def scrape(self) -> Values:
        text = get(f"http://127.0.0.1:{self.port}/metrics", accept="text/plain")[1].decode()
        families = text_string_to_metric_families(text)
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def total(values: Values, name: str, *labels: str) -> float:
    return sum(value for key, value in values.items() if key[0] == name and set(labels) <= set(key[1:]))


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory, brief: Path) -> Iterator[Lost]:
    cwd, port = tmp_path_factory.mktemp("lost"), free_port()
    options: tuple[object, ...] = ("--users", USERS, "--processes", WORKERS, "--duration", "18s", "--ramp", "1s")
    options += ("--metrics-port", port, "--metrics-linger", "1s")
    with (
        running_twin("--set", "answer_s=0.5", "--set", "latency.delete=fixed:0.1") as twin,
        avaload("run", brief, *options, cwd=cwd, environ=reaching(twin)) as run,
    ):
        eventually(lambda: len(run.writers("load")) == WORKERS, within_s=40, what="three workers", during=run)
        _, paused, killed = run.writers("load")
        seen = Lost(twin, run, port, str(killed.process), str(paused.process))
        eventually(
            lambda: total(seen.scrape(), "avaload_sessions_open") >= 4,
            within_s=40,
            what="sessions",
            every_s=0.2,
            during=run,
        )
        os.kill(killed.pid, signal.SIGKILL)
        os.kill(paused.pid, signal.SIGSTOP)
        try:
            # 10 s is what a board may be wrong for; the pause ends before.
            with pytest.raises(Exception, match="timed out"):
                run.process.wait(PAUSE_S)
            seen.while_away = seen.scrape()
        finally:
            os.kill(paused.pid, signal.SIGCONT)
        up = ("avaload_worker_up", seen.paused)
        seen.back = eventually(
            lambda: now if (now := seen.scrape()).get(up) == 1 else {}, within_s=10, what="its return", during=run
        )
        while run.process.poll() is None:
            try:
                seen.last = seen.scrape()
            except OSError:
                break  # the run has ended
            with pytest.raises(Exception, match="timed out"):
                run.process.wait(0.2)
        run.finish(within_s=60)
        yield seen


def test_the_gauges_of_both_have_left_within_ten_seconds(lost: Lost) -> None:
    now = lost.while_away
    for worker in (lost.killed, lost.paused):
        assert now["avaload_worker_up", worker] == 0
        assert [key for key in now if key[0] == "avaload_worker_resident_memory_bytes" and key[1] == worker] == []
    assert 0 <= total(now, "avaload_sessions_active") <= USERS / WORKERS
    assert 0 <= now["avaload_sessions_open",] <= USERS / WORKERS
    assert 0 < now["avaload_sessions_unknown",] <= USERS / WORKERS  # the paused one's: the dead one's are settled
    assert now["avaload_worker_report_age_seconds", lost.paused] > 3
    assert total(now, "avaload_generator_faults_total", "worker_lost") == 1


def test_neither_the_pause_nor_the_death_looks_like_a_session_left_behind(lost: Lost) -> None:
    for now in (lost.while_away, lost.back, lost.last):
        assert total(now, "avaload_sessions_left_total") == 0
    assert lost.back["avaload_sessions_unknown",] == 0
    assert lost.back["avaload_worker_report_gaps_total", lost.paused] == 1


def test_the_counters_are_those_of_the_report_in_the_end(lost: Lost) -> None:
    sessions, now = lost.run.report()["sessions"], lost.last
    assert (
        now["avaload_sessions_open",] == now["avaload_sessions_unknown",] == total(now, "avaload_sessions_active") == 0
    )
    assert total(now, "avaload_sessions_started_total") == sessions["started"]
    assert {outcome: total(now, "avaload_sessions_total", outcome) for outcome in ("ok", "failed", "cancelled")} == {
        "ok": sessions["completed"],
        "failed": sessions["failed"],
        "cancelled": sessions["cancelled"] + sessions["censored"],
    }
    for step, counted in lost.run.report()["steps"].items():
        assert total(now, "avaload_step_duration_seconds_count", step, "ok") == counted["count"], step
    assert sessions["cancelled"] + sessions["censored"] > 0  # those of the worker that was killed
    assert lost.run.report()["generator"]["faults"] == {"worker_lost": 1}
