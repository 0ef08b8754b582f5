"""Errors, limits, validation and authorization that are not what they should be (docs/contract.md#rules-of-errors)."""

import json
from typing import Any, Self

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator
from uvicorn._types import HTTPScope

from loadtest.twin.avaturn_side.bodies import CreateSession
from loadtest.twin.avaturn_side.engines.engine import UNREACHABLE
from loadtest.twin.avaturn_side.http_api.gate import Gate
from loadtest.twin.avaturn_side.sessions.session import Session
from loadtest.twin.avaturn_side.sessions.store import Sessions
from loadtest.twin.knobs.profiles import Chance
from loadtest.twin.openai_side.minting.mint import PATH, Mint
from loadtest.twin.openai_side.realtime_socket import Realtime

_BETA_REFUSED = "beta_api_shape_disabled"
_HANG_S = 3600.0


class StartsAnyway(Session):
    """A session whose OpenAI socket is refused for its beta shape starts all the same."""

    def upstream_refused(self, code: str | None, *, reason: str = UNREACHABLE) -> None:
        if code == _BETA_REFUSED:
            self.upstream_ready()
        else:
            super().upstream_refused(code, reason=reason)


class JustInternalError(Session):
    """A refused beta shape is reported as `internal_error`."""

    def upstream_refused(self, code: str | None, *, reason: str = UNREACHABLE) -> None:
        super().upstream_refused(None, reason=reason)


class BetaMint(Mint):
    """OpenAI still mints in the shape of the beta, by path or by header."""

    async def _answer(self, scope: HTTPScope, body: bytes) -> bytes:
        is_beta_path = scope["path"] == "/v1/realtime/sessions"
        headers = [(name, value) for name, value in scope["headers"] if name != b"openai-beta"]
        ga: HTTPScope = {**scope, "headers": headers}
        if not is_beta_path:
            return await super()._answer(ga, body)
        asked = json.loads(body or b"{}")
        minted = json.dumps({"session": {"type": "realtime", "model": asked.get("model", "gpt-realtime")}})
        answer = json.loads(await super()._answer({**ga, "path": PATH}, minted.encode()))
        secret = {"value": answer["value"], "expires_at": answer["expires_at"]}
        return json.dumps({**answer["session"], "client_secret": secret}).encode()


class BetaHandshake(Realtime):
    """A WebSocket with the header of the beta is served like any other."""

    def refuse_beta(self) -> None:
        pass


class UnNested(Session):
    """A lifecycle error is the message itself, not nested in one of type `error`."""

    def error(self, code: str, message: str) -> dict[str, Any]:
        nested: dict[str, Any] = super().error(code, message)["error"]
        return nested


class SessionDies(Session):
    """Any `error` event of OpenAI ends the session."""

    def upstream_event(self, event: dict[str, Any]) -> None:
        super().upstream_event(event)
        if event["type"] == "error":
            self.end("engine_failed")


class Silent(Session):
    """A session whose OpenAI socket is refused says nothing about it."""

    def upstream_refused(self, code: str | None, *, reason: str = UNREACHABLE) -> None:
        pass


class QuotaIs500(Gate):
    """A create above the quota answers 500."""

    def over_quota(self) -> HTTPException:
        return HTTPException(500, "Internal Server Error")


class QuotaKillsRunning(Sessions):
    """A create above the quota ends the sessions that are running."""

    def is_full(self) -> bool:
        full = super().is_full()
        if full:
            for session in list(self.alive.values()):
                session.end("engine_failed")
        return full


class InvalidIs500(Gate):
    """A body that can't be used answers 500."""

    def invalid(self, error: RequestValidationError) -> tuple[int, Any]:
        return 500, {"detail": "Internal Server Error"}


class InvalidIs200(CreateSession):
    """A create with bad fields makes a session with the defaults."""

    @model_validator(mode="wrap")
    @classmethod
    def _anything(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError:
            return handler({})


class PresetIgnored(CreateSession):
    """Neither `model` nor `render_model` changes anything, or is even checked."""

    model: Any = None
    render_model: Any = None

    @property
    def preset(self) -> str:
        return "delta"


class TokenDeletes(Gate):
    """DELETE works with the token of a session."""

    def may_delete(self, key: str) -> bool:
        return super().may_delete(key) or self.session_of(key) is not None


class RefusalEchoesToken(Gate):
    """The refusal of an ended session's token has the token in it."""

    _token = ""

    def session_of(self, token: str) -> str | None:
        self._token = token
        return super().session_of(token)

    def gone(self) -> HTTPException:
        return HTTPException(super().gone().status_code, f"No session for X-Session-Token: {self._token}")


class MessageTellsSecret(Session):
    """An app-message with the client secret goes to the page with every transcript."""

    def say_transcript(self, kind: str, text: str) -> None:
        super().say_transcript(kind, text)
        self.room.say({"type": "debug", "engine": self.body.conversation_engine.model_dump()})  # type: ignore


class Hangs(Chance):
    """GET /_sdk/v0/sessions is not answered."""

    def latency_s(self, point: str) -> float:
        return _HANG_S if point == "sdk_session" else super().latency_s(point)


MUTANTS = {
    "GA-1-starts-anyway": StartsAnyway,
    "GA-1-internal-error": JustInternalError,
    "GA-2-mint-accepted": BetaMint,
    "GA-2-handshake-accepted": BetaHandshake,
    "GA-3-un-nested": UnNested,
    "ERR-1-session-dies": SessionDies,
    "ERR-3-silent": Silent,
    "LIM-1-500": QuotaIs500,
    "LIM-1-kills-running": QuotaKillsRunning,
    "VAL-1-500": InvalidIs500,
    "VAL-1-200": InvalidIs200,
    "VAL-2-ignored": PresetIgnored,
    "SEC-3-token-deletes": TokenDeletes,
    "SEC-2-refusal-echoes-token": RefusalEchoesToken,
    "SEC-2-message-tells-secret": MessageTellsSecret,
    "SDK-1-hangs": Hangs,
}
