"""Locust's sockets and its master, for invited workers alone.

Locust makes a socket from host and port (locust/rpc/zmqrpc.py), with no place for keys, and a message that can't be
read or has a wrong shape ends the greenlet that listens. `install` puts these classes in the places of its own.
"""

import contextlib
import re
from collections.abc import Callable
from typing import Any, Final

import gevent
import zmq.green as zmq
from locust import env
from locust.exception import RPCError, RPCSendError
from locust.rpc import Message, zmqrpc
from locust.runners import MasterRunner
from locust.util.exception_handler import retry

from loadtest.distribution.port.callers import Callers
from loadtest.distribution.port.keys import MAX_MESSAGE_BYTES, NAME, Keys
from loadtest.distribution.port.turned_away import REFUSALS, Refused

MAX_GUESTS: Final = 1000
"""Before a run begins, workers may give up and others come."""

_ZAP: Final = "inproc://zeromq.zap.01"
_FAILED: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_EVENTS: Final = _FAILED | zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED


def install(token: str | None) -> None:
    """From now on Locust's sockets in this process know the token; without one none can be made."""
    keys = None if token is None else Keys.of(token)
    zmqrpc.Server = lambda host, port: Server(host, port, _known(keys))
    zmqrpc.Client = lambda host, port, identity: Client(host, port, identity, _known(keys))
    env.MasterRunner = InvitingMaster


def _known(keys: Keys | None) -> Keys:
    if keys is None:
        raise SystemExit("no cluster token: `avaload run` starts several load processes")
    return keys


class Server(zmqrpc.BaseSocket):  # type: ignore[misc]  # locust is untyped
    """The master's end."""

    def __init__(self, host: str, port: int, keys: Keys) -> None:
        super().__init__(zmq.ROUTER, self.ipv4_only(host, port))
        keys.guard_master(self.socket)
        self._callers = Callers(port)
        self._expected = keys.worker_public
        self._doorman = self.socket.context.socket(zmq.REP)
        self._doorman.bind(_ZAP)
        self._monitor = self.socket.get_monitor_socket(_EVENTS)
        self._greenlets = [gevent.spawn(self._let_in), gevent.spawn(self._watch)]
        try:
            self.socket.bind(f"tcp://{host}:{port}")
        except zmq.ZMQError as error:
            self.close(linger=0)
            raise RPCError(f"Socket bind failure: {error}") from error

    def recv_from_client(self) -> tuple[str, Message]:
        """The next message that can be read and says who sent it; raises RPCError where the socket is broken."""
        while True:
            try:
                frames = self.socket.recv_multipart(copy=False)
            except zmq.ZMQError as error:
                raise RPCError("ZMQ network broken") from error
            try:
                node, data = frames
                self._callers.spoke(data.get(zmq.SRCFD))
                if not NAME.fullmatch(name := node.bytes.decode("ascii")):
                    raise ValueError("not the name of a worker")
                message = Message.unserialize(data.buffer)
                if not isinstance(message.type, str) or message.node_id != name:
                    raise ValueError("not a message of that worker")
            except Exception as error:  # whatever a stranger can think of
                REFUSALS.note(Refused.UNREADABLE, frames[0].bytes, f"{type(error).__name__}: {error}")
            else:
                return name, message

    def close(self, linger: int | None = None) -> None:
        """Idempotent."""
        gevent.killall(self._greenlets)
        with contextlib.suppress(zmq.ZMQError):
            self.socket.disable_monitor()
        self._monitor.close(linger=0)
        self._doorman.close(linger=0)
        super().close(linger=linger)

    def _let_in(self) -> None:
        """Answers libzmq's question whether a peer with this key may come in (http://rfc.zeromq.org/spec:27). Nobody
        gets as far as here without the master's public key."""
        while True:
            version, request, _, address, _, mechanism, *credentials = self._doorman.recv_multipart()
            welcome = mechanism == b"CURVE" and credentials == [self._expected]
            if not welcome:
                REFUSALS.note(Refused.HANDSHAKE, address.decode("ascii", "replace"), "not a key of this cluster")
            status = (b"200", b"OK") if welcome else (b"400", b"not a key of this cluster")
            self._doorman.send_multipart([version, request, *status, b"worker" if welcome else b"", b""])

    def _watch(self) -> None:
        """Counts handshakes that fail. libzmq tells a peer by the number of its connection alone, whose address is
        asked for while it is open: of one that was closed at once it stays unknown."""
        from zmq.utils.monitor import recv_monitor_message  # asyncio, for those who have workers

        failed = False
        while True:
            event = recv_monitor_message(self._monitor)
            number = event["value"]
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._callers.came(number)
            elif event["event"] & _FAILED:
                # Those whom the doorman turned away were noted by him.
                failed = event["event"] != zmq.EVENT_HANDSHAKE_FAILED_AUTH
            elif event["event"] == zmq.EVENT_DISCONNECTED:
                peer = self._callers.left(number)
                if failed:
                    REFUSALS.note(Refused.HANDSHAKE, peer, "its handshake failed: it does not know the cluster token")
                failed = False


