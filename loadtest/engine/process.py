"""The engine's main: `python -m loadtest.engine.process RUN_DIR PROCESS INCARNATION FD [DEAD_PREDECESSOR]`."""

import asyncio
import math
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import uvloop

from loadtest import journal
from loadtest.budget.reserving import Budget
from loadtest.config.access.guard import guard
from loadtest.config.run_dir import load_for_sending, run_id
from loadtest.config.settings import Settings
from loadtest.http_client.user_agent import introduce
from loadtest.secrecy.redact import guard_stderr
from loadtest.text.outlets import keep_safe

UNUSED: Final = ("httpx._main", "openai._vendor.httpx_aiohttp", "brotli", "brotlicffi")
"""Modules that clients take along where what they need is installed, and do without where it isn't: httpx's command
line, the SDK's own way over aiohttp, and what unpacks br, which is never asked for. Nobody here uses them; with rich,
pygments, click and aiohttp they take up 11 MB."""
SPARE_BYTES: Final = 64 << 10
SPARE_BYTES_OF_A_SESSION: Final = 8 << 10
"""Its end is told in 2 kB; what it may hear until it is deleted, in as much again."""


def spare_bytes(settings: Settings) -> int:
    """For the ends of all sessions that may go on in one engine."""
    return SPARE_BYTES + SPARE_BYTES_OF_A_SESSION * math.ceil(settings.pool / settings.load.processes)


def main(argv: list[str]) -> int:
    """Run an engine to its end. The exit code says little: what happened is in the journal."""
    for number in (signal.SIGTERM, signal.SIGINT):  # sent to a whole run at once; the end of our socket is our order
        signal.signal(number, signal.SIG_IGN)
    guard_stderr()
    sys.modules.update(dict.fromkeys(UNUSED))  # type: ignore[arg-type]  # None: not to be found
    from loadtest.engine.engine import Engine  # imports the clients

    run_dir, process, incarnation = Path(argv[0]), int(argv[1]), int(argv[2])
    wire = socket.socket(fileno=int(argv[3]))
    settings = load_for_sending(run_dir)
    guard(settings)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    introduce(run_id(run_dir))
    path = journal.path_of(run_dir, "engine", process, incarnation)
    with (
        journal.Journal(path, spare_bytes=spare_bytes(settings)) as file,
        Budget(
            run_dir / "sessions.reserved", sessions=settings.target.max_sessions, usd=settings.cost.budget
        ) as budget,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        engine = Engine(settings, process=process, file=file, budget=budget)
        engine.emit(
            journal.first_line(
                role="engine", run_id=run_id(run_dir), scenario=settings.name, process=process, incarnation=incarnation
            )
        )
        try:
            runner.run(engine.run(wire, Path(argv[4]) if len(argv) > 4 else None))
        except Exception as error:
            engine.note_end(error)
            raise
    return 0


if __name__ == "__main__":
    keep_safe()
    sys.exit(main(sys.argv[1:]))
