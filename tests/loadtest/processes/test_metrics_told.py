"""A run's metrics on their way to a collector: from the process that owns the run, through a file, to what is said."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporters.metrics import catalogue as c
from exporters.metrics import live_file
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.snapshot import Snapshot
from loadtest.config.settings import Settings
from loadtest.processes import companions
from loadtest.processes.companions import _complain_of, exporters, send_run_span
from loadtest.system.clock import wall_ns
from tests.exporters.pushing.test_push import values
from tests.exporters.traces.receiver import Receiver
from tests.exporters.traces.test_run_span import run_dir
from tests.support import eventually


class Ending:
    """A run that is over at the third look; what the file held each time."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self.seen: list[live_file.Live | None] = []

    def wait_ended(self, timeout_s: float) -> bool:
        assert timeout_s == live_file.EVERY_S
        self.seen.append(live_file.read(self._run_dir))
        return len(self.seen) == 3


def settings_of(**output: Any) -> Settings:
    return Settings.model_validate({"name": "support", "output": output})


def test_the_owner_of_a_run_writes_its_values_down_and_once_more_when_it_is_over(tmp_path: Path) -> None:

    aggregate, run, before_ns = Aggregate(["support"]), Ending(tmp_path), wall_ns()

    def snapshot() -> Snapshot:
        return aggregate.snapshot(users=len(run.seen))

    live_file.keep(tmp_path, run_id="run-7", snapshot=snapshot, wait_ended=run.wait_ended)

    written = [*run.seen, live_file.read(tmp_path)]
    assert [live and (live.run_id, live.over, live.snapshot[c.USERS.name][""]) for live in written] == [
        *(("run-7", False, users) for users in range(3)),
        ("run-7", True, 3),
    ]
    assert all(live and before_ns <= live.started_ns <= live.at_ns for live in written)


def test_a_full_disk_costs_metrics_and_not_the_run(tmp_path: Path) -> None:

    (tmp_path / live_file.FILE).mkdir()  # nothing can be written there
    run = Ending(tmp_path)
    live_file.keep(tmp_path, run_id="run-7", snapshot=Aggregate(["support"]).snapshot, wait_ended=run.wait_ended)
    assert run.seen == [None, None, None]


@pytest.mark.parametrize("is_up", [True, False])
def test_metrics_that_the_collector_lacks_are_told_in_the_end(is_up: bool, tmp_path: Path) -> None:
    said: list[str] = []
    with Receiver() as receiver:
        url = receiver.url if is_up else "http://127.0.0.1:1"
        with exporters(settings_of(otlp_metrics=url), tmp_path, say=said.append):
            live_file.write(tmp_path, values(over=True))
            if is_up:
                assert receiver.wait(lambda: len(receiver.pushes) == 1, timeout_s=60)
    assert len(receiver.pushes) == is_up
    assert len(said) == (not is_up)
    assert all(note.startswith(f"note: {url} lacks metrics of this run: ") for note in said)


def test_a_collector_that_hangs_in_the_end_is_told_by_what_it_lacks(tmp_path: Path) -> None:
    log = tmp_path / "otlp-metrics.log"
    log.touch()  # whoever hangs in a push is ended before it can say how many it has sent
    said: list[str] = []
    _complain_of(log, "http://collector", said.append)
    log.write_text("metrics: 360 pushes taken, 0 not; the last values are not there\n")
    _complain_of(log, "http://collector", said.append)
    log.write_text("metrics: 361 pushes taken, 0 not\n")
    _complain_of(log, "http://collector", said.append)
    assert said == [
        "note: http://collector lacks metrics of this run: its last values were not taken in time",
        "note: http://collector lacks metrics of this run: "
        "metrics: 360 pushes taken, 0 not; the last values are not there",
    ]


def test_an_exporter_of_spans_that_fails_is_told_of(tmp_path: Path) -> None:
    url = "http://127.0.0.1:99999"
    output = settings_of().output.model_copy(update={"otlp_endpoint": url})  # as no scenario can say it
    said: list[str] = []
    with exporters(settings_of().model_copy(update={"output": output}), tmp_path, say=said.append):
        log = tmp_path / "traces.log"  # who is told to end as it starts has said nothing yet
        eventually(lambda: log.read_text().endswith("\n"), within_s=60, what="the exporter has said why")
    why = "--otlp-endpoint: must be like http://127.0.0.1:4318, without user, query or fragment"
    assert said == [f"note: {url} lacks spans of this run: {why}"]


@pytest.mark.parametrize(("status", "noted"), [(200, False), (401, True)])
def test_a_runs_own_span_that_the_collector_lacks_is_told(status: int, noted: bool, tmp_path: Path) -> None:
    said: list[str] = []
    with Receiver(status=status) as receiver:
        settings = settings_of(otlp_endpoint=receiver.url)
        send_run_span(settings, run_dir(tmp_path, "pass"), say=said.append)
    assert said == [f"note: {receiver.url} lacks the span of the run itself"] * noted


@pytest.mark.parametrize(
    ("is_killed", "why"), [(False, "it did not end in time"), (True, "it was killed")], ids=["ended by us", "killed"]
)
def test_an_exporter_that_said_nothing_is_told_by_how_it_ended(
    is_killed: bool, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patience in ("EXPORTER_END_S", "EXPORTER_STOP_S"):
        monkeypatch.setattr(companions, patience, 0)
    started: list[subprocess.Popen[bytes]] = []
    begin = companions._exporter

    @contextlib.contextmanager
    def seen(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
        with begin(command, log) as child:
            started.append(child)
            yield child

    monkeypatch.setattr(companions, "_exporter", seen)
    url, said = "http://127.0.0.1:1", list[str]()
    with exporters(settings_of(otlp_endpoint=url), tmp_path, say=said.append):
        if is_killed:
            started[0].kill()
            started[0].wait()
    assert said == [f"note: {url} lacks spans of this run: {why}"]


def test_a_run_without_a_collector_starts_nothing(tmp_path: Path) -> None:
    with exporters(settings_of(), tmp_path, say=lambda _: None):
        assert list(tmp_path.iterdir()) == []
