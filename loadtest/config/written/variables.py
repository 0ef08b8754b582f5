"""A variable that is meant as a setting and written as none: what it should have been."""

from collections.abc import Iterable, Iterator
from typing import Final, get_origin

from loadtest.config.environment import BETWEEN_PROCESSES, PREFIX, READ
from loadtest.config.keys.section import Section, sections
from loadtest.config.settings import Settings
from loadtest.text.mistyped import nearest_word

_OF_FILES: Final = {
    "name": "the scenario's file says it",
    "mix": "the scenario's file says it",
    "waive": "the scenario's file says it",
    "slo": "--slo FILE says it, or the scenario's file",
}
"""What has no section, or is a list of tables: no variable is one of these."""
_NEAR: Final = 0.7


def problem_of(name: str) -> str | None:
    """A sentence on a variable of ours without two underscores; None where it is nobody's setting. Passed over in
    silence it would be missed in the report."""
    if name in READ or name in BETWEEN_PROCESSES:
        return None
    said = _meant(name.removeprefix(PREFIX).lower())
    return None if said is None else f"{name}: unknown{said}"


def _meant(rest: str) -> str | None:
    if rest in _OF_FILES:
        return f"; {_OF_FILES[rest]}"
    if rest in Settings.model_fields:
        return f"; a section, its key follows after two underscores: {_variable(rest, 'KEY')}"
    known = {name: sections(field) for name, field in Settings.model_fields.items() if name not in _OF_FILES}
    for name, tables in known.items():
        if any(rest in table.model_fields for table in tables):
            return f"; its section comes first: {_variable(name, rest)}"
    section, _, key = rest.partition("_")
    if section not in known:
        return None
    keys = dict(_keys(known[section]))
    if key in keys or not keys:  # of tags and of the session object any key is one
        return f"; two underscores follow the section: {_variable(section, keys.get(key, key))}"
    near = nearest_word(key, keys, nearness=_NEAR)
    return None if near is None else f" (did you mean {_variable(section, keys[near])}?)"


def _keys(tables: Iterable[type[Section]], before: str = "") -> Iterator[tuple[str, str]]:
    """Each key with one underscore, and as a variable has it: those of a table in a table, too."""
    for table in tables:
        for key, field in table.model_fields.items():
            yield f"{before}{key}".replace("__", "_"), f"{before}{key}"
            if get_origin(field.annotation) is not tuple:
                yield from _keys(sections(field), f"{before}{key}__")


def _variable(section: str, key: str) -> str:
    return f"{PREFIX}{section}__{key}".upper()
