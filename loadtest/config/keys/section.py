"""What all tables of the scenario file have in common."""

from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from loadtest.text.durations import WRITTEN, parse_s

_Written = Annotated[float, Field(ge=0)] | Annotated[str, Field(pattern=WRITTEN)]
DurationS = Annotated[float, BeforeValidator(parse_s, json_schema_input_type=_Written)]
"""Seconds, written as a length of time."""


class Section(BaseModel):
    """A closed, frozen table of the scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _takes_no_switch_for_a_number(cls, given: Any) -> Any:
        """To Python true is 1; to whoever wrote `users = true` it isn't. As a word the field itself refuses it."""
        if not isinstance(given, dict):
            return given
        switches = {key: value for key, value in given.items() if isinstance(value, bool) and cls._is_number(key)}
        return given | {key: str(value).lower() for key, value in switches.items()}

    @classmethod
    def _is_number(cls, key: str) -> bool:
        field = cls.model_fields.get(key)
        kinds = set() if field is None else {field.annotation, *get_args(field.annotation)}
        return bool(kinds & {int, float}) and bool not in kinds


def sections(field: FieldInfo) -> list[type[Section]]:
    """The tables that a key may hold, one or several of them."""

    def inside(annotation: Any) -> Iterator[type[Section]]:
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield annotation
        for part in get_args(annotation):
            yield from inside(part)

    return list(inside(field.annotation))
