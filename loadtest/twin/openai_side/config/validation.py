"""Rules that check a JSON value and refuse it as OpenAI does: with a `param` path and a code.

A rule is called with the value and its path; it returns nothing or raises RefusedError.
"""

import binascii
import re
from collections.abc import Callable, Collection, Mapping

from loadtest.twin.openai_side.errors import RefusedError

Rule = Callable[[object, str], None]

_LONGEST_ID = 32
_ID = re.compile("[a-zA-Z0-9_-]+")
_JSON_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    type(None): "null",
}


def anything(value: object, path: str) -> None:
    """No check at all."""


def text(value: object, path: str) -> None:
    """A string."""
    if not isinstance(value, str):
        raise _wrong_type(value, path, "a string")


def identifier(value: object, path: str) -> None:
    """A name that a client gives to a thing of its own."""
    text(value, path)
    name = str(value)
    if not name:
        raise RefusedError(
            f"Invalid '{path}': empty string. Expected a string with minimum length 1, but got an empty one instead.",
            code="empty_string",
            param=path,
        )
    if len(name) > _LONGEST_ID:
        raise RefusedError(
            f"Invalid '{path}': string too long. Expected a string with maximum length {_LONGEST_ID}, "
            f"but got a string with length {len(name)} instead.",
            code="string_above_max_length",
            param=path,
        )
    if not _ID.fullmatch(name):
        raise RefusedError(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern "
            f"'^{_ID.pattern}$'.",
            code="invalid_value",
            param=path,
        )


def base64_of(most: int) -> Rule:
    """Base64 of so many characters at most."""

    def check(value: object, path: str) -> None:
        text(value, path)
        assert isinstance(value, str)
        if len(value) > most:
            raise RefusedError(
                f"Invalid '{path}': longer than {most >> 20} MiB.", code="string_above_max_length", param=path
            )
        try:
            binascii.a2b_base64(value, strict_mode=True)
        except ValueError:
            raise RefusedError(f"Invalid '{path}'. Expected base64.", code="invalid_value", param=path) from None

    return check


def boolean(value: object, path: str) -> None:
    """true or false."""
    if not isinstance(value, bool):
        raise _wrong_type(value, path, "a boolean")


def number(lowest: float, highest: float) -> Rule:
    """A number in a closed range."""

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(value, path, "a decimal")
        _in_range(value, path, lowest, highest, "decimal")

    return check


def integer(lowest: int, highest: int) -> Rule:
    """A whole number in a closed range."""

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(value, path, "an integer")
        _in_range(value, path, lowest, highest, "integer")

    return check


def one_of(*allowed: object) -> Rule:
    """One of these values, usually strings."""

    def check(value: object, path: str) -> None:
        if not any(value is each or (type(value) is type(each) and value == each) for each in allowed):
            listed = ", ".join(repr(each) for each in allowed)
            raise RefusedError(
                f"Invalid value: {value!r}. Supported values are: {listed}.", code="invalid_value", param=path
            )

    return check


def starting_with(prefix: str) -> Rule:
    """A string that begins so."""

    def check(value: object, path: str) -> None:
        text(value, path)
        assert isinstance(value, str)
        if not value.startswith(prefix):
            raise RefusedError(
                f"Invalid '{path}': '{value}'. Expected a value that begins with '{prefix}'.",
                code="invalid_value",
                param=path,
            )

    return check


def nullable(rule: Rule) -> Rule:
    """null, or what `rule` accepts."""

    def check(value: object, path: str) -> None:
        if value is not None:
            rule(value, path)

    return check


def either(*rules: Rule) -> Rule:
    """What any of the rules accepts; the complaint is the first that isn't about the type, or the last."""

    def check(value: object, path: str) -> None:
        complaints = []
        for rule in rules:
            try:
                return rule(value, path)
            except RefusedError as refusal:
                complaints.append(refusal)
        raise next((each for each in complaints if each.code != "invalid_type"), complaints[-1])

    return check


def list_of(rule: Rule) -> Rule:
    """An array, each element by `rule`."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            raise _wrong_type(value, path, "an array")
        for index, each in enumerate(value):
            rule(each, f"{path}[{index}]")

    return check


def map_of(rule: Rule) -> Rule:
    """An object with any names, each value by `rule`."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "an object")
        for name, each in value.items():
            rule(each, f"{path}.{name}")

    return check


def exactly_one_of(*names: str, rule: Rule) -> Rule:
    """What `rule` accepts, with exactly one of these fields."""

    def check(value: object, path: str) -> None:
        rule(value, path)
        assert isinstance(value, dict)
        if sum(name in value for name in names) != 1:
            listed = ", ".join(repr(name) for name in names)
            raise RefusedError(f"Exactly one of {listed} must be given.", code="missing_required_parameter", param=path)

    return check


def record(fields: Mapping[str, Rule], *, required: Collection[str] = ()) -> Rule:
    """An object with these fields and no other."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "an object")
        prefix = f"{path}." if path else ""
        for name in required:
            if name not in value:
                raise _missing(prefix + name)
        for name, each in value.items():
            rule = fields.get(name)
            if rule is None:
                raise RefusedError(
                    f"Unknown parameter: '{prefix}{name}'.", code="unknown_parameter", param=prefix + name
                )
            rule(each, prefix + name)

    return check


def tagged(kinds: Mapping[str, Rule]) -> Rule:
    """An object whose `type` says which rule it follows."""
    known = one_of(*kinds)

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "an object")
        where = f"{path}.type" if path else "type"
        if "type" not in value:
            raise _missing(where)
        known(value["type"], where)
        kinds[value["type"]](value, path)

    return check


def _in_range(value: float, path: str, lowest: float, highest: float, kind: str) -> None:
    if value < lowest:
        raise RefusedError(
            f"Invalid '{path}': {kind} below minimum value. Expected a value >= {lowest}, but got {value} instead.",
            code=f"{kind}_below_min_value",
            param=path,
        )
    if value > highest:
        raise RefusedError(
            f"Invalid '{path}': {kind} above maximum value. Expected a value <= {highest}, but got {value} instead.",
            code=f"{kind}_above_max_value",
            param=path,
        )


def _missing(path: str) -> RefusedError:
    return RefusedError(f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path)


def _wrong_type(value: object, path: str, expected: str) -> RefusedError:
    got = _JSON_NAMES.get(type(value), "something else")
    return RefusedError(
        f"Invalid type for '{path}': expected {expected}, but got {got} instead.", code="invalid_type", param=path
    )
