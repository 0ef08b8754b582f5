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
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from loadtest.config.access.cluster import ADVICE, TOKEN, cluster_token
from loadtest.config.access.guard import KEYS, endpoints_of, guard, is_loopback
from loadtest.config.clips.lengths import check_clips
from loadtest.config.environment import PROCESS
from loadtest.config.keys.scenario import DurationS, Section
from loadtest.config.run_dir import check_unused, make_run_dir, write_settings
from loadtest.config.sendable import host_name
from loadtest.config.settings import Settings
from loadtest.config.written.sentences import words
from loadtest.distribution import parcel
from loadtest.distribution.attendance import Attendance
from loadtest.distribution.channel import Channel, CorruptError, unpack
from loadtest.distribution.port.keys import NAME, Keys
from loadtest.errors.exceptions import ConfigError, GeneratorError, HarnessError
from loadtest.errors.exit_codes import Exit
from loadtest.forecast.costing import check_budget
from loadtest.preflight import machine
from loadtest.preflight.certificates import check_certificates
from loadtest.preflight.names import check_names
from loadtest.processes.ctrl_c import Interruption
from loadtest.processes.supervisor import LOCUST, process_environ
from loadtest.system import disk
from loadtest.system.version import __version__
from loadtest.text.outlets import line

PIECE_LIMIT_S: Final = 10.0
CONNECT_S: Final = 0.05
"""Between two tries, while there is no connection yet."""


class Place(Section):
    """Where a worker is to work. `allowed`: hosts, beyond this machine's loopback, that its master may point it at."""

    master_host: Annotated[str, AfterValidator(host_name)]
    master_port: int = Field(5557, ge=1, le=65535)
    processes: int = Field(1, ge=1, le=64)
    max_wait: DurationS = Field(300.0, gt=0)
    run_dir: Path | None = None
    token_file: Path | None = None
    max_sessions: int | None = Field(None, ge=1)
    """Of this host, whatever its master says."""
    allowed: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    """Names of the environment that a scenario may read here."""


def place(
    host: str | None,
    port: str | None,
    allowed: Iterable[str],
    given: Mapping[str, Any],
    *,
    variables: Iterable[str] = (),
) -> Place:
    """From the command line; `given`: settings by their dotted names. Raises ConfigError."""
    tree = {name.rpartition(".")[2]: value for name, value in given.items()}
    tree |= {"allowed": frozenset(allowed), "variables": frozenset(variables)}
    tree |= {name: value for name, value in (("master_host", host), ("master_port", port)) if value is not None}
    try:
        return Place.model_validate(tree)
    except ValidationError as error:
        problems = [
            f"--{str(item['loc'][0]).replace('_', '-')}: {line}" for item in error.errors() for line in words(item)
        ]
        raise ConfigError(problems) from error


def work(place: Place, environ: Mapping[str, str] = os.environ) -> Exit:
    """This host's share of the run, from joining to the master's last word.

    Raises ConfigError (token, keys, endpoints, directory: nothing was started) and GeneratorError (no master there, or
    it refused).
    """
    token = cluster_token(place.master_host, file=place.token_file, environ=environ, role="worker")
    if place.run_dir is not None:
        check_unused(place.run_dir)
    interruption = Interruption()
    host, keys = own_name(), Keys.of(token)
    node = f"{host}_avaload_{uuid.uuid4().hex}"
    with interruption.heard(), Channel(place.master_host, place.master_port, node=node, keys=keys) as channel:
        welcome = _join(channel, place, interruption)
        if welcome is None:
            return Exit.INTERRUPTED
        run_dir = None
        try:
            run_dir = _directory(place, welcome)
            _take(channel, place, welcome, run_dir, environ)
        except BaseException as error:
            channel.say("leave", reason=str(error) if isinstance(error, HarnessError) else "")
            if run_dir is not None:
                shutil.rmtree(run_dir, ignore_errors=True)
            raise
        numbers = ", ".join(map(str, welcome["numbers"]))
        said = f"load process {numbers} of the run {welcome['run_id']}; writing {run_dir}"
        print(line(said), file=sys.stderr, flush=True)
        given = {key: environ.get(key, "") for key in KEYS} | {TOKEN: token}
        with _locusts(place, welcome, run_dir, given) as locusts:
            attendance = Attendance(channel, run_dir, locusts, interruption)
            code = attendance.run()
        if attendance.has_left:  # so that it may be started again here
            shutil.rmtree(run_dir, ignore_errors=True)
        return code


