"""The live tab and Locust's table, in a Locust process: importing it here would patch this one."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from exporters.locust_ui.live import GROUPS, rows
from exporters.locust_ui.locust_stats import bucket_response_time, forget_old
from exporters.locust_ui.sessions_page import LEFT_OUT, view
from exporters.metrics import catalogue as c
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.metric import Metric
from exporters.metrics.reading import quantile
from exporters.metrics.snapshot import SEPARATOR, Snapshot
from loadtest.errors.kinds import Code
from loadtest.events.kinds import STEPS, MediaMeasured, Step, StepFinished
from tests.exporters.traces.script import S, session, session_id

ROOT = Path(__file__).parents[3]


@dataclass
class Ui:
    port: int
    process: "subprocess.Popen[str]"

    def ask(self, path: str, data: bytes | None = None) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture(scope="module")
def ui() -> Iterator[Ui]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.exporters.locust_ui.locust_ui"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    line = process.stdout.readline()  # ends with the process, if not with the port
    assert line, "the process ended"
    yield Ui(int(line), process)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_page_has_a_sessions_tab(ui: Ui) -> None:
    status, page = ui.ask("/?tab=sessions")
    assert status == 200
    assert "Sessions" in page
    assert "extended_tables" in page or "extendedTables" in page


def test_the_table_has_the_snapshots_values_however_often_it_is_asked(ui: Ui) -> None:
    for _ in range(2):  # the second answer comes from Locust's cache
        status, body = ui.ask("/stats/requests")
        assert status == 200
        (table,) = json.loads(body)["extended_stats"]
        assert table["key"] == "sessions"
    found = {(row["group"], row["item"]): row["value"] for row in table["data"]}
    assert found["Running sessions, by step", "converse"] == "1"
    assert found["Running sessions, by step", "mint"] == "0"
    assert found["open", "at the target"] == "1"
    assert found["outcomes", "ok"] == "1"
    assert found["outcomes", "failed"] == "1"
    assert found["Errors, by step and type", "turn · no_answer"] == "1"
    assert ("Left behind", "delete_failed") not in found
    assert found["Times, run so far", "first audio · p50"] == "0.850 s"
    assert found["Times, run so far", "create · p50"] == "0.175 s"
    assert found["Client secrets", "p5 left"] == "300 s to 600 s"
    assert found["run", "started"] == "2027-01-15 08:00:00 UTC"
    assert found["Client secrets", "under 10 s"] == "0"
    assert found["unknown", ""] == "0"
    assert found["Generator", "0 · up"] == "yes"
    assert found["Generator", "0 · processes · engine · cpu"] == "25 %"
    assert found["Generator", "0 · processes · engine · lag"] == "1 ms"
    assert found["Generator", "0 · processes · engine · bytes"] == "100 MB"
    assert ("Errors, by step and type", "mint · timeout") not in found


def test_the_page_shows_the_same_run_and_loads_nothing_from_elsewhere(ui: Ui) -> None:
    status, page = ui.ask("/sessions")
    assert status == 200
    assert "sessions/live.json" in page
    assert [title for title in GROUPS.values() if f"<h2>{title}</h2>" not in page] == []
    assert not re.search(r"https?://", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", page)  # what is shown is text
    status, body = ui.ask("/sessions/live.json")
    assert status == 200
    now = json.loads(body)
    assert now["run"] == {"id": "run-1", "scenario": "support", "active": True, "started_s": 1_800_000_000}
    assert (now["open"], now["started"]) == (1, 3)
    assert now["outcomes"] == {"ok": 1, "failed": 1, "cancelled": 0, "generator_failed": 0}
    assert now["states"] == [[step, int(step is Step.CONVERSE)] for step in STEPS]
    assert now["errors"] == [["converse", "no_answer", 1], ["turn", "no_answer", 1]]
    times = {row["name"]: (row["count"], row["p50"]) for row in now["latency"]}
    assert times["mint"] == (3, pytest.approx(0.085))
    assert times["first audio"] == (1, pytest.approx(0.85))
    assert now["secrets"] == {
        "p5_left": {"over": 300, "under": 600},
        "half_left": {"over": 300, "under": 600},
        "under_10_s": 0,
        "p95_age_at_connect": {"over": 0.1, "under": 0.3},
    }
    assert now["workers"] == [
        {
            "worker": "0",
            "up": True,
            "age_s": 0,
            "processes": {"engine": {"lag_s": 0.001, "cpu": 0.25, "bytes": 100_000_000}},
        }
    ]


def test_both_follow_locusts_login() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.exporters.locust_ui.locust_ui", "--web-login"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    ui = Ui(int(process.stdout.readline()), process)
    try:
        for path in ("/sessions", "/sessions/live.json", "/stats/requests"):
            said = ui.ask(path)[1]
            assert "live.json" not in said
            assert "run-1" not in said
            assert "at the target" not in said
    finally:
        process.communicate(timeout=30)


@pytest.mark.parametrize("path", ["/swarm", "/stop", "/user", "/stats/reset", "/stop/"])
@pytest.mark.parametrize("data", [None, b"user_count=1&spawn_rate=1"])
def test_the_run_cannot_be_changed_from_the_ui(ui: Ui, path: str, data: bytes | None) -> None:
    status, said = ui.ask(path, data)
    assert status == 403
    assert said.startswith("The run's plan is the scenario's")
    assert json.loads(ui.ask("/stats/requests")[1])["state"] == "ready"


def test_locusts_table_shows_sessions_steps_and_turns_of_the_load() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.exporters.locust_ui.locust_ui"],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )
    table, errors = json.loads(done.stdout.splitlines()[1])
    assert table == [
        ["session", "support", 2, 1, 3000],
        ["step", "connect", 3, 0, 400],
        ["step", "converse", 2, 1, 2000],
        ["step", "create", 3, 0, 200],
        ["step", "delete", 2, 0, 50],
        ["step", "mint", 3, 0, 100],
        ["turn", "time to first audio", 2, 1, 800],
    ]
    assert errors == ["no_response/no_answer"]


@pytest.mark.parametrize(
    ("given", "kept"), [(0.4, 0), (147.2, 147), (999.6, 1000), (1234, 1230), (9996, 10000), (58_760, 58_800)]
)
def test_response_times_keep_three_digits(given: float, kept: int) -> None:
    assert bucket_response_time(given) == kept


def test_quantiles_are_read_from_the_buckets() -> None:
    edges = (1.0, 2.0, 4.0)
    assert quantile([2, 2, 0, 0], edges, 0.5) == 1.0
    assert quantile([0, 4, 0, 0], edges, 0.5) == 1.5
    assert quantile([0, 0, 1, 1], edges, 0.95) is None
    assert quantile([0, 0, 0, 0], edges, 0.5) is None


def test_the_page_says_what_was_heard_and_what_a_broken_rule_says() -> None:
    aggregate = Aggregate(["support"])
    heard = MediaMeasured(
        t_ns=S, session=session_id(1), frames=100, underruns=2, stalled_ns=S // 2, gap_max_ns=S // 4, packets_lost=25
    )
    aggregate.add(heard)
    now = view(aggregate.snapshot(rule_violations={"TD-1": 3, "TD-6": 1, "TD-2": 0}))
    assert now["sound"] == {
        "frames": 100,
        "underruns": 2,
        "stalled_s": 0.5,
        "gap": {"count": 1, "first": 0.025, "last": 5.0, "p95": pytest.approx(0.295)},
        "jitter": {"count": 0, "first": 0.0002, "last": 0.2, "p95": None},
        "lost": 25,
        "expected": 125,
    }
    assert now["rules"] == [
        ("TD-1", "DELETE ends the session within 5 s", 3, True),
        ("TD-6", "Deleting an ended or unknown session is harmless", 1, False),
    ]
    table = table_of(aggregate.snapshot(rule_violations={"TD-1": 3, "TD-6": 1234567}))
    assert table["Rules broken", "TD-1 · DELETE ends the session within 5 s"] == "3"
    assert table["Rules broken", "TD-6 · Deleting an ended or unknown session is harmless (assumed)"] == "1,234,567"


def table_of(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """Locust's Sessions tab: values by group and item."""
    return {(row["group"], row["item"]): row["value"] for row in rows(view(snapshot))}


