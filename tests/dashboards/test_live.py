"""Boards and alerts against the real servers: a clean run, then one whose target doesn't carry deletes out."""

import json
import math
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from dashboards.boards.all import BOARDS
from dashboards.panels import RESOLUTION, Board, Query
from dashboards.stack import Ports, stack
from tests.dashboards.promql import grounded
from tests.dashboards.runbook import anchors
from tests.e2e.target import reaching
from tests.loadtest.twin.process import running_twin
from tests.programs import needed
from tests.support import ROOT, avaload, eventually, free_port, get

pytestmark = pytest.mark.quiet

SCENARIO = """
name = "watched"
[conversation]
think_min_s = 0
think_max_s = 0.1
[[conversation.turns]]
kind = "say"
clip = "{clip}"
[[conversation.turns]]
kind = "barge_in"
clip = "{clip}"
after_s = 0.3
[[slo]]
name = "first audio"
indicator = "turn.time_to_first_audio.p95"
max = 5
[[slo]]
name = "half of them"
indicator = "turn.time_to_first_audio.p50"
max = 5
[[slo]]
name = "nothing is left"
indicator = "session.leaked"
max = 0
[[slo]]
name = "sessions fail"
indicator = "session.failed_rate"
max = 0.5
"""

EMPTY_WHERE_NOTHING_FAILED = {
    ("overview", "Failures by cause"),
    ("overview", "Which alerts"),
    ("sessions-and-steps", "Errors by step and type"),
    ("conversation", "Failed turns by type"),
    ("secrets-and-teardown", "Rules broken"),
}
"""They show what failed, and nothing else: a line of zeros for each of 150 kinds of failure would hide the one."""
EMPTY_WITHOUT_SUCH_TURNS = {("conversation", "Turns that go wrong")}
"""One of its lines is of noises that are to stop nobody: this scenario makes none."""


@dataclass
class Watched:
    """What Prometheus saw of a run. Times are Unix seconds."""

    report: dict[str, Any]
    start_s: float
    end_s: float

    @property
    def run_id(self) -> str:
        found: str = self.report["run_id"]
        return found


@dataclass
class History:
    """A clean run, a leaking one, and what was alerted: names after the clean one, all that the webhook got."""

    api: str
    clean: Watched
    leaking: Watched
    fired_while_clean: list[str]
    alerted: list[dict[str, Any]] = field(default_factory=list)

    def values(self, query: Query, watched: Watched, **variables: str) -> list[float]:
        """What a panel would draw of that run. A number that is none is no value."""
        expr = grounded(query.expr, **variables)
        expr = expr.replace(
            "10m", f"{math.ceil(watched.end_s - watched.start_s)}s"
        )  # `$__range`, as `grounded` put it in
        expr = expr.replace(f":{RESOLUTION}]", ":1s]")  # of a scrape, as here
        if query.instant:
            result = ask(self.api, "query", query=expr, time=watched.end_s)
            found = [series["value"][1] for series in result]
        else:
            result = ask(self.api, "query_range", query=expr, start=watched.start_s, end=watched.end_s, step=1)
            found = [value for series in result for _, value in series["values"]]
        return [float(value) for value in found if not math.isnan(float(value))]


def ask(api: str, what: str, **parameters: object) -> list[dict[str, Any]]:
    answer = json.loads(get(f"{api}/api/v1/{what}?{urllib.parse.urlencode(parameters)}")[1])
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


