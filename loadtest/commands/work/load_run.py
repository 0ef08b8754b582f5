"""The run command: check everything, start everything, wait, report. Nothing is started before all input was
checked."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from loadtest import journal
from loadtest.capacity.steering import Steering
from loadtest.commands.printing import complain
from loadtest.commands.work.reporting import write_reports
from loadtest.config.access.cluster import cluster_token, fresh_token
from loadtest.config.access.guard import KEYS
from loadtest.config.access.reachable import check_names
from loadtest.config.microphone import check_clips
from loadtest.config.run_dir import check_unused, make_run_dir, write_settings
from loadtest.config.settings import RUNS, Settings
from loadtest.distribution.parcel import Parcel
from loadtest.language import disk
from loadtest.language.errors import ConfigError, Exit, GeneratorError
from loadtest.load import companions, machine, supervisor, tcp_ports
from loadtest.load.ctrl_c import Interruption
from loadtest.load.glance import Glance
from loadtest.load.progress import Progress
from loadtest.network.user_agent import introduce
from loadtest.planning.costing import check_budget
from loadtest.rooms.extras import check_installed
from loadtest.secrecy.redact import know
from loadtest.services.first_look import look
from loadtest.services.handshake import check_certificates


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
    introduce(run_dir.name)
    check_services(settings, environ)
    run_dir = run_dir.resolve()
    interruption = Interruption()
    with contextlib.ExitStack() as stack:
        metrics = tcp_ports.bind_metrics(settings.output.metrics_port, settings.output.metrics_host)
        if metrics is not None:
            stack.enter_context(metrics)
        make_run_dir(run_dir, private=settings.output.permissions == "private")
        stack.enter_context(interruption.heard())
        read_fd, write_fd = stack.enter_context(companions.lifeline())
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
        steering = None if settings.capacity is None else Steering(settings, run_dir, say=progress.tell)
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
        report = write_reports(run_dir, is_enough=lambda: interruption.count > 1)
    if report is None:
        return run_dir, None, Exit.INTERRUPTED
    companions.send_run_span(settings, run_dir)
    return run_dir, report, Exit(report["verdict"]["exit_code"])


def _heard(progress: Progress, steering: Steering | None, now: Glance) -> None:
    if steering is not None:
        steering.heard(begun=now.begun)
    progress.show(now)


def check_start(settings: Settings) -> None:
    """What a run of these settings can't begin with, as far as nothing has to be opened to know. Raises ConfigError."""
    check_clips(settings.spoken)
    if settings.cost.budget is not None:
        check_budget(settings, settings.cost.table)
    if settings.target.check and not settings.distribution.master:  # its workers look for themselves
        check_names(settings)
    if settings.output.baseline is not None:
        from reports.comparing.compare_runs import check_baseline  # tables, for those who compare

        check_baseline(settings.output.baseline, plan=settings)
    check_installed(settings.target.room)
    if settings.target.twin_set and not settings.embedded_twin:
        raise ConfigError("target.twin_set: only for the embedded twin; this run has endpoints of its own")
    if settings.embedded_twin and settings.target.room == "daily":
        raise ConfigError("target.room: the embedded twin has no Daily rooms; real endpoints and --live lead to them")
    if settings.distribution.master:
        Parcel(settings)  # what workers will be sent: read once here, so that a mistake is said now
    if settings.output.run_dir is not None:
        check_unused(settings.output.run_dir)


def check_services(settings: Settings, environ: Mapping[str, str]) -> None:
    """One look at whom the load will call, with a deadline, which creates nothing. Raises ConfigError for what is the
    operator's to change; what may be as it should is told.

    The embedded twin isn't looked at: it is started by this very run, and says itself where it is. Nor are the services
    of a master, whose workers may be the only ones that reach them.
    """
    if not settings.target.check or settings.embedded_twin:
        return
    check_certificates(settings.target)
    if settings.distribution.master:
        return
    seen = asyncio.run(look(settings, {key: environ.get(key, "") for key in KEYS}))
    if stops := [stop for each in seen for stop in each.stops]:
        raise ConfigError(stops)
    for each in seen:
        for note in each.notes:
            complain(f"note: {note}")


def check_machine(settings: Settings, run_dir: Path) -> None:
    """Warns of what this machine may not have enough of. Raises ConfigError for what makes the plan impossible. The
    workers of a master look at their own machines."""
    found = machine.examine(settings, run_dir)
    if bad := machine.bad(found):
        raise ConfigError(bad)
    for finding in found:
        if finding.state == "warn":
            complain(f"warning: {finding.name}: {finding.text}")