def test_errors_of_a_mix_are_told_once_and_what_is_cut_is_said() -> None:
    codes = list(Code)[:25]
    errors = {SEPARATOR.join((name, "create", code)): 10.0 for code in codes for name in ("sales", "support")}
    errors[SEPARATOR.join(("sales", "turn", codes[0]))] = 100.0
    now = view({c.LIFECYCLE_ERRORS.name: errors})
    assert now["errors"][:2] == [["turn", codes[0], 100.0], ["create", codes[0], 20.0]]
    assert (len(now["errors"]), now["errors_left_out"]) == (20, 6)
    assert table_of({c.LIFECYCLE_ERRORS.name: errors})["errors left out", "kinds"] == "6"


@pytest.mark.parametrize(
    ("metric", "item", "worst"),
    [
        (c.SCHEDULE_LAG, ("start lag", "p99"), "> 5 s"),
        (c.MEDIA_JITTER, ("The avatar's sound", "jitter · p95"), "> 0.2 s"),
        (c.MEDIA_GAP, ("The avatar's sound", "gap · p95"), "> 5 s"),
    ],
)
def test_a_quantile_above_the_last_edge_is_not_told_as_unobserved(
    metric: Metric, item: tuple[str, str], worst: str
) -> None:
    def counted(place: int) -> Snapshot:
        counts = [0.0] * (len(metric.buckets) + 2)  # one above the last edge, and the sum
        counts[place] = 10.0
        return {metric.name: {"": counts}}

    assert table_of({})[item] == "–"
    assert table_of(counted(-2))[item] == worst
    assert table_of(counted(0))[item] == f"< {metric.buckets[0]:g} s"


