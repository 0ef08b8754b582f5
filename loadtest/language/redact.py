"""The one redactor: no secret reaches a journal, a span, a log or a report (SEC-1, SEC-2)."""

import re

from loadtest.language.outlets import text as printable

MAX_DETAIL = 300
MAX_READ = 2_048
"""Of a longer text, an error page say, no more is looked at: the patterns cost 2 µs a character."""
_WORD_ENDS = "\"'<>,;\\ \t\r\n"
_SECRETS = re.compile(r"(?:\b(?:sk|ek)[-_][A-Za-z0-9_\-]{4,}|(?i:\bbearer\s+)\S+|\beyJ[A-Za-z0-9_\-.]{10,})")
_OPAQUE = re.compile(r"\b(?!(?:req|resp|sess|item|task|event)_)(?=\w*[0-9])(?=\w*[A-Za-z])\w{24,}\b")
"""A token that says nothing of itself: long, of letters and digits, and not one of the ids that errors are asked by."""
SECRETS_IN_BYTES = re.compile(
    rb"\b(?:sk|ek)[-_][A-Za-z0-9_\-]{8,}|(?i:\bbearer\s+)[A-Za-z0-9_\-.]{12,}|\beyJ[\w\-.]{10,}"
)
"""The same in a whole file, where short words such as a name in a path are no keys."""


def redact(text: str, *known: str | None) -> str:
    """`text` without anything that looks like a key or a token and without the `known` values, cut to 300 characters
    that every page and terminal can hold.

    422 bodies echo what was sent (docs/contract.md#avaturns-errors): a session's own secrets are always among `known`.
    """
    longest = MAX_READ + max((len(value) for value in known if value), default=0)
    cut = text if len(text) <= longest else _without_last_word(text[:longest])
    for value in known:
        if value:
            cut = cut.replace(value, "[redacted]")
    return _OPAQUE.sub("[redacted]", _SECRETS.sub("[redacted]", printable(cut)))[:MAX_DETAIL]


def _without_last_word(text: str) -> str:
    """What was cut in the middle may be half a secret, which no pattern knows."""
    end = len(text)
    while end and text[end - 1] not in _WORD_ENDS:
        end -= 1
    return text[:end]


def is_secret(text: str) -> bool:
    """Whether anything in it looks like a key or a token."""
    return _SECRETS.search(text.replace("Bearer [redacted]", "")) is not None
