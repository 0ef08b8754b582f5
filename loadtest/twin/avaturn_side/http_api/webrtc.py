"""The door of rooms over WebRTC: WHIP (RFC 9725), an offer answered per POST, hung up by DELETE (TWIN.md#rooms)."""

import secrets
from itertools import pairwise
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import ClientDisconnect

from loadtest.twin.avaturn_side.rooms.room import CLOSE_BAD_TOKEN, CLOSE_NO_ROOM, CLOSE_OVER_QUOTA
from loadtest.twin.avaturn_side.rooms.webrtc_caller import BadOfferError, Caller
from loadtest.twin.avaturn_side.rooms.webrtc_opus import encode
from loadtest.twin.avaturn_side.sessions.store import ROOM_PATH, Sessions
from loadtest.twin.pcm import FRAME_BYTES, SILENT_FRAME, tone

PATH = ROOM_PATH + "{session_id}/whip"
_SDP = "application/sdp"
_MAX_OFFER_BYTES = 64 * 1024


class Whip:
    """The connections that were made here, by the name of their WHIP resource."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._callers: dict[str, Caller] = {}

    async def stop(self) -> None:
        """Hang up on everyone; takes at most about a second each."""
        for caller in list(self._callers.values()):
            caller.close()
            await caller.closed()

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        bearer = HTTPBearer(auto_error=False)

        def token_of(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
            return credentials.credentials if credentials is not None else ""

        @routes.post(PATH)
        async def offer(session_id: str, request: Request, token: Annotated[str, Depends(token_of)]) -> Response:
            self._check(session_id, token)
            status = self._sessions.join_fault()
            if status is not None:
                raise HTTPException(status, "Injected fault")
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _SDP:
                raise HTTPException(415, f"an offer is {_SDP}")
            try:
                sdp = await request.body()
            except ClientDisconnect:
                raise HTTPException(400, "the offer was cut off") from None
            if len(sdp) > _MAX_OFFER_BYTES:
                raise HTTPException(413, "no offer is that long")
            session = self._sessions.find(session_id)
            server = request.scope["server"]
            if session is None or server is None:
                raise HTTPException(410, "session ended")
            resource = secrets.token_hex(8)
            caller = Caller(
                room=session.room,
                address=server[0],
                join_latency_s=self._sessions.join_latency_s,
                on_gone=lambda _caller: self._forget(resource),
            )
            self._callers[resource] = caller
            try:
                answer = await caller.answer(sdp.decode("utf-8", "replace"))
            except BadOfferError as error:
                caller.close()
                raise HTTPException(400, f"the offer can't be answered: {error}") from None
            return Response(answer, 201, {"Location": f"{request.url.path}/{resource}"}, _SDP)

        @routes.delete(PATH + "/{resource}")
        async def hang_up(session_id: str, resource: str, token: Annotated[str, Depends(token_of)]) -> Response:
            caller = self._callers.get(resource)
            if caller is None:
                self._check(session_id, token)
                raise HTTPException(404, "no such connection")
            if not self._sessions.is_room_token(session_id, token):
                raise HTTPException(401, "bad token", {"WWW-Authenticate": "Bearer"})
            caller.close()
            return Response(status_code=200)

        return routes

    def _check(self, session_id: str, token: str) -> None:
        refusal = self._sessions.refusal(session_id, token)
        if refusal is not None:
            code, text = refusal
            status = {CLOSE_BAD_TOKEN: 401, CLOSE_NO_ROOM: 404, CLOSE_OVER_QUOTA: 429}.get(code, 410)
            raise HTTPException(status, text, {"WWW-Authenticate": "Bearer"} if status == 401 else None)

    def _forget(self, resource: str) -> None:
        self._callers.pop(resource, None)


def warm_up() -> None:
    """Encode the twin's usual sound, so that no tick of the audio clock has to."""
    sound = tone(duration_ms=200)
    frames = [SILENT_FRAME, *(sound[at : at + FRAME_BYTES] for at in range(0, len(sound), FRAME_BYTES)), SILENT_FRAME]
    for before, frame in pairwise(frames):
        encode(before, frame)
    encode(SILENT_FRAME, SILENT_FRAME)