def test_a_jitter_is_told_to_its_tenth_of_a_millisecond() -> None:
    own = {"edges": {c.MEDIA_JITTER.name: [0.001, 0.0014, 7.0]}, c.MEDIA_JITTER.name: {"": [0.0, 20.0, 0.0, 0.0, 0.03]}}
    assert table_of(own)["The avatar's sound", "jitter · p95"] == "1.38 ms"


def test_edges_of_the_run_itself_are_told() -> None:
    own = {"edges": {c.MEDIA_JITTER.name: [0.001, 7.0]}, c.MEDIA_JITTER.name: {"": [0.0, 0.0, 3.0, 30.0]}}
    assert table_of(own)["The avatar's sound", "jitter · p95"] == "> 7 s"


def test_secrets_that_had_expired_and_old_ones_are_not_told_as_unobserved() -> None:
    margins = [9.0, *[0.0] * (len(c.SECRET_MARGIN.buckets) + 1)]
    ages = [*[0.0] * len(c.SECRET_AGE.buckets), 9.0, 99999.0]
    table = table_of({c.SECRET_MARGIN.name: {"": margins}, c.SECRET_AGE.name: {"connect": ages}})
    assert table["Client secrets", "half left"] == "≤ 0 s"
    assert table["Client secrets", "p95 age at connect"] == "> 7200 s"
    assert table_of({})["Client secrets", "half left"] == "–"


def test_numbers_of_the_table_are_whole_and_have_units() -> None:
    table = table_of({c.RUN_START.name: {"": 1_785_312_345.6}, c.MEDIA_FRAMES.name: {"": 1_234_567.0}})
    assert table["run", "started"] == "2026-07-29 08:05:45 UTC"
    assert table["The avatar's sound", "frames"] == "1,234,567"
    assert table_of({})["run", "started"] == "–"


def test_what_is_below_the_first_edge_is_not_told_more_exactly_than_it_is_known() -> None:
    aggregate = Aggregate(["support"])
    for event in session(1):
        took = 1_000_000 if isinstance(event, StepFinished) and event.step is Step.MINT else None
        aggregate.add(event if took is None else replace(event, t_ns=event.started_ns + took))
    table = {(row["group"], row["item"]): row["value"] for row in rows(view(aggregate.snapshot()))}
    assert table["Times, run so far", "mint · p50"] == "< 0.01 s"
    assert table["Times, run so far", "create · p50"] == "0.175 s"


def test_an_empty_snapshot_has_a_table_too() -> None:
    found = {(row["group"], row["item"]): row["value"] for row in rows(view({}))}
    assert (found["open", "at the target"], found["unknown", ""], found["The avatar's sound", "underruns"]) == (
        "0",
        "0",
        "0",
    )
    assert (found["The avatar's sound", "gap · p95"], found["run", "active"]) == ("–", "no")


class Asked(dict[str, Any]):
    """A snapshot that remembers which metrics were read."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def test_every_metric_is_on_the_page_or_left_out_by_name() -> None:
    asked = Asked()
    asked[c.WORKER_UP.name] = {"0": 1.0}
    view(asked)
    shown = asked.names & {metric.name for metric in c.METRICS}
    assert {metric.name for metric in LEFT_OUT} == {metric.name for metric in c.METRICS} - shown


def test_what_locust_keeps_per_second_is_forgotten_after_a_minute() -> None:
    entry = SimpleNamespace(num_reqs_per_sec={100: 3, 941: 5, 1000: 2}, num_fail_per_sec={939: 1, 940: 1})
    total = SimpleNamespace(num_reqs_per_sec={}, num_fail_per_sec={})
    stats = SimpleNamespace(total=total, entries={("mint", "step"): entry}, history=list(range(1000)))
    forget_old(SimpleNamespace(stats=stats), now_s=1000.0)
    assert (entry.num_reqs_per_sec, entry.num_fail_per_sec) == ({941: 5, 1000: 2}, {940: 1})
    assert stats.history == list(range(280, 1000))
