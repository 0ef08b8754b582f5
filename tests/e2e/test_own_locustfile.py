"""`locust -f mine.py`: sessions as a task of somebody's own Locust file, with what else Locust can do around them."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import loadtest
from loadtest.system import disk
from tests.support import ROOT, environment, eventually, free_port, get, marked

PAGE = ROOT / "docs" / "locust.md"
SCENARIO = '[target]\nroom = "none"\n[output]\nrun_dir = "run"\n'
MINE = """
from locust import HttpUser, LoadTestShape, constant, tag, task
from loadtest import AvatarUser


class Caller(AvatarUser):
    scenario = "scenario.toml"
    wait_time = constant(0.1)

    @tag("voice")
    @task
    def talk(self):
        assert self.avatar_session() == "done"

    @tag("shop")
    @task(3)
    def look(self):
        fire(self, "/of the same user")


class Visitor(HttpUser):
    host = "http://127.0.0.1:1"
    weight = 2
    wait_time = constant(0.1)

    @tag("shop")
    @task
    def look(self):
        fire(self, "/of another user")


def fire(user, name):
    user.environment.events.request.fire(
        request_type="GET", name=name, response_time=5, response_length=1, exception=None, context={}
    )
"""
ALONE = """
from locust import LoadTestShape
from loadtest import AvatarUser


class Caller(AvatarUser):
    scenario = "scenario.toml"
"""
SHAPE = """

class TwoThenOne(LoadTestShape):
    def tick(self):
        now_s = self.get_run_time()
        return (2, 2) if now_s < 2 else (1, 2) if now_s < 4 else None
"""


@contextmanager
def locust(folder: Path, *words: str, mark: str, file: str = MINE, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """Locust with that file, in its folder; whatever it has started is gone in the end, or the test fails."""
    (folder / "mine.py").write_text(file)
    if not (folder / "scenario.toml").exists():
        (folder / "scenario.toml").write_text(SCENARIO)
    command = [sys.executable, "-m", "locust", "-f", "mine.py", *words]
    with subprocess.Popen(
        command, cwd=folder, env=environment(mark, **more), stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
    eventually(lambda: not marked(mark), within_s=90, what=f"the end of all processes of {mark}", every_s=0.2)


def report_of(run_dir: Path) -> dict[str, Any]:
    return disk.read_object(run_dir / "report.json")


def names(out: str) -> set[str]:
    """First words of the rows of Locust's table."""
    return {line.split()[0] for line in out.splitlines() if "|" in line and line.split()}


def test_sessions_and_tasks_of_ones_own_run_beside_each_other_and_the_exit_code_is_the_verdict(tmp_path: Path) -> None:
    with locust(tmp_path, "--headless", "-u", "6", "-r", "6", "-t", "4s", "--csv", "out", mark="beside") as run:
        run.communicate(timeout=90)
    report, frames = report_of(tmp_path / "run"), loadtest.read_run(tmp_path / "run")
    rows = {line.split(",")[1]: line.split(",") for line in (tmp_path / "out_stats.csv").read_text().splitlines()}

    assert run.returncode == report["verdict"]["exit_code"]
    assert report["sessions"]["started"] == len(frames.sessions) > 2
    assert report["sessions"]["leaked"] == 0
    assert int(rows["mint"][2]) == report["steps"]["mint"]["count"]
    assert int(rows["/of the same user"][2]) > report["sessions"]["started"]
    assert int(rows["/of another user"][2]) > 0
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]
    assert settings["load"]["users"] == report["sessions"]["peak_active"] or settings["load"]["users"] == 2
    assert 3 < settings["load"]["duration"] < 20


def test_the_file_on_the_page_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "support-call.toml").write_text(SCENARIO)
    quick = code.replace("between(1, 5)", "between(0, 0.2)")
    words = ("--headless", "-u", "5", "-r", "5", "-t", "3s", "--stop-timeout", "60")
    with locust(tmp_path, *words, mark="page", file=quick) as run:
        run.communicate(timeout=90)
    report = report_of(tmp_path / "run")
    assert run.returncode == report["verdict"]["exit_code"]
    sessions = report["sessions"]
    # When the test stops Locust kills a user that waits; where its wait ends just then, its next session has begun.
    assert sessions["started"] == sessions["completed"] + sessions["cancelled"], (sessions, report["failures"])
    assert sessions["completed"] > sessions["cancelled"]


