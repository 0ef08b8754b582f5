"""Settings that variables of the environment say, `AVALOAD_<SECTION>__<KEY>`: which there are, and of what type."""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from loadtest.config.environment import PREFIX
from loadtest.config.written.variables import problem_of
from loadtest.errors.exceptions import ConfigError
from loadtest.text import toml_text

_LISTS: Final = ("probes.rules",)
_OF_ANY_TYPE: Final = ("realtime", "target.backend.body")
"""They are passed on as they stand, and no field says what each key of theirs is."""


def variables_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings that the environment has, and the variables' names. Raises ConfigError."""
    ours = sorted(name for name in environ if name.startswith(PREFIX))
    names = [name for name in ours if "__" in name]
    problems = [problem for name in ours if name not in names and (problem := problem_of(name))]
    problems += [f"{name}: is empty; unset it, or give a value" for name in names if not environ[name].strip()]
    settings: dict[str, str] = {}
    for name in names:
        other = settings.setdefault(name[len(PREFIX) :].lower().replace("__", "."), name)
        if other != name:
            problems.append(f"{name}: says the same setting as {other}; unset one of them")
    if problems:
        raise ConfigError(problems)
    return settings


def value_of(setting: str, text: str, *, name: str) -> Any:
    """A list has commas, where its setting reads no text itself; what may be of any type is JSON, or else text. Raises
    ConfigError."""
    if setting in _LISTS:
        return [word for each in text.split(",") if (word := each.strip())]
    if not any(setting == table or setting.startswith(f"{table}.") for table in _OF_ANY_TYPE):
        return text
    try:
        value = json.loads(text, parse_constant=_no_json)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name}: holds half of a character (\\ud800 to \\udfff), which no text has") from None
    except (ValueError, RecursionError):
        return text
    if flaw := toml_text.flaw({name: value}):
        raise ConfigError(f"{name}: {flaw}")
    return text if value is None else value


def as_written(keys: list[str], tree: Any) -> list[str]:
    """A variable's name has capitals alone: these keys in the letters of the scenario, where it has them."""
    found = []
    for key in keys:
        there = tree if isinstance(tree, dict) else {}
        found.append(key if key in there else next((each for each in there if each.lower() == key), key))
        tree = there.get(found[-1])
    return found


def _no_json(word: str) -> NoReturn:
    """NaN and Infinity, which Python's reader takes."""
    raise ValueError(word)
