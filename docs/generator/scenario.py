"""docs/reference/scenario.md: every key of a scenario file, from the settings' own models."""

import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, assert_never, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.generator.markdown import code, paragraph, table
from loadtest.config.keys.backend import Hidden
from loadtest.config.keys.caller_lines import profiles
from loadtest.config.keys.scenario import DurationS, Scenario, Turn
from loadtest.config.settings import Settings
from loadtest.criteria import sample_sizes, slo

_HEAD: Final = """\
# The scenario file

Generated from `loadtest/config` and `loadtest/criteria/slo.py` by `make generated`; do not edit.

A scenario is a TOML file. An unknown key is an error. Times are seconds, or text such as `"90s"`, `"10m"`, `"1h30m"`.
Each value of a section may also come as `AVALOAD_<SECTION>__<KEY>` from the environment, and many as an option
([commands](commands.md)).
An option wins over the environment, the environment over the file, the file over the default."""
_NAMES: Final = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    Any: "anything",
    Hidden: "anything, not written down",
}
_SIGNS: Final = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}
_MIX: Final = """\
Tables of `[[mix]]`, each `scenario = "file.toml"` and `weight = 3`. Of such a file only `name`, `secret`, `session`,
`realtime`, `conversation`, `caller` and `waive` count. Load and target are the run's."""


def page(_before: str) -> str:
    """The whole page."""
    lines = [_HEAD, "", "## Top level", ""]
    lines += table(
        ("key", "is", "default", "bounds", "meaning"), (_row(n, f) for n, f in Settings.model_fields.items())
    )
    for name, model in _sections():
        lines += ["", f"## {name}", "", *_text(model)]
        rows = [_row(key, field) for key, field in model.model_fields.items()]
        lines += table(("key", "is", "default", "bounds", "meaning"), rows)
    lines += ["", "### Profiles of a caller's line", "", *_profiles()]
    lines += ["", "## mix", "", _MIX]
    lines += ["", "## slo", "", *table(("key", "meaning"), ((code(key), text) for key, text in slo.KEYS.items()))]
    return "\n".join([*lines, "", *_indicators()]) + "\n"


def _profiles() -> list[str]:
    def said(line: Mapping[str, object]) -> str:
        return ", ".join(f"{key} {value:g}" if isinstance(value, float | int) else key for key, value in line.items())

    rows = (
        (code(n), code(said(each["up"])), code(said(each["down"])), each["source"]) for n, each in profiles().items()
    )
    return table(("`caller.profile`", "up", "down", "source"), rows)


def keys() -> dict[str, FieldInfo]:
    """Every key by its full name, the tables of lists included."""
    top = dict(Settings.model_fields)
    return top | {f"{n}.{key}": field for n, model in _sections() for key, field in model.model_fields.items()}


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    yield from _below("", Settings)
    for model in get_args(get_args(Turn)[0]):
        yield f"conversation.turns: {model.model_fields['kind'].default}", model


def _below(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            if inner is not Scenario and not {inner} <= set(get_args(get_args(Turn)[0])):
                yield f"{prefix}{name}", inner
                yield from _below(f"{prefix}{name}.", inner)


def _models(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for inner in get_args(kind) for model in _models(inner)]


def _text(model: type[BaseModel]) -> list[str]:
    return [*paragraph(model.__doc__ or ""), ""]


def _row(key: str, field: FieldInfo) -> tuple[str, ...]:
    kind = _kind(field)
    return code(key), kind, _default(field, timed=kind.startswith("time")), _bounds(field), field.description or ""


def _kind(field: FieldInfo) -> str:
    if any(each is get_args(DurationS)[1] for each in field.metadata):
        return "time"
    return _named(field.annotation)


def _named(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if kind == DurationS:
        return "time"
    if origin is Literal:
        return ", ".join(code(str(each)) for each in inner)
    if origin in (Union, types.UnionType):
        return ", ".join(dict.fromkeys(_named(each) for each in inner if each is not type(None)))
    if origin is Annotated:
        return _named(inner[0])
    if origin is tuple:
        return "tables" if _models(kind) or get_origin(inner[0]) is dict else f"list: {_named(inner[0])}"
    if origin is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return "table"
    return _NAMES[kind]


def _default(field: FieldInfo, *, timed: bool) -> str:
    value = field.default
    if field.is_required():
        return "needed"
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel | dict | Hidden) or value == ():
        return ""
    if isinstance(value, tuple):
        return f"{len(value)} × {value[0].kind}"
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(f"{value:g}s" if timed else str(value))


def _bounds(field: FieldInfo) -> str:
    found = []
    for each in field.metadata:
        found += [f"{sign} {getattr(each, name):g}" for name, sign in _SIGNS.items() if hasattr(each, name)]
        if pattern := getattr(each, "pattern", None):
            found.append(f"matches {code(pattern)}")
    return ", ".join(found)


def _said(unit: slo.Unit) -> str:
    match unit:
        case slo.Unit.SECONDS | slo.Unit.COUNT:
            return unit.value
        case slo.Unit.DRIFT:
            return "s a minute"
        case slo.Unit.SHARE:
            return "share of 1"
        case slo.Unit.PER_MINUTE:
            return "a minute"
        case _:
            assert_never(unit)


def _indicators() -> list[str]:
    rows: dict[tuple[str, slo.Unit], list[str]] = {}
    for name, unit in slo.INDICATORS.items():
        measure, _, statistic = name.rpartition(".")
        rows.setdefault((measure, unit), []).append(statistic)
    cells = [
        (code(measure), ", ".join(code(each) for each in statistics), _said(unit))
        for (measure, unit), statistics in rows.items()
    ]
    good = [code(f"turn.{what}_rate") for what, is_good in slo.TAKING.items() if is_good]
    needs = ", ".join(f"{name} {count}" for name, count in sample_sizes.ENOUGH.items())
    return [
        "### Indicators",
        "",
        "An indicator is one of the first column, a dot, and one of the second. Counts are of all of the run, the rest",
        "of its steady part. What the generator did itself counts in none of them.",
        "",
        *table(("of", "statistic", "unit"), cells),
        "",
        f"Samples that a statistic of seconds needs: {needs}. A share or a count is judged from one sample on.",
        "",
        f"{' and '.join(good)} are shares of what is good: bound them by `min`. `false_stop_rate`",
        "is of `ignore` and `backchannel` turns, `cut_rate` and `self_interruption_rate` of answers heard to the end.",
        "",
        "`media` is what was heard of the avatars, told when a session has left its room. `gap` is a session's longest",
        "wait for a frame of speech. `jitter` is by how much those waits differed from a frame's length, on average.",
        "`underruns_per_minute` is how often a player with a buffer of 100 ms ran dry in speech, by time in the room.",
        "`packet_loss` has no samples where the rooms number no packets: in WebSocket and Daily rooms.",
    ]
