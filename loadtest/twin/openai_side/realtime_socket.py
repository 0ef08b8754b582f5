"""The GA Realtime WebSocket: who may open it, its messages, its ends.

Source: docs/contract.md#opening-the-socket, #errors-and-closes.
"""

import asyncio
import functools
import json
import secrets
from collections.abc import Callable, Mapping, Sized
from typing import Any
from urllib.parse import parse_qs, urlsplit

from picows import WSCloseCode, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from loadtest.twin.json_text import parsed
from loadtest.twin.keys import Keys
from loadtest.twin.openai_side import faults
from loadtest.twin.openai_side.config import session_config
from loadtest.twin.openai_side.config.session_rules import MODELS
from loadtest.twin.openai_side.errors import RefusedError, bad_key, beta_is_gone
from loadtest.twin.openai_side.minting.client_secrets import ClientSecrets
from loadtest.twin.openai_side.realtime_session import LONGEST_S, RealtimeSession
from loadtest.twin.openai_side.surroundings import SCRIPTED, Around, Script
from loadtest.twin.sockets import append_event
from loadtest.twin.sockets.event_socket import EventSocket
from loadtest.twin.truth import Truth

PATH = "/v1/realtime"
_KEY_PROTOCOL = "openai-insecure-api-key."
_CLOSE_REFUSED = 3000
_CLOSE_MALFORMED = 4000
_MALFORMED = ("beta_api_shape_disabled", "missing_model", "invalid_model")
_CLOSE_GOING_AWAY = 1001
_CLOSE_MISSING = 1006
_CLOSE_TOO_BIG = 1009
_EARLY_BYTES = 15 * 2**20
"""Kept of what comes before the session begins."""
_KEPT_SESSIONS = 256
_EXPIRED = f"Your session hit the maximum duration of {LONGEST_S // 60} minutes."


class Realtime:
    """Answers upgrade requests on the OpenAI port and keeps the open sockets."""

    def __init__(self, *, keys: Keys, client_secrets: ClientSecrets, truth: Truth, around: Around) -> None:
        self.around = around
        self.truth = truth
        self.open: set[RealtimeSocket] = set()
        self.idle = asyncio.Event()
        """Set while no socket is open."""
        self.idle.set()
        self._keys = keys
        self._client_secrets = client_secrets

    def upgrade(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """Answer a request for a WebSocket, as picows wants it."""
        socket = self.admit(request.headers, request.path.decode("latin-1"))
        if isinstance(socket, RefusedError):
            headers = {"content-type": "application/json", "x-twin-handled-ns": "0"}
            answer = WSUpgradeResponse.create_error_response(socket.status, socket.body(), headers)
            return WSUpgradeResponseWithListener(answer, None)
        extra = {"sec-websocket-protocol": "realtime"} if "realtime" in _offered(request.headers) else {}
        extra["x-request-id"] = f"req_{secrets.token_hex(16)}"
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(extra), socket)

    def admit(self, headers: Mapping[str, str], target: str) -> "RealtimeSocket | RefusedError":
        """The socket for this request. What is wrong with the caller is told inside it, as the real service does;
        a RefusedError is for what the real service, or the profile, refuses by an HTTP status."""
        url = urlsplit(target)
        if url.path != PATH:
            return RefusedError(f"Invalid URL (GET {url.path})", code=None, status=404)
        try:
            fault = self.around.chance.mishap("realtime_open")
            if fault is not None:
                refusal = faults.refusal(fault)
                if fault.isdecimal():
                    return refusal
                raise refusal
            config = self.config_for(headers, query=parse_qs(url.query))
            fault = self.around.chance.mishap("session_created")
            if fault is not None:
                raise faults.refusal(fault)
        except RefusedError as refusal:
            if refusal.code == "invalid_api_key" and self.around.profile.bad_key_refused == "upgrade_401":
                return refusal
            return RealtimeSocket(self, config=None, refusal=refusal, script=iter(()))
        script = self.around.scripts.get(headers.get(SCRIPTED, ""), iter(()))
        return RealtimeSocket(self, config=config, refusal=None, script=script)

    def config_for(self, headers: Mapping[str, str], *, query: Mapping[str, list[str]]) -> Mapping[str, Any]:
        """The session object that this request is entitled to. Raises RefusedError."""
        offered = _offered(headers)
        if "openai-beta" in headers or any(each.startswith("openai-beta") for each in offered):
            self.refuse_beta()
        key = next((each.removeprefix(_KEY_PROTOCOL) for each in offered if each.startswith(_KEY_PROTOCOL)), "")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            key = token
        model = query.get("model", [""])[0]
        if key.startswith("ek_"):
            secret = self._client_secrets.find(key)
            if secret is None:
                raise bad_key("The client secret is unknown or has expired.")
            session = _parsed(secret.session)
            if model and not self._is_welcome(model, session.get("model")):
                raise RefusedError("A client secret already fixes the model.", code="invalid_model", param="model")
            self._client_secrets.used(key)
            return session
        if not self._keys.is_openai(key):
            raise bad_key()
        if "transcription" in query.get("intent", []):
            if model:
                raise RefusedError(f'Model "{model}" is not supported in transcription mode.', code="invalid_model")
            return session_config.effective({"type": "transcription"}, knobs=self.around.profile)
        if not model:
            raise RefusedError("You must provide a model parameter.", code="missing_model")
        if model not in MODELS:
            raise RefusedError(f'Model "{model}" is not supported in realtime mode.', code="invalid_model")
        return session_config.effective({"type": "realtime", "model": model}, knobs=self.around.profile)

    def _is_welcome(self, model: str, own: str | None) -> bool:
        """Whether an address may name this model beside a client secret whose model is `own`."""
        rule = self.around.profile.model_beside_key
        return rule == "accept" or (rule == "same" and own is not None and session_config.is_same_model(model, own))

    def refuse_beta(self) -> None:
        """A handshake in the shape of the beta. Raises RefusedError."""
        raise beta_is_gone()


