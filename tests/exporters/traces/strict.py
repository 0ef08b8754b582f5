"""What the specification of OTLP, or that of OpenTelemetry's traces, forbids a client to send."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACE_ID, SPAN_ID = 16, 8
"""Lengths in bytes."""
_CONTENT_TYPE: Final = "application/x-protobuf"


class ForbiddenError(Exception):
    """The request as a whole can't be used; the message says why."""


def opened(path: str, headers: Mapping[str, str], body: bytes) -> ExportTraceServiceRequest:
    """The request. Raises ForbiddenError."""
    if path != "/v1/traces":
        raise ForbiddenError(f"the path {path}")
    if headers.get("content-type") != _CONTENT_TYPE:
        raise ForbiddenError(f"the content type {headers.get('content-type')}")
    coding = headers.get("content-encoding", "identity")
    if coding not in ("identity", "gzip"):
        raise ForbiddenError(f"the content encoding {coding}")
    try:
        return ExportTraceServiceRequest.FromString(gzip.decompress(body) if coding == "gzip" else body)
    except (DecodeError, OSError, EOFError) as error:
        raise ForbiddenError(f"{type(error).__name__} in the body") from None


def faults(request: ExportTraceServiceRequest) -> list[str]:
    """A sentence for each thing that is forbidden in it."""
    return list(_faults(request))


def _faults(request: ExportTraceServiceRequest) -> Iterator[str]:
    yield from (f"{each} is in no version of the protocol" for each in _unknown(request))
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
