"""Spans to an OTLP/HTTP endpoint, from a thread, so that whoever makes them never waits for the network."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Self

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from exporters.traces.collector import REQUEST_S, Collector
from exporters.traces.trace_counts import QUEUE_FULL, REFUSED, UNSENT

_BATCH: Final = 512  # spans
_GATHER_S: Final = 0.5
_MAX_QUEUED: Final = 20_000  # spans, some 40 MB
_STALL_S: Final = 10.0
_OBEDIENT_S: Final = 60.0
_MAX_FAILURES: Final = 2


class Sender:
    """A bounded queue and the thread that empties it.

    Impatient (while a run goes on): what doesn't fit is dropped, and an endpoint that comes back is used again. Patient
    (a finished run is exported by hand): `put` waits for room, until the endpoint has failed twice in a row or taken
    nothing for 10 s, or `stop` is set; one that says when to come again (`Retry-After`) is obeyed for a minute. `sent`
    + `dropped` is what was put once `close` has returned. Its context closes it without a wait.
    """

    def __init__(self, url: str, *, patient: bool, stop: threading.Event) -> None:
        self._collector = Collector(
            lambda body: ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans
        )
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=REQUEST_S, session=self._collector.session)
        self._resting = False
        self._patient, self._stop = patient, stop
        self._changed = threading.Condition()
        self._queue: deque[Sequence[ReadableSpan]] = deque()
        self._unsettled = 0  # spans in the queue or on their way
        self._failures = 0  # in a row
        self._closing = self._given_up = False
        self.sent = 0
        """Spans that the endpoint took."""
        self.dropped_by = dict.fromkeys((QUEUE_FULL, REFUSED, UNSENT), 0)
        """Spans that found no room; that it refused or did not answer for in time; that were left at the end."""
        # A daemon: a request that hangs on must not keep the process.
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close(0)

    @property
    def why(self) -> str:
        """By what the endpoint last did not take all; empty where it always did."""
        return self._collector.why

    @property
    def dropped(self) -> int:
        """Spans that did not get out."""
        return sum(self.dropped_by.values())

    def put(self, spans: Sequence[ReadableSpan]) -> None:
        """Hand over the spans of one session: all of them are sent, or dropped, with one decision."""
        with self._changed:
            if self._patient:
                self._wait(lambda: self._unsettled + len(spans) <= _MAX_QUEUED)
            if self._given_up or self._unsettled + len(spans) > _MAX_QUEUED:
                self.dropped_by[UNSENT if self._given_up else QUEUE_FULL] += len(spans)
                return
            self._queue.append(spans)
            self._unsettled += len(spans)
            self._changed.notify_all()

    def close(self, within_s: float) -> None:
        """Send what is queued, for `within_s` at most (patient: while the endpoint takes any), drop the rest."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            if self._patient:
                self._wait(lambda: not self._unsettled)
            self._changed.wait_for(lambda: not self._unsettled or self._given_up, timeout=within_s)
            self._given_up = True
            self.dropped_by[UNSENT] += self._unsettled
            self._unsettled = 0
            self._changed.notify_all()

    def _wait(self, done: Callable[[], bool]) -> None:
        """Wait while the endpoint takes something. Give up where it doesn't."""
        while not (done() or self._given_up or self._stop.is_set()):
            before = self.sent
            for _ in range(int(_STALL_S / 0.1)):
                if self._changed.wait_for(lambda: done() or self._given_up or self._stop.is_set(), timeout=0.1):
                    return
            self._given_up = self.sent == before and not self._resting

    def _run(self) -> None:
        while (batch := self._batch()) is not None:
            rejected = self._export(batch)
            with self._changed:
                if self._given_up:
                    break
                self._unsettled -= len(batch)
                self.sent += len(batch) - rejected
                self.dropped_by[REFUSED] += rejected
                self._failures = self._failures + 1 if rejected == len(batch) else 0
                self._given_up = self._patient and self._failures >= _MAX_FAILURES
                self._changed.notify_all()
        self._collector.session.close()

    def _export(self, batch: Sequence[ReadableSpan]) -> int:
        """How many of them were not taken."""
        rested_s = 0.0
        while True:
            self._collector.forget()
            result = self._exporter.export(batch)
            rejected, come_again_s = self._collector.rejected, self._collector.come_again_s
            if result is SpanExportResult.SUCCESS and rejected is not None:
                return min(rejected, len(batch))
            rested_s += come_again_s
            if not self._patient or not come_again_s or rested_s > _OBEDIENT_S:
                return len(batch)
            self._resting = True
            self._stop.wait(come_again_s)
            self._resting = False
            if self._stop.is_set():
                return len(batch)

    def _batch(self) -> list[ReadableSpan] | None:
        """The next spans to send, of some whole sessions; None once there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing or self._given_up)
            if not self._closing:  # gather: a request per session would cost more than its spans
                self._changed.wait_for(
                    lambda: self._closing or self._given_up or self._unsettled >= _BATCH, timeout=_GATHER_S
                )
            batch: list[ReadableSpan] = []
            while self._queue and len(batch) < _BATCH and not self._given_up:
                batch.extend(self._queue.popleft())
            return batch or None
