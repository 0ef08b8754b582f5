"""Whoever is connected to a master's port and says nothing keeps neither its files nor its memory."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from loadtest.distribution.port.callers import LINGERING_S, MOST_LINGERING, MOST_SILENT, Callers

Pair = tuple[int, socket.socket]


@pytest.fixture
def connect() -> Iterator[Callable[[], Pair]]:
    """A connection to one port: its number over here, and the other end."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))

        def connected() -> Pair:
            far = stack.enter_context(socket.create_connection(server.getsockname()))
            near, _ = server.accept()
            return stack.enter_context(near).fileno(), far

        connected.port = server.getsockname()[1]  # type: ignore[attr-defined]
        yield connected


def is_cut(far: socket.socket) -> bool:
    far.setblocking(False)
    try:
        return far.recv(1) == b""
    except BlockingIOError:
        return False


def test_who_lingers_in_a_crowd_is_cut_off_and_who_has_spoken_stays(connect: Callable[[], Pair]) -> None:
    time_s = [0.0]
    callers = Callers(connect.port, now=lambda: time_s[0])  # type: ignore[attr-defined]
    pairs = [connect() for _ in range(MOST_LINGERING + 5)]
    for number, _ in pairs:
        callers.came(number)
    callers.spoke(pairs[0][0])
    late = connect()
    callers.came(late[0])
    assert not any(is_cut(far) for _, far in pairs)  # a crowd, but no time has passed
    time_s[0] = LINGERING_S
    last = connect()
    callers.came(last[0])
    cut = [is_cut(far) for _, far in (*pairs, late, last)]
    assert cut == [False, *[True] * 6, *[False] * (MOST_LINGERING - 2), False, False]


def test_few_that_linger_are_left_to_libzmq(connect: Callable[[], Pair]) -> None:
    time_s = [0.0]
    callers = Callers(connect.port, now=lambda: time_s[0])  # type: ignore[attr-defined]
    pairs = [connect() for _ in range(MOST_LINGERING)]
    for number, _ in pairs:
        callers.came(number)
        time_s[0] += 2 * LINGERING_S
    assert not any(is_cut(far) for _, far in pairs)


def test_who_comes_to_a_port_that_is_full_is_sent_away_until_others_have_left(connect: Callable[[], Pair]) -> None:
    callers = Callers(connect.port, now=lambda: 0.0)  # type: ignore[attr-defined]
    pairs = [connect() for _ in range(MOST_SILENT + 1)]
    for number, _ in pairs:
        callers.came(number)
    assert [is_cut(far) for _, far in pairs] == [False] * MOST_SILENT + [True]
    assert callers.left(pairs[0][0]) == f"127.0.0.1:{pairs[0][1].getsockname()[1]}"
    more = connect()
    callers.came(more[0])
    assert not is_cut(more[1])


def test_a_number_that_has_become_another_files_is_left_alone(connect: Callable[[], Pair]) -> None:
    time_s = [0.0]
    callers = Callers(connect.port + 1 if connect.port < 65535 else 1, now=lambda: time_s[0])  # type: ignore[attr-defined]
    others = [connect() for _ in range(MOST_LINGERING + 1)]  # of a port that is not ours
    read, write = os.pipe()
    for number in (read, *(number for number, _ in others)):
        callers.came(number)
    time_s[0] = LINGERING_S
    callers.came(write)
    assert not any(is_cut(far) for _, far in others)
    os.write(write, b"x")
    assert os.read(read, 1) == b"x"
    assert callers.left(read) == "address unknown"
    os.close(read)
    os.close(write)
