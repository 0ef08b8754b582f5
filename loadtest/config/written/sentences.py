"""What is wrong with a value, in words of ours: what was to stand there, what stands there instead.

pydantic's own words speak of types of Python to somebody who wrote TOML.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtest.config.keys.scenario import KINDS, NAME, Section, sections
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.secrecy.redact import redact
from loadtest.text.mistyped import did_you_mean

Place = tuple[str | int, ...]

_SHOWN: Final = re.compile(r"[\w.,:/+ -]{1,40}")
"""A word that can be quoted. Anything else may be what belongs somewhere else, a secret for instance."""
_FEW: Final = 8
"""Keys of a table that can all be named in a line."""
_NUMBER: Final = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
_PATTERNS: Final = {
    NAME: "must have letters, digits, dot, - and _, 64 at most, and begin with a letter or digit",
    r"^[A-Z]+$": "must be in capital letters, such as POST",
    r"\S": "must hold more than blanks",
    r"^[!-9;-~]+$": "must have no blank, no colon and only ASCII",
}
_TYPES: Final = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
_SORTS: Final = {
    "path_type": "must be a path, as text in quotes",
    "string_type": "must be text, in quotes",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}
"""What stands there instead may be a secret that belongs into it: it is not quoted."""
_BOUNDS: Final = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
}


def words(item: Mapping[str, Any]) -> list[str]:
    """One error of pydantic as sentences, without the place."""
    kind, context, loc = item["type"], item.get("ctx", {}), item["loc"]
    given = item.get("input")
    if kind == "value_error":
        return str(item["msg"]).removeprefix("Value error, ").split("\n")
    if kind == "extra_forbidden":
        key = str(loc[-1])
        keys = known(loc[:-1])
        return [f"unknown key{_belongs(key) or did_you_mean(key, keys) or _there(keys)}"]
    if kind == "missing":
        return ["is missing"]
    if kind == "union_tag_invalid":
        return [f"kind {_one_of(context['expected_tags'], context['tag'])}"]
    if kind == "union_tag_not_found":
        return [f"kind is missing; it must be one of {', '.join(KINDS)}"]
    if kind == "literal_error":
        return [_one_of(context["expected"], given)]
    if kind in _BOUNDS:
        must, key = _BOUNDS[kind]
        return [f"{must} {context[key]:g}{_got(given)}"]
    if kind == "string_pattern_mismatch":
        return [_PATTERNS.get(context["pattern"], f"must match {context['pattern']}") + _got(given)]
    if kind in ("tuple_type", "list_type"):
        return [_list(loc, given)]
    if kind == "string_too_short":
        return ["must not be empty"]
    if kind == "string_too_long":
        return [f"must have {plural(context['max_length'], 'character')} at most"]
    if kind in _SORTS:
        return [f"{_SORTS[kind]}; got text" if isinstance(given, str) else f"{_SORTS[kind]}{_got(given)}"]
    if kind in _TYPES:
        return [_TYPES[kind] + _got(given)]
    return [str(item["msg"]).split("\n")[0].lower()]


def known(loc: Sequence[str | int]) -> list[str]:
    """The keys of the table that is at that place of a scenario; of a union, the members are named by their kinds."""
    tables: list[type[Section]] = [Settings]
    for part in loc:
        if isinstance(part, int):
            continue
        kinds = [kind for table in tables if part in table.model_fields for kind in sections(table.model_fields[part])]
        tables = kinds or [t for t in tables if "kind" in t.model_fields and t.model_fields["kind"].default == part]
    return [name for table in tables for name in table.model_fields]


def _there(keys: Sequence[str]) -> str:
    return f" (there are {', '.join(keys)})" if 1 < len(keys) <= _FEW else ""


def _belongs(key: str) -> str:
    """Where a key of that very name is, if there is one such table."""
    tables = {
        name: table for name, field in Settings.model_fields.items() for table in sections(field) if name != "mix"
    }
    homes = [name for name, table in tables.items() if key in table.model_fields]
    return f" (it belongs into [{homes[0]}])" if len(homes) == 1 else ""


def place(loc: Place) -> str:
    """As people count: `conversation.turns[2].clip` is of the second turn."""
    said = ""
    for before, part in zip((None, *loc), loc, strict=False):
        if isinstance(part, int):
            said += f"[{part + 1}]"
        elif not (isinstance(before, int) and part in KINDS):  # of a union the member, which is no key
            said += f".{part}" if said else str(part)
    return said


def _one_of(expected: str, given: object) -> str:
    choices = re.findall(r"'(.*?)'", expected)
    return f"must be one of {', '.join(choices)}{_got(given)}{did_you_mean(str(given), choices)}"


def _list(loc: Place, given: object) -> str:
    if isinstance(given, dict):
        return f"must be a list of tables: [[{'.'.join(map(str, loc))}]], with two brackets"
    return "must be a list, in brackets"


def _got(value: object) -> str:
    """What stands there, as far as it may be told."""
    match value:
        case "":
            return "; got nothing"
        case str() if _NUMBER.fullmatch(value):  # an option's
            return f"; got {value}"
        case str():
            return f"; got {value!r}" if _SHOWN.fullmatch(value) and redact(value) == value else ""
        case bool():
            return f"; got {str(value).lower()}"
        case int() | float():
            return f"; got {value:.12g}"
        case dict():
            return "; got a table"
        case list() | tuple():
            return "; got a list"
    return ""
