"""What a report has of `settings.json`: it must be possible for runs of other versions, and without the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas as pd

from loadtest.config.keys.session_object import assumed as scenario_assumed
from loadtest.config.run_dir import Written, read_written
from loadtest.config.settings import Settings
from reports.data.frames import Run


def read(run_dir: Path) -> Written:
    """Of a run without one (its writer may have been killed first) it says nothing. Raises ConfigError for one that is
    broken."""
    try:
        return read_written(run_dir)
    except FileNotFoundError:
        return Written()


HTTP: Final[Mapping[str, str]] = {"official": "by the official clients", "lean": "lean, without the official clients"}
"""How a run's calls were sent, in words; by what it was told."""


def assumed(settings: Settings | None) -> list[str]:
    """What the run left to the service, and took for its default: a phrase each, named by scenario where there are
    several. A back end of one's own mints what it likes; then it is what the clips were checked against."""
    if settings is None or settings.target.room == "none":
        return []
    scenarios = settings.scenarios
    found = [
        (f"{scenario.name}: " if len(scenarios) > 1 else "") + phrase
        for scenario in scenarios
        if scenario.is_of_openai
        for phrase in scenario_assumed(scenario.realtime)
    ]
    return list(dict.fromkeys(found))


def absences_s(run: Run, settings: Settings | None) -> "pd.Series[float]":
    """Session → user_absent_timeout of its own scenario; NaN where that isn't known."""
    names = run.sessions["scenario"].astype("str")
    known = {} if settings is None else {name: settings.scenario_of(name) for name in names.unique()}
    found = {name: float(scenario.session.absence_s) for name, scenario in known.items() if scenario is not None}
    return names.map(found).astype("float64")


def processes(settings: Settings | None) -> int | None:
    """How many load processes the run was to have; None where nothing says it."""
    return None if settings is None or "processes" not in settings.load.model_fields_set else settings.load.processes


def scenario_names(run_dir: Path) -> list[str] | None:
    """The scenarios that an objective may ask for; None where nothing says it. Raises ConfigError."""
    settings = read(run_dir).settings
    return None if settings is None else [scenario.name for scenario in settings.scenarios]
