"""What is looked at before a run starts anything. A look at the services needs their clients: `load_run.py` has it done
by a process of its own."""

from collections.abc import Mapping
from pathlib import Path

from loadtest.commands.printing import complain
from loadtest.config.access.guard import KEYS
from loadtest.config.clips.lengths import check_clips
from loadtest.config.run_dir import check_unused
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.forecast.costing import check_budget
from loadtest.preflight import machine
from loadtest.preflight.names import check_names
from loadtest.rooms.extras import check_installed


def check_start(settings: Settings, *, of_load: bool = True) -> None:
    """What a run of these settings can't begin with, as far as nothing has to be opened to know. Raises ConfigError.

    `of_load`: whether they say how much load it will be, or Locust will.
    """
    check_clips(settings.spoken, by_backend=settings.by_backend)
    if settings.cost.budget is not None:
        check_budget(settings, settings.cost.table)
    if settings.target.check and not settings.distribution.master:  # its workers look for themselves
        check_names(settings)
    if settings.output.baseline is not None:
        from reports.comparing.compare_runs import check_baseline  # tables, for those who compare

        check_baseline(settings.output.baseline, plan=settings, of_load=of_load)
    check_installed(settings.target.room)
    if settings.target.twin_set and not settings.embedded_twin:
        raise ConfigError("target.twin_set: only for the embedded twin; this run has endpoints of its own")
    if settings.embedded_twin and settings.target.room == "daily":
        raise ConfigError("target.room: the embedded twin has no Daily rooms; real endpoints and --live lead to them")
    if settings.distribution.master:
        from loadtest.distribution.parcel import Parcel

        Parcel(settings)  # what workers will be sent: read once here, so that a mistake is said now
    if settings.output.run_dir is not None:
        check_unused(settings.output.run_dir)


def looks_first(settings: Settings) -> bool:
    """Whether a run looks at its services. The embedded twin isn't looked at: it is started by this very run, and says
    itself where it is."""
    return settings.target.check and not settings.embedded_twin


def check_services(settings: Settings, environ: Mapping[str, str]) -> None:
    """One look at whom the load will call, with a deadline, which creates nothing. Raises ConfigError for what is the
    operator's to change; what may be as it should is told.

    The services of a master aren't looked at: its workers may be the only ones that reach them.
    """
    if not looks_first(settings):
        return
    import asyncio

    from loadtest.preflight.certificates import check_certificates
    from loadtest.preflight.first_look import look

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
