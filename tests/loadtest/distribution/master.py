"""A master without Locust: its port, and the Hosts behind it, in a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import zmq
from zmq.auth import CURVE_ALLOW_ANY
from zmq.auth.thread import ThreadAuthenticator

from loadtest.config.settings import Settings
from loadtest.distribution.channel import HOST
from loadtest.distribution.hosts import Hosts
from loadtest.distribution.port.keys import Keys
from loadtest.events.kinds import Event, WorkerChanged

SALT = "00" * 16
TOKEN = "a token of the tests"
KEYS = Keys.of(TOKEN)


@dataclass
class Serving:
    """`heard`: ops by the order in which they came."""

    port: int
    hosts: Hosts
    events: list[Event] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def states(self) -> list[str]:
        return [event.state.value for event in self.events if isinstance(event, WorkerChanged)]


@contextmanager
def serving(
    settings: Settings, run_dir: Path, *, begun: bool = False, port: int = 0, keys: Keys = KEYS
) -> Iterator[Serving]:
    """Answers on a loopback port, as Locust's master does, until the end of the block."""
    (run_dir / "journal").mkdir(parents=True)
    context, stop = zmq.Context(), threading.Event()
    doorman = ThreadAuthenticator(context)
    doorman.start()
    doorman.configure_curve(location=CURVE_ALLOW_ANY)
    socket = context.socket(zmq.ROUTER)
    keys.guard_master(socket)
    socket.bind(f"tcp://127.0.0.1:{port or '*'}")
    port = int(socket.getsockopt(zmq.LAST_ENDPOINT).decode().rpartition(":")[2])
    events: list[Event] = []

    def send(node: str, message: dict[str, Any]) -> None:
        socket.send_multipart([node.encode(), msgpack.packb((HOST, message, node))])

    hosts = Hosts(settings, run_dir, SALT, send=send, record=events.append)
    if begun:
        hosts.begin()
    found = Serving(port=port, hosts=hosts, events=events)

    def serve() -> None:
        while not stop.is_set():
            if socket.poll(20):
                node, data = socket.recv_multipart()
                _, message, _ = msgpack.unpackb(data)
                found.heard.append(message["op"])
                hosts.hear(node.decode(), message)
        hosts.close("completed")
        socket.close(linger=0)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join(10)
        doorman.stop()
        context.term()
