"""The latency and the fault of an HTTP call, before anything of it is done."""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import HTTPException

from loadtest.twin.knobs.profiles import Chance

Paced = Callable[[str], Callable[[], Awaitable[None]]]
"""Makes the FastAPI dependency for a point of the profile."""


def pacing(chance: Chance) -> Paced:
    """Dependencies that wait, and raise HTTPException for the unlucky."""

    def paced(point: str) -> Callable[[], Awaitable[None]]:
        async def pace() -> None:
            latency_s = chance.latency_s(point)
            if latency_s:
                await asyncio.sleep(latency_s)
            status = chance.fault(point)
            if status is not None:
                raise HTTPException(status, "Injected fault", {"Retry-After": "1"} if status == 429 else None)

        return pace

    return paced
