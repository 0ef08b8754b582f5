"""Mint, create and delete without the official clients (`--http lean`): the same calls, a third of their price.

What is sent that is the same in every call is put together once. Each service's cookies are kept and sent back, as the
official clients do.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from loadtest.config.settings import Target
from loadtest.http_client.pool import Pool, header_lines, host_of
from loadtest.http_client.user_agent import user_agent
from loadtest.services.cookies import MAX_CLIENT_BYTES, Cookies
from loadtest.services.transport import ENCODINGS, Answered, exchange
from loadtest.session.ports import Call

_encode = msgspec.json.Encoder().encode
_JSON = "application/json"


class Lean:
    """For a whole process. The session is the caller's to close."""

    def __init__(self, session: Pool, target: Target, *, openai_key: str, avaturn_key: str) -> None:
        assert target.avaturn_base_url is not None
        openai_url = target.openai_base_url or target.avaturn_base_url  # with a backend it is never called
        self._openai = _Service(session, target, f"{openai_url}/realtime/client_secrets", openai_key)
        self._avaturn = _Service(session, target, f"{target.avaturn_base_url}/api/v1/sessions", avaturn_key)

    async def close(self) -> None:
        """There is nothing to close."""

    async def mint(self, call: Call, body: Mapping[str, Any], *, traceparent: str) -> Answered:
        """A refusal is an answer, too. Raises StepError for whatever went wrong below HTTP."""
        return await self._openai.post(call, body, traceparent)

    async def create(self, call: Call, body: Mapping[str, Any], *, traceparent: str) -> Answered:
        """Likewise."""
        return await self._avaturn.post(call, body, traceparent)

    async def delete(self, call: Call, part: str, *, traceparent: str) -> Answered:
        """Likewise. `part`: the session's id, as a part of a URL."""
        return await self._avaturn.delete(call, part, traceparent)


class _Service:
    """One of them: its address, what all calls to it say, its cookies."""

    def __init__(self, session: Pool, target: Target, url: str, key: str) -> None:
        self._session, self._proxy, self._url = session, target.proxy, url
        of_all = {
            "Host": host_of(url),
            "User-Agent": user_agent(),
            "Accept": _JSON,
            "Accept-Encoding": ENCODINGS,
            "Authorization": f"Bearer {key}",
        }
        self._lines = header_lines(of_all.items())
        self._lines_of_post = header_lines({**of_all, "Content-Type": _JSON}.items())
        self._cookies = Cookies(max_bytes=MAX_CLIENT_BYTES)
        self._has_cookies = False

    async def post(self, call: Call, tree: Mapping[str, Any], traceparent: str) -> Answered:
        body = _encode(tree)
        lines = b"%bContent-Length: %d\r\n%b" % (self._lines_of_post, len(body), self._more(self._url, traceparent))
        return await self._ask(call, "POST", self._url, lines, body)

    async def delete(self, call: Call, part: str, traceparent: str) -> Answered:
        url = f"{self._url}/{part}"
        return await self._ask(call, "DELETE", url, self._lines + self._more(url, traceparent), None)

    def _more(self, url: str, traceparent: str) -> bytes:
        if not self._has_cookies or (cookies := self._cookies.header(url)) is None:
            return b"traceparent: %b\r\n" % traceparent.encode()
        return header_lines([("traceparent", traceparent), ("Cookie", cookies)])

    async def _ask(self, call: Call, method: str, url: str, lines: bytes, body: bytes | None) -> Answered:
        answered = await exchange(
            self._session,
            call,
            method=method,
            url=url,
            lines=lines,
            body=body,
            proxy=self._proxy,
        )
        if any(name.lower() == b"set-cookie" for name, _ in answered.headers):
            self._has_cookies = True
            self._cookies.keep(url, answered.headers)
        return answered
