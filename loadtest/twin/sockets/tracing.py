"""W3C trace context, as far as the twin cares: which trace did a call belong to."""

import re

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a `traceparent` header (32 hex digits); None if there is none."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return match[1] if match else None
