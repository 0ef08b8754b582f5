"""How long a hostile answer holds up the engine's loop, and with it the audio of all other sessions."""

import asyncio
import base64
import logging
import secrets
import time
from collections.abc import Iterator
from typing import Any

import uvloop

from loadtest.engine.health import quantile_ns
from loadtest.secrecy import redact as redacting
from tests.benchmarks.bench import Row, measured
from tests.hostile.in_rooms import ROOM
from tests.hostile.over_http import HTTP
from tests.hostile.target import engine, served, settings

WORDS = ("bomb", "336 kB", "5 MiB", "endless", "nested", "1 MB", "punycode", "900 kB", "10,000", "huge")
P99_MS = 20.0
"""A frame; a run is invalid from 50 ms on."""


def lags() -> dict[str, Any]:
    """Of one session with each of the large targets: ms, by how many probes of the loop."""
    found_ns: list[int] = []

    async def play() -> None:
        for hostile in (*HTTP, *ROOM):
            if any(word in hostile.name for word in WORDS):
                async with served(hostile.scripts, hostile.room) as target, engine(settings(target.url)) as (one, each):
                    await one()
                    found_ns.extend(int(lag_s * 1e9) for lag_s in each)

    logging.disable(logging.CRITICAL)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(play())
    finally:
        logging.disable(logging.NOTSET)
    return {"p99_ms": quantile_ns(found_ns, 0.99) / 1e6, "max_ms": max(found_ns) / 1e6, "probes": len(found_ns)}


REFUSAL = '{"detail": [{"type": "value_error", "loc": ["body", "token"], "msg": "not so", "input": "av-1"}]},\n'
REDACTING_MS = 1.0


def redacting_ms() -> dict[str, float]:
    """To hide secrets in an error page of 2 kB, where 2,000 sessions' tokens and four keys are known: CPU time, of the
    page as it is, and of one that gives a token back in base64."""
    process = redacting._Process()
    process.is_primed = True
    redacting._process, before = process, redacting._process
    tokens = [secrets.token_hex(24) for _ in range(2_000)]
    for token in tokens:
        redacting.remember(token)
    for number in range(4):
        redacting.know(secrets.token_urlsafe(40), name=f"X-Key-{number}")
    page = (REFUSAL * 30)[: redacting.MAX_READ]
    told = page[:900] + base64.b64encode(f"user:{tokens[7]}".encode()).decode() + page[:900]
    found = {"plain": _of_one_ms(page), "told": _of_one_ms(told)}
    redacting._process = before
    return found


def _of_one_ms(text: str) -> float:
    times: list[int] = []
    for _ in range(200):
        begin = time.thread_time_ns()
        redacting.redact(text)
        times.append(time.thread_time_ns() - begin)
    return quantile_ns(times, 0.5) / 1e6


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    found = measured(lags, 1 if quick else rounds)
    yield Row("hostile answers: loop lag, p99", [each["p99_ms"] for each in found], "ms", at_most=P99_MS)
    yield Row("hostile answers: loop lag, longest", [each["max_ms"] for each in found], "ms")
    found = measured(redacting_ms, 1 if quick else rounds)
    yield Row(
        "an error page of 2 kB, 2,000 tokens known", [each["plain"] for each in found], "ms", at_most=REDACTING_MS
    )
    yield Row("the same, a token told in base64", [each["told"] for each in found], "ms", at_most=4 * REDACTING_MS)
