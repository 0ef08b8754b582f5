"""OpenAI's error object: the same in a REST body and in an `error` event.

Source: docs/contract.md#openais-errors, #errors-and-closes.
"""

import json
from typing import Any


class RefusedError(Exception):
    """OpenAI says no. `status` is the HTTP status where there is one."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        status: int = 400,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.status = status
        self.retry_after_s: int | None = None
        """What the header `retry-after` says, if there is to be one."""

    def body(self) -> bytes:
        """The REST envelope as JSON."""
        return json.dumps({"error": self.fields()}).encode()

    def fields(self) -> dict[str, Any]:
        """What is inside `error`."""
        return {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}


def beta_is_gone() -> RefusedError:
    """Any use of the beta shape (docs/contract.md#beta-and-ga)."""
    return RefusedError(
        "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
        code="beta_api_shape_disabled",
    )


def bad_key(message: str = "Incorrect API key provided.") -> RefusedError:
    """A key or secret that is missing, unknown, expired or of the wrong kind."""
    return RefusedError(message, code="invalid_api_key", status=401)
