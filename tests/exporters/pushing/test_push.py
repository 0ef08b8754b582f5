"""A run's metrics, pushed over OTLP: every name, label and value that /metrics shows."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from prometheus_client.parser import text_string_to_metric_families

from exporters.metrics import live_file
from exporters.metrics.aggregate import Aggregate
from exporters.metrics.exposition import PLAIN, exposition
from exporters.metrics.live_file import Live
from exporters.pushing.push import Pusher, follow, main
from tests.exporters.traces.receiver import Answer, Receiver, attributes
from tests.exporters.traces.script import WALL_S, S, health, run_started, session, session_id, span_id

Sample = tuple[str, tuple[tuple[str, str], ...]]


def values(*, over: bool = False, at_s: int = 60, sessions: int = 2, first: int = 1) -> Live:
    """`first`: number of the first session, which its ids are made of."""
    aggregate = Aggregate(["support"], tags={"build": "7"})
    for event in (run_started(), *(e for n in range(first, first + sessions) for e in session(n)), health()):
        aggregate.add(event)
    return Live(
        run_id="run-1",
        host="here",
        started_ns=WALL_S * S,
        at_ns=(WALL_S + at_s) * S,
        over=over,
        snapshot=aggregate.snapshot(),
    )


def shown(live: Live) -> dict[Sample, float]:
    """As a scraper reads them: by name and labels."""
    families = text_string_to_metric_families(exposition(live.snapshot, PLAIN).decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def pushed(metrics: dict[str, Metric]) -> dict[Sample, float]:
    """The same of what was pushed, buckets added up as Prometheus has them."""
    found: dict[Sample, float] = {}
    for name, metric in metrics.items():
        kind = str(metric.WhichOneof("data"))
        for point in getattr(metric, kind).data_points:
            labels = {key: str(value) for key, value in attributes(point.attributes).items()}
            key = tuple(sorted(labels.items()))
            if kind != "histogram":
                found[name, key] = getattr(point, point.WhichOneof("value"))
                continue
            so_far = 0
            for edge, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=True):
                so_far += count
                le = "+Inf" if edge == float("inf") else str(float(edge))
                found[f"{name}_bucket", tuple(sorted({**labels, "le": le}.items()))] = so_far
            found[f"{name}_count", key], found[f"{name}_sum", key] = point.count, point.sum
    return found


def test_what_is_pushed_is_what_metrics_shows() -> None:
    live = values()
    with Receiver() as receiver, Pusher(f"{receiver.url}/v1/metrics") as pusher:
        assert pusher.push(live)
    (metrics,) = receiver.pushes
    assert pushed(metrics) == pytest.approx(shown(live))
    assert receiver.paths == ["/v1/metrics"]
    assert receiver.resources[0]["service.name"] == "avaload"
    assert receiver.resources[0]["avaload.run.id"] == "run-1"


def test_a_metric_has_its_kind_its_unit_and_the_time_since_when_it_counts() -> None:
    with Receiver() as receiver, Pusher(f"{receiver.url}/v1/metrics") as pusher:
        pusher.push(values())
    (metrics,) = receiver.pushes
    total, lag = metrics["avaload_sessions_total"], metrics["avaload_worker_loop_lag_seconds"]
    assert (total.sum.is_monotonic, total.unit, lag.WhichOneof("data"), lag.unit) == (True, "", "gauge", "s")
    assert metrics["avaload_media_stalled_seconds_total"].unit == "s"
    assert metrics["avaload_worker_resident_memory_bytes"].unit == "By"
    point = total.sum.data_points[0]
    assert (point.start_time_unix_nano, point.time_unix_nano) == (WALL_S * S, (WALL_S + 60) * S)
    first_audio = metrics["avaload_time_to_first_audio_seconds"].histogram.data_points[0]
    assert not first_audio.HasField("min")  # not known: nothing is said
    assert not first_audio.HasField("max")


def test_a_bucket_leads_to_the_trace_and_to_the_very_span_that_fell_into_it_last(tmp_path: Path) -> None:
    last = 123_456_789_012_345_678  # of its ids no float holds all digits
    live_file.write(tmp_path, values(first=last - 1))
    live = live_file.read(tmp_path)  # as the process that pushes gets it
    assert live is not None
    with Receiver() as receiver, Pusher(f"{receiver.url}/v1/metrics") as pusher:
        pusher.push(live)
    (metrics,) = receiver.pushes
    found = {
        (name, attributes(point.attributes).get("step")): [
            (e.trace_id.hex(), e.span_id.hex(), e.as_double, e.time_unix_nano / S) for e in point.exemplars
        ]
        for name, metric in metrics.items()
        for point in metric.histogram.data_points
        if point.exemplars
    }
    assert found.keys() == {
        ("avaload_time_to_first_audio_seconds", None),
        *(
            ("avaload_step_duration_seconds", step)
            for step in ("mint", "create", "connect", "turn", "converse", "delete")
        ),
    }
    turn = (session_id(last), span_id(last, 5), 0.8, pytest.approx(WALL_S + 3.6))
    assert found["avaload_time_to_first_audio_seconds", None] == [turn]


@pytest.mark.parametrize(
    "answer",
    [Answer(500), Answer(401), Answer(rejected=3), Answer(200, {"content-type": "text/html"}, body=b"<html>")],
    ids=["broken", "no entry", "in part", "a page"],
)
def test_a_push_that_is_not_taken_whole_is_counted_and_the_next_holds_its_values(answer: Answer) -> None:
    with Receiver(first=[answer]) as receiver, Pusher(f"{receiver.url}/v1/metrics") as pusher:
        assert [pusher.push(values(at_s=at_s, sessions=at_s)) for at_s in (1, 2)] == [False, True]
    assert (pusher.taken, pusher.refused, len(receiver.paths)) == (1, 1, 2)
    assert pushed(receiver.pushes[-1])["avaload_sessions_started_total", (("scenario", "support"),)] == 2


def followed(run_dir: Path, receiver: Receiver, *, every_s: float) -> tuple[threading.Thread, list[Pusher]]:
    """Pushes the run's values, until it is over; then there is the pusher."""
    ended: list[Pusher] = []
    url = f"{receiver.url}/v1/metrics"
    following = threading.Thread(
        target=lambda: ended.append(follow(run_dir, url, threading.Event(), every_s=every_s)), daemon=True
    )
    following.start()
    return following, ended


