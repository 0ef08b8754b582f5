"""What a report has of `settings.json`: it must be possible for runs of other versions, and without the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from loadtest.config.run_dir import SETTINGS, read_settings
from loadtest.config.scenario import assumed as scenario_assumed
from loadtest.config.settings import Settings
from loadtest.language.errors import ConfigError
from reports.data.frames import Run


def read(run_dir: Path) -> dict[str, Any]:
    """Empty where there is none (its writer may have been killed first). Raises ConfigError for one that is broken."""
    try:
        return read_settings(run_dir)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{run_dir / SETTINGS}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{run_dir / SETTINGS}: can't be read: {error}") from error


def name(settings: Mapping[str, Any]) -> str | None:
    """What the run's scenario is called, in settings of another version, too."""
    found = table(dict(settings), "settings").get("name")
    return None if found is None else str(found)


def resolved(settings: Mapping[str, Any]) -> Settings | None:
    """The run's settings as they were resolved; None where they are lacking, of another version, or edited: then
    nothing is known of what its sessions were promised."""
    try:
        return Settings.model_validate(settings["settings"])
    except (KeyError, ValidationError):
        return None


def assumed(settings: Settings | None) -> list[str]:
    """What the run left to the service, and took for its default: a phrase each, named by scenario where there are
    several. A back end of one's own mints what it likes; then it is what the clips were checked against."""
    if settings is None or settings.target.room == "none":
        return []
    scenarios = settings.scenarios
    found = [
        (f"{scenario.name}: " if len(scenarios) > 1 else "") + phrase
        for scenario in scenarios
        if scenario.session.engine in (None, "openai-realtime")
        for phrase in scenario_assumed(scenario.realtime)
    ]
    return list(dict.fromkeys(found))


def absences_s(run: Run, settings: Settings | None) -> "pd.Series[float]":
    """Session → user_absent_timeout of its own scenario; NaN where that isn't known."""
    names = run.sessions["scenario"].astype("str")
    known = {} if settings is None else {name: settings.scenario_of(name) for name in names.unique()}
    found = {name: float(scenario.session.absence_s) for name, scenario in known.items() if scenario is not None}
    return names.map(found).astype("float64")


def table(settings: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A table within tables, empty where it is lacking or is something else."""
    for key in keys:
        found = settings.get(key)
        settings = found if isinstance(found, dict) else {}
    return settings


def scenario_names(run_dir: Path) -> list[str] | None:
    """The scenarios that an objective may ask for; None where nothing says it. Raises ConfigError."""
    settings = resolved(read(run_dir))
    return None if settings is None else [scenario.name for scenario in settings.scenarios]
