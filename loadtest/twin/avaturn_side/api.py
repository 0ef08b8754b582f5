"""Avaturn's HTTP: the public API, the private SDK API and the ground truth (PROTOCOL.md 3.1 to 3.4).

FastAPI, as the real service is, so that 401 and 422 bodies agree by construction.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, NoReturn

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware
from uvicorn._types import ASGI3Application

from loadtest.twin.avaturn_side.schema import CreatedSession, CreateSession, OpenAIRealtime, SdkSession, SessionConfig
from loadtest.twin.avaturn_side.session import Session
from loadtest.twin.avaturn_side.sessions import ROOM_PATH, Sessions
from loadtest.twin.keys import Keys
from loadtest.twin.openai_side.client_secrets import ClientSecrets
from loadtest.twin.profiles import Chance, Profile
from loadtest.twin.ticker import Ticker
from loadtest.twin.tracing import trace_id_of
from loadtest.twin.truth import Truth

STATE_PATH = "/twin/state"
_SESSIONS_PATH = "/api/v1/sessions"
_SDK_PATH = "/_sdk/v0/sessions"
_JSON = "application/json"
# The twin is the target of a measurement: it must not report into the operator's own telemetry, and has no time to.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def point_of(method: str, path: str) -> str:
    """Name of a request in the counters."""
    if path == _SDK_PATH:
        return "sdk_session"
    if path == f"{_SDK_PATH}/start_stream":
        return "start_stream"
    if path == _SESSIONS_PATH and method == "POST":
        return "create"
    if path.startswith(f"{_SESSIONS_PATH}/") and method == "DELETE":
        return "delete"
    return "state" if path == STATE_PATH else "avaturn_other"


def build(
    *,
    keys: Keys,
    profile: Profile,
    chance: Chance,
    sessions: Sessions,
    client_secrets: ClientSecrets,
    truth: Truth,
    ticker: Ticker,
    room_origin: str,
) -> ASGI3Application:
    """The whole application; `room_origin` is the `ws://host:port` that room URLs begin with."""
    app = FastAPI(title="Avaturn Live, twin", version="1", telemetry=_NO_TELEMETRY)
    paced = _pacing(chance)

    async def project(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> None:
        if not keys.is_avaturn(bearer.credentials):
            raise HTTPException(401, "Invalid API key", {"WWW-Authenticate": "Bearer"})

    async def session_id_of(token: Annotated[str, Depends(APIKeyHeader(name="X-Session-Token"))]) -> str:
        session_id = keys.session_of("session", token)
        if session_id is None:
            raise HTTPException(401, "Invalid session token")
        return session_id

    def gone() -> NoReturn:
        raise HTTPException(profile.gone_status, "Session not found")

    async def living(session_id: Annotated[str, Depends(session_id_of)], request: Request) -> Session:
        session = sessions.alive.get(session_id)
        if session is None:
            status = chance.fault("sdk_session_after_delete")
            if status is not None:
                raise HTTPException(status, "Injected fault")
            gone()
        session.seen_with(trace_id_of(request.headers.get("traceparent")))
        return session

    @app.post(_SESSIONS_PATH, response_model=CreatedSession, dependencies=[Depends(project), Depends(paced("create"))])
    async def create_session(body: CreateSession, request: Request) -> Response:
        if profile.max_sessions is not None and len(sessions.alive) >= profile.max_sessions:
            raise HTTPException(429, "limits_exceeded: too many concurrent sessions", {"Retry-After": "1"})
        session = sessions.create(body)
        engine = body.conversation_engine
        if isinstance(engine, OpenAIRealtime):
            secret = client_secrets.find(engine.client_secret)
            session.seen_with(secret.trace_id if secret is not None else None)
        session.seen_with(trace_id_of(request.headers.get("traceparent")))
        created = CreatedSession(session_id=session.id, token=keys.token("session", session.id))
        return Response(created.model_dump_json(), media_type=_JSON)

    @app.delete(f"{_SESSIONS_PATH}/{{session_id}}", dependencies=[Depends(project), Depends(paced("delete"))])
    async def delete_session(session_id: str, request: Request) -> Response:
        session = sessions.alive.get(session_id)
        if session is None:
            if sessions.has_ended(session_id):
                gone()
            raise HTTPException(404, "Session not found")
        session.seen_with(trace_id_of(request.headers.get("traceparent")))
        if "TD-1-keeps-running" not in profile.mutants:
            session.end("termination_command_received")
        return Response("null", media_type=_JSON)

    @app.get(_SDK_PATH, response_model=SdkSession, dependencies=[Depends(paced("sdk_session"))])
    async def get_sdk_session(session: Annotated[Session, Depends(living)]) -> Response:
        session.start()
        grant = SdkSession(
            id=session.id,
            room_url=f"{room_origin}{ROOM_PATH}{session.id}",
            limited_access_token=keys.token("room", session.id),
            session_config=SessionConfig(uses_stacked_alpha=session.uses_stacked_alpha),
        )
        return Response(grant.model_dump_json(), media_type=_JSON)

    @app.post(f"{_SDK_PATH}/start_stream")
    async def start_stream(session: Annotated[Session, Depends(living)]) -> Response:
        session.start()
        return Response("null", media_type=_JSON)

    @app.get(STATE_PATH, include_in_schema=False)
    async def state(alive: bool = False) -> Response:
        records = {session.id: session.record() for session in sessions.alive.values()}
        pacing = {
            "audio_ticks": ticker.ticks,
            "audio_ticks_late": ticker.ticks_late,
            "audio_ticks_dropped": ticker.ticks_dropped,
        }
        return Response(truth.render(records, with_ended=not alive, more_counters=pacing), media_type=_JSON)

    # Around the whole application, so that errors of any kind carry the headers too (PROTOCOL.md 3.4).
    with_cors: ASGI3Application = CORSMiddleware(  # type: ignore[assignment]  # the same protocol, typed twice
        app,
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PATCH", "OPTIONS", "DELETE"],
        allow_headers=["x-session-token", "content-type", "authorization", "traceparent"],
        expose_headers=["x-twin-handled-ns"],
    )
    return with_cors


def _pacing(chance: Chance) -> Callable[[str], Callable[[], Awaitable[None]]]:
    """Makes dependencies that inject the latency and the fault of a point, before anything is done."""

    def paced(point: str) -> Callable[[], Awaitable[None]]:
        async def pace() -> None:
            latency_s = chance.latency_s(point)
            if latency_s:
                await asyncio.sleep(latency_s)
            status = chance.fault(point)
            if status is not None:
                raise HTTPException(status, "Injected fault", {"Retry-After": "1"} if status == 429 else None)

        return pace

    return paced
