"""`[target.backend]`: what a scenario says of the integrator's own endpoint. loadtest/services/backend.py calls it.

Header and body values that stand there are sent, and written nowhere: settings.json has their lengths. The processes of
a run get them in their environment.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import Field, GetCoreSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema, core_schema

from loadtest.config.keys.scenario import Section
from loadtest.config.sendable import checked_json, flaw_of_url, flaw_of_value

_PLACES = ("user", "iteration", "trace_id")
_WITH_BODY = ("POST", "PUT", "PATCH")
_DELETE_PLACES = ("session_id",)
PLACE = re.compile(r"\{([^{}]*)\}")
_FILLED: Final = re.compile(rf"\{{(?:{'|'.join(_PLACES)})\}}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FROM_ENVIRONMENT = "env:"
_VARIABLE: Final = re.compile(r"\benv:[A-Z][A-Z0-9_]*\b")
"""Meant as one, wherever it stands: `env:prod`, a tag of some monitoring, isn't."""
MOST_HIDDEN: Final = 100_000
"""Characters of it: an environment holds no longer text."""
_MASK: Final = re.compile(r"\(\d+ characters?\)")


class Hidden:
    """A text, or a tree of JSON, that is sent and never shown: what is seen of it are lengths. `env:NAME` is shown."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """The value itself."""
        return self._value

    @property
    def is_withheld(self) -> bool:
        """Whether it comes from a file that tells lengths alone: what it was is not known."""
        return any(isinstance(leaf, str) and is_masked(leaf) for _, leaf in leaves(self._value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self._value == other._value

    def __hash__(self) -> int:
        return hash(json.dumps(self._value, sort_keys=True))

    def __repr__(self) -> str:
        return repr(_masked(self._value))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls(value),
            json_schema_input_schema=core_schema.any_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda hidden: _masked(hidden.reveal())),
        )


def is_filled(text: str) -> bool:
    """Whether something of a user stands in what is sent. Other braces are the value's own."""
    return _FILLED.search(text) is not None


def is_masked(text: str) -> bool:
    """Whether it is what a file tells of a value: its length."""
    return _MASK.fullmatch(text) is not None


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Values of a tree of JSON, each with the name that it stands behind."""
    match tree:
        case dict():
            for key, value in tree.items():
                yield from leaves(value, str(key))
        case list() | tuple():
            for value in tree:
                yield from leaves(value, name)
        case _:
            yield name, tree


def _masked(tree: Any) -> Any:
    match tree:
        case dict():
            return {key: _masked(value) for key, value in tree.items()}
        case list() | tuple():
            return [_masked(value) for value in tree]
        case bool() | None:
            return tree
        case str() if not tree or tree.startswith(FROM_ENVIRONMENT) or is_masked(tree):
            return tree
    length = len(str(tree))
    return f"({length} character{'' if length == 1 else 's'})"


class OwnDelete(Section):
    """`[target.backend.delete]`: how the integrator's own endpoint ends a session."""

    url: str = Field(description="where it is; {session_id} is the session's id")
    method: str = Field("DELETE", pattern=r"^[A-Z]+$", description="HTTP method of the delete")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return checked_url(url, _DELETE_PLACES)


