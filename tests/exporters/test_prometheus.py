import re
import socket
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporters import catalogue as c
from exporters.prometheus import Aggregate, Collector
from tests.exporters.script import health, run_started, session
from tests.support import ROOT, eventually, get, needed, prometheus


def shown(aggregate: Aggregate) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(aggregate.snapshot))
    return registry


def of_a_session() -> Aggregate:
    aggregate = Aggregate(["support"])
    for event in (run_started(), *session(1), *session(2, turn_fails=True), health()):
        aggregate.add(event)
    return aggregate


def test_values_of_the_snapshot_are_exposed_under_their_labels() -> None:
    registry = shown(of_a_session())
    value = registry.get_sample_value
    assert value("avaload_sessions_total", {"scenario": "support", "outcome": "ok"}) == 1
    assert value("avaload_sessions_total", {"scenario": "support", "outcome": "cancelled"}) == 0
    turn = {"scenario": "support", "step": "turn"}
    assert value("avaload_lifecycle_errors_total", turn | {"error_type": "no_answer"}) == 1
    assert value("avaload_step_duration_seconds_sum", turn | {"outcome": "ok"}) == 1.9
    assert value("avaload_step_duration_seconds_count", turn | {"outcome": "ok"}) == 1
    buckets = [
        value("avaload_step_duration_seconds_bucket", turn | {"outcome": "ok", "le": le})
        for le in ("0.01", "1.5", "2.0", "60.0", "+Inf")
    ]
    assert buckets == [0, 0, 1, 1, 1]
    assert value("avaload_sessions_open") == 0
    assert value("avaload_worker_cpu_ratio", {"worker": "0", "source": "engine"}) == 0.25


def test_every_metric_of_the_catalogue_is_exposed_with_its_type_and_help() -> None:
    families = list(shown(of_a_session()).collect())
    assert [(f.name, f.type, f.documentation) for f in families] == [
        (m.name.removesuffix("_total"), m.type, m.help) for m in c.METRICS
    ]


def test_labels_are_those_of_the_catalogue_and_hold_no_id_but_the_runs_in_its_info() -> None:
    for family in shown(of_a_session()).collect():
        metric = c.BY_NAME.get(family.name) or c.BY_NAME[family.name + "_total"]
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == {label.name for label in metric.labels}
            if metric is not c.RUN_INFO:
                assert not any(re.search(r"run-1|[0-9a-f]{16}|avaturn", text) for text in sample.labels.values())


def test_there_is_no_created_series_and_the_size_is_bounded() -> None:
    text = generate_latest(shown(of_a_session())).decode()  # type: ignore[no-untyped-call]
    assert "_created" not in text
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) < 1400


def test_promtool_accepts_the_exposition() -> None:
    promtool = needed("promtool", "prometheus")
    with serving() as port:
        text = get(f"http://127.0.0.1:{port}/metrics")[1]
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@contextmanager
def serving() -> Iterator[int]:
    """`serve` in a process of its own; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.exporters.serving", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        port = listener.getsockname()[1]
    try:
        yield port
    finally:
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_the_server_speaks_openmetrics_where_asked_and_nothing_but_metrics() -> None:
    with serving() as port:
        kind, text = get(f"http://127.0.0.1:{port}/metrics", accept="application/openmetrics-text;version=1.0.0")
        assert kind.startswith("application/openmetrics-text; version=1.0.0")
        assert text.endswith(b"# EOF\n")
        kind, text = get(f"http://127.0.0.1:{port}/metrics", accept="text/plain")
        assert kind.startswith("text/plain")
        sessions = next(f for f in text_string_to_metric_families(text.decode()) if f.name == "avaload_sessions")
        assert {s.labels["outcome"]: s.value for s in sessions.samples} == {"ok": 12, "failed": 2, "cancelled": 0}
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"http://127.0.0.1:{port}/")


def test_a_real_prometheus_scrapes_it_and_has_the_same_totals(tmp_path: Path) -> None:
    with serving() as port, prometheus(port, tmp_path) as server:
        found = eventually(
            lambda: server.query('sum(avaload_sessions_total{job="avaload"})'),
            within_s=60,
            what=f"a scrape; see {server.log}",
        )
        assert found[0]["value"][1] == "14"
        create = server.query('avaload_step_duration_seconds_sum{step="create",outcome="ok"}')
        assert float(create[0]["value"][1]) == pytest.approx(2.8)
        assert server.query("sum(avaload_lifecycle_errors_total)")[0]["value"][1] == "4"


def test_linger_is_two_scrape_intervals_and_nothing_where_nobody_scrapes() -> None:
    # In a process of its own: the server needs gevent, and this one must not get it.
    script = """
import socket
from exporters.prometheus import MetricsServer
now = [0.0]
server = MetricsServer(socket.create_server(("127.0.0.1", 0)), dict, now=lambda: now[0])
def scrape(at):
    now[0] = at
    b"".join(server._answer({"PATH_INFO": "/metrics", "REQUEST_METHOD": "GET"}, lambda *_: None))
said = [server.linger_s()]
scrape(100); said.append(server.linger_s())
for at in (115, 130, 131, 145): scrape(at)   # one look by hand
said.append(server.linger_s())
now[0] = 500; said.append(server.linger_s())
print(said, server.scrapes)
server.stop()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    assert done.stdout == "[0.0, 10.0, 29.0, 0.0] 5\n"


def test_importing_the_module_brings_no_gevent() -> None:
    script = "import sys, exporters.prometheus, exporters.traces, exporters.live; print('gevent' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    assert done.stdout == "False\n"
