"""Why a target refuses, in the words it uses: in an HTTP answer, an app-message, or the reason of a close.

The same cause is the same kind and code wherever it is told; a word that nobody knows is `other`, and its text is in
the journal.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.secrecy.redact import MAX_READ, redact
from loadtest.text.validation import plain

_WORDS: Final[Mapping[str, Code]] = {
    "limits_exceeded": Code.LIMITS_EXCEEDED,
    "openai_realtime_version_mismatch": Code.VERSION_MISMATCH,
    "beta_api_shape_disabled": Code.VERSION_MISMATCH,
    "insufficient_quota": Code.QUOTA,
    "quota_exceeded": Code.QUOTA,
    "billing_hard_limit_reached": Code.QUOTA,
    "rate_limit_exceeded": Code.RATE_LIMITED,
    "rate_limited": Code.RATE_LIMITED,
    "invalid_api_key": Code.INVALID_API_KEY,
    "invalid_client_secret": Code.INVALID_API_KEY,
    "client_secret_expired": Code.INVALID_API_KEY,
    "unauthorized": Code.UNAUTHORIZED,
    "internal_error": Code.INTERNAL_ERROR,
}
"""Avaturn's (the first two, `internal_error`) and OpenAI's, which it may pass on; `_` stands for `-` too."""
_BY_STATUS: Final[Mapping[int, Code]] = {
    400: Code.INVALID_REQUEST,
    401: Code.UNAUTHORIZED,
    402: Code.QUOTA,
    403: Code.UNAUTHORIZED,
    404: Code.NOT_FOUND,
    422: Code.INVALID_REQUEST,
    429: Code.RATE_LIMITED,
}
_BY_CLASS: Final[Mapping[int, Code]] = {1: Code.OTHER, 2: Code.OTHER, 3: Code.HTTP_3XX, 4: Code.HTTP_4XX}
"""Beyond all classes is a server's error, too (RFC 9110 15)."""
_FAULTS: Final = (Code.INTERNAL_ERROR, Code.OTHER)
_WORD: Final = re.compile(r"(?<![a-z0-9])[a-z0-9]++(?:[_-][a-z0-9]++)+|unauthorized", re.IGNORECASE)
"""It begins where a word begins, and gives nothing back: in time that grows with the text, not with its square."""
_BY_CLOSE: Final[Mapping[int, Code]] = {4000 + status: _BY_STATUS[status] for status in (401, 402, 403, 404, 429)}
"""Close codes from 4000 on are a service's own; by custom these are an HTTP status and 4000."""


def of_word(word: object) -> Code | None:
    """The code of a provider's word; None: nobody knows it."""
    return _WORDS.get(word.lower().replace("-", "_")) if isinstance(word, str) else None


def in_text(text: str) -> Code | None:
    """The first known word in a text for people or machines, at its beginning if it is long; `internal_error` says too
    little to be looked for."""
    found = (of_word(each) for each in _WORD.findall(text[:MAX_READ]))
    return next((code for code in found if code is not None and code is not Code.INTERNAL_ERROR), None)


def of_http(status: int, body: str, *, word: object = None) -> Code:
    """Of an HTTP refusal; `word` is the provider's own code, which wins where it is more telling than the status."""
    if "limits_exceeded" in body:
        return Code.LIMITS_EXCEEDED
    code = of_word(word)
    if code is None or code is Code.INTERNAL_ERROR:
        code = _BY_STATUS.get(status) or _BY_CLASS.get(status // 100, Code.HTTP_5XX)
    return code


def of_message(message: Mapping[str, Any]) -> StepError:
    """An error message of a room: nested in one of type `error`, or flat; both are accepted."""
    inner = message.get("error")
    facts = inner if isinstance(inner, Mapping) else message
    told = plain(facts.get("code"))
    text = plain(facts.get("message")) or plain(inner)
    word = of_word(told) or of_word(facts.get("type"))
    telling = word if word is not Code.INTERNAL_ERROR else None
    code = telling or in_text(text) or word or Code.OTHER
    return StepError(Kind.PROTOCOL if code in _FAULTS else Kind.REJECTED, code, redact(f"{told}: {text}"))


def of_close(close: int, reason: str, *, detail: str) -> StepError | None:
    """A close that says why; None: it says nothing but that the room is over."""
    code = in_text(reason) or _BY_CLOSE.get(close)
    return None if code is None else StepError(Kind.REJECTED, code, detail)
