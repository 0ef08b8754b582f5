"""Honest backends on a bad line, or slow, or with a clock of their own: nothing may be said of them."""

import asyncio
import random
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from typing import Final

from tests.judging.broken_backends.breakage import (
    Backend,
    Breakage,
    is_create,
    is_mint,
)
from tests.judging.broken_backends.creates_over_http import cut_after
from tests.judging.broken_backends.endings_over_http import delete_answered, deleted_later
from tests.judging.broken_backends.expiry_over_http import slow_create
from tests.judging.broken_backends.proxy import Answer, CutError, Forward, HttpHook, Request


def latency(seconds: float) -> Callable[[Backend], HttpHook]:
    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            await asyncio.sleep(seconds)
            return await forward(request)

        return hook

    return make


def now_and_then(share: float, what: str) -> Callable[[Backend], HttpHook]:
    """A share of all calls has a mishap on the way: to the backend ("cut", "502"), or from it ("cut after", "502
    after"); mints may be told to slow down ("429")."""

    def make(_backend: Backend) -> HttpHook:
        chance = random.Random(2)

        async def hook(request: Request, forward: Forward) -> Answer:
            hit = chance.random() < share
            answer = await forward(request) if what.endswith("after") or not hit else None
            if what == "429":
                hit = hit and is_mint(request)
                return (
                    Answer.of(429, {"error": {"code": "rate_limit_exceeded"}})
                    if hit
                    else answer or await forward(request)
                )
            if not hit:
                assert answer is not None
                return answer
            if what.startswith("cut"):
                raise CutError
            return Answer(502, Answer.of(502).headers, b"<html>Bad Gateway</html>")

        return hook

    return make


def clock_ahead(seconds: int) -> Callable[[Backend], HttpHook]:
    """OpenAI's clock is ahead of ours, and says so."""

    def make(_backend: Backend) -> HttpHook:
        async def hook(request: Request, forward: Forward) -> Answer:
            answer = await forward(request)
            if request.service == "openai":
                date = parsedate_to_datetime(answer.headers.get("Date", formatdate(usegmt=True)))
                answer.headers["Date"] = formatdate(date.timestamp() + seconds, usegmt=True)
                if is_mint(request) and answer.status == 200:
                    answer.fields = {**answer.fields, "expires_at": answer.fields["expires_at"] + seconds}
            return answer

        return hook

    return make


_HONEST: Final[dict[str, Callable[[Backend], HttpHook]]] = {
    "as it is": latency(0),
    "20 ms more": latency(0.02),
    "2 % of the connections are cut before": now_and_then(0.02, "cut"),
    "2 % of the answers are lost": now_and_then(0.02, "cut after"),
    "2 % are answered 502": now_and_then(0.02, "502"),
    "2 % are done and answered 502": now_and_then(0.02, "502 after"),
    "a tenth of the mints is told to slow down": now_and_then(0.1, "429"),
    "create takes 2 s": slow_create(2),
    "delete takes 3 s": delete_answered(200, done=True, within_s=3),
    "a delete is done 3 s later": deleted_later(3),
    "OpenAI's clock is 600 s ahead": clock_ahead(600),
    "each tenth create is made and not answered": cut_after(10, is_create),
}

BREAKAGES: Final = (
    *(Breakage(name=f"honest: {name}", http=hook) for name, hook in _HONEST.items()),
    *(Breakage(name=f"honest: {name}, run", http=hook, by="run") for name, hook in _HONEST.items()),
)
