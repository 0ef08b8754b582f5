"""Delete what the journals say may be left. Idempotent: a session that is already gone answers 404 or 410, which is
fine."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Remains, RemainsChanged, RemainsReason
from loadtest.leftovers.finding import Leftovers
from loadtest.secrecy.redact import redact
from loadtest.session.patience import Patience
from loadtest.session.ports import Call, ControlApi
from loadtest.system.clock import now_ns

AT_ONCE = 16
PATIENCE_S: Final = 60.0
"""With a target that says to come later, and since it last deleted one: limits are mostly per minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """`gone`: confirmed by the target now. `failed`: session -> why it may still be there."""

    gone: list[str]
    failed: dict[str, str]


async def sweep(control: ControlApi, left: Leftovers, *, emit: Callable[[Event], None], timeout_s: float) -> Swept:
    """Delete every leaked session, each within `timeout_s`; `emit` gets a RemainsChanged for each that is gone. Those
    that failed are tried again together, as often as a session tries its own."""
    swept = Swept(gone=[], failed={})
    places = asyncio.Semaphore(AT_ONCE)
    later: list[StepError] = []
    """A limiter's word is for all: nothing more is asked in that round."""

    async def one(session: str) -> StepError | None:
        """What failed, if that may pass."""
        async with places:
            if later:
                swept.failed[session] = redact(str(later[0]))
                return later[0]
            try:
                async with asyncio.timeout(timeout_s):
                    await control.delete(
                        Call(),
                        target_session_id=left.leaked[session],
                        traceparent=f"00-{session}-{random.getrandbits(64) or 1:016x}-01",
                    )
            except StepError as error:
                if error.http_status == HTTPStatus.TOO_MANY_REQUESTS:
                    later.append(error)
                swept.failed[session] = redact(str(error))
                return error
            except TimeoutError:
                swept.failed[session] = f"no answer within {timeout_s:g} s"
                return StepError(Kind.TIMEOUT, Code.TIMEOUT)
            except Exception as error:  # ours: the others are to be deleted all the same
                swept.failed[session] = redact(repr(error))
                return None
        swept.gone.append(session)
        swept.failed.pop(session, None)
        emit(
            RemainsChanged(
                t_ns=now_ns(),
                session=session,
                remains=Remains.NOTHING,
                reason=RemainsReason.SWEPT,
                target_session_id=left.leaked[session],
            )
        )
        return None

    rest, patience, attempt = list(left.leaked), Patience(PATIENCE_S), 1
    while rest:
        later.clear()
        gone_before = len(swept.gone)
        errors = zip(rest, await asyncio.gather(*map(one, rest)), strict=True)
        if len(swept.gone) > gone_before:
            patience, attempt = Patience(PATIENCE_S), 1
        pauses_s = {
            session: pause_s
            for session, error in errors
            if error is not None and (pause_s := patience.pause_s(error, attempt)) is not None
        }
        rest, attempt = list(pauses_s), attempt + 1
        await asyncio.sleep(max(pauses_s.values(), default=0.0))
    return swept
