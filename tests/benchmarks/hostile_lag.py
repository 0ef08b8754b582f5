"""How long a hostile answer holds up the engine's loop, and with it the audio of all other sessions."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import uvloop

from loadtest.engine.health import quantile_ns
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


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    found = measured(lags, 1 if quick else rounds)
    yield Row("hostile answers: loop lag, p99", [each["p99_ms"] for each in found], "ms", at_most=P99_MS)
    yield Row("hostile answers: loop lag, longest", [each["max_ms"] for each in found], "ms")
