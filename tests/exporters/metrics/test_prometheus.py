import base64
import http.client
import re
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as _openmetrics
from prometheus_client.parser import text_string_to_metric_families as _plain

from exporters.metrics import catalogue as c
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.exposition import OPENMETRICS, PLAIN, content_type, exposition
from exporters.metrics.prometheus import needed_s
from exporters.metrics.snapshot import merged
from loadtest.criteria.slo import Slo
from loadtest.events.kinds import Step
from tests.exporters.traces.script import WALL_S, health, run_started, session, session_id, span_id
from tests.programs import needed
from tests.support import ROOT, eventually, get, prometheus


def openmetrics(text: str) -> list[Metric]:
    return list(_openmetrics(text))  # type: ignore[no-untyped-call]


def plain(text: str) -> list[Metric]:
    return list(_plain(text))


def of_a_session(**options: Any) -> Aggregate:
    aggregate = Aggregate(["support"], **options)
    for event in (run_started(), *session(1), *session(2, turn_fails=True), health()):
        aggregate.add(event)
    return aggregate


def families(aggregate: Aggregate) -> list[Metric]:
    """As a scraper reads them."""
    return openmetrics(exposition(aggregate.snapshot(), OPENMETRICS).decode())


def value(shown: list[Metric], name: str, **labels: str) -> float:
    """Of the one sample with that name and those labels."""
    (found,) = [s.value for family in shown for s in family.samples if (s.name, s.labels) == (name, labels)]
    return float(found)


def test_values_of_the_snapshot_are_exposed_under_their_labels() -> None:
    shown = families(of_a_session())
    assert value(shown, "avaload_sessions_total", scenario="support", outcome="ok") == 1
    assert value(shown, "avaload_sessions_total", scenario="support", outcome="cancelled") == 0
    turn = {"scenario": "support", "step": "turn"}
    assert value(shown, "avaload_lifecycle_errors_total", **turn, error_type="no_answer") == 1
    assert value(shown, "avaload_step_duration_seconds_sum", **turn, outcome="ok") == 1.9
    assert value(shown, "avaload_step_duration_seconds_count", **turn, outcome="ok") == 1
    buckets = [
        value(shown, "avaload_step_duration_seconds_bucket", **turn, outcome="ok", le=le)
        for le in ("0.01", "1.5", "2.0", "60.0", "+Inf")
    ]
    assert buckets == [0, 0, 1, 1, 1]
    assert value(shown, "avaload_sessions_open") == 0
    assert value(shown, "avaload_worker_cpu_ratio", worker="0", source="engine") == 0.25


def test_both_formats_say_the_same() -> None:
    snapshot = of_a_session().snapshot()
    one, other = (
        {(s.name, *sorted(s.labels.items())): s.value for family in read for s in family.samples}
        for read in (
            plain(exposition(snapshot, PLAIN).decode()),
            openmetrics(exposition(snapshot, OPENMETRICS).decode()),
        )
    )
    assert one == other
    assert len(one) > 1000


def test_every_metric_of_the_catalogue_is_exposed_with_its_type_and_help() -> None:
    assert [(f.name, f.type, f.documentation) for f in families(of_a_session())] == [
        (m.name.removesuffix("_total"), m.type, m.help) for m in c.METRICS
    ]


def test_labels_are_those_of_the_catalogue_and_hold_no_id_but_the_runs_in_its_info() -> None:
    for family in families(of_a_session()):
        metric = c.BY_NAME.get(family.name) or c.BY_NAME[family.name + "_total"]
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == {label.name for label in metric.labels}
            if metric is not c.RUN_INFO:
                assert not any(re.search(r"run-1|[0-9a-f]{16}|avaturn", text) for text in sample.labels.values())


def test_a_label_value_is_escaped() -> None:
    name = 'a "b" \\ c'
    aggregate = Aggregate([name])
    for read, kind in ((openmetrics, OPENMETRICS), (plain, PLAIN)):
        shown = read(exposition(aggregate.snapshot(), kind).decode())
        assert value(shown, "avaload_sessions_started_total", scenario=name) == 0


def test_there_is_no_created_series_and_the_size_of_two_workers_is_bounded() -> None:
    workers = [of_a_session() for _ in range(2)]
    for process, aggregate in enumerate(workers):
        for source in ("engine", "hub"):
            aggregate.add(health(process=process, source=source))
    text = exposition(merged([aggregate.snapshot() for aggregate in workers]), OPENMETRICS).decode()
    assert "_created" not in text
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert 1000 < len(samples) <= 580 + 137 * len(Step)


def exemplars(shown: list[Metric]) -> dict[tuple[str, str, str], tuple[str, float, float]]:
    """(metric, step or "", upper edge) → trace id, value, Unix time."""
    return {
        (family.name, s.labels.get("step", ""), s.labels["le"]): (
            s.exemplar.labels["trace_id"],
            s.exemplar.value,
            float(s.exemplar.timestamp or 0),
        )
        for family in shown
        for s in family.samples
        if s.exemplar is not None
    }


