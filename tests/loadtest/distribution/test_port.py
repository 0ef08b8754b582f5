"""The master's port with CURVE on: who gets in, what is limited, what happens when the master comes back."""

import contextlib
import logging
import socket
import threading
from pathlib import Path

import msgpack
import pytest
import zmq

from loadtest.distribution import channel as channel_module
from loadtest.distribution.channel import FAILURES, HOST, Channel
from loadtest.distribution.port.keys import MAX_MESSAGE_BYTES, Keys
from loadtest.distribution.port.turned_away import ALL_UP_TO, Refusals, Refused
from tests.loadtest.distribution.master import KEYS, serving
from tests.loadtest.distribution.test_joining import settings
from tests.support import eventually, free_port

OTHERS = Keys.of("a token of somebody else")


def test_keys_are_those_of_the_token_and_none_of_them_is_shown() -> None:
    again = Keys.of("a token of the tests")
    assert again == KEYS
    assert len({KEYS.master, KEYS.worker, OTHERS.master, OTHERS.worker}) == 4
    assert len(KEYS.worker_public) == 32
    assert KEYS.master.decode() not in repr(KEYS)


def test_a_worker_finds_its_master_again_when_that_comes_back(tmp_path: Path) -> None:
    port = free_port()
    with Channel("127.0.0.1", port, node="far", keys=KEYS) as channel:

        def answered() -> bool:
            channel.say("join", version="0", processes=1, host="far", directory="/x")
            return channel.hear(0.1) is not None

        for run in ("first", "second"):
            with serving(settings(), tmp_path / run, port=port):
                eventually(answered, within_s=20, what=f"an answer of the {run} master")
                assert not channel.is_shut_out
            while channel.hear(0) is not None:
                pass


def test_a_worker_with_another_token_is_shut_out_and_never_heard(tmp_path: Path) -> None:
    with (
        serving(settings(), tmp_path / "run") as master,
        Channel("127.0.0.1", master.port, node="far", keys=OTHERS) as channel,
    ):
        eventually(lambda: channel.is_shut_out, within_s=20, what="it to notice")
        assert not channel.say("join", version="0", processes=1, host="far", directory="/x")
    assert master.heard == []


@pytest.mark.parametrize("comes_up_then", [False, True])
def test_a_line_that_ends_at_nobody_is_not_a_wrong_token(
    *, comes_up_then: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer in front of a master that is not up takes connections and drops them; the master may come up
    between the last of them and the look who greets."""
    once, looks = iter([comes_up_then]), channel_module._greets
    monkeypatch.setattr(channel_module, "_greets", lambda *master: next(once, False) or looks(*master))
    dropped = 0
    with socket.create_server(("127.0.0.1", 0)) as balancer:

        def drop() -> None:
            nonlocal dropped
            with contextlib.suppress(OSError):
                while True:
                    balancer.accept()[0].close()
                    dropped += 1

        dropping = threading.Thread(target=drop)
        dropping.start()
        port = balancer.getsockname()[1]
        with Channel("127.0.0.1", port, node="far", keys=KEYS) as channel:
            while dropped < 3 * FAILURES:
                assert channel.hear(0.05) is None
                assert not channel.is_shut_out
        balancer.shutdown(socket.SHUT_RDWR)
        dropping.join(10)


def test_a_message_beyond_the_limit_ends_the_connection_and_is_not_read(tmp_path: Path) -> None:
    with serving(settings(), tmp_path / "run") as master, zmq.Context() as context, context.socket(zmq.DEALER) as it:
        it.setsockopt(zmq.LINGER, 0)
        it.setsockopt(zmq.IDENTITY, b"far")
        KEYS.guard_worker(it)
        it.connect(f"tcp://127.0.0.1:{master.port}")
        for op, more in (("large", MAX_MESSAGE_BYTES // 2), ("larger", MAX_MESSAGE_BYTES), ("small", 0)):
            it.send(msgpack.packb((HOST, {"op": op, "more": bytes(more)}, "far")))
        eventually(lambda: master.heard, within_s=20, what="a message")
    assert "larger" not in master.heard


def test_refusals_are_counted_and_told_in_one_line_of_ascii_and_a_flood_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusals = Refusals()
    with caplog.at_level(logging.WARNING):
        refusals.note(Refused.SHAPE, "a\nworker\u202e\x1b[31m", "x" * 1000)
        for _ in range(99):
            refusals.note(Refused.SHAPE, "a", "b")
    assert refusals.counts == {"handshake": 0, "unreadable": 0, "shape": 100, "stranger": 0, "quota": 0}
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == f"refused (shape, 1 so far): a\\nworker\\u202e\\x1b[31m: {'x' * 200}"
    assert len(lines) == ALL_UP_TO + 2  # then at 32 and 64
