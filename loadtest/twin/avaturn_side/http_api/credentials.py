"""The two kinds of credentials, each as one FastAPI dependency: a chain of several costs a tenth of a call."""

from collections.abc import Callable

from fastapi import HTTPException
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.requests import HTTPConnection

from loadtest.twin.avaturn_side.http_api.gate import Gate
from loadtest.twin.avaturn_side.sessions.session import Session
from loadtest.twin.avaturn_side.sessions.store import Sessions
from loadtest.twin.knobs.profiles import Chance
from loadtest.twin.sockets.tracing import trace_id_of


class ProjectKey(HTTPBearer):
    """Lets those bearers pass whom `admits` knows; raises what the gate says otherwise."""

    def __init__(self, gate: Gate, *, admits: Callable[[str], bool]) -> None:
        super().__init__(scheme_name="HTTPBearer", auto_error=False)
        self._gate = gate
        self._admits = admits

    async def __call__(self, request: HTTPConnection) -> HTTPAuthorizationCredentials:
        """Called by FastAPI."""
        given = await super().__call__(request)
        if given is None:
            raise self._gate.unauthorized("Not authenticated")
        if not self._admits(given.credentials):
            raise self._gate.unauthorized("Invalid API key")
        return given


class SessionToken(APIKeyHeader):
    """Finds the living session of a token; raises what the gate says otherwise."""

    def __init__(self, gate: Gate, *, sessions: Sessions, chance: Chance) -> None:
        super().__init__(name="X-Session-Token", scheme_name="APIKeyHeader", auto_error=False)
        self._gate = gate
        self._sessions = sessions
        self._chance = chance

    async def __call__(self, request: HTTPConnection) -> Session:  # type: ignore[override]  # FastAPI takes any value
        """Called by FastAPI."""
        token = await super().__call__(request)
        if token is None:
            raise self._gate.unauthorized("Not authenticated")
        session_id = self._gate.session_of(token)
        if session_id is None:
            raise self._gate.unauthorized("Invalid session token")
        session = self._sessions.find(session_id)
        if session is None:
            status = self._chance.fault("sdk_session_after_delete")
            raise self._gate.gone() if status is None else HTTPException(status, "Injected fault")
        session.seen_with(trace_id_of(request.headers.get("traceparent")))
        return session
