"""From the command line to a profile: the ready-made ones, TOML files and `--set` (TWIN.md#knobs)."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loadtest.twin.command_line.points import FIELDS, KNOBS, TABLES
from loadtest.twin.knobs.profiles import Profile

PROFILES: dict[str, dict[str, str]] = {
    "instant": {},
    "realistic": {
        "latency.mint": "lognormal:-1.386,0.626",
        "latency.create": "lognormal:-1.204,0.668",
        "latency.sdk_session": "lognormal:-2.120,0.732",
        "latency.join": "lognormal:-0.223,0.557",
        "latency.stream_start": "lognormal:0.916,0.532",
        "latency.cold_start": "uniform:10,12",
        "cold_start": "0.03",
        "latency.session_created": "lognormal:-1.204,0.596",
        "latency.first_delta": "lognormal:-0.693,0.532",
        "latency.render": "lognormal:-1.050,0.421",
        "latency.transcription": "lognormal:-0.511,0.557",
        "latency.delete": "lognormal:-1.609,0.668",
        "generation_speed": "3",
    },
}
"""By name, as knobs; the latencies of `realistic` are all assumed (docs/contract.md#latency-and-faults)."""


class ProfileError(Exception):
    """The profile can't be used; `problems` has one line for each thing that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def load(*, name: str, settings: Iterable[str]) -> Profile:
    """The profile `instant`, `realistic` or that of a TOML file, with KEY=VALUE settings on top.

    Raises ProfileError with all problems at once.
    """
    problems: list[str] = []
    known = PROFILES.get(name)
    knobs = list(known.items()) if known is not None else _from_file(Path(name), problems)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if equals:
            knobs.append((key.strip(), value.strip()))
        else:
            problems.append(f"--set {setting}: must be KEY=VALUE")
    profile = _build(knobs, problems)
    if problems:
        raise ProfileError(problems)
    return profile


def _from_file(path: Path, problems: list[str]) -> list[tuple[str, str]]:
    if path.exists() and not path.is_file():
        problems.append(f"--profile {path}: not a plain file")
        return []
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        listed = ", ".join(PROFILES)
        problems.append(f"--profile {path}: {error.strerror or error}; known without a file: {listed}")
        return []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"--profile {path}: not TOML: {error}")
        return []
    return list(_flattened(tables, ""))


def _flattened(table: Mapping[str, object], prefix: str) -> Iterable[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield from ((prefix + key, str(each)) for each in value)
        elif isinstance(value, bool):
            yield prefix + key, "yes" if value else "no"
        else:
            yield prefix + key, str(value)


def _build(knobs: Iterable[tuple[str, str]], problems: list[str]) -> Profile:
    fields: dict[str, Any] = {"latency": {}, "faults": {}}
    mutants: set[str] = set()
    for key, text in knobs:
        known = KNOBS.get(key)
        if known is None:
            problems.append(f"{key}: unknown knob{_nearest(key)}")
            continue
        try:
            value = known.read(text)
        except ValueError as error:
            problems.append(f"{key}={text}: {error}")
            continue
        group, _, point = key.partition(".")
        if key == "mutant":
            mutants.add(value)
        elif group in TABLES:
            fields[TABLES[group]][point] = value
        else:
            fields[FIELDS[key]] = value
    return Profile(**fields, mutants=frozenset(mutants))


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, KNOBS, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; avaload twin --help lists them"
