"""What this machine runs out of is named as its own limit, and never as a fault of the target."""

import asyncio
import errno
import os
import resource
import socket
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from loadtest.caller.pacing import Ticker
from loadtest.commands.work.checks import check_machine
from loadtest.config.settings import Settings
from loadtest.errors.causes import own_limit
from loadtest.errors.exceptions import ConfigError, StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Outcome, Remains, SessionFinished
from loadtest.http_client.pool import UnreachableError
from loadtest.preflight import machine
from loadtest.rooms.websocket import WebSocketRoom
from loadtest.services.transport import fetch, open_session
from loadtest.session import patience
from loadtest.session.ports import Call, Grant
from tests.loadtest.fakes import FakeControl, lifecycle


def caused(error: BaseException, by: BaseException) -> BaseException:
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "limit"),
    [
        (OSError(errno.EMFILE, "Too many open files"), Code.OPEN_FILES),
        (OSError(errno.ENFILE, "Too many open files in system"), Code.OPEN_FILES),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), Code.LOCAL_PORTS),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Code.MEMORY),
        (MemoryError(), Code.MEMORY),
        (socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"), Code.MEMORY),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), Code.PROCESSES),
        (RuntimeError("can't start new thread"), Code.PROCESSES),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), Code.NAME_RESOLUTION),
        (socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure"), Code.NAME_RESOLUTION),
        (OSError(errno.ENOBUFS, "No buffer space available"), Code.NETWORK_BUFFERS),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), Code.NETWORK),
        (OSError(errno.ENETDOWN, "Network is down"), Code.NETWORK),
        (OSError(errno.ENOSPC, "No space left on device"), Code.DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Code.DISK_FULL),
        (OSError(errno.EFBIG, "File too large"), Code.DISK_FULL),
        (caused(RuntimeError("of some library"), OSError(errno.EMFILE, "Too many open files")), Code.OPEN_FILES),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), None),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), None),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), None),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), None),
        (OSError("Multiple exceptions: [Errno 99] …, [Errno 111] …"), None),
        (RuntimeError("anything else"), None),
        (ValueError("24"), None),
        (None, None),
    ],
)
def test_a_limit_of_ours_is_told_from_what_a_target_does(error: BaseException | None, limit: Code | None) -> None:
    assert own_limit(error) is limit


def test_a_circle_of_causes_has_an_end() -> None:
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert own_limit(one) is None


