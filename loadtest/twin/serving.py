"""`avaload twin`: from the command line to a serving process."""

import asyncio
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence

import uvloop

from loadtest.twin.options import Options, UsageError, parse
from loadtest.twin.profiles import Profile
from loadtest.twin.service import Twin
from loadtest.twin.warm_up import warm_up


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM or the end of the lifeline; returns the exit code (0, or 2 for bad input)."""
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        openai, avaturn = _bind(options)
    except UsageError as error:
        for problem in error.problems:
            print(f"avaload twin: {problem}", file=sys.stderr)
        return 2
    _raise_open_file_limit()
    uvloop.run(_serve(options, openai=openai, avaturn=avaturn))
    return 0


def _bind(options: Options) -> tuple[socket.socket, socket.socket]:
    openai = _bound(options.host, options.port)
    try:
        return openai, _bound(options.host, options.port and options.port + 1)
    except UsageError:
        openai.close()
        raise


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError([f"argument --host: {host}: {error.strerror}"]) from None
    try:
        # A port in TIME_WAIT after an earlier twin is free; one that is listened on still is not.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(1)
    except OSError as error:
        sock.close()
        raise UsageError([f"cannot listen on {host} port {port}: {error.strerror}"]) from None
    return sock


def _raise_open_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(options: Options, *, openai: socket.socket, avaturn: socket.socket) -> None:
    await warm_up(
        Twin(profile=Profile(), seed=0, clock_scale=1.0, openai=_bound("127.0.0.1", 0), avaturn=_bound("127.0.0.1", 0))
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.lifeline_fd is not None:
        _watch(options.lifeline_fd, stop)
    twin = Twin(
        profile=options.profile, seed=options.seed, clock_scale=options.clock_scale, openai=openai, avaturn=avaturn
    )
    await twin.start()
    print(json.dumps(_announcement(twin, options)), flush=True)
    freeze = options.profile.freeze
    if freeze is not None:
        loop.call_later(freeze.at_s, _stand_still, freeze.for_s, stop)
    await stop.wait()
    await twin.stop()


def _stand_still(for_s: float, stop: asyncio.Event) -> None:
    """Do nothing at all, like a process that the system has suspended; only the signals that end it get through."""
    ending = {signal.SIGINT, signal.SIGTERM}
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        if signal.sigtimedwait(ending, for_s) is not None:
            stop.set()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)


def _announcement(twin: Twin, options: Options) -> dict[str, object]:
    scale = options.clock_scale
    return {
        "openai_base_url": f"http://{twin.openai_origin}/v1",
        "avaturn_base_url": f"http://{twin.avaturn_origin}",
        "openai_api_key": twin.keys.openai,
        "avaturn_api_key": twin.keys.avaturn,
        "state_url": twin.state_url,
        "clock_scale": int(scale) if scale.is_integer() else scale,
    }


def _watch(lifeline_fd: int, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(lifeline_fd, 4096):
            loop.remove_reader(lifeline_fd)
            stop.set()

    loop.add_reader(lifeline_fd, readable)
