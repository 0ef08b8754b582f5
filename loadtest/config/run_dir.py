"""A run's directory: made here, and `settings.json` written and read back."""

import contextlib
import json
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from loadtest import journal
from loadtest.config import pipeline
from loadtest.config.environment import HIDDEN, of_child
from loadtest.config.settings import RUNS, Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.system import container, disk
from loadtest.system.version import __version__

T = TypeVar("T")

CALIBRATION = RUNS / "calibration.json"
SETTINGS = "settings.json"
SCHEMA = 2
"""Of settings.json. In 1 the settings stood under `scenario`."""
_VERSIONS = ("locust", "gevent", "openai", "httpx", "aiohttp", "picows", "uvloop", "prometheus-client", "pandas")


def below_here(run_dir: Path) -> str | None:
    """The directory as it is called from the working directory; None where it isn't below that, or where that is gone:
    somebody may delete it while a run is going on."""
    path = run_dir.resolve()
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return None
    return str(path.relative_to(here)) if path.is_relative_to(here) else None


def check_unused(run_dir: Path) -> None:
    """Raises ConfigError unless the directory is empty or not there."""
    try:
        used = run_dir.exists() and any(run_dir.iterdir())
    except OSError as error:
        raise ConfigError(f"{run_dir}: {error.strerror}") from error
    if used:
        raise ConfigError(f"{run_dir}: exists and is not empty")


def make_run_dir(run_dir: Path, *, private: bool = True) -> None:
    """`private`: nobody else may look into it, even if it was there. Raises ConfigError where it can't be made, where
    journals can't be locked, and for one of another account, which could change what the run's processes read in it."""
    if not private:
        disk.follow_umask()
    folder = journal.folder(run_dir)
    try:
        if private and run_dir.exists() and run_dir.stat().st_uid not in (0, os.geteuid()):
            why = "belongs to another account, which could change its files"
            raise ConfigError(f"{run_dir}: {why}; name one that isn't there yet")
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True)
        if private:
            with contextlib.suppress(PermissionError):  # a mounted one may be root's: its files are ours
                run_dir.chmod(0o700)
        if not journal.can_lock(folder):
            for each in made:
                each.rmdir()
            raise ConfigError(f"{run_dir}: its file system has no file locks; give --run-dir on a local disk")
    except OSError as error:
        raise ConfigError(f"{run_dir}: {error.strerror}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What `settings.json` says of a run. A key that it lacks, or that holds something else, is None or empty."""

    settings: Settings | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the version that ran it where nobody asks for anything; empty where it did not write them down."""
    problem: str | None = "has no settings.json"
    """Why there are no settings: the file isn't there, is of another version, or was edited."""
    name: str | None = None
    """Of the run's scenario; also where its settings can't be read."""
    run_id: str | None = None
    started_at: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    embedded_twin: bool | None = None
    versions: Mapping[str, Any] = field(default_factory=dict)
    git_revision: str | None = None
    seed: int | None = None
    calibration: Mapping[str, Any] | None = None
    host: Mapping[str, Any] = field(default_factory=dict)
    pipeline: Mapping[str, str] = field(default_factory=dict)
    """That the run was started by, as `config.pipeline` tells it."""

    @property
    def version(self) -> str | None:
        """Of avaload, that ran it."""
        return _of(str, self.versions, "avaload")

    @property
    def host_name(self) -> str | None:
        """Of the machine that it ran on."""
        return _of(str, self.host, "name")

    @property
    def cores(self) -> int | None:
        """Of that machine, as far as one can have them."""
        found = _of(int, self.host, "cores")
        return None if found is None or not 0 < found < 1 << 16 else found

    def as_dict(self) -> dict[str, Any]:
        """For JSON, in the schema of today."""
        told = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("problem", "name")}
        told["settings"] = None if self.settings is None else self.settings.model_dump(mode="json")
        return {"schema": SCHEMA, **told}


