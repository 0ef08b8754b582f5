"""Mint, create and delete as integrators write them: `AsyncOpenAI` and httpx, both over our pool.

No call retries (`max_retries=0`), none has a timeout of its own: the step's deadline is the only one.
"""

from collections.abc import Awaitable, Mapping
from typing import Any

import httpx
import httpx2
import openai

from loadtest.config.settings import Target
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.http_client.pool import Pool
from loadtest.http_client.user_agent import user_agent
from loadtest.secrecy.redact import redact
from loadtest.services.client_transports import Httpx2Transport, HttpxTransport, answered, current_call
from loadtest.services.cookies import BoundedJar
from loadtest.services.transport import ENCODINGS, Answered
from loadtest.session.ports import Call


class Official:
    """One OpenAI client and one httpx client for a whole process. The session is the caller's to close."""

    def __init__(self, session: Pool, target: Target, *, openai_key: str, avaturn_key: str) -> None:
        assert target.avaturn_base_url is not None
        packed = {"Accept-Encoding": ENCODINGS}
        self._openai = openai.AsyncOpenAI(
            api_key=openai_key or "none",
            base_url=target.openai_base_url or target.avaturn_base_url,  # with a backend it is never called
            max_retries=0,
            timeout=None,
            default_headers={"User-Agent": user_agent(f"AsyncOpenAI/Python {openai.__version__}")},
            http_client=httpx2.AsyncClient(
                transport=Httpx2Transport(session, target.proxy),
                headers=packed,
                cookies=BoundedJar(),
                trust_env=False,
                timeout=None,
            ),
        )
        self._create_secret = self._openai.realtime.client_secrets.with_raw_response.create
        self._avaturn = httpx.AsyncClient(
            transport=HttpxTransport(session, target.proxy),
            headers=packed,
            cookies=BoundedJar(),
            trust_env=False,
            timeout=httpx.Timeout(None),
        )
        self._avaturn.headers["User-Agent"] = user_agent(self._avaturn.headers["User-Agent"])
        self._bearer = f"Bearer {avaturn_key}"
        # A whole URL, parsed once: joining a path to a base URL costs as much as parsing two.
        self._sessions_url = httpx.URL(target.avaturn_base_url + "/api/v1/sessions")

    async def close(self) -> None:
        """Close both clients."""
        await self._openai.close()
        await self._avaturn.aclose()

    async def mint(self, call: Call, body: Mapping[str, Any], *, traceparent: str) -> Answered:
        """A refusal is an answer, too. Raises StepError for whatever went wrong below HTTP, or within the client."""
        current_call.set(call)
        try:
            # As extra_body the SDK sends the same bytes but does not walk the session by its type hints (0.15 ms a
            # call); it validates nothing either way (docs/contract.md#what-a-mint-may-ask).
            answer = await self._create_secret(extra_body=body, extra_headers={"traceparent": traceparent})
        except openai.APIStatusError as error:
            return answered(error.response)
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, StepError):
                raise error.__cause__ from None
            raise StepError(Kind.TRANSPORT, Code.CONNECTION_LOST, redact(str(error))) from error
        except Exception as error:
            if call.http_status is None or isinstance(error, StepError):
                raise  # nothing was answered: it is not the answer that the client stumbles over
            raise StepError(
                Kind.PROTOCOL, Code.BAD_SHAPE, f"the mint's answer can't be used ({type(error).__name__})"
            ) from error
        return answered(answer.http_response)

    async def create(self, call: Call, body: Mapping[str, Any], *, traceparent: str) -> Answered:
        """Likewise."""
        return await self._send(call, self._avaturn.post(self._sessions_url, json=body, headers=self._of(traceparent)))

    async def delete(self, call: Call, part: str, *, traceparent: str) -> Answered:
        """Likewise. `part`: the session's id, as a part of a URL."""
        url = f"{self._sessions_url}/{part}"
        return await self._send(call, self._avaturn.delete(url, headers=self._of(traceparent)))

    def _of(self, traceparent: str) -> dict[str, str]:
        return {"Authorization": self._bearer, "traceparent": traceparent}

    async def _send(self, call: Call, request: Awaitable[httpx.Response]) -> Answered:
        current_call.set(call)
        try:
            return answered(await request)
        except httpx.HTTPError as error:
            raise StepError(Kind.TRANSPORT, Code.CONNECTION_LOST, redact(str(error))) from error
