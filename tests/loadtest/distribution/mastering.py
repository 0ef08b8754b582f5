"""A master without workers, in a process of its own: Locust patches the standard library of whoever imports it.

`python -m tests.loadtest.distribution.mastering DIRECTORY` plays every scene and prints what came of each, as JSON.
"""

import json
import os
import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from locust import User, constant
from locust import __version__ as locust_version
from locust.env import Environment
from locust.rpc import Message

from loadtest import journal
from loadtest.config.environment import SALT
from loadtest.config.run_dir import make_run_dir, write_settings
from loadtest.config.settings import Distribution, Load, Settings, Target
from loadtest.distribution.channel import HOST
from loadtest.distribution.master import Master
from loadtest.distribution.port import sockets
from loadtest.load import messages as m
from loadtest.system.version import __version__
from tests.support import free_port

JOIN = {"op": "join", "version": __version__, "processes": 1, "host": "far", "directory": "/over/there"}


class Runner:
    """What Locust's master is to ours."""

    def __init__(self) -> None:
        self.checks: dict[str, Any] = {}
        self.for_all: set[str] = set()
        self.worker_indexes: dict[str, int] = {}
        self.closed = False
        self.sent: list[tuple[str, Any]] = []
        self._hears: dict[str, Any] = {}

    def register_message(self, kind: str, listener: Any) -> None:
        self._hears[kind] = listener

    def send_message(self, kind: str, data: Any = None, client_id: str | None = None) -> None:
        self.sent.append((kind, data))

    def say(self, kind: str, data: Any, *, node: str) -> None:
        """A message of that worker has come."""
        self._hears[kind](environment=None, msg=types.SimpleNamespace(node_id=node, data=data))


def mastering(run_dir: Path, processes: int = 1) -> tuple[Master, Runner]:
    plan = Settings(
        load=Load(users=4, processes=processes),
        target=Target(openai_base_url="https://127.0.0.1/v1", avaturn_base_url="https://127.0.0.1"),
        distribution=Distribution(master=True),
    )
    make_run_dir(run_dir)
    write_settings(plan, run_dir, started_at=datetime.now(UTC))
    runner = Runner()
    listening = types.SimpleNamespace(add_listener=lambda _listener: None)
    environment: Any = types.SimpleNamespace(runner=runner, events=types.SimpleNamespace(test_start=listening))
    return Master(environment, plan, run_dir), runner


def late(run_dir: Path) -> dict[str, Any]:
    """A worker comes while the master lingers for a scraper."""
    master, runner = mastering(run_dir)
    master.close()
    before = master.snapshot()
    runner.say(HOST, {**JOIN, "version": "0.0.1"}, node="late")
    (written,) = journal.read_run(run_dir)
    return {
        "sent": [(kind, data["op"]) for kind, data in runner.sent],
        "counts_as_before": master.snapshot() == before,
        "last_words": [repr(event.reason) for event in written.events[1:]],  # type: ignore[union-attr]
    }


def replaced(run_dir: Path) -> dict[str, Any]:
    """Before the run begins the only load process is interrupted, and another one comes in its place."""
    master, runner = mastering(run_dir)
    counts = master.snapshot()
    for node, reports in (("first", (m.SNAPSHOT, m.DONE)), ("second", (m.SNAPSHOT,)), ("first", (m.DONE,))):
        if node not in runner.worker_indexes:
            runner.say(m.NUMBERED, {"number": 0}, node=node)
        for kind in reports:
            runner.say(kind, counts, node=node)
    return {"numbers": runner.worker_indexes, "done": master._workers.finished, "known": list(master._numbers)}


def parted(_run_dir: Path) -> dict[str, Any]:
    """The only worker quits, and another one comes. Locust's own master."""
    sockets.install("a token of the tests")
    environment = Environment(user_classes=[type("Waiting", (User,), {"wait_time": constant(1), "abstract": False})])
    environment.parsed_options = types.SimpleNamespace(headless=True)
    runner = environment.create_master_runner("127.0.0.1", free_port())
    ended: list[str] = []
    runner.quit, quit_at_last = lambda: ended.append("quit"), runner.quit
    here = []
    for kind, node in (("client_ready", "a"), ("quit", "a"), ("quit", "a"), ("client_ready", "b")):
        runner.handle_message(node, Message(kind, locust_version, node))
        here.append(len(runner.clients.ready))
    listening = len(runner.greenlet)
    quit_at_last()
    return {"here": here, "ended": ended, "listens": listening > 0, "after_our_own_end": len(runner.greenlet)}


SCENES: dict[str, Callable[[Path], dict[str, Any]]] = {scene.__name__: scene for scene in (late, replaced, parted)}

if __name__ == "__main__":
    os.environ[SALT] = "00" * 16
    print(json.dumps({name: scene(Path(sys.argv[1]) / name) for name, scene in SCENES.items()}))
