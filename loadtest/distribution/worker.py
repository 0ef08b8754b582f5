"""`avaload run --worker`: a host's share of a run. It joins the master, starts Locust's workers, ships their journals.

This process is no load process and no part of the measurement: it is what remains on the host when those are killed,
and it is what notices that the master is gone.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from loadtest import __version__, clock, journal
from loadtest.distribution import parcel
from loadtest.distribution.offset import Offset
from loadtest.distribution.shipping import Shipper
from loadtest.distribution.wire import Channel, CorruptError, unpack
from loadtest.errors import ConfigError, Exit, GeneratorError
from loadtest.guard import KEYS, endpoints_of, guard, is_loopback
from loadtest.run import check_clips, check_unused, make_run_dir, write_settings
from loadtest.scenario import DurationS, Section
from loadtest.settings import Settings
from loadtest.supervisor import LOCUSTFILE, Interruption, process_environ

PIECE_LIMIT_S: Final = 10.0
PING_S: Final = 1.0
QUICK_PING_S: Final = 0.05
QUICK_NS: Final = 2_000_000_000
"""At first, until the clocks are compared."""
GONE_AFTER: Final = 6
"""Pings in a row without an answer: the master is gone. Counted, not timed: a host that slept has not missed any."""
STUCK_NS: Final = 60_000_000_000
"""All is written, and the master took nothing for so long: it never will."""
EXIT_LIMIT_S: Final = 10.0


class Place(Section):
    """Where a worker is to work. `allowed`: hosts, beyond this machine's loopback, that its master may point it at."""

    master_host: str
    master_port: int = Field(5557, ge=1, le=65535)
    processes: int = Field(1, ge=1, le=64)
    max_wait: DurationS = Field(300.0, gt=0)
    run_dir: Path | None = None
    allowed: frozenset[str] = frozenset()


def place(host: str | None, port: str | None, allowed: Iterable[str], given: Mapping[str, Any]) -> Place:
    """From the command line; `given`: settings by their dotted names. Raises ConfigError."""
    tree = {name.rpartition(".")[2]: value for name, value in given.items()} | {"allowed": frozenset(allowed)}
    tree |= {name: value for name, value in (("master_host", host), ("master_port", port)) if value is not None}
    try:
        return Place.model_validate(tree)
    except ValidationError as error:
        problems = [f"--{str(item['loc'][0]).replace('_', '-')}: {item['msg']}" for item in error.errors()]
        raise ConfigError(problems) from error


def work(place: Place, environ: Mapping[str, str] = os.environ) -> Exit:
    """This host's share of the run, from joining to the master's last word.

    Raises ConfigError (keys, endpoints, directory: nothing was started) and GeneratorError (no master there, or it
    refused).
    """
    if place.run_dir is not None:
        check_unused(place.run_dir)
    interruption = Interruption()
    node = f"{socket.gethostname()}_avaload_{uuid.uuid4().hex}"
    with interruption.heard(), Channel(place.master_host, place.master_port, node=node) as channel:
        welcome = _join(channel, place, interruption)
        if welcome is None:
            return Exit.INTERRUPTED
        run_dir = _directory(place, welcome)
        try:
            _take(channel, place, welcome, run_dir, environ)
        except BaseException:
            channel.say("leave")
            shutil.rmtree(run_dir, ignore_errors=True)
            raise
        numbers = ", ".join(map(str, welcome["numbers"]))
        print(f"load process {numbers} of the run {welcome['run_id']}; writing {run_dir}", file=sys.stderr, flush=True)
        keys = {key: environ.get(key, "") for key in KEYS}
        with _locusts(place, welcome, run_dir, keys) as locusts:
            return _Attendance(channel, run_dir, locusts, interruption).run()


def _join(channel: Channel, place: Place, interruption: Interruption) -> dict[str, Any] | None:
    """The master's welcome; None where the operator did not want to wait. Raises GeneratorError."""
    deadline_s = time.monotonic() + place.max_wait
    while time.monotonic() < deadline_s and not interruption.count:
        channel.say(
            "join",
            version=__version__,
            processes=place.processes,
            host=socket.gethostname(),
            directory=str((place.run_dir or Path("runs")).resolve()),
        )
        answer = channel.hear(min(1.0, max(0.0, deadline_s - time.monotonic())))
        if answer is not None and answer["op"] == "refused":
            raise GeneratorError(
                f"the master at {place.master_host}:{place.master_port} does not take this worker: {answer['reason']}"
            )
        if answer is not None and answer["op"] == "welcome":
            return answer
    if interruption.count:
        return None
    raise GeneratorError(
        f"no master at {place.master_host}:{place.master_port} answered within {place.max_wait:g} s ({_why(place)})"
    )