def test_tags_choose_the_task(tmp_path: Path) -> None:
    words = ("--headless", "-u", "2", "-r", "2", "-t", "3s", "--csv", "out", "-T", "voice")
    with locust(tmp_path, *words, mark="tags") as run:
        run.communicate(timeout=90)
    table = (tmp_path / "out_stats.csv").read_text()
    assert ",mint," in table
    assert "/of" not in table


def test_a_user_without_tasks_has_sessions_in_a_shape_of_ones_own(tmp_path: Path) -> None:
    with locust(tmp_path, "--headless", mark="shape", file=ALONE + SHAPE) as run:
        run.communicate(timeout=90)
    sessions = loadtest.read_run(tmp_path / "run").sessions
    began_s = (sessions["started_at"] - sessions["started_at"].min()).dt.total_seconds()
    assert len(sessions) > 5
    assert 3 < began_s.max() < 5
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]["load"]["users"] == 2


def post(url: str, **form: str) -> None:
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, data=data, timeout=90) as answer:
        assert json.loads(answer.read())["success"]


def test_each_start_and_stop_in_the_ui_is_a_run(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = ("--web-port", str(port), "--web-host", "127.0.0.1")
    with locust(tmp_path, *words, mark="ui", file=ALONE) as run:

        def stats() -> dict[str, Any]:
            try:
                found: dict[str, Any] = json.loads(get(f"{url}/stats/requests")[1])
            except OSError:
                return {}
            return found

        eventually(stats, within_s=60, what="the UI")
        for run_dir in ("run", "run-2"):
            post(f"{url}/swarm", user_count="2", spawn_rate="2")
            eventually(lambda: any(row["name"] == "delete" for row in stats()["stats"]), within_s=60, what="sessions")
            post(f"{url}/stop")
            assert report_of(tmp_path / run_dir)["sessions"]["completed"] > 0
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
    assert run.returncode == report_of(tmp_path / "run-2")["verdict"]["exit_code"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_at_the_target_however_locust_ends(tmp_path: Path, number: signal.Signals) -> None:
    with loadtest.start_twin() as twin:
        (tmp_path / "scenario.toml").write_text(SCENARIO.replace("none", "websocket"))
        where = {
            f"AVALOAD_TARGET__{name}_BASE_URL": twin.environment[f"{name}_BASE_URL"] for name in ("OPENAI", "AVATURN")
        }
        keys = {name: key for name, key in twin.environment.items() if name.endswith("_KEY")}
        with locust(tmp_path, "--headless", "-u", "3", "-r", "3", mark="ends", file=ALONE, **where, **keys) as run:
            eventually(lambda: len(twin.state(alive=True)["sessions"]) == 3, within_s=60, what="sessions")
            os.kill(run.pid, number)
            run.communicate(timeout=90)
        assert twin.state(alive=True)["sessions"] == []
    if number == signal.SIGTERM:
        assert report_of(tmp_path / "run")["sessions"]["leaked"] == 0


@pytest.mark.parametrize(
    ("words", "file", "said"),
    [
        (("--headless", "--processes", "2"), ALONE, "one Locust process: leave out --processes"),
        (("--headless",), ALONE.replace("scenario.toml", "scenari.toml"), "scenari.toml: No such file"),
        (("--headless",), ALONE + "\nclass Other(AvatarUser):\n    pass\n", "all its classes need the same scenario"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_one_line_and_nothing_is_started(
    tmp_path: Path, words: tuple[str, ...], file: str, said: str
) -> None:
    with locust(tmp_path, *words, "-t", "5s", mark="refused", file=file) as run:
        _, errors = run.communicate(timeout=60)
    assert run.returncode != 0
    assert "Traceback" not in errors
    assert said in errors
    assert not (tmp_path / "run").exists()


def test_bad_input_is_exit_2(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text("[target]\nrooom = 'none'\n")
    with locust(tmp_path, "--headless", "-t", "5s", mark="bad", file=ALONE) as run:
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 2
    assert "scenario.toml:2: target.rooom: " in errors