def test_the_last_values_of_a_run_are_pushed_and_end_it(tmp_path: Path) -> None:
    with Receiver() as receiver:
        live_file.write(tmp_path, values(at_s=1))
        following, ended = followed(tmp_path, receiver, every_s=3600)
        assert receiver.wait(lambda: len(receiver.pushes) == 1)
        live_file.write(tmp_path, values(at_s=2))  # not yet due
        live_file.write(tmp_path, values(at_s=3, sessions=3, over=True))
        following.join(20)
    assert [(pusher.taken, pusher.complete) for pusher in ended] == [(2, True)]
    assert pushed(receiver.pushes[-1])["avaload_sessions_started_total", (("scenario", "support"),)] == 3


def test_a_clock_that_is_set_back_costs_no_push(tmp_path: Path) -> None:
    with Receiver() as receiver:
        live_file.write(tmp_path, values(at_s=60))
        following, ended = followed(tmp_path, receiver, every_s=0)
        assert receiver.wait(lambda: len(receiver.pushes) == 1)
        live_file.write(tmp_path, values(at_s=-30, sessions=3))  # to before the start
        assert receiver.wait(lambda: len(receiver.pushes) == 2)
        live_file.write(tmp_path, values(at_s=2, sessions=4, over=True))
        following.join(20)
    assert [(pusher.taken, pusher.complete) for pusher in ended] == [(3, True)]
    started = [pushed(push)["avaload_sessions_started_total", (("scenario", "support"),)] for push in receiver.pushes]
    assert started == [2, 3, 4]


def test_a_process_that_is_told_to_end_sends_what_there_is(tmp_path: Path) -> None:
    live_file.write(tmp_path, values(at_s=1))
    with Receiver() as receiver:
        process = start(str(tmp_path), "--otlp-metrics", receiver.url)
        assert receiver.wait(lambda: len(receiver.pushes) == 1, timeout_s=60)
        live_file.write(tmp_path, values(at_s=2, sessions=3))
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=30)
    assert (process.returncode, out, error) == (
        4, "metrics: 2 pushes taken, 0 not; the last values are not there\n", ""
    )  # fmt: skip
    assert pushed(receiver.pushes[-1])["avaload_sessions_started_total", (("scenario", "support"),)] == 3


@pytest.mark.parametrize(
    ("status", "code", "said"), [(503, 0, "1 pushes taken, 0 not"), (401, 4, "0 pushes taken, 1 not")]
)
def test_of_what_was_taken_at_last_no_reason_is_told(
    status: int,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    live_file.write(tmp_path, values(over=True))
    with Receiver(first=[Answer(status, {"retry-after": "0"})]) as receiver:
        assert main([str(tmp_path), "--otlp-metrics", receiver.url]) == code
    lacking = " (last: 401); the last values are not there" * (code == 4)
    assert capsys.readouterr().out == f"metrics: {said}{lacking}\n"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.0.0.1:1/v1/metrics"])
def test_an_endpoint_that_is_down_is_one_line_and_exit_4(tmp_path: Path, url: str) -> None:
    live_file.write(tmp_path, values(over=True))
    process = start(str(tmp_path), "--otlp-metrics", url)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (
        4, "metrics: 0 pushes taken, 1 not (last: ConnectionError); the last values are not there\n", ""
    )  # fmt: skip


def test_a_bad_endpoint_is_one_line_and_exit_2(tmp_path: Path) -> None:
    process = start(str(tmp_path), "--otlp-metrics", "nowhere")
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert error == "avaload: --otlp-metrics: must be like http://127.0.0.1:4318, without user, query or fragment\n"


@pytest.mark.parametrize("text", [b"", b"{", b'{"run_id": 1}', b"\xff\xfe"])
def test_a_file_of_somebody_else_is_no_values(tmp_path: Path, text: bytes) -> None:
    (tmp_path / live_file.FILE).write_bytes(text)
    assert live_file.read(tmp_path) is None


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "exporters.pushing.push", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
