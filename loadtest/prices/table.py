"""The table of prices: read, checked, and merged with a user's own."""

import copy
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from loadtest.errors.exceptions import ConfigError
from loadtest.text import toml_text
from loadtest.text.mistyped import did_you_mean, line_of

TABLE: Final = Path(__file__).with_name("prices.toml")
OLD_DAYS: Final = 180
_SNAPSHOT: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def _a_day(value: object) -> object:
    """JSON has no dates."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def _a_number(value: object) -> object:
    """A variable of the environment is text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Usd = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, strict=True), BeforeValidator(_a_number)]


class _Row(BaseModel):
    """Closed and frozen. `as_of`: the day it was looked up; `source`: where."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    as_of: Annotated[date | None, BeforeValidator(_a_day)] = None
    source: str = Field("your own", max_length=200)


class Rates(BaseModel):
    """USD per million tokens of a kind; `cached` tokens are part of the input."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    input: Usd
    cached: Usd
    output: Usd


class ModelPrice(_Row):
    """Of a model that speaks. `longest_answer_tokens`: what one answer can take at most."""

    audio: Rates
    text: Rates
    longest_answer_tokens: int = Field(32_000, ge=1, le=10_000_000)


class TranscriberPrice(_Row):
    """Of a model that writes down what the user says, in USD a minute of speech."""

    per_minute: Usd


class AvatarPrice(_Row):
    """Of a session while it lives, in USD a minute. None: not known."""

    per_minute: Usd | None = None


class HostPrice(_Row):
    """Of a machine that makes the load, in USD an hour."""

    per_hour: Usd
    cores: int = Field(ge=1, le=4096)


class Speech(_Row):
    """How speech becomes tokens."""

    user_tokens_per_s: float = Field(gt=0, le=1e4)
    avatar_tokens_per_s: float = Field(gt=0, le=1e4)
    text_per_audio_token: float = Field(ge=0, le=100)
    characters_per_token: float = Field(gt=0, le=100)
    cached_share: float = Field(ge=0, le=1)


class Limits(_Row):
    """Of the account."""

    requests_per_minute: int = Field(ge=1)


class Prices(BaseModel):
    """All of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    models: dict[str, ModelPrice]
    transcription: dict[str, TranscriberPrice]
    avatar: AvatarPrice
    host: HostPrice
    speech: Speech
    limits: Limits

    def model(self, name: str | None) -> ModelPrice | None:
        """None: without a price. A snapshot, whose name ends in a date, costs what its model does."""
        return None if name is None else self.models.get(name) or self.models.get(_SNAPSHOT.sub("", name))

    def transcriber(self, name: str | None) -> TranscriberPrice | None:
        """The same of what writes down the user's words."""
        if name is None:
            return None
        return self.transcription.get(name) or self.transcription.get(_SNAPSHOT.sub("", name))

    def rows(self) -> dict[str, _Row]:
        """Each row by its place in the file."""
        singles = ("avatar", "host", "speech", "limits")
        return {
            **{f'models."{name}"': row for name, row in self.models.items()},
            **{f'transcription."{name}"': row for name, row in self.transcription.items()},
            **{name: getattr(self, name) for name in singles},
        }

    def old(self, today: date) -> list[str]:
        """Rows with money that were looked up long ago, one phrase each."""
        return [
            f"{place} is {(today - row.as_of).days} days old"
            for place, row in self.rows().items()
            if row.as_of is not None and (today - row.as_of).days > OLD_DAYS
        ]


def prices(own: Mapping[str, Any] | None = None) -> Prices:
    """The table in force: ours, with a user's own rows over it. `own`: as `read` gives it. Raises ConfigError."""
    return _merged(own) if own else _ours()


def read(path: Path) -> dict[str, Any]:
    """A user's own rows from a TOML file. Raises ConfigError with every problem, each with its line."""
    tree, text = toml_text.read(path)
    try:
        _merged(tree)
    except _WrongError as wrong:
        lines = [(line_of(text, loc), problem) for loc, problem in wrong.found]
        raise ConfigError([f"{path}{f':{line}' if line else ''}: {problem}" for line, problem in lines]) from None
    return plain(tree)


def plain(own: dict[str, Any]) -> dict[str, Any]:
    """A user's own rows, checked, as settings.json can hold them. Raises ConfigError."""
    _merged(own)
    return {key: _without_dates(value) for key, value in own.items()}


def over(own: Mapping[str, Any], under: Any) -> dict[str, Any]:
    """Rows over others of a user's own, each as over ours."""
    tree = copy.deepcopy(under) if isinstance(under, dict) else {}
    for place, row in _rows_of(own):
        _lay(tree, place, row)
    return tree | {key: own[key] for key in own if key not in Prices.model_fields}


class _WrongError(ConfigError):
    """`found`: each problem and its place in the tree."""

    def __init__(self, found: list[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__([problem for _, problem in found])
        self.found = found


@cache
def _ours() -> Prices:
    return Prices.model_validate(_tree())


def _tree() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def _merged(own: Mapping[str, Any]) -> Prices:
    tree = _tree()
    for place, row in list(_rows_of(own)):
        _lay(tree, place, row)
    for key in own:
        if key not in Prices.model_fields:
            tree[key] = own[key]
    try:
        return Prices.model_validate(tree)
    except ValidationError as error:
        raise _WrongError([(item["loc"], _sentence(item)) for item in error.errors(include_input=False)]) from None


def _rows_of(own: Mapping[str, Any]) -> Any:
    for section, value in own.items():
        if section in ("models", "transcription") and isinstance(value, Mapping):
            for name, row in value.items():
                yield (section, name), row
        elif section in Prices.model_fields:
            yield (section,), value


def _lay(tree: dict[str, Any], place: tuple[str, ...], row: Any) -> None:
    """An own row over ours. Its day and source are its own, or nobody's: ours would be said of another figure."""
    for key in place[:-1]:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    under = tree.get(place[-1])
    if isinstance(row, Mapping) and isinstance(under, dict):
        kept = {key: value for key, value in under.items() if key not in ("as_of", "source")}
        row = kept | {
            key: kept[key] | value if isinstance(value, Mapping) and isinstance(kept.get(key), dict) else value
            for key, value in row.items()
        }
    tree[place[-1]] = row


def _sentence(item: Any) -> str:
    where = ".".join(f'"{part}"' if "." in str(part) else str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{where}: unknown key{did_you_mean(str(item['loc'][-1]), _keys(item['loc'][:-1]))}"
    if item["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {item['msg'].removeprefix('Value error, ')}"


def _keys(loc: tuple[str | int, ...]) -> list[str]:
    """Those that a table of the file may have."""
    rows: dict[str, type[BaseModel]] = {
        "models": ModelPrice, "transcription": TranscriberPrice, "avatar": AvatarPrice, "host": HostPrice,
        "speech": Speech, "limits": Limits,
    }  # fmt: skip
    if not loc:
        return list(Prices.model_fields)
    row = Rates if loc[-1] in ("audio", "text") else rows.get(str(loc[0]))
    return list(row.model_fields) if row is not None else []


def _without_dates(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_dates(value) for key, value in tree.items()}
    return tree.isoformat() if isinstance(tree, date | datetime) else tree
