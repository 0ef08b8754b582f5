"""An OTLP/HTTP endpoint that keeps what it gets, or misbehaves as told."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


def attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """OTLP's attributes as a dict."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


@dataclass
class Receiver:
    """Answers `status`, after `delay_s`; `hung`: not while it is open. Use as a context manager."""

    status: int = 200
    location: str = ""
    hung: bool = False
    delay_s: float = 0
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, object]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._release = threading.Event()
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver._take(self.path, body)
                if receiver.hung:
                    receiver._release.wait(30)
                if receiver.delay_s:
                    receiver._release.wait(receiver.delay_s)
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                if receiver.location:
                    self.send_header("location", receiver.location)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _take(self, path: str, body: bytes) -> None:
        with self._arrived:
            self.paths.append(path)
            if self.status == 200 and not self.hung:
                for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self.resources.append(attributes(part.resource.attributes))
                    self.spans += [span for scope in part.scope_spans for span in scope.spans]
            self._arrived.notify_all()

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
