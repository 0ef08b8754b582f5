"""What every HTTP answer of both services has in common: its handling time, and a place in the counters."""

import asyncio
import time
from collections.abc import Callable

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

from loadtest.twin.sockets.listening import ARRIVED_NS
from loadtest.twin.truth import Truth


def measured(
    app: ASGI3Application,
    *,
    truth: Truth,
    point_of: Callable[[str, str], str],
    extra: Callable[[], list[tuple[bytes, bytes]]] = list,
) -> ASGI3Application:
    """Wrap `app`: add `x-twin-handled-ns` (arrival to answer, ns) and `extra()` to its answers, and count them.

    `point_of(method, path)` names what was asked (TWIN.md#latencies).
    """

    async def wrapped(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not served here")

        async def answer(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start":
                truth.count_request(point_of(scope["method"], scope["path"]), event["status"])
                handled_ns = time.perf_counter_ns() - scope[ARRIVED_NS]  # type: ignore[literal-required]
                event["headers"] = [*event["headers"], *extra(), (b"x-twin-handled-ns", b"%d" % handled_ns)]
            await send(event)

        await app(scope, receive, answer)

    return wrapped


def queued(app: ASGI3Application, *, slots: int, passes: Callable[[str], bool]) -> ASGI3Application:
    """Let `app` work on `slots` requests at once; the others wait in the order of their arrival.

    With a fixed injected latency this is a server whose capacity is known exactly: slots / latency. Paths that `passes`
    says yes to don't queue.
    """
    free = asyncio.Semaphore(slots)

    async def wrapped(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http" and passes(scope["path"]):
            await app(scope, receive, send)
        else:
            async with free:
                await app(scope, receive, send)

    return wrapped
