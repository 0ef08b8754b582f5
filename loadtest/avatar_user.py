"""A session as a task in anybody's own Locust file: `from loadtest import AvatarUser`, then `locust -f locustfile.py`.

Locust decides who is there and when: users, weights, tags, waits, shapes, start and stop. Each start of a test is a run
with a directory of its own, and its stop deletes what is left and writes the report. docs/locust.md shows it in use.
"""

import contextlib
import logging
import os
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import gevent
from locust import User, events
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from exporters.locust_ui import locust_stats
from exporters.log import Log
from loadtest.commands.printing import complain
from loadtest.commands.work.checks import check_services, check_start
from loadtest.commands.work.reporting import write_reports
from loadtest.config.access.cluster import fresh_token
from loadtest.config.access.guard import KEYS
from loadtest.config.environment import LIFELINE_FD
from loadtest.config.keys.workload import Load
from loadtest.config.resolve import resolve
from loadtest.config.run_dir import check_unused, make_run_dir, write_settings
from loadtest.config.settings import RUNS, Probes, Settings
from loadtest.errors.exceptions import ConfigError, GeneratorError
from loadtest.errors.exit_codes import Exit
from loadtest.load.conductor import LoadProcess
from loadtest.load.users import AFTER_FAILURE_S
from loadtest.processes import companions, supervisor
from loadtest.secrecy.redact import know
from loadtest.system.lifeline import pipe

FEW_USERS: Final = 500
"""Room for so many sessions at once where no option says how many there will be."""
LONGEST_S: Final = 86_400.0
"""How long a run is taken to be until it is over."""

_log = logging.getLogger(__name__)


class AvatarUser(User):  # type: ignore[misc]  # locust's base is untyped
    """A user whose task is a whole session. Without tasks of its own it does nothing else.

    scenario: what its sessions do, a TOML file; None is the built-in one. All such users of a file have the same.
    """

    abstract = True
    scenario: ClassVar[str | Path | None] = None
    _number: int | None = None
    _sessions = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.tasks:
            cls.tasks = [AvatarUser.avatar_session]

    def avatar_session(self) -> str:
        """One session, from its mint to its proved end: "done", "failed" or "cancelled". One that failed takes a second
        longer. Raises StopUser where no more sessions may be started."""
        process = cast("_Run", self.environment.avaload).process
        if self._number is None:
            self._number = process.next_user()
        outcome = process.run_session(user=self._number, iteration=self._sessions, due_s=process.elapsed_s())
        self._sessions += 1
        if outcome in ("dropped", "refused"):
            raise StopUser
        if outcome not in ("done", "cancelled"):
            gevent.sleep(AFTER_FAILURE_S)
            return "failed"
        return outcome


class _Run:
    """One start of the test: everything is up when it is made. Raises ConfigError, GeneratorError."""

    def __init__(self, environment: Environment, settings: Settings, run_dir: Path) -> None:
        self._environment, self._settings, self._run_dir = environment, settings, run_dir
        self._started_at, self._most = datetime.now(UTC), 0
        self._embedded, self._is_over = settings.embedded_twin, False
        make_run_dir(run_dir, private=settings.output.permissions == "private")
        with contextlib.ExitStack() as stack:
            read_fd, write_fd = stack.enter_context(pipe())
            keys = {key: os.environ.get(key, "") for key in KEYS}
            if self._embedded:
                knobs = [*(["room=webrtc"] if settings.target.room == "webrtc" else []), *settings.target.twin_set]
                twin = stack.enter_context(companions.embedded_twin(read_fd, knobs=knobs))
                keys = {"OPENAI_API_KEY": twin["openai_api_key"], "AVATURN_API_KEY": twin["avaturn_api_key"]}
                self._settings = settings.with_endpoints(
                    openai_base_url=twin["openai_base_url"], avaturn_base_url=twin["avaturn_base_url"]
                ).with_room_of_twin()
            self._keys = keys
            for name, key in keys.items():
                know(key, name=name)
            self._write(self._settings)
            backend = settings.target.backend
            environ = supervisor.process_environ(
                run_dir,
                keys=keys,
                salt=os.urandom(16).hex(),
                token=fresh_token(),
                hidden=None if backend is None else backend.hidden(),
            )
            log = Log(run_dir)
            stack.callback(log.close)
            self.process = LoadProcess(
                environment,
                self._settings,
                run_dir,
                sinks={"locust": locust_stats.sink(environment), "log": log.add},
                planned=False,
                environ=environ | {LIFELINE_FD: str(write_fd)},
            )
            stack.callback(self.process.stop, graceful_s=0, reason="aborted")
            self.process.start()
            self._stack = stack.pop_all()
        self._began_s = time.monotonic()

    def begin(self) -> None:
        """From now on its users have sessions."""
        self._began_s = time.monotonic()
        self.process.begin()
        gevent.spawn(self._watch)

    def finish(self) -> None:
        """Ends and deletes what is left, writes the report and says the verdict."""
        self._is_over = True
        duration_s = round(time.monotonic() - self._began_s, 3)
        if not self.process.stopping:
            self.process.stop(graceful_s=0, reason="completed")
        load = Load(users=max(1, self._most), duration=max(duration_s, 0.001), ramp=0)
        self._stack.close()
        self._write(self._settings.model_copy(update={"load": load}))
        backend = self._settings.target.backend
        report = write_reports(self._run_dir, backend, keys=self._keys, is_enough=lambda: False)
        verdict = cast("dict[str, Any]", report)["verdict"]
        self._environment.process_exit_code = int(verdict["exit_code"])
        _log.info("avaload's verdict: %s", "; ".join([verdict["outcome"], *verdict["reasons"]]))
        _log.info("avaload's report: %s", self._run_dir / "report.html")

    def _write(self, settings: Settings) -> None:
        write_settings(settings, self._run_dir, started_at=self._started_at, embedded_twin=self._embedded)

    def _watch(self) -> None:
        """How many users there are; and the end of the test where the run has ended by itself, for an objective or a
        full disk."""
        runner = self._environment.runner
        while not self.process.wait_ended(0.5):
            there = runner.user_classes_count
            self._most = max(self._most, sum(there.get(each.__name__, 0) for each in _classes(self._environment)))
        if not self._is_over:
            gevent.spawn(runner.quit if self._environment.web_ui is None else runner.stop)


