"""Avaturn's HTTP: the public API, the private SDK API and the ground truth (docs/contract.md#avaturn).

FastAPI, as the real service is, so that 401 and 422 bodies agree by construction.
"""

from collections.abc import Callable

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware
from uvicorn._types import ASGI3Application

from loadtest.twin.avaturn_side.http_api import public_api, sdk_api
from loadtest.twin.avaturn_side.http_api.delays import pacing
from loadtest.twin.avaturn_side.http_api.gate import Gate
from loadtest.twin.avaturn_side.http_api.public_api import JSON
from loadtest.twin.avaturn_side.sessions.store import Sessions
from loadtest.twin.keys import Keys
from loadtest.twin.knobs.profiles import Chance, Profile
from loadtest.twin.openai_side.minting.client_secrets import ClientSecrets
from loadtest.twin.parts import Make
from loadtest.twin.ticker import Ticker
from loadtest.twin.truth import Truth

STATE_PATH = "/twin/state"
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
    if method == "OPTIONS":
        return "preflight"
    named = sdk_api.point_of(path) or public_api.point_of(method, path)
    return named or ("state" if path == STATE_PATH else "avaturn_other")


def build(
    *,
    keys: Keys,
    profile: Profile,
    chance: Chance,
    sessions: Sessions,
    client_secrets: ClientSecrets,
    truth: Truth,
    ticker: Ticker,
    room_url: Callable[[str], str],
    rooms: APIRouter | None,
    make: Make,
) -> ASGI3Application:
    """The whole application; `room_url(session_id)` is where a room is, `rooms` the routes of those over HTTP."""
    app = FastAPI(title="Avaturn Live, twin", version="1", openapi_url="/api/v1/openapi.json", telemetry=_NO_TELEMETRY)
    gate = make(Gate)(keys=keys, knobs=profile)
    paced = pacing(chance)
    public = public_api.router(
        gate=gate, keys=keys, knobs=profile, sessions=sessions, client_secrets=client_secrets, paced=paced, make=make
    )
    app.include_router(public)
    sdk = sdk_api.router(
        gate=gate, keys=keys, knobs=profile, sessions=sessions, chance=chance, paced=paced, room_url=room_url
    )
    app.include_router(sdk)
    if rooms is not None:
        app.include_router(rooms)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        status, body = gate.invalid(error)
        return JSONResponse(jsonable_encoder(body), status)

    @app.get(STATE_PATH, include_in_schema=False)
    async def state(alive: bool = False) -> Response:
        records = {session.id: session.record() for session in sessions.alive.values()}
        ticks = {
            "audio_ticks": ticker.ticks,
            "audio_ticks_late": ticker.ticks_late,
            "audio_ticks_dropped": ticker.ticks_dropped,
        }
        return Response(truth.render(records, with_ended=not alive, more_counters=ticks), media_type=JSON)

    # Around the whole application, so that errors of any kind carry the headers too (docs/contract.md#the-sdks-api).
    with_cors: ASGI3Application = CORSMiddleware(  # type: ignore[assignment]  # the same protocol, typed twice
        app,
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PATCH", "OPTIONS", "DELETE"],
        allow_headers=["x-session-token", "content-type", "authorization", "traceparent"],
        expose_headers=["x-twin-handled-ns", "location"],
    )
    return with_cors
