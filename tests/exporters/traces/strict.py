"""What the specification of OTLP, or that of OpenTelemetry's traces, forbids a client to send."""

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACE_ID, SPAN_ID = 16, 8
"""Lengths in bytes."""
_CONTENT_TYPE: Final = "application/x-protobuf"


class ForbiddenError(Exception):
    """The request as a whole can't be used; the message says why."""


Request = ExportTraceServiceRequest | ExportMetricsServiceRequest
_KINDS: Final[dict[str, type[Request]]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


def opened(path: str, headers: Mapping[str, str], body: bytes) -> Request:
    """The request. Raises ForbiddenError."""
    if path not in _KINDS:
        raise ForbiddenError(f"the path {path}")
    if headers.get("content-type") != _CONTENT_TYPE:
        raise ForbiddenError(f"the content type {headers.get('content-type')}")
    coding = headers.get("content-encoding", "identity")
    if coding not in ("identity", "gzip"):
        raise ForbiddenError(f"the content encoding {coding}")
    try:
        return _KINDS[path].FromString(gzip.decompress(body) if coding == "gzip" else body)
    except (DecodeError, OSError, EOFError) as error:
        raise ForbiddenError(f"{type(error).__name__} in the body") from None


def faults(request: Request) -> list[str]:
    """A sentence for each thing that is forbidden in it."""
    unknown = [f"{each} is in no version of the protocol" for each in _unknown(request)]
    found = _faults(request) if isinstance(request, ExportTraceServiceRequest) else _faults_of_metrics(request)
    return [*unknown, *found]


def _faults_of_metrics(request: ExportMetricsServiceRequest) -> Iterator[str]:
    if not request.resource_metrics:
        yield "no metrics"
    for of_resource in request.resource_metrics:
        yield from _of_attributes("the resource", of_resource.resource.attributes)
        if not any(each.key == "service.name" and each.value.string_value for each in of_resource.resource.attributes):
            yield "the resource has no service.name"
        for of_scope in of_resource.scope_metrics:
            if not of_scope.scope.name:
                yield "metrics of no scope"
            names = [metric.name for metric in of_scope.metrics]
            yield from (f"{name}: twice" for name in set(names) if names.count(name) > 1)
            for metric in of_scope.metrics:
                yield from (f"{metric.name}: {each}" for each in _of_metric(metric))


def _of_metric(metric: Metric) -> Iterator[str]:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\-/]{0,254}", metric.name) is None:
        yield "a name that no instrument may have"
    kind = metric.WhichOneof("data")
    if kind not in ("gauge", "sum", "histogram"):
        yield f"data of kind {kind}"
        return
    data = getattr(metric, kind)
    if kind != "gauge" and data.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_UNSPECIFIED:
        yield "no temporality"
    if not data.data_points:
        yield "no points"
    seen = set()
    for point in data.data_points:
        yield from _of_attributes("a point", point.attributes)
        labels = tuple(sorted((pair.key, pair.value.string_value) for pair in point.attributes))
        if labels in seen:
            yield f"two points of {labels}"
        seen.add(labels)
        since = point.time_unix_nano if kind == "gauge" else point.start_time_unix_nano  # a gauge need not say
        if not 0 < since <= point.time_unix_nano:
            yield f"from {point.start_time_unix_nano} to {point.time_unix_nano}"
        if kind == "histogram":
            bounds = list(point.explicit_bounds)
            if bounds != sorted(set(bounds)) or len(point.bucket_counts) != len(bounds) + 1:
                yield "buckets that are not between their bounds"
            if sum(point.bucket_counts) != point.count:
                yield f"{point.count} values, {sum(point.bucket_counts)} in its buckets"
        elif point.WhichOneof("value") is None:
            yield "a point without a value"


def _faults(request: ExportTraceServiceRequest) -> Iterator[str]:
    if not request.resource_spans:
        yield "no spans"
    seen: set[tuple[bytes, bytes]] = set()
    for of_resource in request.resource_spans:
        if not of_resource.HasField("resource"):
            yield "spans of no resource"
        yield from _of_attributes("the resource", of_resource.resource.attributes)
        if not any(each.key == "service.name" and each.value.string_value for each in of_resource.resource.attributes):
            yield "the resource has no service.name"
        if not of_resource.scope_spans:
            yield "a resource without a scope"
        for of_scope in of_resource.scope_spans:
            if not of_scope.HasField("scope") or not of_scope.scope.name:
                yield "spans of no scope"
            yield from _of_attributes("the scope", of_scope.scope.attributes)
            if not of_scope.spans:
                yield "a scope without a span"
            for span in of_scope.spans:
                yield from (f"{span.name or 'a span'}: {each}" for each in _of_span(span))
                if (span.trace_id, span.span_id) in seen:
                    yield f"{span.name}: the same span twice"
                seen.add((span.trace_id, span.span_id))


def _of_span(span: Span) -> Iterator[str]:
    if not span.name:
        yield "no name"
    yield from _of_id("trace id", span.trace_id, TRACE_ID)
    yield from _of_id("span id", span.span_id, SPAN_ID)
    if span.parent_span_id:
        yield from _of_id("parent's id", span.parent_span_id, SPAN_ID)
        if span.parent_span_id == span.span_id:
            yield "is its own parent"
    if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano:
        yield f"from {span.start_time_unix_nano} to {span.end_time_unix_nano}"
    if span.kind not in Span.SpanKind.values() or span.kind == Span.SPAN_KIND_UNSPECIFIED:
        yield f"kind {span.kind}"
    if span.status.code not in Status.StatusCode.values():
        yield f"status {span.status.code}"
    if span.status.message and span.status.code != Status.STATUS_CODE_ERROR:
        yield "a description of a status that is no error"
    yield from _of_attributes("it", span.attributes)
    for event in span.events:
        if not event.name or not event.time_unix_nano:
            yield f"event {event.name!r} at {event.time_unix_nano}"
        yield from _of_attributes(f"its event {event.name}", event.attributes)
    for link in span.links:
        yield from _of_id("trace id of a link", link.trace_id, TRACE_ID)
        yield from _of_id("span id of a link", link.span_id, SPAN_ID)


def _of_id(what: str, value: bytes, length: int) -> Iterator[str]:
    if len(value) != length or not any(value):
        yield f"{what} {value.hex() or 'empty'}"


def _of_attributes(whose: str, pairs: Iterable[KeyValue]) -> Iterator[str]:
    keys = [pair.key for pair in pairs]
    for key in dict.fromkeys(keys):
        if not key or keys.count(key) > 1:
            yield f"{whose} has {keys.count(key)} attributes {key!r}"
    for pair in pairs:
        if pair.value.WhichOneof("value") is None:
            yield f"{whose} has no value of {pair.key}"


def _unknown(message: Message) -> Iterator[str]:
    """Fields that the protocol of the installed version doesn't have."""
    for each in UnknownFieldSet(message):
        yield f"field {each.field_number} of {message.DESCRIPTOR.name}"
    for field, value in message.ListFields():
        if field.message_type is not None:
            yield from chain.from_iterable(_unknown(each) for each in (value if field.is_repeated else [value]))