class _Tests:
    """All starts of the tests of one `locust`, whose settings are checked before anything is started."""

    def __init__(self, environment: Environment, settings: Settings) -> None:
        self._environment, self._settings, self._count = environment, settings, 0
        environment.events.test_start.add_listener(lambda **_: self._begin())
        environment.events.test_stop.add_listener(lambda **_: self._end())
        environment.events.quitting.add_listener(lambda **_: self._end())
        self._run: _Run | None = None
        if environment.web_ui is None or environment.parsed_options.autostart:
            self._run = self._made()  # before Locust begins to count its --run-time

    def _made(self) -> _Run:
        self._count += 1
        return _Run(self._environment, self._settings, self._next_dir())

    def _begin(self) -> None:
        try:
            self._run = self._environment.avaload = self._run or self._made()
            self._run.begin()
        except (ConfigError, GeneratorError) as error:
            self._give_up(error)

    def _end(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        try:
            run.finish()
        except (ConfigError, GeneratorError) as error:
            self._give_up(error)

    def _give_up(self, error: ConfigError | GeneratorError) -> None:
        self._environment.process_exit_code = int(_told(error))
        gevent.spawn(self._environment.runner.quit)

    def _next_dir(self) -> Path:
        """Each start has its own: the second of a directory that was asked for is that name with -2."""
        asked = self._settings.output.run_dir
        if asked is None:
            now = datetime.now(UTC)
            asked = RUNS / f"{now:%Y%m%dT%H%M%SZ}-{self._settings.name}"
        if self._count > 1 and self._settings.output.run_dir is not None:
            asked = asked.with_name(f"{asked.name}-{self._count}")
        check_unused(asked)
        return asked.resolve()


def _classes(environment: Environment) -> list[type[AvatarUser]]:
    return [each for each in environment.user_classes if issubclass(each, AvatarUser)]


@events.init.add_listener  # type: ignore[untyped-decorator]
def _prepare(environment: Environment, **_: object) -> None:
    """Where a file has such users: bad input ends `locust` before its UI is there. Raises SystemExit."""
    if not _classes(environment):
        return
    try:
        settings = _settings(environment)
        check_start(settings, of_load=False)
        check_services(settings, os.environ)
        locust_stats.install_precise_buckets()
        _Tests(environment, settings)
    except (ConfigError, GeneratorError) as error:
        sys.exit(int(_told(error)))


def _told(error: ConfigError | GeneratorError) -> Exit:
    """Says it, a line for each problem; what it is to whoever started us."""
    if isinstance(error, GeneratorError):
        complain(str(error))
        return Exit.INVALID
    for problem in error.problems:
        complain(problem)
    return Exit.BAD_INPUT


def _settings(environment: Environment) -> Settings:
    """As of `avaload run` with no options; how much load there is, Locust says. Raises ConfigError."""
    if isinstance(environment.runner, MasterRunner | WorkerRunner):
        raise ConfigError(
            "AvatarUser is for one Locust process: leave out --processes, --master and --worker;"
            " `avaload run --processes N` loads with several"
        )
    scenarios = {None if each.scenario is None else Path(each.scenario) for each in _classes(environment)}
    if len(scenarios) > 1:
        raise ConfigError("AvatarUser: all its classes need the same scenario; one with [[mix]] holds several")
    settings = resolve(next(iter(scenarios)), {}, tell=partial(_log.warning, "%s"))
    if settings.load != Load() or settings.probes != Probes() or settings.capacity is not None:
        _log.warning("[load], [probes] and [capacity] are for `avaload run`: here Locust says how much load there is")
    options = environment.parsed_options
    load = Load(
        users=max(getattr(options, "num_users", None) or 0, FEW_USERS),
        duration=float(getattr(options, "run_time", None) or LONGEST_S),
        ramp=0,
        seed=settings.load.seed,
    )
    return settings.model_copy(update={"load": load, "probes": Probes(), "capacity": None})
