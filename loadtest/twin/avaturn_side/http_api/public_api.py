"""Avaturn's public API, for the project's own back end (docs/contract.md#avaturns-public-api)."""

import secrets
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from loadtest.twin.avaturn_side.bodies import (
    CreatedSession,
    CreatedTask,
    CreateSession,
    ModelAlone,
    OpenAIRealtime,
    RenderModelAlone,
    Task,
)
from loadtest.twin.avaturn_side.http_api.credentials import ProjectKey
from loadtest.twin.avaturn_side.http_api.delays import Paced
from loadtest.twin.avaturn_side.http_api.gate import Gate
from loadtest.twin.avaturn_side.sessions.session import Session
from loadtest.twin.avaturn_side.sessions.store import Sessions
from loadtest.twin.keys import Keys
from loadtest.twin.knobs.avaturn import AvaturnKnobs
from loadtest.twin.openai_side.minting.client_secrets import ClientSecrets
from loadtest.twin.parts import Make
from loadtest.twin.sockets.tracing import trace_id_of

PATH = "/api/v1/sessions"
JSON = "application/json"
_BODIES: dict[str, type[CreateSession]] = {
    "both": CreateSession,
    "model": ModelAlone,
    "render_model": RenderModelAlone,
}
_STATUS = {"created": "created", "starting": "created", "active": "active", "user_absent": "active"}


def point_of(method: str, path: str) -> str | None:
    """Name of a request in the counters; None: not of this API."""
    if path == PATH and method == "POST":
        return "create"
    if path.startswith(f"{PATH}/"):
        return "tasks" if path.endswith("/tasks") else "delete" if method == "DELETE" else None
    return None


def router(
    *,
    gate: Gate,
    keys: Keys,
    knobs: AvaturnKnobs,
    sessions: Sessions,
    client_secrets: ClientSecrets,
    paced: Paced,
    make: Make,
) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    body_type = make(_BODIES[knobs.preset_field])
    project = ProjectKey(gate, admits=gate.is_project)
    deleter = ProjectKey(gate, admits=gate.may_delete)

    def living(session_id: str, request: Request) -> Session | None:
        session = sessions.find(session_id)
        if session is None and not sessions.has_ended(session_id):
            raise gate.unknown()
        if session is not None:
            session.seen_with(trace_id_of(request.headers.get("traceparent")))
        return session

    @routes.post(PATH, response_model=CreatedSession, dependencies=[Depends(project), Depends(paced("create"))])
    async def create_session(body: body_type, request: Request) -> Response:  # type: ignore[valid-type]
        is_full = sessions.is_full()
        if is_full and knobs.quota_status != 200:
            raise gate.over_quota()
        engine = body.conversation_engine  # type: ignore[attr-defined]
        is_realtime = isinstance(engine, OpenAIRealtime)
        secret = client_secrets.find(engine.client_secret) if is_realtime else None
        if is_realtime and secret is None and knobs.checks_secret:
            raise HTTPException(400, "The client secret was refused")
        session = sessions.create(body)
        if is_full:
            session.forbid("limits_exceeded")
        if secret is not None:
            session.minted_with(secret)
        session.seen_with(trace_id_of(request.headers.get("traceparent")))
        created = CreatedSession(session_id=session.id, token=keys.token("session", session.id))
        return Response(created.model_dump_json(), media_type=JSON)

    @routes.delete(f"{PATH}/{{session_id}}", dependencies=[Depends(deleter), Depends(paced("delete"))])
    async def delete_session(session_id: str, request: Request) -> Response:
        session = living(session_id, request)
        if session is not None:
            session.terminate()
        else:
            refusal = gate.ended_already()
            if refusal is not None:
                raise refusal
        return Response("null", media_type=JSON)

    @routes.post(
        f"{PATH}/{{session_id}}/tasks",
        response_model=CreatedTask,
        dependencies=[Depends(project), Depends(paced("tasks"))],
    )
    async def add_task(session_id: str, body: Task, request: Request) -> Response:
        session = living(session_id, request)
        if session is None:
            raise gate.gone()
        return assigned(session, body, knobs)

    if knobs.session_get != 405:

        @routes.get(f"{PATH}/{{session_id}}", dependencies=[Depends(project)])
        async def get_session(session_id: str, request: Request) -> dict[str, Any]:
            session = living(session_id, request) if knobs.session_get == 200 else None
            if session is None:
                raise gate.unknown() if knobs.session_get == 404 else gate.gone()
            return {"session_id": session.id, "status": _STATUS[session.state]}

        @routes.get(PATH, dependencies=[Depends(project)])
        async def list_sessions() -> dict[str, Any]:
            if knobs.session_get == 404:
                raise HTTPException(404, "Not Found")
            listed = [{"session_id": each.id, "status": _STATUS[each.state]} for each in sessions.alive.values()]
            return {"sessions": listed}

    return routes


def assigned(session: Session, body: Task, knobs: AvaturnKnobs) -> Response:
    """Give the session a task and answer its id."""
    if knobs.tasks_on_realtime == "refuse" and isinstance(session.body.conversation_engine, OpenAIRealtime):
        raise HTTPException(400, "This conversation engine takes no tasks")
    task_id = f"task_{secrets.token_hex(12)}"
    session.task(task_id, body.text)
    return Response(CreatedTask(task_id=task_id).model_dump_json(), media_type=JSON)