@contextmanager
def webhook() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The port of a receiver, and the alerts that it was sent."""
    alerted: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            alerted.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port, alerted
        finally:
            server.shutdown()


def run(directory: Path, port: int, *options: object, twin: tuple[str, ...]) -> Watched:
    """A run against a twin, scraped at that port."""
    directory.mkdir()
    start_s = time.time()
    with running_twin(*twin) as target:
        arguments = ["run", *options, "--metrics-port", port, "--metrics-linger", "3s"]
        arguments += ["--run-dir", directory / directory.name]
        with avaload(*arguments, cwd=directory, environ=reaching(target)) as running:
            done = running.finish(within_s=60)
            assert (running.run_dir / "report.json").exists(), done.err
            return Watched(running.report(), start_s, time.time())


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    needed("prometheus")
    needed("prometheus-alertmanager")
    directory = tmp_path_factory.mktemp("live")
    scenario = directory / "watched.toml"
    scenario.write_text(SCENARIO.format(clip=ROOT / "loadtest" / "sound" / "corpus" / "en" / "reset_password.wav"))
    with webhook() as (port, alerted):
        ports = Ports(metrics=free_port(), prometheus=free_port(), alertmanager=free_port(), webhook=port)
        with stack(ports, directory, interval="1s"):
            api = f"http://127.0.0.1:{ports.prometheus}"
            load = ("--users", 4, "--ramp", "1s", "--processes", 2)
            clean = run(
                directory / "clean", ports.metrics, scenario, *load, "--duration", "12s", twin=("--set", "answer_s=1")
            )
            fired = ask(api, "query", query='max_over_time(ALERTS{alertstate="firing"}[10m])')
            leaking = run(
                directory / "leaking",
                ports.metrics,
                *(*load, "--room", "none", "--duration", "3s"),
                twin=("--set", "mutant=TD-1-keeps-running"),
            )
            yield History(api, clean, leaking, [series["metric"]["alertname"] for series in fired], alerted)


def queries(boards: tuple[Board, ...]) -> list[tuple[str, str, Query]]:
    """Board, panel, with its column if it is a table, and query of each."""
    return [
        (board.name, f"{panel.title}: {column.title}" if column else panel.title, query)
        for board in boards
        for panels in board.rows.values()
        for panel in panels
        for query, column in zip_longest(panel.queries, panel.columns)
    ]


def test_every_panel_shows_something_of_a_clean_run(history: History) -> None:
    assert history.clean.report["verdict"]["outcome"] == "pass", history.clean.report["verdict"]
    boards = tuple(board for board in BOARDS if not board.run_variables)
    empty = {(name, title) for name, title, query in queries(boards) if not history.values(query, history.clean)}
    assert empty == EMPTY_WHERE_NOTHING_FAILED | EMPTY_WITHOUT_SUCH_TURNS


def test_what_failed_is_shown_once_something_failed(history: History) -> None:
    errors = [query for _, title, query in queries(BOARDS) if title == "Errors by step and type"]
    assert max(history.values(errors[0], history.leaking)) > 0


def test_every_panel_of_the_release_board_compares_the_two_runs(history: History) -> None:
    both = Watched({}, history.clean.start_s, history.leaking.end_s)
    release = tuple(board for board in BOARDS if board.run_variables)
    shown = {
        title: history.values(query, both, run=history.leaking.run_id, baseline=history.clean.run_id)
        for _, title, query in queries(release)
    }
    assert [title for title, values in shown.items() if not values] == []
    reports = (history.clean.report, history.leaking.report)
    assert sorted(shown["Run and baseline: sessions that ended"]) == sorted(ended(report) for report in reports)
    assert sorted(shown["Run and baseline: left behind"]) == sorted(report["sessions"]["leaked"] for report in reports)


def ended(report: dict[str, Any]) -> int:
    return sum(int(report["sessions"][outcome]) for outcome in ("completed", "failed", "cancelled"))


def test_totals_of_a_board_are_those_of_the_report(history: History) -> None:
    panels = {title: query for _, title, query in queries(BOARDS[:1])}
    assert history.values(panels["Sessions that went well"], history.clean) == [1.0]
    assert history.values(panels["Left behind"], history.leaking) == [history.leaking.report["sessions"]["leaked"]]


def test_a_clean_run_raises_no_alert(history: History) -> None:
    assert history.fired_while_clean == []
    early = [alert["labels"]["alertname"] for alert in history.alerted if at(alert["startsAt"]) < history.clean.end_s]
    assert early == []


def at(timestamp: str) -> float:
    """Unix seconds of a time in RFC 3339, to the second."""
    return float(time.mktime(time.strptime(timestamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone)


def test_sessions_left_behind_reach_the_webhook_with_a_way_to_the_runbook(history: History) -> None:
    def alert() -> dict[str, Any] | None:
        return next((each for each in history.alerted if each["labels"]["alertname"] == "SessionsLeftBehind"), None)

    found = eventually(alert, within_s=90, what=f"SessionsLeftBehind at the webhook; got {history.alerted}")
    assert found["labels"]["reason"] == "still_alive"
    assert found["labels"]["severity"] == "critical"
    file, _, anchor = found["annotations"]["runbook_url"].partition("#")
    assert file == (ROOT / "RUNBOOK.md").as_uri()
    assert anchor in anchors((ROOT / "RUNBOOK.md").read_text())
