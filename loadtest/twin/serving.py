"""`avaload twin`: from the command line to a serving process."""

import asyncio
import json
import os
import resource
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import uvloop

from loadtest.twin.command_line.options import Options, UsageError, parse
from loadtest.twin.knobs.profiles import Profile
from loadtest.twin.knobs.values import Freeze
from loadtest.twin.recorder.contract import VERSION, Line
from loadtest.twin.recorder.reading import ContractError, read
from loadtest.twin.service import Twin
from loadtest.twin.sockets.certificates import CertificateError, Certificates, throw_away
from loadtest.twin.warm_up import warm_up


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM or the end of the lifeline, or compare; returns the exit code. With a lifeline
    SIGTERM is ignored: whoever stops a job sends it to all of its processes at once, and this is to be the last one.

    0, 2 for bad input, 3 if a recording and the twin differ, 130 if the comparison was interrupted.
    """
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        recorded = _recorded(options.replay_diff) if options.replay_diff is not None else None
        openai, avaturn = _bind(options)
    except (UsageError, ContractError) as error:
        for problem in error.problems if isinstance(error, UsageError) else [str(error)]:
            print(f"avaload twin: {problem}", file=sys.stderr)
        return 2
    _raise_open_file_limit()
    if recorded is not None:
        try:
            found = uvloop.run(_compare(options, recorded, openai=openai, avaturn=avaturn))
        except KeyboardInterrupt:
            return 130
        print("\n".join(found or ["no difference"]))
        return 3 if found else 0
    try:
        if options.record is not None:
            return _record(options, options.record, openai=openai, avaturn=avaturn)
        uvloop.run(_serve(options, openai=openai, avaturn=avaturn))
    except (UsageError, CertificateError) as error:
        print(f"avaload twin: {error}", file=sys.stderr)
        return 2
    return 0


def _recorded(path: Path) -> list[Line]:
    """Raises ContractError for what can't be compared; what won't be is told."""
    from loadtest.twin.recorder.differences import answered
    from loadtest.twin.recorder.foresight import strange_models

    lines = read(path)
    if strange := strange_models(lines):
        raise ContractError(f"{path}: nothing to compare: this twin has no model {', '.join(strange)}")
    told, asked = answered(lines)
    if not told:
        raise ContractError(f"{path}: nothing to compare: it has no answer of a service")
    if told < asked:
        print(f"avaload twin: {path}: {asked - told} of {asked} requests had no answer: not compared", file=sys.stderr)
    return lines


def _record(options: Options, path: Path, *, openai: socket.socket, avaturn: socket.socket) -> int:
    try:
        # Never over an earlier recording: it may have cost money, and can't be had again. What was said is in it.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        openai.close()
        avaturn.close()
        print(f"avaload twin: argument --record: {path}: {error.strerror}", file=sys.stderr)
        return 2
    with os.fdopen(fd, "w", encoding="utf-8", buffering=1) as file:

        def write(line: object) -> None:
            file.write(json.dumps(line) + "\n")

        write({"contract": VERSION})
        uvloop.run(_serve_recorder(options, own={"openai": openai, "avaturn": avaturn}, write=write))
    return 0


async def _serve_recorder(options: Options, *, own: dict[str, socket.socket], write: Callable[[Line], None]) -> None:
    from loadtest.twin.recorder.recording import Recorder  # brings aiohttp, which serving a twin doesn't need

    stop = _stop_event(options)
    recorder = Recorder(upstreams=options.upstreams, own=own, write=write)
    async with recorder.serving():
        urls = {"openai_base_url": recorder.url("openai"), "avaturn_base_url": recorder.url("avaturn")}
        no_keys = {"openai_api_key": None, "avaturn_api_key": None, "state_url": None}
        _say(json.dumps({**urls, **no_keys, "clock_scale": 1}))
        await stop.wait()


async def _compare(
    options: Options, recorded: list[Line], *, openai: socket.socket, avaturn: socket.socket
) -> list[str]:
    """Differences between a recording and a twin behind a recorder of its own."""
    from loadtest.twin.recorder.differences import differences
    from loadtest.twin.recorder.foresight import scripts
    from loadtest.twin.recorder.recording import Recorder
    from loadtest.twin.recorder.replaying import replay

    twin = Twin(
        profile=options.profile,
        seed=options.seed,
        clock_scale=options.clock_scale,
        openai=openai,
        avaturn=avaturn,
        scripts=scripts(recorded),
    )
    of_twin: list[Line] = []
    recorder = Recorder(
        upstreams={"openai": twin.openai_base_url, "avaturn": twin.avaturn_base_url},
        own={"openai": _bound("127.0.0.1", 0), "avaturn": _bound("127.0.0.1", 0)},
        write=of_twin.append,
    )
    await twin.start()
    try:
        async with recorder.serving():
            await replay(
                recorded,
                recorder=recorder,
                keys={"openai": twin.keys.openai, "avaturn": twin.keys.avaturn},
                mint_url=f"{twin.openai_base_url}/realtime/client_secrets",
            )
    finally:
        await twin.stop()
    return differences(recorded, of_twin)


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
    stop = _stop_event(options)
    with ExitStack() as stack:
        certificates = stack.enter_context(_certificates(options, openai)) if options.tls else None
        twin = Twin(
            profile=options.profile,
            seed=options.seed,
            clock_scale=options.clock_scale,
            openai=openai,
            avaturn=avaturn,
            certificates=certificates,
        )
        await twin.start()
        try:
            tls = {} if certificates is None else {"ca_file": str(certificates.ca_file)}
            announcement = _announcement(twin, options) | tls
            _say(_exports(announcement) if options.env else json.dumps(announcement))
        except UsageError:
            await twin.stop()
            raise
        freeze = options.profile.freeze
        freezing = None if freeze is None else asyncio.create_task(_stand_still(freeze, stop, _ending(options)))
        await stop.wait()
        if freezing is not None:
            freezing.cancel()
        await twin.stop()


def _certificates(options: Options, sock: socket.socket) -> AbstractContextManager[Certificates]:
    """For whatever name of this host a client may use."""
    return throw_away("localhost", "127.0.0.1", "::1", options.host, sock.getsockname()[0])


def _exports(announcement: dict[str, object]) -> str:
    """For `. FILE` in a shell: `avaload run` loads this twin there, and the official packages call it."""
    told = {name.upper(): value for name, value in announcement.items() if name.endswith(("_url", "_key"))}
    told["TWIN_STATE_URL"] = told.pop("STATE_URL")
    settings = ("openai_base_url", "avaturn_base_url", "ca_file")
    told |= {f"AVALOAD_TARGET__{name.upper()}": announcement[name] for name in settings if name in announcement}
    return "\n".join(f"export {name}={shlex.quote(str(value))}" for name, value in told.items())


def _say(announcement: str) -> None:
    """Raises UsageError where nobody can read it: a twin that nobody finds serves nobody."""
    try:
        print(announcement, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UsageError([f"stdout: {error.strerror}"]) from None


def _stop_event(options: Options) -> asyncio.Event:
    """Set by the signals that end this process and the end of the lifeline."""
    stop = asyncio.Event()
    if options.lifeline_fd is not None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _watch(options.lifeline_fd, stop)
    for number in _ending(options):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _ending(options: Options) -> set[signal.Signals]:
    return {signal.SIGINT} if options.lifeline_fd is not None else {signal.SIGINT, signal.SIGTERM}


async def _stand_still(freeze: Freeze, stop: asyncio.Event, ending: set[signal.Signals]) -> None:
    """Do nothing at all, like a process that the system has suspended; only the signals that end it get through."""
    await asyncio.sleep(freeze.at_s)
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        await asyncio.sleep(0.001)  # one that came before they were blocked is heard by the loop
        if not stop.is_set() and signal.sigtimedwait(ending, freeze.for_s) is not None:
            stop.set()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)


def _announcement(twin: Twin, options: Options) -> dict[str, object]:
    scale = options.clock_scale
    return {
        "openai_base_url": twin.openai_base_url,
        "avaturn_base_url": twin.avaturn_base_url,
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
