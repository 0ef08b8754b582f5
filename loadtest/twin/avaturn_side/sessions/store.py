"""All Avaturn sessions of the twin: found by id or token, created, ended."""

import secrets

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from loadtest.twin.avaturn_side.bodies import CreateSession
from loadtest.twin.avaturn_side.rooms.room import (
    CLOSE_ALREADY_ENDED,
    CLOSE_BAD_TOKEN,
    CLOSE_NO_ROOM,
    CLOSE_OVER_QUOTA,
    RoomSocket,
)
from loadtest.twin.avaturn_side.sessions.session import Session
from loadtest.twin.avaturn_side.surroundings import Surroundings
from loadtest.twin.keys import Keys

ROOM_PATH = "/rooms/"


class Sessions:
    """The living ones as objects, the ended ones as records in the truth."""

    def __init__(self, *, keys: Keys, surroundings: Surroundings, most: int | None = None) -> None:
        self.alive: dict[str, Session] = {}
        self._keys = keys
        self._around = surroundings
        self._most = most

    def is_full(self) -> bool:
        """Whether the quota is used up; a create is not even counted then."""
        if self._most is None or len(self.alive) < self._most:
            return False
        return sum(session.forbidden is None for session in self.alive.values()) >= self._most

    def create(self, body: CreateSession) -> Session:
        """A new session; its timers run from now."""
        raw = secrets.token_hex(16)
        session = self.begin(f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}", body)
        self._around.truth.sessions_created += 1
        return session

    def begin(self, session_id: str, body: CreateSession) -> Session:
        """A session with this id."""
        session = self._around.make(Session)(
            session_id=session_id, body=body, surroundings=self._around, on_end=self.retire
        )
        self.alive[session_id] = session
        return session

    def find(self, session_id: str) -> Session | None:
        """The session, if it is alive: nothing revives an ended one."""
        return self.alive.get(session_id)

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
        status = self.join_fault()
        if status is not None:
            headers = {"x-twin-handled-ns": "0"}
            answer = WSUpgradeResponse.create_error_response(status, b'{"detail":"Injected fault"}', headers)
            return WSUpgradeResponseWithListener(answer, None)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = next((each[len("token=") :] for each in query.split("&") if each.startswith("token=")), "")
        socket = self._door(path.removeprefix(ROOM_PATH), token)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(), socket)

    def is_room_token(self, session_id: str, token: str) -> bool:
        """Whether this is the genuine token of the session's room, alive or ended."""
        return self._keys.session_of("room", token) == session_id

    def refusal(self, session_id: str, token: str) -> tuple[int, str] | None:
        """Why this token doesn't open this room: a close code and its reason; None: it does."""
        genuine = self.is_room_token(session_id, token)
        if not genuine and self.find(session_id) is None and not self.has_ended(session_id):
            return CLOSE_NO_ROOM, "no such room"
        if not genuine:
            return CLOSE_BAD_TOKEN, "bad token"
        session = self.find(session_id)
        if session is None:
            return CLOSE_ALREADY_ENDED, "session ended"
        is_shut = session.forbidden is not None and self._around.knobs.quota_room == "close"
        return (CLOSE_OVER_QUOTA, str(session.forbidden)) if is_shut else None

    def join_latency_s(self) -> float:
        """From the open connection to room.joined, in seconds."""
        return self._around.chance.latency_s("join")

    def join_fault(self) -> int | None:
        """The HTTP status that this connection to a room is refused with, if it is."""
        return self._around.chance.fault("join")

    def _door(self, session_id: str, token: str) -> RoomSocket:
        refusal = self.refusal(session_id, token)
        session = self.find(session_id) if refusal is None else None
        room = session.room if session is not None else None
        return RoomSocket(room=room, refusal=refusal, join_latency_s=self.join_latency_s)

    def retire(self, session: Session) -> None:
        """It has ended."""
        del self.alive[session.id]
        self._around.truth.retire(session.id, session.record())
