"""How the recorder and the replay call others: no answer leads them to another host than the one they were given."""

from types import SimpleNamespace

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TraceConfig, TraceRequestRedirectParams
from aiohttp import WSServerHandshakeError as RefusedUpgradeError


def http_session(*, deadline_s: float) -> ClientSession:
    """The caller's to close. A WebSocket that is answered with a redirect is refused with its status, as any other call
    would be that doesn't ask for the redirect itself."""
    trace = TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    return ClientSession(
        timeout=ClientTimeout(total=deadline_s), trace_configs=[trace], trust_env=False, cookie_jar=DummyCookieJar()
    )


async def _refuse_redirect(_: ClientSession, __: SimpleNamespace, params: TraceRequestRedirectParams) -> None:
    answer = params.response
    answer.close()
    raise RefusedUpgradeError(
        answer.request_info, answer.history, status=answer.status, message="a redirect, which is not followed"
    )