def test_a_bucket_leads_to_the_last_trace_that_fell_into_it() -> None:
    found = exemplars(families(of_a_session()))
    assert found["avaload_step_duration_seconds", "create", "0.2"] == (session_id(2), 0.2, WALL_S + 1.3)
    assert found["avaload_time_to_first_audio_seconds", "", "1.0"] == (session_id(1), 0.8, WALL_S + 3.6)
    assert {metric for metric, _, _ in found} == {
        "avaload_step_duration_seconds",
        "avaload_time_to_first_audio_seconds",
    }
    assert b"trace_id" not in exposition(of_a_session().snapshot(), PLAIN)


def test_an_exemplar_leads_to_the_very_span_and_fits_into_what_openmetrics_allows() -> None:
    found = {
        (family.name, s.labels.get("step", ""), s.labels["le"]): s.exemplar.labels
        for family in families(of_a_session())
        for s in family.samples
        if s.exemplar is not None
    }
    assert found["avaload_step_duration_seconds", "create", "0.2"]["span_id"] == span_id(2, 2)
    assert found["avaload_time_to_first_audio_seconds", "", "1.0"] == {
        "trace_id": session_id(1),
        "span_id": span_id(1, 5),  # the turn's
    }
    assert max(sum(map(len, (*labels, *labels.values()))) for labels in found.values()) <= 128


def test_of_two_workers_the_later_exemplar_is_shown() -> None:
    early, late = Aggregate(["support"]), Aggregate(["support"])
    for aggregate, events in ((early, session(1)), (late, session(2, at_s=9))):
        for event in (run_started(), *events):
            aggregate.add(event)
    for order in ((early, late), (late, early)):
        snapshot = merged([aggregate.snapshot() for aggregate in order])
        found = exemplars(openmetrics(exposition(snapshot, OPENMETRICS).decode()))
        assert {trace for trace, _, _ in found.values()} == {session_id(2)}


def test_exemplars_lead_to_traces_that_are_kept() -> None:
    kept = exemplars(families(of_a_session(trace_share=0.0)))
    assert kept.keys() == {  # of the session whose turn failed, the steps that failed
        ("avaload_step_duration_seconds", "turn", "2.0"),
        ("avaload_step_duration_seconds", "converse", "2.0"),
    }
    slow = Slo(name="slow", indicator="create.p95", max=0.15)
    assert ("avaload_step_duration_seconds", "create", "0.2") in exemplars(
        families(of_a_session(trace_share=0.0, slos=[slow]))
    )


def test_histograms_have_an_edge_at_each_service_level_of_the_run() -> None:
    bounds = {
        "create.p95": 1.23,
        "turn.time_to_first_audio.p95": 1.34,
        "turn.barge_in.p99": 0.56,
        "session.setup.p95": 8.9,
        "teardown.time_to_gone.max": 4.2,
    }
    slos = [Slo(name=indicator, indicator=indicator, max=bound) for indicator, bound in bounds.items()]
    slos += [Slo(name="margin", indicator="secret.margin.min", min=33)]
    slos += [Slo(name="share", indicator="session.failed_rate", max=0.05)]
    aggregates = [of_a_session(slos=slos) for _ in range(2)]
    snapshot = merged([aggregate.snapshot() for aggregate in aggregates])
    shown = openmetrics(exposition(snapshot, OPENMETRICS).decode())
    more = {
        (family.name, s.labels["le"])
        for family in shown
        for s in family.samples
        if "le" in s.labels and s.labels["le"] != "+Inf" and float(s.labels["le"]) not in c.BY_NAME[family.name].buckets
    }
    assert more == {
        ("avaload_step_duration_seconds", "1.23"),
        ("avaload_time_to_first_audio_seconds", "1.34"),
        ("avaload_barge_in_seconds", "0.56"),
        ("avaload_session_setup_duration_seconds", "8.9"),
        ("avaload_time_to_gone_seconds", "4.2"),
        ("avaload_secret_margin_seconds", "33.0"),
    }
    create = {"scenario": "support", "step": "create", "outcome": "ok"}
    assert value(shown, "avaload_step_duration_seconds_bucket", **create, le="1.23") == 4
    assert value(shown, "avaload_step_duration_seconds_count", **create) == 4


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/plain;version=0.0.4", PLAIN),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", OPENMETRICS),
    ],
)
def test_openmetrics_is_spoken_where_it_is_accepted(accept: str, kind: str) -> None:
    assert content_type(accept) == kind


