"""What a board says of a whole run, evaluated by Debian's promtool: never of the runs before."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from dashboards.boards.all import BOARDS
from tests.dashboards.promql import grounded
from tests.programs import needed

SCRAPE_S = 5
END = 120
"""The last scrape: all of it is in the time range, of 10 minutes."""
TOOK = 24
"""Scrapes of a run."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """`start`: its first scrape. `ends_at`: what it has besides, name and labels → the value of its last two scrapes,
    0 before."""

    start: int
    instance: str = "a:9646"
    ends_at: dict[str, int] = field(default_factory=dict)

    def samples(self) -> dict[str, list[str]]:
        """By series, from its first scrape on; in the end it is gone."""
        there = {"avaload_run_start_time_seconds{}": 1000 + self.start, f'avaload_run_info{{run_id="{self.start}"}}': 1}
        found = {}
        for name, value in (there | self.ends_at).items():
            metric, _, labels = name.removesuffix("}").partition("{")
            here = ",".join(filter(None, ('job="avaload"', f'instance="{self.instance}"', labels)))
            before = value if name in there else 0
            found[f"{metric}{{{here}}}"] = [*[str(before)] * (TOOK - 2), str(value), str(value), "stale"]
        return found


def check(
    tmp_path: Path,
    runs: list[Run],
    board: str,
    title: str,
    expected: dict[str, float],
    *,
    at: int = END,
    evaluates: str = f"{SCRAPE_S}s",
) -> None:
    """That the last query of a panel gives at a scrape these values, by labels. `evaluates`: how often the server does,
    which is the step of a subquery that names none."""
    (expr,) = [
        panel.queries[-1].expr
        for each in BOARDS
        if each.name == board
        for panels in each.rows.values()
        for panel in panels
        if panel.title == title
    ]
    scrapes: dict[str, list[str]] = {}
    for run in runs:
        for name, values in run.samples().items():
            into = scrapes.setdefault(name, ["_"] * (END + 1))
            into[run.start : run.start + len(values)] = values[: END + 1 - run.start]
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    test = {
        "interval": f"{SCRAPE_S}s",
        "input_series": [{"series": name, "values": " ".join(values)} for name, values in scrapes.items()],
        "promql_expr_test": [{"expr": grounded(expr), "eval_time": f"{at * SCRAPE_S}s", "exp_samples": samples}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": evaluates, "tests": [test]}))
    command = [needed("promtool"), "test", "rules", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


OK = 'avaload_sessions_total{scenario="s",outcome="ok"}'
FAILED = 'avaload_sessions_total{scenario="s",outcome="failed"}'
LEFT = 'avaload_sessions_left_total{reason="still_alive"}'
FIRST = {
    OK: 1000,
    FAILED: 0,
    LEFT: 3,
    'avaload_lifecycle_errors_total{scenario="s",step="create",error_type="timeout"}': 5,
    'avaload_rule_violations_total{rule="TD-1"}': 2,
    'avaload_objective_met{scenario="s",objective="o",indicator="create.p95"}': 0,
}
SECOND = {
    OK: 0,
    FAILED: 10,
    LEFT: 0,
    'avaload_lifecycle_errors_total{scenario="s",step="create",error_type="http_5xx"}': 10,
}


@pytest.mark.parametrize(
    ("board", "title", "first", "second"),
    [
        ("overview", "Sessions that went well", {"{}": 1}, {"{}": 0}),
        ("overview", "Failures by cause", {'{error_type="timeout"}': 5}, {'{error_type="http_5xx"}': 10}),
        ("overview", "Left behind", {"{}": 3}, {"{}": 0}),
        ("overview", "Verdict so far", {"{}": 0}, {}),
        ("overview", "Objectives: times", {'{objective="o", indicator="create.p95"}': 0}, {}),
        (
            "secrets-and-teardown",
            "Left behind, by reason",
            {'{reason="still_alive"}': 3},
            {'{reason="still_alive"}': 0},
        ),
    ],
)
@pytest.mark.parametrize("instance", ["a:9646", "b:9646"], ids=["one machine", "a cluster"])
def test_what_is_told_of_a_run_is_the_last_ones(
    board: str, title: str, first: dict[str, float], second: dict[str, float], instance: str, tmp_path: Path
) -> None:
    runs = [Run(start=1, ends_at=FIRST), Run(start=60, instance=instance, ends_at=SECOND)]
    check(tmp_path, runs, board, title, first, at=50)  # it is over, and none came after it
    check(tmp_path, runs, board, title, second, at=83)  # the second goes on
    check(tmp_path, runs, board, title, second)


def test_runs_at_the_same_time_are_told_together(tmp_path: Path) -> None:
    past = Run(start=1, ends_at={OK: 500, FAILED: 500})
    runs = [Run(start=70, instance="b:9646", ends_at=FIRST), Run(start=71, instance="c:9646", ends_at=SECOND)]
    check(tmp_path, [past, *runs], "overview", "Sessions that went well", {"{}": 1000 / 1010}, at=93)


def test_the_release_board_has_the_end_of_a_run_where_the_server_evaluates_once_a_minute(tmp_path: Path) -> None:
    runs = [Run(start=3, ends_at=FIRST), Run(start=63, ends_at=SECOND)]  # whose ends no whole minute sees
    shares = {'{run_id="3"}': 0.0, '{run_id="63"}': 1.0}
    check(tmp_path, runs, "release", "Share of sessions that failed", shares, evaluates="1m")
    errors = {'{run_id="3", error_type="timeout"}': 5, '{run_id="63", error_type="http_5xx"}': 10}
    check(tmp_path, runs, "release", "Errors by type", errors, evaluates="1m")
