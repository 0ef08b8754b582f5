"""Who may call Avaturn's API, and what the others are told (docs/contract.md#avaturns-errors)."""

from typing import Any

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError

from loadtest.twin.keys import Keys
from loadtest.twin.knobs.avaturn import AvaturnKnobs


class Gate:
    """Each refusal is an exception to raise."""

    def __init__(self, *, keys: Keys, knobs: AvaturnKnobs) -> None:
        self._keys = keys
        self._knobs = knobs

    def is_project(self, key: str) -> bool:
        """Whether this is the project's API key."""
        return self._keys.is_avaturn(key)

    def may_delete(self, key: str) -> bool:
        """Whether this bearer may end sessions."""
        return self.is_project(key)

    def session_of(self, token: str) -> str | None:
        """The session that this is the genuine token of, alive or ended."""
        return self._keys.session_of("session", token)

    def unauthorized(self, detail: str) -> HTTPException:
        """No credentials, or bad ones."""
        status = self._knobs.unauthorized_status
        return HTTPException(status, detail, {"WWW-Authenticate": "Bearer"} if status == 401 else None)

    def over_quota(self) -> HTTPException:
        """No more sessions at once."""
        status = self._knobs.quota_status
        retry = {"Retry-After": "1"} if status == 429 else None
        return HTTPException(status, "limits_exceeded: too many concurrent sessions", retry)

    def gone(self) -> HTTPException:
        """The session has ended."""
        return HTTPException(self._knobs.gone_status, "Session not found")

    def unknown(self) -> HTTPException:
        """There never was such a session."""
        return HTTPException(404, "Session not found")

    def ended_already(self) -> HTTPException | None:
        """DELETE of an ended session; None: a success like the first."""
        status = self._knobs.delete_again_status
        if status == 200:
            return None
        return self.gone() if status == 404 else HTTPException(status, "Session has ended")

    def invalid(self, error: RequestValidationError) -> tuple[int, Any]:
        """Status and body for a body that can't be used."""
        return 422, {"detail": error.errors()}
