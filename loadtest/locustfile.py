"""Composition root of a load process: settings → engine → sinks; start and stop hooks. `avaload run` starts Locust with
it."""

import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import gevent
from gevent.event import AsyncResult
from locust import events, runners
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from exporters.locust_ui import live, locust_stats
from exporters.log import Log
from exporters.metrics import judged, live_file
from exporters.metrics.prometheus import MetricsServer, serve
from exporters.metrics.snapshot import Snapshot, merged
from exporters.traces import trace_counts
from loadtest.config.access.cluster import TOKEN
from loadtest.config.access.scrapers import login, tls
from loadtest.config.environment import METRICS_FD, PROCESS, PROGRESS_FD, RUN_DIR
from loadtest.config.run_dir import load_resolved, run_id
from loadtest.config.settings import Settings
from loadtest.distribution.master import Master
from loadtest.distribution.port import sockets
from loadtest.engine.client import READY_LIMIT_S
from loadtest.errors.exceptions import GeneratorError
from loadtest.errors.exit_codes import Exit
from loadtest.load.conductor import LoadProcess
from loadtest.load.duties import hear_master, on_owner_gone, report_to_master, tell_progress
from loadtest.load.messages import READY
from loadtest.load.users import VirtualUser as VirtualUser

_log = logging.getLogger(__name__)

runners.CONNECT_RETRY_COUNT = 6
"""A worker looks for its master so often, for 5 s each; Locust's own 60 would keep one for five minutes that was forked
just before its master was killed."""

sockets.install(os.environ.pop(TOKEN, None))  # the engine is not to inherit it

_up: "AsyncResult[LoadProcess]" = AsyncResult()


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Environment, **_: object) -> None:
    """The run starts, or a worker's part in it is ready to; Locust spawns users when this returns.

    Heard from the import on: a worker's master may say "go" before the `init` hook was called, and says it once.
    """
    if isinstance(environment.runner, MasterRunner):
        return
    process = _up.get(timeout=READY_LIMIT_S)
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.send_message(READY)  # the master says when
    else:
        process.begin()


@events.init.add_listener  # type: ignore[untyped-decorator]
def start(environment: Environment, web_ui: Any = None, **_: object) -> None:
    """Bring this process up; when it returns, Locust may spawn users. Locust itself would go on without it."""
    try:
        bring_up(environment, web_ui)
    except Exception:
        _log.exception("a mistake of avaload's own")
        sys.exit(int(Exit.INVALID))


def bring_up(environment: Environment, web_ui: Any) -> None:
    """The engine, the sinks, and who waits for the end of the run."""
    run_dir = Path(os.environ[RUN_DIR])
    settings = load_resolved(run_dir)
    gevent.spawn(keep_small, environment)
    if isinstance(environment.runner, MasterRunner):
        master = Master(environment, settings, run_dir)
        environment.events.quitting.add_listener(lambda **_: master.close())
        conduct(environment, settings, run_dir, master, web_ui)
        return
    locust_stats.install_precise_buckets()
    log = Log(run_dir)
    sinks = {"locust": locust_stats.sink(environment), "log": log.add}
    process = LoadProcess(environment, settings, run_dir, sinks=sinks)
    environment.avaload = process
    environment.events.user_error.add_listener(lambda exception, **_: process.on_user_error(exception))
    environment.events.quitting.add_listener(lambda **_: process.interrupt())
    environment.events.quitting.add_listener(lambda **_: log.close())
    try:
        process.start()
    except GeneratorError as error:
        _log.error("%s", error)
        process.stop(graceful_s=0, reason="aborted")
        sys.exit(int(Exit.INVALID))
    if isinstance(environment.runner, WorkerRunner):
        hear_master(environment, process)
    _up.set(process)
    if isinstance(environment.runner, WorkerRunner):
        gevent.spawn(report_to_master, environment, process)
        if PROCESS in os.environ:
            on_owner_gone(process.interrupt, unless_said="orphaned")
    else:
        conduct(environment, settings, run_dir, process, web_ui)


def keep_small(environment: Environment) -> None:
    """For as long as the process lives: Locust's statistics must not grow with the length of the run."""
    while True:
        gevent.sleep(60)
        locust_stats.forget_old(environment, now_s=time.time())


def conduct(
    environment: Environment, settings: Settings, run_dir: Path, run: LoadProcess | Master, web_ui: Any
) -> None:
    """The process that owns the run: serves its metrics, waits for its end, then lets Locust quit."""
    server: MetricsServer | None = None

    def snapshot() -> Snapshot:
        so_far = run.snapshot()
        stands = judged.snapshot(settings.judged, run.standings(), run.fitness, so_far)
        return merged([so_far, stands, trace_counts.snapshot(run_dir)])

    if listener := os.environ.get(METRICS_FD):
        output = settings.output
        server = serve(
            socket.socket(fileno=int(listener)),
            snapshot,
            tls=tls(output.metrics_cert, output.metrics_key) if output.metrics_cert and output.metrics_key else None,
            login=login(output),
            served_as=(output.metrics_host, *output.served_as),
        )
    if settings.output.otlp_metrics is not None:
        gevent.spawn(live_file.keep, run_dir, run_id=run_id(run_dir), snapshot=snapshot, wait_ended=run.wait_ended)
    if web_ui is not None:
        live.install(web_ui, snapshot, served_as=settings.output.served_as)

    def finish() -> None:
        run.wait_ended()
        if server is not None:
            server.linger(settings.output.metrics_linger, sleep=gevent.sleep)
            server.stop()
        if web_ui is not None:
            web_ui.stop()
        environment.runner.quit()

    gevent.spawn(finish)
    if progress := os.environ.get(PROGRESS_FD):
        gevent.spawn(tell_progress, run, int(progress))
    on_owner_gone(run.interrupt, obey=run.steer)
