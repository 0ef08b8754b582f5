"""All Avaturn sessions of the twin: found by id or token, created, ended."""

import secrets

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from loadtest.twin.avaturn_side.room import (
    CLOSE_ALREADY_ENDED,
    CLOSE_BAD_TOKEN,
    CLOSE_NO_ROOM,
    RoomSocket,
)
from loadtest.twin.avaturn_side.schema import CreateSession
from loadtest.twin.avaturn_side.session import Session, Surroundings
from loadtest.twin.keys import Keys

ROOM_PATH = "/rooms/"


class Sessions:
    """The living ones as objects, the ended ones as records in the truth."""

    def __init__(self, *, keys: Keys, surroundings: Surroundings) -> None:
        self.alive: dict[str, Session] = {}
        self._keys = keys
        self._around = surroundings

    def create(self, body: CreateSession) -> Session:
        """A new session; its timers run from now."""
        raw = secrets.token_hex(16)
        session_id = f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"
        session = Session(session_id=session_id, body=body, surroundings=self._around, on_end=self._retire)
        self.alive[session_id] = session
        self._around.truth.sessions_created += 1
        return session

    def has_ended(self, session_id: str) -> bool:
        """Whether this was a session once."""
        return self._around.truth.has_ended(session_id)

    def stop(self) -> None:
        """End all."""
        for session in list(self.alive.values()):
            session.end("twin_stopped")

    def upgrade(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """Answer a WebSocket request for `/rooms/<id>`; refusals come as close codes."""
        path, _, query = request.path.decode("latin-1").partition("?")
        if not path.startswith(ROOM_PATH):
            headers = {"x-twin-handled-ns": "0"}
            answer = WSUpgradeResponse.create_error_response(404, b'{"detail":"Not Found"}', headers)
            return WSUpgradeResponseWithListener(answer, None)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = next((each[len("token=") :] for each in query.split("&") if each.startswith("token=")), "")
        socket = self._door(path.removeprefix(ROOM_PATH), token)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(), socket)

    def _door(self, session_id: str, token: str) -> RoomSocket:
        session = self.alive.get(session_id)
        genuine = self._keys.session_of("room", token) == session_id
        refusal = None
        if session is None and not genuine and not self.has_ended(session_id):
            refusal = (CLOSE_NO_ROOM, "no such room")
        elif not genuine:
            refusal = (CLOSE_BAD_TOKEN, "bad token")
        elif session is None:
            refusal = (CLOSE_ALREADY_ENDED, "session ended")
        room = session.room if session is not None and refusal is None else None
        return RoomSocket(room=room, refusal=refusal, join_latency_s=lambda: self._around.chance.latency_s("join"))

    def _retire(self, session: Session) -> None:
        del self.alive[session.id]
        self._around.truth.retire(session.id, session.record())