def _why(place: Place) -> str:
    try:
        with socket.create_connection((place.master_host, place.master_port), timeout=2):
            return "something listens there that is not avaload's master"
    except OSError as error:
        return error.strerror or str(error)


def _directory(place: Place, welcome: Mapping[str, Any]) -> Path:
    run_id = Path(str(welcome["run_id"])).name
    run_dir = (place.run_dir or Path("runs") / f"{run_id}-worker-{min(welcome['numbers'])}").resolve()
    check_unused(run_dir)
    make_run_dir(run_dir)
    return run_dir


def _take(
    channel: Channel, place: Place, welcome: Mapping[str, Any], run_dir: Path, environ: Mapping[str, str]
) -> None:
    """The settings that came from the master, as this host runs them, checked and written. Raises ConfigError."""

    def piece(name: str, offset: int) -> bytes:
        deadline_s = time.monotonic() + PIECE_LIMIT_S
        channel.say("fetch", name=name, offset=offset)
        while (left_s := deadline_s - time.monotonic()) > 0:
            answer = channel.hear(left_s)
            if answer is not None and answer["op"] == "piece" and (answer["name"], answer["offset"]) == (name, offset):
                try:
                    return unpack(answer["packed"])
                except CorruptError as error:
                    raise ConfigError(f"{name}: {error}") from error
        raise GeneratorError(f"the master did not send {name} within {PIECE_LIMIT_S:g} s")

    tree = parcel.fetch(welcome["items"], piece, run_dir)
    numbers, processes = welcome["numbers"], tree["load"]["processes"]
    if (limit := tree["target"]["max_sessions"]) is not None:
        tree["target"]["max_sessions"] = sum(share(limit, number, processes) for number in numbers)
    tree["distribution"] = {}
    tree["output"] |= {"metrics_port": "off", "otlp_endpoint": None, "web_port": None, "run_dir": None}
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"the master's settings don't fit this version: {error.errors()[0]['msg']}") from error
    check_allowed(settings, place.allowed)
    guard(settings, environ)
    check_clips(settings)
    write_settings(settings, run_dir, started_at=datetime.now(UTC), run_id=str(welcome["run_id"]))


def share(limit: int, number: int, processes: int) -> int:
    """Of a limit over the whole run, what process `number` may use up. The shares add up to the limit."""
    return limit // processes + (number < limit % processes)


def check_allowed(settings: Settings, allowed: frozenset[str]) -> None:
    """Raises ConfigError for an endpoint that is neither on this machine's loopback nor of a host in `allowed`: whoever
    reaches the master's port must not be able to turn the workers, and their keys, on somebody else."""
    urls = [url for url in endpoints_of(settings) if not is_loopback(url)]
    foreign = sorted({urlsplit(url).hostname or url for url in urls} - allowed)
    if foreign:
        options = " ".join(f"--allow-host {host}" for host in foreign)
        raise ConfigError(f"the master's endpoints are on {', '.join(foreign)}: this worker needs {options}")


@contextlib.contextmanager
def _locusts(
    place: Place, welcome: Mapping[str, Any], run_dir: Path, keys: Mapping[str, str]
) -> Iterator[dict[int, subprocess.Popen[bytes]]]:
    """Locust's workers, by number; none is alive after this."""
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--worker"]
    command += ["--master-host", place.master_host, "--master-port", str(place.master_port)]
    started: dict[int, subprocess.Popen[bytes]] = {}
    try:
        for number in welcome["numbers"]:
            environ = process_environ(run_dir, keys=keys, salt=str(welcome["salt"]))
            with (run_dir / f"locust-{number}.log").open("wb") as log:
                started[number] = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environ | {"AVALOAD_PROCESS": str(number)},
                    start_new_session=True,
                )
        yield started
    finally:
        for locust in started.values():
            if locust.stdin is not None:
                locust.stdin.close()
            if locust.poll() is None:
                locust.kill()
            locust.wait()


