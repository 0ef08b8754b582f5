"""What no client would send: any HTTP call to either service, and a WebSocket to OpenAI of our own.

The second is the control experiment: what OpenAI does by itself, without Avaturn in between.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from loadtest.config.settings import Target
from loadtest.errors.causes import transport_failure
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import GATEWAY_STATUS, Code, Kind
from loadtest.secrecy.given_back import Watch
from loadtest.session.ports import Call
from loadtest.sound.speech import SILENCE, Clip
from loadtest.system.clock import now_ns
from loadtest.system.deadline import Deadline
from loadtest.text.validation import http_date_s, json_object, plain

if TYPE_CHECKING:  # the plan of a load process names the probes; only an engine runs them, and pays for the clients
    import aiohttp

    from loadtest.services.control import Control

CALL_TIMEOUT_S = 15.0
SCALE_HEADER = "x-twin-clock-scale"
"""How many times faster a twin's timers run; a service that doesn't send it runs in real time."""
MORE_TRIES_S = (0.1, 0.4)
"""Pauses before a call is sent again that was lost, or answered by a gateway. Not a create: the first may have made
something."""
_SLOWEST, _FASTEST = 0.001, 1_000.0
"""Of a twin's clock. A header that says anything else is no twin's."""
_BURST_FRAMES = 10
MAX_EVENTS_BYTES = 32 << 20
"""Of a socket to OpenAI, in one wait: a minute of its speech has 4 MB, and all of it is kept until it is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer. `rtt_ns`: from the request to the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    rtt_ns: int

    @property
    def ok(self) -> bool:
        return self.status // 100 == 2

    @property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        with contextlib.suppress(StepError):
            return json_object(self.body, "an answer")
        return {}

    @property
    def provider_s(self) -> int | None:
        """The provider's clock as it answered, unix time in whole seconds; None: it didn't say."""
        return http_date_s(self.headers.get("date", ""))


class Wire:
    """Both services, call by call. Every method raises StepError where no answer came within CALL_TIMEOUT_S. `watch`
    looks through the answers."""

    def __init__(self, control: "Control", target: Target, watch: Watch | None = None) -> None:
        self._control, self._watch = control, watch or Watch()
        self._openai, self._avaturn = str(target.openai_base_url), str(target.avaturn_base_url)
        self.openai_key, self.avaturn_key = control.keys

    async def mint(
        self,
        body: Mapping[str, Any],
        *,
        path: str = "/realtime/client_secrets",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A mint with exactly this body."""
        sent = {"Authorization": f"Bearer {self.openai_key}", **(headers or {})}
        return await self._call("POST", self._openai + path, sent, body)

    async def create(
        self, body: Mapping[str, Any] | bytes, *, traceparent: str, key: str | None = None, call: Call | None = None
    ) -> Answer:
        """A create with exactly this body, with the project's key or another one. `call` has what there was of an
        answer that broke off."""
        headers = {**self._bearer(key), "traceparent": traceparent}
        return await self._once("POST", f"{self._avaturn}/api/v1/sessions", headers, body, call=call)

    async def delete(self, target_session_id: str, *, key: str | None = None) -> Answer:
        """A delete, with the project's key, another one, or none ("")."""
        return await self._call("DELETE", self._session_url(target_session_id), self._bearer(key))

    def _session_url(self, target_session_id: str) -> str:
        return f"{self._avaturn}/api/v1/sessions/{quote(target_session_id, safe='')}"

    def _bearer(self, key: str | None) -> dict[str, str]:
        own = self.avaturn_key if key is None else key
        return {"Authorization": f"Bearer {own}"} if own else {}

    async def task(self, target_session_id: str, text: str) -> Answer:
        """A text for the avatar, by the public API."""
        headers = {"Authorization": f"Bearer {self.avaturn_key}"}
        url = self._session_url(target_session_id) + "/tasks"
        return await self._call("POST", url, headers, {"text": text})

    async def sdk(self, token: str, path: str = "", *, method: str = "GET", body: Any = None) -> Answer:
        """A call of the page's private API."""
        return await self._call(method, f"{self._avaturn}/_sdk/v0/sessions{path}", {"X-Session-Token": token}, body)

    async def clock_scale(self) -> float:
        """How many times faster than real time the target's timers run."""
        try:
            answer = await self._call("GET", f"{self._avaturn}/api/v1/openapi.json", {})
            told = float(answer.headers.get(SCALE_HEADER, 1))
        except (StepError, ValueError):
            return 1.0
        return told if _SLOWEST <= told <= _FASTEST else 1.0  # nor is NaN

    async def _call(self, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> Answer:
        for pause_s in MORE_TRIES_S:
            try:
                answer = await self._once(method, url, headers, body)
            except StepError as error:
                if error.kind is not Kind.TRANSPORT:
                    raise
            else:
                if answer.status not in GATEWAY_STATUS:
                    return answer
            await asyncio.sleep(pause_s)
        return await self._once(method, url, headers, body)

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: Any = None, *, call: Call | None = None
    ) -> Answer:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = headers if raw is None else {"Content-Type": "application/json", **headers}
        sent_ns = now_ns()
        try:
            async with Deadline(CALL_TIMEOUT_S):
                status, raw_headers, answer = await self._control.exchange(
                    call or Call(what=f"check: {method}", reads_body=method != "DELETE", watch=self._watch),
                    method=method,
                    url=url,
                    headers=sent,
                    body=raw,
                )
        except TimeoutError:
            raise StepError(Kind.TIMEOUT, Code.TIMEOUT, f"{method}: no answer within {CALL_TIMEOUT_S:g} s") from None
        got = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw_headers}
        return Answer(status=status, headers=got, body=answer, rtt_ns=now_ns() - sent_ns)

    @contextlib.asynccontextmanager
    async def realtime(self, secret: str, *, beta: bool = False) -> AsyncIterator["Realtime"]:
        """A Realtime socket of our own, opened with a client secret. Raises StepError with the HTTP status of a refused
        upgrade."""
        url = "ws" + self._openai.removeprefix("http") + "/realtime"
        headers = {"Authorization": f"Bearer {secret}", **({"OpenAI-Beta": "realtime=v1"} if beta else {})}
        try:
            async with Deadline(CALL_TIMEOUT_S):
                socket = await self._control.websocket(url, headers)
        except TimeoutError:
            raise StepError(Kind.TIMEOUT, Code.TIMEOUT, "OpenAI's socket did not open") from None
        try:
            yield Realtime(socket)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await socket.close()


