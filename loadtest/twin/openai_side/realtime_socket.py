"""The GA Realtime WebSocket: who may open it, its messages, its ends (PROTOCOL.md 2.1, 2.6)."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from loadtest.twin import append_event
from loadtest.twin.keys import Keys
from loadtest.twin.openai_side import session_config
from loadtest.twin.openai_side.client_secrets import ClientSecrets
from loadtest.twin.openai_side.errors import RefusedError, bad_key, beta_is_gone
from loadtest.twin.openai_side.realtime_session import LONGEST_S, RealtimeSession
from loadtest.twin.profiles import Chance
from loadtest.twin.timers import Timers
from loadtest.twin.truth import Truth
from loadtest.twin.wire import Socket

PATH = "/v1/realtime"
_KEY_PROTOCOL = "openai-insecure-api-key."
_CLOSE_REFUSED = 3000
_CLOSE_BETA = 4000
_CLOSE_GOING_AWAY = 1001
_EXPIRED = f"Your session hit the maximum duration of {LONGEST_S // 60} minutes."


class Realtime:
    """Answers upgrade requests on the OpenAI port and keeps the open sockets."""

    def __init__(
        self,
        *,
        keys: Keys,
        client_secrets: ClientSecrets,
        timers: Timers,
        chance: Chance,
        truth: Truth,
        answer_s: float,
    ) -> None:
        self.keys = keys
        self.client_secrets = client_secrets
        self.timers = timers
        self.chance = chance
        self.truth = truth
        self.answer_s = answer_s
        self.open: set[RealtimeSocket] = set()
        self.idle = asyncio.Event()
        """Set while no socket is open."""
        self.idle.set()

    def upgrade(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """Accept the socket; what is wrong with the caller is told inside it, as the real service does."""
        url = urlsplit(request.path.decode("latin-1"))
        if url.path != PATH:
            refusal = RefusedError(f"Invalid URL (GET {url.path})", code=None, status=404)
            headers = {"content-type": "application/json", "x-twin-handled-ns": "0"}
            answer = WSUpgradeResponse.create_error_response(404, refusal.body(), headers)
            return WSUpgradeResponseWithListener(answer, None)
        offered = [each.strip() for each in request.headers.get("sec-websocket-protocol", "").split(",")]
        extra = {"sec-websocket-protocol": "realtime"} if "realtime" in offered else {}
        extra["x-request-id"] = f"req_{secrets.token_hex(16)}"
        try:
            config = self._config_for(request, query=parse_qs(url.query), offered=offered)
        except RefusedError as refusal:
            socket = RealtimeSocket(self, config=None, refusal=refusal)
        else:
            socket = RealtimeSocket(self, config=config, refusal=None)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(extra), socket)

    def _config_for(
        self, request: WSUpgradeRequest, *, query: Mapping[str, list[str]], offered: list[str]
    ) -> Mapping[str, Any]:
        if "openai-beta" in request.headers or any(each.startswith("openai-beta") for each in offered):
            raise beta_is_gone()
        key = next((each.removeprefix(_KEY_PROTOCOL) for each in offered if each.startswith(_KEY_PROTOCOL)), "")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            key = token
        model = query.get("model", [""])[0]
        if key.startswith("ek_"):
            secret = self.client_secrets.find(key)
            if secret is None:
                raise bad_key("The client secret is unknown or has expired.")
            if model:
                raise RefusedError("A client secret already fixes the model.", code="invalid_model", param="model")
            secret.uses += 1
            return secret.session
        if not self.keys.is_openai(key):
            raise bad_key()
        if not model:
            raise RefusedError("Missing required parameter: 'model'.", code="missing_required_parameter", param="model")
        request_body = {"type": "realtime", "model": model}
        session_config.SESSION(request_body, "session")
        return session_config.effective(request_body)


class RealtimeSocket(Socket):
    """One connection: refused from the start, or a session."""

    def __init__(self, owner: Realtime, *, config: Mapping[str, Any] | None, refusal: RefusedError | None) -> None:
        super().__init__()
        self._owner = owner
        self._refusal = refusal
        self._session: RealtimeSession | None = None
        self._created: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._events = 0
        self._event_prefix = f"event_{secrets.token_hex(6)}"
        if config is not None:
            model = {"model": session_config.resolved_model(config["model"])} if "model" in config else {}
            self._session = RealtimeSession(
                config={**config, **model}, emit=self._emit, chance=owner.chance, answer_s=owner.answer_s
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
        self._expiry = owner.timers.after(LONGEST_S, self._expire)
        latency_s = owner.chance.latency_s("session_created")
        if latency_s:
            self._created = asyncio.get_running_loop().call_later(latency_s, self._session.open)
        else:
            self._session.open()

    def on_text(self, payload: bytes) -> None:
        """One client event."""
        session = self._session
        if session is None:
            return
        pcm = append_event.decode(payload)
        if pcm is not None:
            session.hear(pcm)
            return
        try:
            event = json.loads(payload)
        except ValueError:
            session.complain(RefusedError("The event is not valid JSON.", code="invalid_event"))
        else:
            session.handle(event)

    def on_binary(self, payload: bytes) -> None:
        """Not part of the protocol."""
        if self._session is not None:
            self._session.complain(RefusedError("Events must be text messages.", code="invalid_event"))

    def on_lost(self) -> None:
        """Free everything."""
        for timer in (self._created, self._expiry):
            if timer is not None:
                timer.cancel()
        if self._session is not None:
            self._session.close()
            self._session = None
        self._owner.open.discard(self)
        if not self._owner.open:
            self._owner.idle.set()
        self._owner.truth.realtime_sockets_open = len(self._owner.open)

    def _emit(self, event: dict[str, Any]) -> None:
        self._events += 1
        stamped = {"type": event["type"], "event_id": f"{self._event_prefix}{self._events:06d}", **event}
        self.send_text(json.dumps(stamped, separators=(",", ":")))

    def _refuse(self) -> None:
        refusal = self._refusal
        assert refusal is not None
        self._emit({"type": "error", "error": {**refusal.fields(), "event_id": None}})
        code = _CLOSE_BETA if refusal.code == "beta_api_shape_disabled" else _CLOSE_REFUSED
        self.close(code, f"{refusal.kind}.{refusal.code}")

    def _expire(self) -> None:
        if self._session is not None:
            self._session.complain(RefusedError(_EXPIRED, code="session_expired"))
            self._session.close()
            self._session = None
        self.close(_CLOSE_GOING_AWAY, _EXPIRED)
