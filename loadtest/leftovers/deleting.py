"""Delete what the journals say may be left. Idempotent: a session that is already gone answers 404 or 410, which is
fine."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.events.errors import StepError
from loadtest.events.kinds import Event, Remains, RemainsChanged, RemainsReason
from loadtest.leftovers.finding import Leftovers
from loadtest.secrecy.redact import redact
from loadtest.session.ports import Call, ControlApi
from loadtest.system.clock import now_ns

AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """`gone`: confirmed by the target now. `failed`: session -> why it may still be there."""

    gone: list[str]
    failed: dict[str, str]


async def sweep(control: ControlApi, left: Leftovers, *, emit: Callable[[Event], None], timeout_s: float) -> Swept:
    """Delete every leaked session, each within `timeout_s`; `emit` gets a RemainsChanged for each that is gone."""
    swept = Swept(gone=[], failed={})
    places = asyncio.Semaphore(AT_ONCE)

    async def one(session: str, target_session_id: str) -> None:
        async with places:
            try:
                async with asyncio.timeout(timeout_s):
                    await control.delete(
                        Call(),
                        target_session_id=target_session_id,
                        traceparent=f"00-{session}-{random.getrandbits(64) or 1:016x}-01",
                    )
            except (StepError, TimeoutError) as error:
                swept.failed[session] = redact(str(error)) or f"no answer within {timeout_s:g} s"
                return
            except Exception as error:  # ours: the others are to be deleted all the same
                swept.failed[session] = redact(repr(error))
                return
        swept.gone.append(session)
        emit(
            RemainsChanged(
                t_ns=now_ns(),
                session=session,
                remains=Remains.NOTHING,
                reason=RemainsReason.SWEPT,
                target_session_id=target_session_id,
            )
        )

    await asyncio.gather(*(one(session, avaturn_id) for session, avaturn_id in left.leaked.items()))
    return swept