@contextmanager
def no_more_files() -> Iterator[None]:
    """While inside, this process can't open one file more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(64)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


async def failure_of_a_call(url: str) -> StepError:
    async with open_session(connections=2, verify=False) as session:
        with pytest.raises(StepError) as raised:
            await fetch(session, Call(), method="POST", url=url, headers={}, body=b"{}", proxy=None)
    return raised.value


def test_a_call_without_a_file_left_was_never_sent() -> None:
    async def main() -> StepError:
        with no_more_files():
            return await failure_of_a_call("http://127.0.0.1:9/")

    error = asyncio.run(main())
    assert (error.kind, error.code, error.sent) == (Kind.OWN_LIMIT, Code.OPEN_FILES, False)
    assert error.detail.startswith("open files: ")


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (socket.EAI_AGAIN, Kind.OWN_LIMIT, Code.NAME_RESOLUTION),
        (socket.EAI_NONAME, Kind.TRANSPORT, Code.CONNECT_FAILED),
    ],
)
def test_a_look_up_that_fails_is_ours_and_a_name_that_does_not_exist_is_not(
    monkeypatch: pytest.MonkeyPatch, answer: int, kind: Kind, code: Code
) -> None:
    async def look_up(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(answer, "as the resolver says")

    async def main() -> StepError:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        return await failure_of_a_call("http://shop.example/")

    error = asyncio.run(main())
    assert (error.kind, error.code, error.sent) == (kind, code, False)


REFUSED = OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)")
NO_ROUTE = OSError(errno.ENETUNREACH, "Network is unreachable")
NO_PORT = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
NO_FILE = OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize(
    ("attempts", "limit"),
    [
        ((NO_ROUTE, NO_PORT), Code.LOCAL_PORTS),  # no IPv6 here, and no port for the address of IPv4
        ((NO_PORT, NO_ROUTE), Code.LOCAL_PORTS),
        ((REFUSED, NO_FILE), Code.OPEN_FILES),
        ((NO_PORT, REFUSED), None),  # the target's port is closed; the address of IPv6 has none of ours to come from
        ((NO_ROUTE, REFUSED), None),
        ((NO_ROUTE, NO_ROUTE), Code.NETWORK),
    ],
    ids=str,
)
def test_a_limit_of_ours_is_found_where_a_name_has_several_addresses(
    attempts: tuple[OSError, OSError], limit: Code | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_come = list(attempts)

    async def addresses(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))] * len(attempts)

    async def fail(*_: Any) -> None:
        raise to_come.pop(0)

    async def main() -> StepError:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", addresses)
        monkeypatch.setattr(loop, "sock_connect", fail)
        return await failure_of_a_call("http://shop.example/")

    error = asyncio.run(main())
    told = (Kind.TRANSPORT, Code.CONNECT_FAILED) if limit is None else (Kind.OWN_LIMIT, limit)
    assert (error.kind, error.code, error.sent, to_come) == (*told, False, [])
    os_error = OSError(f"Multiple exceptions: {attempts[0]}, {attempts[1]}")
    assert (
        own_limit(aiohttp.ClientConnectorError(SimpleNamespace(host="shop.example", port=443, ssl=None), os_error))
        is limit
    )  # type: ignore[arg-type]


def test_a_room_without_a_file_left_is_not_the_targets_fault() -> None:
    class Nobody:
        def on_mark(self, *_: object) -> None: ...

    async def main() -> StepError:
        ticker = Ticker(asyncio.get_running_loop(), on_late_ns=lambda _: None)
        grant = Grant(room_url="ws://127.0.0.1:9/", token="")
        room: Any = WebSocketRoom(grant, Nobody(), (), ticker, proxy=None, trust=None)  # type: ignore[arg-type]
        with no_more_files(), pytest.raises(StepError) as raised:
            await room.connect()
        return raised.value

    error = asyncio.run(main())
    assert (error.kind, error.code) == (Kind.OWN_LIMIT, Code.OPEN_FILES)


def ended(control: FakeControl) -> SessionFinished:
    events: list[Event] = []
    with suppress(MemoryError):  # the engine's to tell
        asyncio.run(lifecycle(control, events).run())
    assert isinstance(events[-1], SessionFinished)
    return events[-1]


def test_a_session_that_found_no_memory_is_ours_and_deleted() -> None:
    control = FakeControl(grant=[MemoryError()])
    last = ended(control)
    assert last.failure is not None
    assert (last.outcome, last.failure.kind, last.failure.code) == (Outcome.FAILED, Kind.OWN_LIMIT, Code.MEMORY)
    assert (last.remains, control.alive) == (Remains.NOTHING, set())


def test_a_delete_waits_for_room_among_our_own_limits_longer_than_for_a_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "BACKOFF_S", 0.0)
    full = StepError(Kind.OWN_LIMIT, Code.OPEN_FILES, sent=False)
    broken = StepError(Kind.REJECTED, Code.HTTP_5XX, http_status=500)
    patient, usual = FakeControl(delete=[full] * 7 + [200]), FakeControl(delete=[broken] * 7 + [200])
    assert (ended(patient).remains, patient.calls.count("delete")) == (Remains.NOTHING, 8)
    assert (ended(usual).remains, usual.calls.count("delete")) == (Remains.LEAKED, 3)


def planned(**changes: Any) -> Settings:
    load = {"duration": "10s", "ramp": "0s"} | changes.pop("load", {"users": 100})
    return Settings.model_validate({"name": "plan", "load": load, **changes})


def states(settings: Settings, directory: Path) -> dict[str, str]:
    return {finding.name: finding.state for finding in machine.examine(settings, directory)}


@pytest.mark.parametrize(("hard", "state"), [(463, "bad"), (464, "warn"), (927, "warn"), (928, "ok")])
def test_open_files_are_compared_with_what_the_busiest_process_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hard: int, state: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, hard))
    assert states(planned(), tmp_path)["open files"] == state


def test_open_arrivals_are_warned_of_since_nobody_knows_how_many_will_be_busy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, 64))
    assert states(planned(load={"rate": 5}), tmp_path)["open files"] == "warn"


Volume = namedtuple("Volume", "f_blocks f_bfree f_bavail f_frsize f_files f_ffree")


@pytest.mark.parametrize(
    ("volume", "state"),
    [
        (Volume(10_000, 10, 10, 4096, 0, 0), "bad"),
        (Volume(10_000, 100, 100, 4096, 0, 0), "warn"),
        (Volume(10**7, 10**6, 10**6, 4096, 0, 0), "ok"),
        (Volume(10**7, 10**6, 10**6, 4096, 1000, 0), "bad"),
        (Volume(0, 0, 0, 4096, 0, 0), "ok"),
    ],
)
def test_the_disk_is_compared_with_what_the_run_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, volume: Volume, state: str
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: volume)
    assert states(planned(), tmp_path / "not" / "there")["disk"] == state


def test_a_run_is_refused_where_it_can_not_work_and_warned_of_where_it_may_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, 500))
    check_machine(planned(), tmp_path)
    assert capsys.readouterr().err.startswith("avaload: warning: open files: a process may open 500, 100 users")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, 100))
    with pytest.raises(ConfigError, match="open files: a process may open 100, 100 users at once need about 928"):
        check_machine(planned(), tmp_path)


def test_the_proxys_refusal_is_no_answer_of_the_target() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async def main() -> StepError:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, open_session(connections=1, verify=False) as session:
            with pytest.raises(StepError) as raised:
                await fetch(session, Call(), method="GET", url="https://127.0.0.1:1/", headers={}, proxy=proxy)
        return raised.value

    error = asyncio.run(main())
    assert (error.kind, error.code, error.sent) == (Kind.TRANSPORT, Code.CONNECT_FAILED, False)
    assert "407" in error.detail
    assert isinstance(error.__cause__, UnreachableError)


def test_one_user_is_one() -> None:
    found = machine._Part(Settings.model_validate({"load": {"users": 1}}), processes=1)
    assert found.needed == "1 user at once needs"