class BackendTarget(Section):
    """`[target.backend]`. In header values and anywhere in the body, `{user}`, `{iteration}` and `{trace_id}` are the
    virtual user's. A header value `env:NAME` is that variable of the environment: what must not be written down."""

    url: str = Field(description="the integrator's own endpoint that mints and creates")
    method: str = Field("POST", pattern=r"^[A-Z]+$", description="HTTP method of the create")
    headers: dict[str, Hidden] = Field(
        default_factory=dict, description="headers that are sent; a value env:NAME is that environment variable's"
    )
    body: Hidden = Field(Hidden(None), description="sent as JSON (left out: {} where the method has a body)")
    session_id: str = Field(
        "session_id", description="where the answer holds the session's id: keys and places in lists, joined by dots"
    )
    token: str = Field("token", description="where the answer holds the room's token, likewise")
    cookies: bool = Field(True, description="each virtual user keeps the cookies that the endpoint sets")
    delete: OwnDelete | None = Field(
        None,
        description="how the endpoint ends a session (left out: the service deletes it, with the key)",
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return checked_url(url, _PLACES)

    @field_validator("body")
    @classmethod
    def _is_json(cls, body: Hidden) -> Hidden:
        checked_json(body.reveal())
        return body

    @model_validator(mode="after")
    def _variables_are_whole_values(self) -> "BackendTarget":
        problems = []
        for name, text in zip(self.headers, self._texts, strict=True):
            if not text.startswith(FROM_ENVIRONMENT) and (found := _VARIABLE.search(text)):
                problems.append(
                    f"headers.{name}: {found[0]} has to be all of the value: the variable holds the rest too"
                )
        if found := _VARIABLE.search(json.dumps(self.body.reveal())):
            problems.append(f"body: {found[0]} is read in headers alone")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @model_validator(mode="after")
    def _fits(self) -> "BackendTarget":
        self.hidden()
        return self

    @model_validator(mode="after")
    def _places_are_known(self) -> "BackendTarget":
        for text in (*self._texts, json.dumps(self.body.reveal())):
            if not text.startswith(FROM_ENVIRONMENT):
                _check_places(text, _PLACES)
        return self

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, Hidden]) -> dict[str, Hidden]:
        problems = [f"{name!r} is no name of a header" for name in headers if not _HEADER.fullmatch(name)]
        spelt: dict[str, str] = {}
        for name in headers:
            if (other := spelt.setdefault(name.lower(), name)) != name:
                problems.append(f"{other} and {name} are one header: give one of them")
        for name, value in headers.items():
            text = value.reveal()
            flaw = flaw_of_value(text) if isinstance(text, str) else "is no text"
            problems += [f"{name}: {flaw}"] if flaw else []
        if problems:
            raise ValueError("\n".join(problems))
        return headers

    @property
    def sent_body(self) -> Any:
        """The tree that is sent as JSON; None: no body."""
        body = self.body.reveal()
        return {} if body is None and self.method in _WITH_BODY else body

    @property
    def variables(self) -> list[str]:
        """Names of what it wants from the environment."""
        return [v.removeprefix(FROM_ENVIRONMENT) for v in self._texts if v.startswith(FROM_ENVIRONMENT)]

    @property
    def literals(self) -> list[tuple[str, str]]:
        """(name, value) of what stands in the scenario itself, the fixed parts around its places: what nobody may be
        told. Of what is withheld, nothing."""
        named = [(name, value.reveal()) for name, value in self.headers.items()]
        named += [(name, str(leaf)) for name, leaf in leaves(self.body.reveal()) if not isinstance(leaf, bool | None)]
        named = [(n, value) for n, value in named if not value.startswith(FROM_ENVIRONMENT) and not is_masked(value)]
        return [(name, part) for name, value in named for part in _FILLED.split(value) if part]

    @property
    def _texts(self) -> list[str]:
        return [value.reveal() for value in self.headers.values()]

    @property
    def withheld(self) -> list[str]:
        """Names of what is not known here, since a file told lengths alone."""
        names = [f"headers.{name}" for name, value in self.headers.items() if value.is_withheld]
        return [*names, "body"] if self.body.is_withheld else names

    def hidden(self) -> str:
        """For HIDDEN. Raises ValueError for more than an environment can hold."""
        told = json.dumps({"headers": dict(zip(self.headers, self._texts, strict=True)), "body": self.body.reveal()})
        if len(told) > MOST_HIDDEN:
            raise ValueError(f"headers and body have {len(told)} characters; at most {MOST_HIDDEN} can be sent")
        return told

    def with_hidden(self, told: Mapping[str, Any]) -> "BackendTarget":
        """With the values of what is withheld, as far as they are told. Raises ValueError for what can't be sent."""
        headers = {name: told["headers"].get(name, value.reveal()) for name, value in self.headers.items()}
        body = told["body"] if self.body.is_withheld else self.body.reveal()
        return BackendTarget.model_validate({**dict(self), "headers": headers, "body": body})

    @property
    def endpoints(self) -> list[str]:
        """Everything that it makes us contact."""
        return [self.url] if self.delete is None else [self.url, self.delete.url]


def checked_url(url: str, places: tuple[str, ...]) -> str:
    """The URL as it is. Raises ValueError with a sentence."""
    if flaw := flaw_of_url(url):
        raise ValueError(flaw)
    _check_places(url, places)
    return url


def _check_places(text: str, places: tuple[str, ...]) -> None:
    for found in PLACE.findall(text):
        if found.isidentifier() and found not in places:
            raise ValueError(f"{{{found}}} is not known here; known: {', '.join(places)}")
