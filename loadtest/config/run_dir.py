"""A run's directory: made here, and `settings.json` written and read back."""

import contextlib
import json
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from loadtest.config.environment import HIDDEN, of_child
from loadtest.config.settings import RUNS, Settings
from loadtest.language import disk
from loadtest.language.errors import ConfigError
from loadtest.language.version import __version__

CALIBRATION = RUNS / "calibration.json"
SETTINGS = "settings.json"
SCHEMA = 2
"""Of settings.json. In 1 the settings stood under `scenario`. `defaults` are those of the version that wrote it."""
_VERSIONS = ("locust", "gevent", "openai", "httpx", "aiohttp", "picows", "uvloop", "prometheus-client", "pandas")


def check_unused(run_dir: Path) -> None:
    """Raises ConfigError unless the directory is empty or not there."""
    try:
        used = run_dir.exists() and any(run_dir.iterdir())
    except OSError as error:
        raise ConfigError(f"{run_dir}: {error.strerror}") from error
    if used:
        raise ConfigError(f"{run_dir}: exists and is not empty")


def make_run_dir(run_dir: Path, *, private: bool = True) -> None:
    """`private`: nobody else may look into it, even if it was there. Raises ConfigError where it can't be made."""
    if not private:
        disk.follow_umask()
    try:
        (run_dir / "journal").mkdir(parents=True)
        if private:
            with contextlib.suppress(PermissionError):  # a mounted one may be somebody else's: its files are ours
                run_dir.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"{run_dir}: {error.strerror}") from error


def read_settings(run_dir: Path) -> dict[str, Any]:
    """`settings.json` as data, in the form of today whichever schema it has. Raises OSError, ValueError
    and ConfigError."""
    written = json.loads(disk.read(run_dir / SETTINGS))
    if not isinstance(written, dict):
        raise ConfigError(f"{run_dir / SETTINGS}: must hold an object")
    if "settings" not in written and "scenario" in written:
        written["settings"] = written.pop("scenario")
    return written


def load_resolved(run_dir: Path) -> Settings:
    """The settings that a run directory was started with; for the processes of the run and for later commands."""
    try:
        return Settings.model_validate(read_settings(run_dir)["settings"])
    except FileNotFoundError:
        raise ConfigError(f"{run_dir}: not a run directory (no settings.json)") from None
    except OSError as error:
        raise ConfigError(f"{run_dir}/settings.json: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{run_dir}/settings.json: {str(error).splitlines()[0]}") from error


def load_for_sending(run_dir: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The same with the values that settings.json only has the lengths of, from the environment; for the processes that
    send them. Raises ConfigError where they are not there."""
    settings = load_resolved(run_dir)
    backend = settings.target.backend
    if backend is None or not backend.withheld:
        return settings
    try:
        return settings.with_backend(backend.with_hidden(json.loads(environ[HIDDEN])))
    except (KeyError, ValueError) as error:
        raise ConfigError(f"target.backend: {', '.join(backend.withheld)}: not in the environment") from error


def run_id(run_dir: Path) -> str:
    """What the run is called: made once, by its master. A worker's directory over there may have another name."""
    return str(read_settings(run_dir).get("run_id") or run_dir.name)


def is_embedded(run_dir: Path) -> bool:
    """Whether the run's target was the embedded twin, which ends with the run."""
    return bool(read_settings(run_dir).get("embedded_twin"))


def write_settings(
    settings: Settings, run_dir: Path, *, started_at: datetime, embedded_twin: bool = False, run_id: str | None = None
) -> None:
    """`settings.json`: what the run was told and where it ran, without secrets; its processes read it too."""
    written = {
        "schema": SCHEMA,
        "run_id": run_id or run_dir.name,
        "started_at": started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "settings": settings.model_dump(mode="json"),
        "defaults": Settings().model_dump(mode="json"),
        "tags": settings.tags,
        "embedded_twin": embedded_twin,
        "versions": {"avaload": __version__, "python": platform.python_version(), **_versions()},
        "git_revision": _git_revision(),
        "seed": settings.load.seed,
        "calibration": _calibration(),
        "host": {"name": socket.gethostname(), "cores": os.cpu_count(), "system": platform.platform()},
    }
    text = json.dumps(written, indent=1, ensure_ascii=False) + "\n"
    try:
        disk.replace(run_dir / SETTINGS, text.encode())
    except OSError as error:
        raise ConfigError(f"{run_dir}: {error.strerror}") from error


def _calibration() -> dict[str, Any] | None:
    """What the last `avaload doctor --calibrate` found here, if there was one."""
    try:
        found: dict[str, Any] = json.loads(disk.read(CALIBRATION))
    except (OSError, ValueError):
        return None
    return found


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _VERSIONS}


def _git_revision() -> str | None:
    """Of the directory the run was started in: usually the integrator's own build."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
            stdin=subprocess.DEVNULL,
            env=of_child(),
        )
        return done.stdout.strip()
    return None
