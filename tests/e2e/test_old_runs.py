"""A run directory that the first version wrote, as it came from it: its journal, of schema 1, and its settings.

Two sessions, both left behind by a service that refused to delete them.
"""

import json
import shutil
from pathlib import Path

import pytest

from loadtest.events.kinds import RemainsChanged
from tests.e2e.target import events, reaching
from tests.loadtest.twin.process import running_twin
from tests.support import call

SESSIONS = {
    "ef8e067df1880662ca7a25302716ac1f": "f81ad4c3-b846-f1b8-d76b-d8a8a6e47c73",
    "d90545a3b745a25e6008f68549756773": "ecfbf2e6-741d-bc2d-f457-d0da1458bcd7",
}
"""Ours -> the target's."""


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return Path(shutil.copytree(Path(__file__).with_name("run_of_schema_1"), tmp_path / "run1"))


def test_a_report_of_an_old_run_says_what_it_left_behind(run_dir: Path, tmp_path: Path) -> None:
    done = call("report", run_dir, "--json", cwd=tmp_path)
    report = json.loads(done.out)
    assert (done.code, done.err) == (5, "")
    assert (report["sessions"]["started"], report["sessions"]["leaked"]) == (2, 2)
    assert report["generator"]["outcome"] == "valid"


def test_a_session_of_an_old_run_is_found_by_the_targets_id(run_dir: Path, tmp_path: Path) -> None:
    ours, at_target = next(iter(SESSIONS.items()))
    done = call("session", run_dir, at_target, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:2] == [f"session  {ours} (trace id)", f"avaturn  {at_target}"]


def test_a_sweep_of_an_old_run_deletes_what_it_left_by_the_ids_that_it_wrote_down(
    run_dir: Path, tmp_path: Path
) -> None:
    settings = run_dir / "settings.json"
    with running_twin() as twin:
        settings.write_text(settings.read_text().replace("http://127.0.0.1:9742", twin.avaturn_url))
        done = call("sweep", run_dir, "--json", cwd=tmp_path, environ=reaching(twin))
        asked = twin.state()["counters"]["requests"]["delete"]
    assert done.code == 0
    assert done.err.startswith("sweep: 2 deletes at ")
    assert json.loads(done.out)["gone"] == sorted(SESSIONS)
    assert asked == {"404": 2}
    swept = [event for event in events(run_dir) if isinstance(event, RemainsChanged) and event.reason == "swept"]
    assert {event.session: event.target_session_id for event in swept} == SESSIONS
    report = call("report", run_dir, "--json", cwd=tmp_path)
    assert json.loads(report.out)["sessions"]["swept"] == 2
