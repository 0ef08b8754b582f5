import ssl
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan

from exporters.traces.otlp import Sender
from exporters.traces.spans import resource, spans
from exporters.traces.trace_counts import REFUSED
from loadtest.events.kinds import SessionFinished, SessionStarted
from tests.exporters.traces.receiver import Answer, Receiver
from tests.exporters.traces.script import run_started, session, session_id
from tests.exporters.traces.strict import ForbiddenError, faults, opened


def of_session(number: int) -> Sequence[ReadableSpan]:
    first, *events, last = session(number)
    assert isinstance(first, SessionStarted)
    assert isinstance(last, SessionFinished)
    run = run_started()
    return spans(first, events, last, run=run, offset_ns=0, resource=resource(run, version="1.2.3", started_at=None))


def sender_to(url: str, *, patient: bool = False) -> Sender:
    return Sender(f"{url}/v1/traces", patient=patient, stop=threading.Event())


def test_an_endpoint_that_comes_back_is_used_again() -> None:
    with Receiver(status=400) as receiver:
        sender = sender_to(receiver.url)
        sender.put(of_session(1))
        assert receiver.wait(lambda: len(receiver.paths) == 1)
        receiver.status = 200
        sender.put(of_session(2))
        sender.close(20)
    assert receiver.traces().keys() == {session_id(2)}
    assert (sender.sent, sender.dropped) == (7, 7)


def test_what_was_put_is_sent_or_dropped_and_nothing_after_the_close() -> None:
    with Receiver() as receiver:
        sender = sender_to(receiver.url)
        for number in range(1, 101):
            sender.put(of_session(number))
        sender.close(20)
        sender.put(of_session(101))
    assert (sender.sent, sender.dropped, len(receiver.spans)) == (700, 7, 700)
    assert all(len(trace) == 7 for trace in receiver.traces().values())


def test_a_patient_sender_loses_nothing_to_a_full_queue() -> None:
    with Receiver() as receiver:
        sender = sender_to(receiver.url, patient=True)
        for number in range(1, 4001):
            sender.put(of_session(number))
        sender.close(0)
    assert (sender.sent, sender.dropped, len(receiver.spans)) == (28_000, 0, 28_000)


def test_the_endpoint_cannot_send_spans_elsewhere() -> None:
    with Receiver() as elsewhere, Receiver(status=307, location=elsewhere.url) as receiver:
        sender = sender_to(receiver.url)
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, sender.dropped, elsewhere.paths, sender.why) == (0, 7, [], "307")


def test_a_proxy_of_the_environment_does_not_see_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        sender = sender_to(receiver.url)
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, proxy.paths) == (7, [])


@pytest.mark.parametrize("status", [429, 503])
def test_an_endpoint_that_is_busy_is_asked_again_when_it_said(status: int) -> None:
    with Receiver(first=[Answer(status, {"retry-after": "0"}), Answer(status, {"retry-after": "0"})]) as receiver:
        sender = sender_to(receiver.url)
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, sender.dropped, len(receiver.paths), len(receiver.spans)) == (7, 0, 3, 7)


@pytest.mark.parametrize(("patient", "sent"), [(True, 7), (False, 0)])
def test_a_finished_run_waits_longer_than_a_request_may_take_and_a_running_one_does_not(
    patient: bool, sent: int
) -> None:
    with Receiver(first=[Answer(429, {"retry-after": "3"})]) as receiver:
        sender = sender_to(receiver.url, patient=patient)
        began_s = time.monotonic()
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, sender.dropped_by[REFUSED]) == (sent, 7 - sent)
    assert (time.monotonic() - began_s >= 3) == patient


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 501])
def test_what_is_no_use_is_not_asked_again(status: int) -> None:
    with Receiver(first=[Answer(status, {"retry-after": "0"})]) as receiver:
        sender = sender_to(receiver.url, patient=True)
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, sender.dropped_by[REFUSED], len(receiver.paths)) == (0, 7, 1)
    assert sender.why == str(status)