class RealtimeSocket(EventSocket):
    """One connection: refused from the start, or a session."""

    __slots__ = (
        "_created",
        "_early",
        "_early_left",
        "_event_prefix",
        "_events",
        "_expiry",
        "_owner",
        "_refusal",
        "_session",
    )

    def __init__(
        self,
        owner: Realtime,
        *,
        config: Mapping[str, Any] | None,
        refusal: RefusedError | None,
        script: Script,
    ) -> None:
        super().__init__()
        self._owner = owner
        self._refusal = refusal
        self._session: RealtimeSession | None = None
        self._created: asyncio.TimerHandle | None = None
        self._early: list[tuple[Callable[[Any], None], Any]] | None = None
        """What comes before the session begins, and who takes it then; None: it has begun."""
        self._early_left = _EARLY_BYTES
        self._expiry: asyncio.TimerHandle | None = None
        self._events = 0
        self._event_prefix = f"event_{secrets.token_hex(6)}"
        if config is not None:
            if "model" in config and owner.around.profile.session_model == "snapshot":
                config = {**config, "model": session_config.resolved_model(config["model"])}
            self._session = RealtimeSession(
                config=config, script=script, around=owner.around, emit=self._emit, hang_up=self._hang_up
            )

    def on_open(self) -> None:
        """Greet, or say what is wrong and close."""
        owner = self._owner
        owner.open.add(self)
        owner.idle.clear()
        owner.truth.realtime_sockets_opened += 1
        owner.truth.realtime_sockets_open = len(owner.open)
        if self._session is None:
            self._refuse()
            return
        self._expiry = owner.around.timers.after(LONGEST_S, self._expire)
        latency_s = owner.around.chance.latency_s("session_created")
        if latency_s:
            self._early = []
            self._created = asyncio.get_running_loop().call_later(latency_s, self._begin)
        else:
            self._session.open()

    def on_text(self, payload: bytes) -> None:
        """One client event."""
        session = self._session
        if session is None or self._is_early(self.on_text, payload):
            return
        pcm = append_event.decode(payload)
        if pcm is not None:
            session.hear(pcm)
            return
        try:
            event = parsed(payload)
        except ValueError:
            session.complain(RefusedError("Invalid event: failed to parse JSON value.", code="invalid_json"))
        else:
            session.handle(event)

    def on_message(self, event: dict[str, Any]) -> None:
        """One client event."""
        if self._session is not None and not self._is_early(self.on_message, event):
            self._session.handle(event)

    def on_sound(self, pcm: bytes) -> None:
        """The user's sound."""
        if self._session is not None and not self._is_early(self.on_sound, pcm):
            self._session.hear(pcm)

    def on_binary(self, payload: bytes) -> None:
        """Not part of the protocol."""
        if self._session is not None and not self._is_early(self.on_binary, payload):
            self._session.complain(RefusedError("Events must be text messages.", code="invalid_event"))

    def _is_early(self, take: Callable[[Any], None], what: Sized) -> bool:
        """Whether nothing may be answered yet: the first event is session.created. Then it is taken afterwards."""
        if self._early is None:
            return False
        self._early_left -= len(what)
        if self._early_left < 0:
            self._hang_up(_CLOSE_TOO_BIG, "")
        else:
            self._early.append((take, what))
        return True

    def _begin(self) -> None:
        early, self._early = self._early or [], None
        if self._session is not None:
            self._session.open()
        for take, what in early:
            take(what)

    def on_closing(self, code: WSCloseCode) -> None:
        """Answer the client's close, or leave it waiting for that until it gives up."""
        if self._owner.around.profile.answers_close or not self.is_open:
            super().on_closing(code)
        else:
            self._end_session()

    def on_lost(self) -> None:
        """Free everything."""
        self._end_session()
        self._owner.open.discard(self)
        if not self._owner.open:
            self._owner.idle.set()
        self._owner.truth.realtime_sockets_open = len(self._owner.open)

    def _end_session(self) -> None:
        for timer in (self._created, self._expiry):
            if timer is not None:
                timer.cancel()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _emit(self, event: dict[str, Any]) -> None:
        self._events += 1
        stamped = {"type": event["type"], "event_id": f"{self._event_prefix}{self._events:06d}", **event}
        self.send_event(stamped)

    def _hang_up(self, code: int, reason: str) -> None:
        """End the session; 1006 is no code to send, but what the client sees when there is none."""
        self._end_session()
        if code == _CLOSE_MISSING:
            self.drop()
        else:
            self.close(code, reason)

    def _refuse(self) -> None:
        refusal = self._refusal
        assert refusal is not None
        self._emit({"type": "error", "error": {**refusal.fields(), "event_id": None}})
        code = _CLOSE_MALFORMED if refusal.code in _MALFORMED else _CLOSE_REFUSED
        self.close(code, refusal.kind if refusal.code is None else f"{refusal.kind}.{refusal.code}")

    def _expire(self) -> None:
        if self._session is not None:
            self._session.complain(RefusedError(_EXPIRED, code="session_expired"))
            self._hang_up(_CLOSE_GOING_AWAY, _EXPIRED)


@functools.lru_cache(maxsize=_KEPT_SESSIONS)
def _parsed(session: str) -> Mapping[str, Any]:
    """The session object of a secret; equal ones are one object, which nobody changes."""
    found: Mapping[str, Any] = json.loads(session)
    return found


def _offered(headers: Mapping[str, str]) -> list[str]:
    return [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")]
