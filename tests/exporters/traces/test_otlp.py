import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from exporters.traces.otlp import Sender
from exporters.traces.spans import resource, spans
from loadtest.language.events import SessionFinished, SessionStarted
from tests.exporters.traces.receiver import Receiver
from tests.exporters.traces.script import run_started, session, session_id


def of_session(number: int) -> Sequence[ReadableSpan]:
    first, *events, last = session(number)
    assert isinstance(first, SessionStarted)
    assert isinstance(last, SessionFinished)
    run = run_started()
    return spans(first, events, last, run=run, offset_ns=0, resource=resource(run))


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
    assert (sender.sent, sender.dropped, elsewhere.paths) == (0, 7, [])


def test_a_proxy_of_the_environment_does_not_see_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        sender = sender_to(receiver.url)
        sender.put(of_session(1))
        sender.close(20)
    assert (sender.sent, proxy.paths) == (7, [])