def read_written(run_dir: Path) -> Written:
    """`settings.json` of whichever schema. Raises FileNotFoundError where there is none, ConfigError for what can't be
    read."""
    try:
        found = disk.read_object(run_dir / SETTINGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{run_dir / SETTINGS}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{run_dir / SETTINGS}: can't be read: {error}") from error
    told = found.get("settings", found.get("scenario"))  # in schema 1 they stood there
    settings, problem = None, None
    try:
        settings = Settings.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, ("settings", *first["loc"])))
        problem = "holds no settings" if told is None else f"{where}: {first['msg']}"
    except ConfigError as error:
        problem = f"settings: {error.problems[0]}"

    return Written(
        settings=settings,
        defaults=_of(dict, found, "defaults") or {},
        problem=problem,
        name=_of(str, told if isinstance(told, dict) else {}, "name"),
        run_id=_of(str, found, "run_id"),
        started_at=_of(str, found, "started_at"),
        tags=_of(dict, found, "tags") or {},
        embedded_twin=_of(bool, found, "embedded_twin"),
        versions=_of(dict, found, "versions") or {},
        git_revision=_of(str, found, "git_revision"),
        seed=_of(int, found, "seed"),
        calibration=_of(dict, found, "calibration"),
        host=_of(dict, found, "host") or {},
        pipeline={n: told for n, told in (_of(dict, found, "pipeline") or {}).items() if isinstance(told, str)},
    )


def read_or_nothing(run_dir: Path) -> Written:
    """The same for whoever can do without: one that isn't there, or can't be read, says nothing."""
    try:
        return read_written(run_dir)
    except (ConfigError, FileNotFoundError):
        return Written()


def _of(kind: type[T], table: Mapping[str, Any], key: str) -> T | None:
    value = table.get(key)
    return value if isinstance(value, kind) else None


def _written(run_dir: Path) -> Written:
    """Of a run that must have one. Raises ConfigError."""
    try:
        return read_written(run_dir)
    except FileNotFoundError:
        is_run = bool(journal.paths(run_dir))
        raise ConfigError(f"{run_dir}: {Written().problem}" if is_run else journal.not_a_run(run_dir)) from None


def load_resolved(run_dir: Path) -> Settings:
    """The settings that a run directory was started with; for the processes of the run and for later commands. Raises
    ConfigError."""
    written = _written(run_dir)
    if written.settings is None:
        raise ConfigError(f"{run_dir / SETTINGS}: {written.problem}")
    return written.settings


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
    """What the run is called: made once, by its master. A worker's directory over there may have another name. Raises
    ConfigError."""
    return _written(run_dir).run_id or run_dir.name


def is_embedded(run_dir: Path) -> bool:
    """Whether the run's target was the embedded twin, which ends with the run. Raises ConfigError."""
    return bool(_written(run_dir).embedded_twin)


def write_settings(
    settings: Settings,
    run_dir: Path,
    *,
    started_at: datetime,
    embedded_twin: bool = False,
    run_id: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """`settings.json`: what the run was told and where it ran, without secrets; its processes read it too."""
    settings = _from_anywhere(settings)
    written = Written(
        settings=settings,
        defaults=Settings().model_dump(mode="json"),
        problem=None,
        name=settings.name,
        run_id=run_id or run_dir.name,
        started_at=started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        tags=settings.tags,
        embedded_twin=embedded_twin,
        versions={"avaload": __version__, "python": platform.python_version(), **_versions()},
        git_revision=_git_revision(),
        seed=settings.load.seed,
        calibration=_calibration(),
        host={"name": socket.gethostname(), "cores": container.cores(), "system": platform.platform()},
        pipeline=pipeline.told(environ),
    )
    text = json.dumps(written.as_dict(), indent=1, ensure_ascii=False) + "\n"
    try:
        disk.replace(run_dir / SETTINGS, text.encode())
    except OSError as error:
        raise ConfigError(f"{run_dir}: {error.strerror}") from error


def _from_anywhere(settings: Settings) -> Settings:
    """With its baseline as it is called from anywhere: the run may be judged again in another directory."""
    if settings.output.baseline is None:
        return settings
    output = settings.output.model_copy(update={"baseline": settings.output.baseline.resolve()})
    return settings.model_copy(update={"output": output})


def _calibration() -> dict[str, Any] | None:
    """What the last `avaload doctor --calibrate` found here, if there was one."""
    try:
        return disk.read_object(CALIBRATION)
    except (OSError, ValueError):
        return None


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
