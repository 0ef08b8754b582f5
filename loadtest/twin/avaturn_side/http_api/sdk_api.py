"""Avaturn's private API, for the web SDK in the page (docs/contract.md#the-sdks-api)."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from loadtest.twin.avaturn_side.bodies import ChangedConfig, CreatedTask, SdkSession, SessionConfig, Task
from loadtest.twin.avaturn_side.http_api.credentials import SessionToken
from loadtest.twin.avaturn_side.http_api.delays import Paced
from loadtest.twin.avaturn_side.http_api.gate import Gate
from loadtest.twin.avaturn_side.http_api.public_api import JSON, assigned
from loadtest.twin.avaturn_side.sessions.session import Session
from loadtest.twin.avaturn_side.sessions.store import Sessions
from loadtest.twin.keys import Keys
from loadtest.twin.knobs.avaturn import AvaturnKnobs
from loadtest.twin.knobs.profiles import Chance

PATH = "/_sdk/v0/sessions"
_POINTS = {
    PATH: "sdk_session",
    f"{PATH}/start_stream": "start_stream",
    f"{PATH}/tasks": "tasks",
    f"{PATH}/cancel_all_speech_tasks": "cancel",
    f"{PATH}/config": "config",
}


def point_of(path: str) -> str | None:
    """Name of a request in the counters; None: not of this API."""
    return _POINTS.get(path)


def router(
    *,
    gate: Gate,
    keys: Keys,
    knobs: AvaturnKnobs,
    sessions: Sessions,
    chance: Chance,
    paced: Paced,
    room_url: Callable[[str], str],
) -> APIRouter:
    """The routes; `room_url(session_id)` is where a session's room is."""
    routes = APIRouter()
    Living = Annotated[Session, Depends(SessionToken(gate, sessions=sessions, chance=chance))]  # noqa: N806  # a type

    @routes.get(PATH, response_model=SdkSession, dependencies=[Depends(paced("sdk_session"))])
    async def get_session(session: Living) -> Response:
        session.start(by="sdk_session")
        grant = SdkSession(
            id=session.id,
            room_url=room_url(session.id),
            limited_access_token=keys.token("room", session.id),
            session_config=SessionConfig(uses_stacked_alpha=session.body.background == "transparent"),
        )
        return Response(grant.model_dump_json(), media_type=JSON)

    @routes.post(f"{PATH}/start_stream")
    async def start_stream(session: Living) -> Response:
        session.start(by="start_stream")
        return Response("null", media_type=JSON)

    @routes.post(f"{PATH}/tasks", response_model=CreatedTask, dependencies=[Depends(paced("tasks"))])
    async def add_task(session: Living, body: Task) -> Response:
        return assigned(session, body, knobs)

    @routes.post(f"{PATH}/cancel_all_speech_tasks")
    async def cancel_all_speech_tasks(session: Living) -> Response:
        session.cancel_tasks()
        return Response("null", media_type=JSON)

    @routes.patch(f"{PATH}/config")
    async def change_config(session: Living, body: ChangedConfig) -> Response:
        session.change_voice(body.conversation_engine.tts.name)
        return Response("null", media_type=JSON)

    return routes
