"""The one redactor: no secret reaches a journal, a span, a log or a report (PROTOCOL.md SEC-1, SEC-2)."""

import re

MAX_DETAIL = 300
_SECRETS = re.compile(r"(?:\b(?:sk|ek)[-_][A-Za-z0-9_\-]{4,}|(?i:\bbearer\s+)\S+|\beyJ[A-Za-z0-9_\-.]{10,})")
_OPAQUE = re.compile(r"\b(?!(?:req|resp|sess|item|task|event)_)(?=\w*[0-9])(?=\w*[A-Za-z])\w{24,}\b")
"""A token that says nothing of itself: long, of letters and digits, and not one of the ids that errors are asked by."""
SECRETS_IN_BYTES = re.compile(
    rb"\b(?:sk|ek)[-_][A-Za-z0-9_\-]{8,}|(?i:\bbearer\s+)[A-Za-z0-9_\-.]{12,}|\beyJ[\w\-.]{10,}"
)
"""The same in a whole file, where short words such as a name in a path are no keys."""


def redact(text: str, *known: str | None) -> str:
    """`text` without anything that looks like a key or a token and without the `known` values, cut to 300 characters.

    422 bodies echo what was sent (PROTOCOL.md 3.3), so a session's own secrets are always among `known`.
    """
    for value in known:
        if value:
            text = text.replace(value, "[redacted]")
    return _OPAQUE.sub("[redacted]", _SECRETS.sub("[redacted]", text))[:MAX_DETAIL]


def is_secret(text: str) -> bool:
    """Whether anything in it looks like a key or a token."""
    return _SECRETS.search(text.replace("Bearer [redacted]", "")) is not None
