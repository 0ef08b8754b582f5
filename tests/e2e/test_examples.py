"""Every example that ships is run, scaled down by `--users` and `--duration`: against the embedded twin, or, where it
asks for endpoints, against one of its own. Some at a time, so that all of them take little more than a minute."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.commands.authoring.examples import FOLDER
from tests.e2e.target import reaching
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import ROOT, Done, avaload, call, free_port

pytestmark = pytest.mark.quiet  # several runs at once, each with a twin

SMALL = ("--users", 2, "--duration", "3s", "--metrics-port", "off")
EMBEDDED = ("smoke", "release-gate", "soak", "spike", "barge-in", "mix", "stored-prompt")
AT_ONCE = 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in FOLDER.glob("*.toml"):
        shutil.copy(path, tmp_path)
    return tmp_path


def holds(done: Done, report: dict[str, Any], *, least: int = 1) -> None:
    """It did what it is for. So small, an objective may lack samples, or the machine be busy; nothing else is wrong."""
    sessions, verdict = report["sessions"], report["verdict"]
    assert sessions["completed"] >= least, done
    assert (sessions["failed"], sessions["leaked"], report["turns"]["failed"]) == (0, 0, 0), done
    assert [rule["id"] for rule in report["rules"] if rule["outcome"] == "fail"] == [], done
    assert done.code in (0, 3 if any(slo["outcome"] == "fail" for slo in report["slos"]) else 4), (done, verdict)


def report_in(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "report.json").read_text())
    return found


def test_the_examples_that_need_no_endpoint_run_against_the_embedded_twin(folder: Path) -> None:
    def run(name: str) -> Done:
        return call("run", f"{name}.toml", *SMALL, "--run-dir", folder / name, cwd=folder, within_s=90)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, done in zip(EMBEDDED, pool.map(run, EMBEDDED), strict=True):
            holds(done, report_in(folder / name))


def test_the_example_of_a_search_finds_a_level(folder: Path) -> None:
    small = ("--start", "1", "--most", "2", "--stage", "4s", "--settle", "2s", "--sustain", "3s", "--give-up", "40s")
    words = (*small, "--metrics-port", "off", "--run-dir", folder / "found")
    done = call("capacity", "capacity.toml", *words, cwd=folder, within_s=110)
    report = report_in(folder / "found")
    assert report["capacity"]["unit"] == "arrivals/s", done
    assert report["sessions"]["completed"] > 0
    assert report["sessions"]["failed"] == 0


@contextmanager
def endpoint(twin: RunningTwin) -> Iterator[str]:
    """The documents' back end, which mints and creates at the twin."""
    port = free_port()
    environ = os.environ | {
        "OPENAI_BASE_URL": twin.openai_url, "OPENAI_API_KEY": twin.openai_key,
        "AVATURN_BASE_URL": twin.avaturn_url, "AVATURN_API_KEY": twin.avaturn_key,
    }  # fmt: skip
    command = [sys.executable, "-m", "uvicorn", "backend:app", "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen(command, cwd=ROOT / "docs" / "examples" / "backend", env=environ)
    try:
        yield f"http://127.0.0.1:{port}/avatar-session"
    finally:
        server.terminate()
        server.wait(10)


def test_the_example_of_an_own_back_end_runs_through_one(folder: Path) -> None:
    with running_twin() as twin, endpoint(twin) as url:
        words = ("own-backend.toml", *SMALL, "--backend-url", url, "--avaturn-base-url", twin.avaturn_url)
        done = call("run", *words, cwd=folder, environ={"AVATURN_API_KEY": twin.avaturn_key}, within_s=90)
        assert len(twin.state()["sessions"]) >= 2
    holds(done, report_in(folder / "run"), least=2)


def test_the_example_of_two_hosts_runs_with_a_master_and_two_workers(folder: Path) -> None:
    port = free_port()
    with running_twin() as twin:
        environ = reaching(twin) | {"AVALOAD_CLUSTER_TOKEN": "5" * 64}
        of_workers = {name: value for name, value in environ.items() if "TARGET" not in name}
        for name in ("one", "two"):
            (folder / name).mkdir()
        at = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", 2)
        worker = ("run", "--worker", "--master-host", "127.0.0.1", "--master-port", port, "--max-wait", "40s")
        with (
            avaload("run", "two-hosts.toml", *at, *SMALL, cwd=folder, environ=environ) as master,
            avaload(*worker, cwd=folder / "one", environ=of_workers) as first,
            avaload(*worker, cwd=folder / "two", environ=of_workers) as second,
        ):
            done = master.finish(within_s=90)
            assert [each.finish(within_s=20).code for each in (first, second)] == [0, 0]
    holds(done, report_in(folder / "run"), least=2)