def _join(channel: Channel, place: Place, interruption: Interruption) -> dict[str, Any] | None:
    """The master's welcome; None where the operator did not want to wait. Raises GeneratorError."""
    deadline_s = time.monotonic() + place.max_wait
    while time.monotonic() < deadline_s and not interruption.count:
        said = channel.say(
            "join",
            version=__version__,
            processes=place.processes,
            host=own_name(),
            directory=str((place.run_dir or Path("runs")).resolve()),
        )
        answer = channel.hear(1.0 if said else CONNECT_S)
        if answer is not None and answer["op"] == "refused":
            raise GeneratorError(
                f"the master at {place.master_host}:{place.master_port} does not take this worker: {answer['reason']}"
            )
        if answer is not None and answer["op"] == "welcome":
            return answer
        if channel.is_shut_out:
            raise ConfigError(
                f"what listens at {place.master_host}:{place.master_port} does not know this worker's cluster token:"
                f" {ADVICE}, the same as its master's"
            )
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
    of_master = tree["target"]["max_sessions"]
    tree["target"]["max_sessions"] = own_limit(place.max_sessions, of_master, numbers=numbers, processes=processes)
    if tree["cost"]["budget"] is not None:
        tree["cost"]["budget"] = tree["cost"]["budget"] * len(numbers) / processes
    tree["distribution"] = {}
    tree["output"] |= {
        "metrics_port": "off",
        "otlp_endpoint": None,
        "otlp_metrics": None,
        "web_port": None,
        "run_dir": None,
    }
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        said = words(error.errors(include_input=False)[0])[0]
        raise ConfigError(f"the master's settings don't fit this version: {said}") from error
    check_allowed(settings, place.allowed)
    check_variables(settings, place.variables)
    guard(settings, environ)
    check_clips(settings.spoken, by_backend=settings.by_backend)
    if settings.cost.budget is not None:
        check_budget(settings, settings.cost.table)
    check_names(settings)
    found = machine.examine(settings, run_dir, processes=len(numbers))
    if bad := machine.bad(found):
        raise ConfigError(bad)
    for finding in found:
        if finding.state == "warn":
            print(line(f"avaload: warning: {finding.name}: {finding.text}"), file=sys.stderr, flush=True)
    check_certificates(settings.target)
    write_settings(settings, run_dir, started_at=datetime.now(UTC), run_id=str(welcome["run_id"]))


def own_limit(own: int | None, of_master: int | None, *, numbers: Iterable[int], processes: int) -> int | None:
    """Of sessions, for load processes `numbers` of this host: what the operator said here, and no more than their part
    of what the master says. None: nobody said any."""
    limits = [] if own is None else [own]
    if of_master is not None:
        limits.append(sum(share(of_master, number, processes) for number in numbers))
    return min(limits, default=None)


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


def check_variables(settings: Settings, allowed: frozenset[str]) -> None:
    """Raises ConfigError for a name of this host's environment that the master's scenario would read, and that is not
    in `allowed`: whoever conducts the workers is not to choose which of their secrets they send."""
    backend = settings.target.backend
    foreign = sorted(set(backend.variables if backend is not None else ()) - allowed)
    if foreign:
        options = " ".join(f"--allow-env {name}" for name in foreign)
        raise ConfigError(f"the master's scenario reads {', '.join(foreign)} here: this worker needs {options}")


def own_name() -> str:
    """What this host is called over there and in the names of its journals. Raises ConfigError."""
    if not NAME.fullmatch(name := socket.gethostname()):
        raise ConfigError(f"this host is called {name!r}: a worker's name has letters, digits, `.`, `_` and `-` alone")
    return name


@contextlib.contextmanager
def _locusts(
    place: Place, welcome: Mapping[str, Any], run_dir: Path, given: Mapping[str, str]
) -> Iterator[dict[int, subprocess.Popen[bytes]]]:
    """Locust's workers, by number; none is alive after this."""
    command = [*LOCUST, "--headless", "--worker"]
    command += ["--master-host", place.master_host, "--master-port", str(place.master_port)]
    started: dict[int, subprocess.Popen[bytes]] = {}
    try:
        for number in welcome["numbers"]:
            environ = process_environ(
                run_dir, keys=given, salt=str(welcome["salt"]), token=given[TOKEN], hidden=welcome.get("hidden")
            )
            with disk.open_write(run_dir / f"locust-{number}.log") as log:
                started[number] = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environ | {PROCESS: str(number)},
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
