"""The main job: one command, whole sessions, a verdict and a report."""

import html.parser
import json
import re
import subprocess
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest import journal
from loadtest.events.kinds import STEPS, TO_THE_ROOM, Remains, RunFinished, SessionFinished, Step, StepFinished
from tests.e2e.target import unless_late
from tests.programs import needed
from tests.support import Avaload, Done, avaload, end_all, environment

USERS = 6


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Avaload, Done]]:
    """The default scenario, smaller, against the embedded twin."""
    cwd = tmp_path_factory.mktemp("main")
    with avaload("run", "--users", USERS, "--duration", "6s", "--ramp", "2s", "--tag", "build=7", cwd=cwd) as run:
        yield run, run.finish(within_s=90)


def test_it_passes_and_says_so(ran: tuple[Avaload, Done]) -> None:
    run, done = ran
    assert str(run.run_dir / "report.html") in done.out
    assert done.code == run.report()["verdict"]["exit_code"] == unless_late(0, run.report()), done
    if done.code == 4:
        pytest.skip("this machine was too busy for a verdict: " + done.out)
    assert done.out.splitlines()[0] == "verdict: pass"
    assert "nothing was left behind" in done.out


def test_every_session_completes_and_nothing_is_left(ran: tuple[Avaload, Done]) -> None:
    report = ran[0].report()
    sessions = report["sessions"]
    assert sessions["started"] == sessions["completed"] >= USERS
    assert {sessions[key] for key in ("failed", "cancelled", "leaked", "doubtful", "unconfirmed", "unfinished")} == {0}
    assert sessions["peak_active"] == USERS
    assert report["teardown"]["deleted"] == report["teardown"]["confirmed_gone"] == sessions["started"]
    assert report["teardown"]["ended_by"]["delete"] == sessions["started"]
    assert report["tags"] == {"build": "7"}
    assert report["scenario"] == "default"


def test_its_numbers_are_those_of_the_scenario(ran: tuple[Avaload, Done]) -> None:
    report = ran[0].report()
    count = report["sessions"]["started"]
    for step in STEPS:
        assert (step, report["steps"][step]["count"], report["steps"][step]["failed"]) == (step, count, 0)
        assert 0 < report["steps"][step]["p50_s"] <= report["steps"][step]["max_s"]
    turns = report["turns"]
    assert (turns["count"], turns["failed"], turns["answered_early"]) == (2 * count, 0, 0)
    # The twin's voice activity detection waits 0.2 s; two clips of at least 1.4 s and two answers of 2 s.
    assert 0.2 <= turns["time_to_first_audio"]["p50_s"] < 1
    assert report["steps"]["converse"]["p50_s"] > 2 * (1.3 + 0.2 + 1.9)
    assert report["secrets"]["minted"] == count
    assert 580 < report["secrets"]["min_margin_s"] <= 600


def test_the_run_directory_is_whole(ran: tuple[Avaload, Done]) -> None:
    run_dir = ran[0].run_dir
    for name in ("settings.json", "report.json", "report.html", "report.md", "junit.xml", "locust.log"):
        assert (run_dir / name).stat().st_size, name
    assert (run_dir / "report.html").stat().st_size < 6_000_000
    failures = ET.parse(run_dir / "junit.xml").getroot().get("failures")
    assert failures == str(int(ran[0].report()["verdict"]["exit_code"] != 0))
    settings = json.loads((run_dir / "settings.json").read_text())
    assert settings["run_id"] == run_dir.name == ran[0].report()["run_id"]
    assert (settings["tags"], settings["seed"], settings["embedded_twin"]) == ({"build": "7"}, 1, True)
    assert settings["settings"]["load"]["users"] == USERS
    assert {"locust", "openai", "httpx", "python", "avaload"} <= settings["versions"].keys()


def test_the_journals_are_closed_and_hold_whole_sessions(ran: tuple[Avaload, Done]) -> None:
    files = journal.read_run(ran[0].run_dir)
    assert sorted(file.started.role for file in files) == ["engine", "load"]
    for file in files:
        assert isinstance(file.events[-1], RunFinished)
        assert file.events[-1].reason == "completed"
    events = [event for file in files for event in file.events]
    finished = [event for event in events if isinstance(event, SessionFinished)]
    assert len(finished) == ran[0].report()["sessions"]["started"]
    for session in finished:
        steps = [e.step for e in events if isinstance(e, StepFinished) and e.session == session.session]
        assert steps == [*TO_THE_ROOM, Step.TURN, Step.TURN, Step.CONVERSE, Step.DELETE]
        assert session.remains is Remains.NOTHING


def test_nothing_of_it_runs_on(ran: tuple[Avaload, Done]) -> None:
    assert ran[0].processes() == {}


class Page(html.parser.HTMLParser):
    """The references of a page, and what is inside its charts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.charts: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "action", "data")
        ]
        if tag == "svg":
            self.charts.append([])
        elif self.charts:
            self.charts[-1].append(tag)


def test_the_page_renders_in_a_browser_with_charts_and_without_the_network(
    ran: tuple[Avaload, Done], tmp_path: Path
) -> None:
    chromium = needed("chromium")
    path = ran[0].run_dir / "report.html"
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--dump-dom",
        f"file://{path}",
    ]
    mark = uuid.uuid4().hex
    try:
        done = subprocess.run(
            command, env=environment(mark), capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
        )
    finally:
        end_all(mark)
    page = Page(done.stdout)
    assert "pass" in done.stdout
    assert ran[0].report()["run_id"] in done.stdout
    drawn = [chart for chart in page.charts if {"path", "polyline", "rect", "line", "circle"} & set(chart)]
    assert len(drawn) >= 2, page.charts
    assert drawn == page.charts
    outside = [reference for reference in page.references if not reference.startswith(("#", "data:"))]
    assert outside == []
    assert not re.search(r"@import|url\(\s*['\"]?(?!#|data:)", path.read_text())