class Client(zmqrpc.BaseSocket):  # type: ignore[misc]  # locust is untyped
    """A worker's end."""

    def __init__(self, host: str, port: int, identity: str, keys: Keys) -> None:
        super().__init__(zmq.DEALER, self.ipv4_only(host, port))
        self._identity = re.sub(r"[^A-Za-z0-9._-]", "-", identity)[-200:]  # a host may be called anything
        keys.guard_worker(self.socket)
        self.socket.setsockopt(zmq.IDENTITY, self._identity.encode())
        self.socket.connect(f"tcp://{host}:{port}")

    @retry()  # type: ignore[untyped-decorator]  # as Locust's own does
    def send(self, msg: Message) -> None:
        """A message that the master would not take is not sent: it would end the connection, again and again."""
        msg.node_id = self._identity
        data = msg.serialize()
        if len(data) > MAX_MESSAGE_BYTES:
            REFUSALS.note(Refused.SHAPE, self._identity, f"{msg.type}: {len(data)} bytes are too many to be sent")
            return
        try:
            self.socket.send(data, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise RPCSendError("ZMQ sent failure") from error

    def recv(self) -> Message:
        """The next message that can be read; raises RPCError where the socket is broken."""
        while True:
            try:
                return super().recv()
            except RPCError:
                raise
            except Exception as error:  # what a message may be
                REFUSALS.note(Refused.UNREADABLE, "the master", f"{type(error).__name__}: {error}")


class InvitingMaster(MasterRunner):  # type: ignore[misc]  # locust is untyped
    """Locust's master, that hears its workers alone. `checks`: per type of message of ours, what raises ValueError for
    data of a wrong shape. `for_all`: types that may come from who is not one of Locust's workers."""

    _OF_LOCUST: Final = frozenset(
        {
            *("client_ready", "client_stopped", "heartbeat", "stats", "spawning", "spawning_complete"),
            *("logs", "quit", "exception"),
        }
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.checks: dict[str, Callable[[Any], object]] = {}
        self.for_all: set[str] = set()
        self.guests: set[str] = set()
        self.closed = False
        """Whether the run has begun, so that nobody else is let in."""
        super().__init__(*args, **kwargs)

    def handle_message(self, client_id: str, msg: Message) -> None:
        """What Locust does with it, if it may come from this worker and looks as it should. Never raises."""
        if msg.type not in self._OF_LOCUST and msg.type not in self.custom_messages:
            REFUSALS.note(Refused.SHAPE, client_id, f"no message has the type {msg.type!r}")
        elif not self._is_invited(client_id, msg.type):
            REFUSALS.note(Refused.STRANGER, client_id, f"{msg.type} of nobody that this run knows")
        else:
            try:
                if (check := self.checks.get(msg.type)) is not None:
                    check(msg.data)
                if msg.type == "quit":
                    self._part_from(client_id)
                else:
                    super().handle_message(client_id, msg)
            except Exception as error:  # the listener goes on, whatever a message was like
                REFUSALS.note(Refused.SHAPE, client_id, f"{msg.type}: {type(error).__name__}: {error}")

    def _part_from(self, node: str) -> None:
        """Locust's own would end the master with its last worker, and hear nobody who comes in its place, no journal on
        its way. It would give the others its users, too. When it is over is said by who conducts the run."""
        if (client := self.clients.pop(node, None)) is None:
            return
        if self._users_dispatcher is not None:
            self._users_dispatcher.remove_worker(client)
        self.check_stopped()

    def _is_invited(self, node: str, kind: str) -> bool:
        if kind == "client_ready" and not self.closed and len(self.guests) < MAX_GUESTS:
            self.guests.add(node)
        return node in self.guests or kind in self.for_all
