"""The same cause is the same kind and code wherever it is told."""

from typing import Any

import pytest

from loadtest.errors.kinds import Code, Kind
from loadtest.http_client import why_refused

LIFECYCLE = "session_lifecycle_error"


def nested(code: object, **more: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": LIFECYCLE, "code": code, "message": "no", **more}}


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        (nested("limits_exceeded"), Kind.REJECTED, Code.LIMITS_EXCEEDED),
        ({"type": LIFECYCLE, "code": "limits_exceeded"}, Kind.REJECTED, Code.LIMITS_EXCEEDED),
        ({"type": "error", "code": "limits_exceeded"}, Kind.REJECTED, Code.LIMITS_EXCEEDED),
        ({"type": "error", "error": "limits_exceeded: too many"}, Kind.REJECTED, Code.LIMITS_EXCEEDED),
        ({"type": "error", "error": {"type": "limits_exceeded"}}, Kind.REJECTED, Code.LIMITS_EXCEEDED),
        (nested("openai-realtime-version-mismatch"), Kind.REJECTED, Code.VERSION_MISMATCH),
        (nested("OpenAI-Realtime-Version-Mismatch"), Kind.REJECTED, Code.VERSION_MISMATCH),
        (nested("invalid_api_key"), Kind.REJECTED, Code.INVALID_API_KEY),
        (nested("client_secret_expired"), Kind.REJECTED, Code.INVALID_API_KEY),
        (nested("insufficient_quota"), Kind.REJECTED, Code.QUOTA),
        (nested("internal_error"), Kind.PROTOCOL, Code.INTERNAL_ERROR),
        (nested("internal_error", message="upstream said insufficient_quota"), Kind.REJECTED, Code.QUOTA),
        (nested("never_heard_of"), Kind.PROTOCOL, Code.OTHER),
        (nested(None), Kind.PROTOCOL, Code.OTHER),
        (nested(["limits_exceeded"]), Kind.PROTOCOL, Code.OTHER),
        ({"type": LIFECYCLE}, Kind.PROTOCOL, Code.OTHER),
        ({"type": "error", "error": None}, Kind.PROTOCOL, Code.OTHER),
    ],
)
def test_an_error_message_is_understood_in_every_shape(message: dict[str, Any], kind: Kind, code: Code) -> None:
    error = why_refused.of_message(message)
    assert (error.kind, error.code) == (kind, code)


def test_the_text_of_an_unknown_code_is_kept_and_its_secrets_are_not() -> None:
    error = why_refused.of_message(nested("never_heard_of", message="ek_0123456789abcdef is bad"))
    assert error.detail == "never_heard_of: [redacted] is bad"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("insufficient_quota" + " x" * 500_000, Code.QUOTA),
        ("x " * 500_000 + "insufficient_quota", Code.OTHER),
        ("a" * 1_000_000, Code.OTHER),
        ("a-" * 500_000, Code.OTHER),
        ("a" * 1_000 + " insufficient-quota: pay", Code.QUOTA),
        ("code:_Rate_Limit_Exceeded", Code.RATE_LIMITED),
        ("Unauthorized.", Code.UNAUTHORIZED),
    ],
    ids=["long", "long before it", "a word of 1 MB", "words of 1 MB", "behind a long word", "in capitals", "one word"],
)
def test_a_known_word_is_found_at_the_beginning_of_a_text_of_any_length(text: str, code: Code) -> None:
    assert why_refused.of_message(nested(None, message=text)).code is code


@pytest.mark.parametrize(
    ("close", "reason", "code"),
    [
        (1008, "limits_exceeded", Code.LIMITS_EXCEEDED),
        (1000, "session refused (limits_exceeded)", Code.LIMITS_EXCEEDED),
        (4000, "invalid_request_error.beta_api_shape_disabled", Code.VERSION_MISMATCH),
        (4429, "", Code.RATE_LIMITED),
        (4429, "limits_exceeded: 20 sessions", Code.LIMITS_EXCEEDED),
        (4401, "bad token", Code.UNAUTHORIZED),
        (4404, "no such room", Code.NOT_FOUND),
        (4410, "session ended", None),
        (1000, "session ended", None),
        (1011, "internal_error", None),
        (4999, "go away", None),
    ],
)
def test_a_close_that_says_why_is_a_refusal_and_any_other_is_a_room_that_is_over(
    close: int, reason: str, code: Code | None
) -> None:
    error = why_refused.of_close(close, reason, detail="the room closed")
    assert (None if error is None else error.code) == code
    assert error is None or error.kind is Kind.REJECTED


@pytest.mark.parametrize(
    ("status", "body", "word", "code"),
    [
        (429, '{"detail":"limits_exceeded: too many"}', None, Code.LIMITS_EXCEEDED),
        (403, '{"error":{"code":"limits_exceeded"}}', None, Code.LIMITS_EXCEEDED),
        (429, "slow down", None, Code.RATE_LIMITED),
        (402, "{}", None, Code.QUOTA),
        (429, "{}", "insufficient_quota", Code.QUOTA),
        (403, "{}", None, Code.UNAUTHORIZED),
        (500, "{}", "internal_error", Code.HTTP_5XX),
        (409, "{}", None, Code.HTTP_4XX),
        (307, "", None, Code.HTTP_3XX),
        (201, "", None, Code.OTHER),
        (101, "", None, Code.OTHER),
    ],
)
def test_an_http_refusal_is_what_its_words_say_before_its_status(
    status: int, body: str, word: str | None, code: Code
) -> None:
    assert why_refused.of_http(status, body, word=word) is code


@pytest.mark.parametrize(
    ("status", "code"), [(302, Code.HTTP_3XX), (418, Code.HTTP_4XX), (503, Code.HTTP_5XX), (600, Code.HTTP_5XX)]
)
def test_a_status_that_is_not_known_is_one_of_its_class_and_beyond_all_classes_a_servers_error(
    status: int, code: Code
) -> None:
    assert why_refused.of_http(status, "") is code
