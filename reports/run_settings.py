"""`settings.json` of a run directory, read as data: a report must be possible for runs of other versions, too."""

import json
from pathlib import Path
from typing import Any

from loadtest.errors import ConfigError


def read(run_dir: Path) -> dict[str, Any]:
    """Empty where there is none (its writer may have been killed first). Raises ConfigError for one that is broken."""
    path = run_dir / "settings.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: can't be read: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: must hold an object")
    return settings


def table(settings: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A table within tables, empty where it is lacking or is something else."""
    for key in keys:
        found = settings.get(key)
        settings = found if isinstance(found, dict) else {}
    return settings


def scenario_names(run_dir: Path) -> list[str] | None:
    """The scenarios that an objective may ask for; None where nothing says it. Raises ConfigError."""
    scenario = table(read(run_dir), "scenario")
    mix = [str(each["name"]) for each in scenario.get("mix") or () if "name" in each]
    return mix or ([str(scenario["name"])] if "name" in scenario else None)