class _Attendance:
    """From the start of the load processes to the master's last word: hear, ping, watch, ship."""

    def __init__(
        self,
        channel: Channel,
        run_dir: Path,
        locusts: Mapping[int, subprocess.Popen[bytes]],
        interruption: Interruption,
    ) -> None:
        self._channel, self._run_dir = channel, run_dir
        self._locusts, self._interruption = locusts, interruption
        self._shipper = Shipper(run_dir, channel.say)
        self._offset = Offset()
        self._quick_until_ns = clock.now_ns() + QUICK_NS
        self._next_ping_ns = 0
        self._unanswered = 0
        self._ended = self._home = self._said_bye = False
        self._over: str | None = None
        self._written_ns: int | None = None

    def run(self) -> Exit:
        """Raises GeneratorError where the run did not end as it should; it says where the journals are."""
        while not self._finished():
            self._hear()
            self._ping()
            self._watch()
            self._ship()
        for locust in self._locusts.values():
            locust.terminate()
        for locust in self._locusts.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                locust.wait(EXIT_LIMIT_S)
        return self._verdict()

    def _hear(self) -> None:
        message = self._channel.hear(QUICK_PING_S)
        while message is not None:
            match message["op"]:
                case "pong":
                    self._unanswered = 0
                    self._offset.answered(
                        sent_ns=message["sent_ns"], master_ns=message["master_ns"], heard_ns=clock.now_ns()
                    )
                case "ack":
                    self._shipper.acknowledged(
                        message["name"], message["size"], clock.now_ns(), closed=message["closed"]
                    )
                case "noted":
                    self._home = not message["missing"]
                case "over":
                    self._over = str(message["reason"])
            message = self._channel.hear(0)

    def _ping(self) -> None:
        now_ns = clock.now_ns()
        if now_ns < self._next_ping_ns:
            return
        quick = self._offset.sampling and now_ns < self._quick_until_ns
        self._next_ping_ns = now_ns + int((QUICK_PING_S if quick else PING_S) * 1e9)
        self._unanswered += not quick
        told = self._offset.tell(now_ns)
        self._channel.say(
            "ping", sent_ns=clock.now_ns(), host=socket.gethostname(), boot_id=clock.boot_id(), clock=told
        )

    @property
    def _master_gone(self) -> bool:
        return self._unanswered > GONE_AFTER

    def _watch(self) -> None:
        """End the load processes where there is a reason to; say which ended by themselves."""
        if not self._ended and (self._interruption.count or self._master_gone or self._over is not None):
            self._ended = True
            for locust in self._locusts.values():
                if locust.stdin is not None:
                    with contextlib.suppress(OSError):
                        locust.stdin.write(b"interrupted\n" if self._interruption.count else b"orphaned\n")
                    with contextlib.suppress(OSError):
                        locust.stdin.close()

    def _ship(self) -> None:
        written = self._is_written()
        if written and self._written_ns is None:
            self._written_ns = clock.now_ns()
        self._shipper.step(clock.now_ns(), written=written)
        if written and not self._home and not self._shipper.missing() and self._bye_due():
            self._channel.say("bye", files=self._shipper.files())

    def _bye_due(self) -> bool:
        """At once, then with each ping."""
        due = not self._said_bye or self._next_ping_ns - clock.now_ns() < QUICK_PING_S * 1e9
        self._said_bye = True
        return due

    def _is_written(self) -> bool:
        """Whether nothing of this host's processes grows any more: their engines may delete for longer than they
        live."""
        ended = all(self._has_last_word(n) or locust.poll() is not None for n, locust in self._locusts.items())
        return ended and journal.wait_until_closed(self._run_dir, timeout_s=0)

    def _has_last_word(self, number: int) -> bool:
        for path in self._run_dir.glob(f"journal/*-worker-{number}.jsonl"):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 4096))
                if b'\n{"event":"run_finished"' in file.read():
                    return True
        return False

    def _finished(self) -> bool:
        if self._written_ns is None:
            return False
        if self._master_gone or self._over is not None:
            return True
        if self._home:
            return self._ended or all(locust.poll() is not None for locust in self._locusts.values())
        return clock.now_ns() - max(self._written_ns, self._shipper.heard_ns) > STUCK_NS

    def _verdict(self) -> Exit:
        fallen = [number for number in self._locusts if not self._has_last_word(number)]
        problems = [f"load process {number} died; see {self._run_dir}/locust-{number}.log" for number in fallen]
        if self._over not in (None, "completed", "interrupted", "aborted"):
            problems.append(f"the master ended the run: {self._over}")
        elif self._master_gone and not self._home:
            problems.append("the master is gone; its sessions here are deleted")
        if missing := self._shipper.missing():
            problems.append(
                f"{sum(missing.values())} bytes of {len(missing)} journals never came home: they are in"
                f" {self._run_dir}/journal; copy them into the master's run directory and report again"
            )
        if problems:
            raise GeneratorError("; ".join(problems))
        print(f"all journals are at the master; copies are in {self._run_dir}", flush=True)
        return Exit.INTERRUPTED if self._interruption.count else Exit.PASS
