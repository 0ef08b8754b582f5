"""`/metrics` of a run of two processes, read by the real Prometheus and its promtool."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtest.events.kinds import StepFinished
from tests.e2e.target import events, unless_late
from tests.exporters.traces.receiver import Receiver
from tests.programs import needed
from tests.support import Avaload, Done, Prometheus, avaload, eventually, free_port, get, prometheus


@dataclass(frozen=True)
class Scraped:
    run: Avaload
    done: Done
    server: Prometheus
    live: bytes
    """An exposition from the middle of the run."""
    receiver: Receiver
    """Of the run's spans."""


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory, brief: Path) -> Iterator[Scraped]:
    needed("prometheus")
    cwd, port = tmp_path_factory.mktemp("scraped"), free_port()
    options = ("--users", 8, "--processes", 2, "--duration", "6s", "--ramp", "1s", "--metrics-port", port)
    with (
        prometheus(port, cwd) as server,
        Receiver() as receiver,
        avaload(
            *("run", brief, *options), *("--otlp-endpoint", receiver.url, "--otlp-metrics", receiver.url), cwd=cwd
        ) as run,
    ):
        finished = 'sum(avaload_sessions_total{outcome="ok"})'
        eventually(
            lambda: [row for row in server.query(finished) if row["value"][1] not in ("0", "1")],
            within_s=60,
            what="finished sessions in Prometheus",
            every_s=0.2,
            during=run,
        )
        live = get(f"http://127.0.0.1:{port}/metrics", accept="text/plain")[1]
        assert run.process.poll() is None
        yield Scraped(run, run.finish(within_s=60), server, live, receiver)


def last(server: Prometheus, promql: str, label: str) -> dict[str, float]:
    """The last values that were scraped, also of series that have gone stale since: label value → value."""
    rows: list[Any] = server.query(f"sum by ({label}) (last_over_time({promql}[2m]))")
    return {row["metric"][label]: float(row["value"][1]) for row in rows}


def test_promtool_accepts_the_exposition_of_a_live_run(scraped: Scraped) -> None:
    command = [needed("promtool"), "check", "metrics"]
    checked = subprocess.run(command, input=scraped.live, capture_output=True, timeout=30, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert b"avaload_sessions_total{" in scraped.live


def test_the_last_push_has_the_totals_of_the_report(scraped: Scraped) -> None:
    sessions = scraped.run.report()["sessions"]
    last_push = scraped.receiver.pushes[-1]
    found = {}
    for point in last_push["avaload_sessions_total"].sum.data_points:
        labels = {pair.key: pair.value.string_value for pair in point.attributes}
        found[labels["outcome"]] = point.as_int or point.as_double
    assert found == {
        "ok": sessions["completed"],
        "failed": sessions["failed"],
        "cancelled": sessions["cancelled"] + sessions["censored"],
    }
    assert last_push.keys() >= {"avaload_generator_state", "avaload_objective_bound", "avaload_run_info"}
    assert "lacks metrics" not in scraped.done.err + scraped.done.out


def test_the_last_totals_in_prometheus_are_those_of_the_report(scraped: Scraped) -> None:
    report = scraped.run.report()
    assert scraped.done.code == unless_late(0, report), scraped.done
    sessions = report["sessions"]
    assert sessions["completed"] >= 8
    assert last(scraped.server, "avaload_sessions_total", "outcome") == {
        "ok": sessions["completed"],
        "failed": sessions["failed"],
        "cancelled": sessions["cancelled"] + sessions["censored"],
    }


def test_so_are_the_steps_and_turns_and_nothing_is_open_any_more(scraped: Scraped) -> None:
    report, server = scraped.run.report(), scraped.server
    steps = last(server, 'avaload_step_duration_seconds_count{outcome="ok"}', "step")
    turns = report["turns"]["count"]
    assert steps == {"turn": turns, **{step: report["steps"][step]["count"] for step in report["steps"]}}
    assert last(server, "avaload_sessions_started_total", "job") == {"avaload": report["sessions"]["started"]}
    assert last(server, "avaload_sessions_open", "job") == {"avaload": 0}
    assert sum(last(server, "avaload_sessions_active", "state").values()) == 0
    assert sum(last(server, "avaload_gone_checks_total", "outcome").values()) == report["teardown"]["deleted"]


def test_an_exemplar_in_prometheus_leads_to_its_trace_and_to_its_step_in_the_journal(scraped: Scraped) -> None:
    found = scraped.server.exemplars("avaload_step_duration_seconds_bucket")
    assert {each["series"]["step"] for each in found} >= {"mint", "create", "connect", "converse", "turn", "delete"}
    traces = scraped.receiver.traces()
    took = {
        (event.session, event.step.value, round((event.t_ns - event.started_ns) / 1e9, 6))
        for event in events(scraped.run.run_dir)
        if isinstance(event, StepFinished)
    }
    for each in found:
        trace_id = each["labels"]["trace_id"]
        assert (trace_id, each["series"]["step"], round(float(each["value"]), 6)) in took
        assert trace_id in traces
    assert scraped.server.exemplars("avaload_time_to_first_audio_seconds_bucket")


def test_the_spans_that_were_sent_are_those_that_arrived_in_the_metrics_and_in_the_report(scraped: Scraped) -> None:
    arrived = len(scraped.receiver.spans)
    assert arrived > 8 * 7
    assert last(scraped.server, "avaload_spans_exported_total", "job") == {"avaload": arrived}
    assert sum(last(scraped.server, "avaload_spans_dropped_total", "reason").values()) == 0
    traces = scraped.run.report()["traces"]
    assert (traces["spans"], traces["dropped"], traces["unread"]) == (arrived, 0, 0)
    assert traces["sessions"] == len(scraped.receiver.traces())


def test_both_processes_are_in_one_scrape_target(scraped: Scraped) -> None:
    rows = scraped.server.query("count by (worker) (last_over_time(avaload_worker_cpu_ratio[2m]))")
    assert {row["metric"]["worker"] for row in rows} == {"0", "1"}
    targets = scraped.server.query("count by (instance) (last_over_time(avaload_run_info[2m]))")
    assert len(targets) == 1
