"""The run command: check everything, start everything, wait, report. Nothing is started before all input was
checked."""

import contextlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtest import journal
from loadtest.commands.work.checks import check_machine, check_start, looks_first
from loadtest.commands.work.reporting import write_reports
from loadtest.config.access.cluster import cluster_token, fresh_token
from loadtest.config.access.guard import KEYS
from loadtest.config.environment import TOLD_FD
from loadtest.config.run_dir import check_unused, make_run_dir, write_settings
from loadtest.config.settings import RUNS, Settings
from loadtest.errors.exceptions import GeneratorError
from loadtest.errors.exit_codes import Exit
from loadtest.http_client.user_agent import introduce
from loadtest.processes import companions, supervisor, tcp_ports
from loadtest.processes.ctrl_c import Interruption
from loadtest.progress.glance import Glance
from loadtest.progress.progress import Progress
from loadtest.secrecy.redact import know
from loadtest.system import disk
from loadtest.system.lifeline import pipe

if TYPE_CHECKING:
    from loadtest.capacity.steering import Steering


def run(
    settings: Settings, *, quiet: bool = False, environ: Mapping[str, str] = os.environ
) -> tuple[Path, dict[str, Any] | None, Exit]:
    """A whole load run; `quiet`: without a word of how far it is. Returns its directory, its report (None if the
    operator skipped it) and the exit code.

    Raises ConfigError before anything is started, GeneratorError if a process of ours could not be started.
    """
    check_start(settings)
    hosts = settings.distribution
    if settings.output.web_port == 0:
        settings = settings.with_web_port(tcp_ports.free_port())
    if settings.output.web_port is not None:
        tcp_ports.check_port_free(settings.output.web_port, "output.web_port")
    if hosts.master:
        tcp_ports.check_port_free(hosts.bind_port, "distribution.bind_port", hosts.bind_host)
        token = cluster_token(hosts.bind_host, file=hosts.token_file, environ=environ, role="master")
    else:
        token = fresh_token()
    started_at = datetime.now(UTC)
    run_dir = settings.output.run_dir or RUNS / f"{started_at:%Y%m%dT%H%M%SZ}-{settings.name}"
    check_unused(run_dir)
    check_machine(settings, run_dir)
    if looks_first(settings):
        from loadtest.commands.work.aside import aside

        aside(_check_services, settings, run_dir.name, environ)
    run_dir = run_dir.resolve()
    interruption = Interruption()
    with contextlib.ExitStack() as stack:
        metrics = tcp_ports.bind_metrics(settings.output.metrics_port, settings.output.metrics_host)
        if metrics is not None:
            stack.enter_context(metrics)
        make_run_dir(run_dir, private=settings.output.permissions == "private")
        if told_fd := environ.get(TOLD_FD):
            os.write(int(told_fd), os.fsencode(run_dir))
        stack.enter_context(interruption.heard(environ))
        read_fd, write_fd = stack.enter_context(pipe())
        keys = {key: environ.get(key, "") for key in KEYS}
        embedded = settings.embedded_twin
        if embedded:
            knobs = [*(["room=webrtc"] if settings.target.room == "webrtc" else []), *settings.target.twin_set]
            twin = stack.enter_context(companions.embedded_twin(read_fd, knobs=knobs))
            keys = {"OPENAI_API_KEY": twin["openai_api_key"], "AVATURN_API_KEY": twin["avaturn_api_key"]}
            settings = settings.with_endpoints(
                openai_base_url=twin["openai_base_url"], avaturn_base_url=twin["avaturn_base_url"]
            ).with_room_of_twin()
        for name, key in keys.items():
            know(key, name=name)
        write_settings(settings, run_dir, started_at=started_at, embedded_twin=embedded)
        progress = stack.enter_context(
            Progress(settings, run_dir, quiet=quiet, interruptions=lambda: interruption.count)
        )
        steering = None if settings.capacity is None else _steering(settings, run_dir, progress)
        progress.level = None if steering is None else lambda: steering.level
        with companions.exporters(settings, run_dir, say=progress.line):
            ended = supervisor.run_locust(
                settings,
                run_dir,
                keys=keys,
                token=token,
                metrics=metrics,
                lifeline_fd=write_fd,
                interruption=interruption,
                on_progress=partial(_heard, progress, steering),
                on_tick=bytes if steering is None else steering.tick,
            )
            if progress.waiting_for is not None and not interruption.count:
                raise GeneratorError(f"gave up waiting for {progress.waiting_for}; nothing was started")
            if not interruption.count and not journal.paths(run_dir):
                log = run_dir / "locust.log"
                raise GeneratorError(f"the load process ended before it began (exit code {ended}); {log} says why")
            progress.say("waiting for the last deletes")
            supervisor.wait_for_engines(run_dir)
            with contextlib.suppress(OSError):
                disk.drop_half_line(run_dir / "locust.log")
        if interruption.count > 1:
            return run_dir, None, Exit.INTERRUPTED
        progress.stop()
        progress.line("writing the reports")
        report = write_reports(run_dir, settings.target.backend, keys=keys, is_enough=lambda: interruption.count > 1)
    if report is None:
        return run_dir, None, Exit.INTERRUPTED
    companions.send_run_span(settings, run_dir, say=progress.line)
    return run_dir, report, Exit(report["verdict"]["exit_code"])


def _heard(progress: Progress, steering: "Steering | None", now: Glance) -> None:
    if steering is not None:
        steering.heard(begun=now.begun)
    progress.show(now)


def _steering(settings: Settings, run_dir: Path, progress: Progress) -> "Steering":
    from loadtest.capacity.steering import Steering  # NumPy, for a search

    return Steering(settings, run_dir, say=progress.tell)


def _check_services(settings: Settings, run_id: str, environ: Mapping[str, str]) -> None:
    from loadtest.commands.work.checks import check_services

    introduce(run_id)
    check_services(settings, environ)