@pytest.mark.parametrize(("rejected", "sent"), [(3, 4), (7, 0), (900, 0)])
def test_spans_that_the_endpoint_rejects_in_an_answer_of_200_are_dropped_and_not_sent_again(
    rejected: int, sent: int
) -> None:
    with Receiver(first=[Answer(rejected=rejected)]) as receiver:
        sender = sender_to(receiver.url, patient=True)
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, sender.dropped_by[REFUSED], len(receiver.paths)) == (sent, 7 - sent, 1)
    assert (len(receiver.spans), sender.why) == (sent, "200, in part")


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (Answer(200, {"content-type": "text/html; charset=utf-8"}, body=b"<html>Welcome</html>"), 0),
        (Answer(304), 0),
        (Answer(202), 7),
        (Answer(200, {"content-type": "application/json"}, body=b'{"partialSuccess":{}}'), 7),
        (Answer(200, body=b"\xff\xff"), 7),
        (Answer(200, body=bytes(1_000_000)), 7),
    ],
    ids=["a page", "not modified", "accepted", "JSON", "nonsense", "a megabyte"],
)
def test_spans_are_sent_where_the_answer_is_one_of_a_receiver_of_spans(answer: Answer, sent: int) -> None:
    with Receiver(first=[answer]) as receiver:
        sender = sender_to(receiver.url, patient=True)
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, sender.dropped) == (sent, 7 - sent)


def test_spans_are_compressed_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    with Receiver() as receiver:
        sender = sender_to(receiver.url)
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, receiver.encodings, len(receiver.spans)) == (7, ["gzip"], 7)


@pytest.mark.parametrize(("is_told", "sent"), [(True, 7), (False, 0)])
def test_a_receiver_with_an_authority_of_its_own_is_trusted_where_the_environment_says_so(
    is_told: bool, sent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, ca_file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if is_told:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(ca_file))
    with Receiver(tls=context) as receiver:
        sender = sender_to(receiver.url)
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, sender.dropped_by[REFUSED], len(receiver.spans)) == (sent, 7 - sent, sent)
    assert sender.why == ("" if is_told else "SSLError")


def test_a_certificate_that_is_not_there_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "none.pem"))
    sender = sender_to("https://127.0.0.1:1")
    sender.put(of_session(1))
    sender.close(20)
    assert (sender.sent, sender.dropped, sender.why) == (0, 7, "OSError")


def spoilt(how: str) -> ExportTraceServiceRequest:
    """A request of ours with one thing that is forbidden."""
    request = encode_spans(of_session(1))
    resource_spans = request.resource_spans[0]
    span = resource_spans.scope_spans[0].spans[1]
    match how:
        case "no resource":
            resource_spans.ClearField("resource")
        case "no scope":
            resource_spans.scope_spans[0].ClearField("scope")
        case "short trace id":
            span.trace_id = span.trace_id[:8]
        case "zero span id":
            span.span_id = bytes(8)
        case "ends before it starts":
            span.end_time_unix_nano = span.start_time_unix_nano - 1
        case "a key twice":
            span.attributes.append(span.attributes[0])
        case "a kind of no version":
            span.kind = 9  # type: ignore[assignment]
        case "the same span twice":
            resource_spans.scope_spans[0].spans.append(span)
        case "a field of no version":
            return ExportTraceServiceRequest.FromString(request.SerializeToString() + b"\xf8\x3f\x01")
    return request


def test_the_receiver_refuses_what_is_forbidden() -> None:
    found = {
        how: len(faults(spoilt(how)))
        for how in (
            *("no resource", "no scope", "short trace id", "zero span id", "ends before it starts", "a key twice"),
            *("a kind of no version", "the same span twice", "a field of no version"),
        )
    }

    assert faults(spoilt("nothing")) == []
    assert found == dict.fromkeys(found, 1) | {"no resource": 2}  # nor has it a name then
    for headers, body in (({}, b""), ({"content-type": "application/json"}, b"{}")):
        with pytest.raises(ForbiddenError, match="content type"):
            opened("/v1/traces", headers, body)