def test_promtool_accepts_the_exposition() -> None:
    promtool = needed("promtool")
    with serving() as port:
        text = get(f"http://127.0.0.1:{port}/metrics")[1]
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@contextmanager
def serving(*more: str) -> Iterator[int]:
    """`serve` in a process of its own; gives the port. `more`: certificate, key, user, password."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.exporters.metrics.serving", str(listener.fileno()), *more],
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
        sessions = next(f for f in plain(text.decode()) if f.name == "avaload_sessions")
        assert {s.labels["outcome"]: s.value for s in sessions.samples} == {"ok": 12, "failed": 2, "cancelled": 0}
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"http://127.0.0.1:{port}/")


def test_a_run_can_ask_for_tls_and_a_login(certified: tuple[Path, Path]) -> None:
    certificate, key = certified
    trusting = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificate)),
    )

    def status(login: str | None, *, scheme: str = "https") -> int:
        headers = {} if login is None else {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}/metrics", headers=headers)
        try:
            with trusting.open(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code if error.headers["WWW-Authenticate"] == 'Basic realm="avaload"' else 0

    with serving(str(certificate), str(key), "ops", "s3cret") as port:
        assert status("ops:s3cret") == 200
        assert [status(login) for login in (None, "ops:", "ops:s3cre", "op:s3cret", ":")] == [401] * 5
        with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
            status("ops:s3cret", scheme="http")


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
    script = """
import socket
from exporters.metrics.prometheus import MetricsServer
now = [0.0]
server = MetricsServer(socket.create_server(("127.0.0.1", 0)), dict, now=lambda: now[0])
def scrape(at, by="scraper"):
    now[0] = at
    request = {"PATH_INFO": "/metrics", "REQUEST_METHOD": "GET", "HTTP_USER_AGENT": by}
    b"".join(server._answer(request, lambda *_: None))
said = [server.linger_s()]
scrape(100); said.append(server.linger_s())
scrape(115); scrape(130); scrape(131, by="a hand"); scrape(145)
said.append(server.linger_s())
now[0] = 500; said.append(server.linger_s())
for number in range(60): scrape(600, by=f"somebody {number}")
print(said, server.scrapes, len(server._scrapers))
server.stop()
"""
    assert printed(script) == "[0.0, 10.0, 30, 0.0] 65 50"


@pytest.mark.parametrize(
    ("scrapes", "for_s"),
    [
        ([0, 30, 60, 90, 120], 60),
        ([0, 5, 30, 35, 60, 65, 90], 50),  # two of them behind one address: 30 s are enough for both
        ([0, 25, 30], 50),
        ([0, 5, 10, 200, 205, 210], 10),  # it was started anew
        ([0, 1, 2], 10),
        ([0, 300], 70),  # one that was away for so long tells nothing of its interval
    ],
)
def test_a_scraper_is_waited_for_twice_as_long_as_it_stays_away(scrapes: list[float], for_s: float) -> None:
    assert needed_s(scrapes, signed=True) == for_s


def test_of_two_servers_each_is_waited_for_and_who_looks_by_hand_is_not() -> None:
    script = """
import socket
from exporters.metrics.prometheus import MetricsServer
now = [0.0]
server = MetricsServer(socket.create_server(("127.0.0.1", 0)), dict, now=lambda: now[0])
def scrape(at, addr, **more):
    now[0] = at
    b"".join(server._answer({"PATH_INFO": "/metrics", "REMOTE_ADDR": addr} | more, lambda *_: None))
sign = {"HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS": "10"}
for at in range(0, 240, 30):
    scrape(at, "10.0.0.1", **sign); scrape(at + 3, "10.0.0.2", **sign)
    if at % 120 == 0: scrape(at + 4, "10.0.0.3")
print(server.linger_s())
server.stop()
"""
    assert printed(script) == "60"


TIMEOUT = {"HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS": "10"}


@pytest.mark.parametrize(
    ("scrapes", "sign", "for_s", "over_s"),
    [
        ([], TIMEOUT, None, 100),
        ([99], {}, None, 110),  # by hand
        ([99], TIMEOUT, None, 170),
        ([70, 130, 190], TIMEOUT, None, 220),  # the second one tells that it comes each minute
        ([95, 110, 125], TIMEOUT, None, 130),
        ([-190, 90, 370, 650], TIMEOUT, None, 660),
        ([95, 110, 125], TIMEOUT, 3, 103),
    ],
)
def test_a_scraper_that_came_once_is_waited_for_until_it_comes_again(
    scrapes: list[float], sign: dict[str, str], for_s: float | None, over_s: float
) -> None:
    script = f"""
import socket
from exporters.metrics.prometheus import MetricsServer
now, due = [-200.0], {scrapes}
server = MetricsServer(socket.create_server(("127.0.0.1", 0)), dict, now=lambda: now[0])
def sleep(for_s):
    until = now[0] + for_s
    while due and due[0] <= until:
        now[0] = due.pop(0)
        b"".join(server._answer({{"PATH_INFO": "/metrics", "REQUEST_METHOD": "GET"}} | {sign}, lambda *_: None))
    now[0] = until
sleep(300)  # the run, until 100
server.linger({for_s}, sleep=sleep)
print(now[0])
server.stop()
"""
    assert float(printed(script)) == over_s


def printed(script: str) -> str:
    """By a process of its own: the server needs gevent, and this one must not get it."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    return done.stdout.strip()


def test_importing_the_module_brings_no_gevent() -> None:
    modules = "exporters.metrics.prometheus, exporters.traces.process, exporters.locust_ui.live"
    script = f"import sys, {modules}; print('gevent' in sys.modules)"
    assert printed(script) == "False"
