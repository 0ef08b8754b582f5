"""An OTLP/HTTP endpoint that keeps what it gets, refuses what the specification forbids, or misbehaves as told."""

import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.exporters.traces.strict import ForbiddenError, faults, opened


def attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """OTLP's attributes as a dict; arrays are of texts."""
    return {
        pair.key: [each.string_value for each in pair.value.array_value.values]
        if pair.value.HasField("array_value")
        else getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        for pair in pairs
    }


@dataclass(frozen=True)
class Answer:
    """What it says to one request. Spans are kept where the status is 200, but for the first `rejected` of them."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    rejected: int = 0
    body: bytes | None = None


@dataclass
class Receiver:
    """Answers `status`, after `delay_s`; `hung`: not while it is open. The first requests get the answers of `first`,
    if there are any. Use as a context manager, which fails in the end for what was forbidden."""

    status: int = 200
    first: list[Answer] = field(default_factory=list)
    location: str = ""
    hung: bool = False
    tls: ssl.SSLContext | None = None
    delay_s: float = 0
    spans: list[Span] = field(default_factory=list)
    runs: list[Span] = field(default_factory=list)
    pushes: list[dict[str, Metric]] = field(default_factory=list)
    resources: list[dict[str, object]] = field(default_factory=list)
    schemas: set[str] = field(default_factory=set)
    scopes: set[tuple[str, str]] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._release = threading.Event()
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer, content = receiver._take(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                if receiver.hung:
                    receiver._release.wait(30)
                if receiver.delay_s:
                    receiver._release.wait(receiver.delay_s)
                self.send_response(answer.status)
                for name, value in {"content-type": "application/x-protobuf", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'' if self.tls is None else 's'}://127.0.0.1:{self._server.server_address[1]}"

    def _take(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[Answer, bytes]:
        with self._arrived:
            self.paths.append(path)
            self.encodings.append(headers.get("content-encoding", "identity"))
            answer = self.first.pop(0) if self.first else Answer(self.status, self._location)
            try:
                request = opened(path, headers, body)
                found = faults(request)
            except ForbiddenError as error:
                found = [str(error)]
            self.forbidden += found
            if found:
                answer = Answer(400)
            if not found and isinstance(request, ExportMetricsServiceRequest):
                told_of_metrics = self._take_metrics(request, answer)
                return answer, told_of_metrics if answer.body is None else answer.body
            told = ExportTraceServiceResponse()
            if answer.status == 200 and not self.hung and isinstance(request, ExportTraceServiceRequest):
                rest = answer.rejected
                for part in request.resource_spans:
                    self.resources.append(attributes(part.resource.attributes))
                    self.schemas |= {part.schema_url, *(scope.schema_url for scope in part.scope_spans)}
                    self.scopes |= {(each.scope.name, each.scope.version) for each in part.scope_spans}
                    spans = [span for scope in part.scope_spans for span in scope.spans]
                    self.spans += [span for span in spans[rest:] if span.name != "avaload.run"]
                    self.runs += [span for span in spans[rest:] if span.name == "avaload.run"]
                    rest -= min(rest, len(spans))
                if answer.rejected:
                    told.partial_success.rejected_spans = answer.rejected
                    told.partial_success.error_message = "more than was agreed"
            self._arrived.notify_all()
            return answer, told.SerializeToString() if answer.body is None else answer.body

    def _take_metrics(self, request: ExportMetricsServiceRequest, answer: Answer) -> bytes:
        told = ExportMetricsServiceResponse()
        told.partial_success.rejected_data_points = answer.rejected
        if answer.status == 200 and not self.hung:
            for part in request.resource_metrics:
                self.resources.append(attributes(part.resource.attributes))
                self.pushes.append({metric.name: metric for scope in part.scope_metrics for metric in scope.metrics})
        self._arrived.notify_all()
        return told.SerializeToString()

    @property
    def _location(self) -> dict[str, str]:
        return {"location": self.location} if self.location else {}

    def wait(self, until: Callable[[], bool], *, timeout_s: float = 20) -> bool:
        """Wait until what has arrived satisfies `until`."""
        with self._arrived:
            return self._arrived.wait_for(until, timeout=timeout_s)

    def traces(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.trace_id.hex(), []).append(span)
        return found

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if error is None:
            assert self.forbidden == []