class Realtime:
    """Our own Realtime session."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse") -> None:
        self._socket = socket

    async def first(self, *, within_s: float = 5.0) -> dict[str, Any]:
        """The first server event; empty where none comes, or the socket closes."""
        found = await self.until("", within_s=within_s)
        return found[-1] if found else {}

    async def until(self, kind: str, *, within_s: float) -> list[dict[str, Any]]:
        """All events up to the first whose type begins with `kind`; shorter where that doesn't come. Raises StepError
        for what is no event."""
        events, size = list[dict[str, Any]](), 0
        with contextlib.suppress(TimeoutError):
            async with Deadline(within_s):
                while (message := await self._socket.receive()).type.name == "TEXT":
                    size += len(message.data)
                    if size > MAX_EVENTS_BYTES:
                        told = f"OpenAI sent more than {MAX_EVENTS_BYTES >> 20} MiB of events"
                        raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, told)
                    events.append(json_object(message.data, "an event of OpenAI's"))
                    if plain(events[-1].get("type")).startswith(kind):
                        break
        return events

    async def say(self, clip: Clip, *, silence_s: float) -> None:
        """Append an utterance and the silence after it, as fast as the socket takes it. Raises StepError where it takes
        no more."""
        frames = [*clip.frames, *[SILENCE] * int(silence_s * 50)]
        try:
            async with Deadline(CALL_TIMEOUT_S):
                for at in range(0, len(frames), _BURST_FRAMES):
                    audio = base64.b64encode(b"".join(frames[at : at + _BURST_FRAMES])).decode()
                    await self._socket.send_json({"type": "input_audio_buffer.append", "audio": audio})
        except TimeoutError:
            raise StepError(Kind.TIMEOUT, Code.TIMEOUT, "OpenAI's socket takes no sound") from None
        except OSError as error:
            raise transport_failure(error, Code.WS_CLOSED, "OpenAI's socket was closed") from error
