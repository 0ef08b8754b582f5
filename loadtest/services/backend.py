"""The integrator's own endpoint that mints and creates (`--backend-url`): what is sent to it and what its answer means.

Its session is an Avaturn session like any other: the same lifecycle, rules and reports apply. Only the mint is not
observed, because it happens behind the endpoint. `control.py` does the HTTP.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator, model_validator

from loadtest.config.headers import flaw_of_url, flaw_of_value
from loadtest.config.scenario import Section
from loadtest.language.errors import Code, Kind, StepError
from loadtest.language.validation import json_value
from loadtest.services.cookies import Cookies
from loadtest.services.creating import created, salvaged
from loadtest.session.ports import Created

_PLACES = ("user", "iteration", "trace_id")
_DELETE_PLACES = ("session_id",)
_PLACE = re.compile(r"\{([^{}]*)\}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FROM_ENVIRONMENT = "env:"


class OwnDelete(Section):
    """`[target.backend.delete]`: how the integrator's own endpoint ends a session."""

    url: str
    method: str = Field("DELETE", pattern=r"^[A-Z]+$")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return checked_url(url, _DELETE_PLACES)


class BackendTarget(Section):
    """`[target.backend]`. In header values and anywhere in the body, `{user}`, `{iteration}` and `{trace_id}` are the
    virtual user's; a header value `env:NAME` is that variable of the environment, for what must not be written down."""

    url: str
    method: str = Field("POST", pattern=r"^[A-Z]+$")
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    """Sent as JSON (None: no body)."""
    session_id: str = "session_id"
    """Where the answer holds Avaturn's session id: keys and places in lists, joined by dots."""
    token: str = "token"  # where, not what
    cookies: bool = True
    """Each virtual user keeps the cookies that the endpoint sets."""
    delete: OwnDelete | None = None
    """None: sessions are deleted at Avaturn, with the key."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return checked_url(url, _PLACES)

    @model_validator(mode="after")
    def _places_are_known(self) -> "BackendTarget":
        for text in (*self.headers.values(), json.dumps(self.body)):
            if not text.startswith(_FROM_ENVIRONMENT):
                _check_places(text, _PLACES)
        return self

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        problems = [f"{name!r} is no name of a header" for name in headers if not _HEADER.fullmatch(name)]
        problems += [f"{name}: {flaw}" for name, value in headers.items() if (flaw := flaw_of_value(value))]
        if problems:
            raise ValueError("\n".join(problems))
        return headers

    @property
    def variables(self) -> list[str]:
        """Names of what it wants from the environment."""
        values = self.headers.values()
        return [v.removeprefix(_FROM_ENVIRONMENT) for v in values if v.startswith(_FROM_ENVIRONMENT)]

    @property
    def endpoints(self) -> list[str]:
        """Everything that it makes us contact."""
        return [self.url] if self.delete is None else [self.url, self.delete.url]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, ready to be sent."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


class Backend:
    """One endpoint and the cookies that its users hold."""

    def __init__(self, target: BackendTarget, environ: Mapping[str, str] = os.environ) -> None:
        self._target = target
        self._headers = {
            name: environ.get(value.removeprefix(_FROM_ENVIRONMENT), "")
            if value.startswith(_FROM_ENVIRONMENT)
            else value
            for name, value in target.headers.items()
        }
        self.secrets = [environ[name] for name in target.variables if environ.get(name)]
        self._cookies: dict[int, Cookies] = {}
        self._users: dict[str, int] = {}

    def create_request(self, *, user: int, iteration: int, trace_id: str, traceparent: str) -> Request:
        """What mints and creates for that user."""
        values = {"user": str(user), "iteration": str(iteration), "trace_id": trace_id}
        body = None if self._target.body is None else json.dumps(_filled(self._target.body, values)).encode()
        headers = {name: _fill(value, values) for name, value in self._headers.items()} | {"traceparent": traceparent}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        url = _fill(self._target.url, {name: quote(value, safe="") for name, value in values.items()})
        return Request(
            method=self._target.method,
            url=url,
            headers=self._with_cookies(headers, user, url),
            body=body,
        )

    def created(self, *, user: int, body: bytes) -> Created:
        """What a good answer says. Raises StepError where the id is not where it was said to be."""
        what = "the backend's answer"
        try:
            tree = json_value(body, what)
        except StepError as error:
            return self.owned_by(user, salvaged(body, error, key=self.id_key))
        told_id, told_token = _at(tree, self._target.session_id), _at(tree, self._target.token)
        if told_id is None:
            lacks = f"the backend's answer lacks a text at {self._target.session_id}"
            raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, lacks)
        return self.owned_by(user, created(told_id, told_token, what))

    @property
    def id_key(self) -> str:
        """The innermost key that the session's id has in an answer."""
        return self._target.session_id.rpartition(".")[2]

    def owned_by(self, user: int, made: Created) -> Created:
        """The same; its delete will be that user's."""
        self._users[made.avaturn_session_id] = user
        return made

    def delete_request(self, session_id: str, *, traceparent: str) -> Request | None:
        """What ends the session with the cookies of its user; None: Avaturn's own delete does."""
        delete = self._target.delete
        if delete is None:
            return None
        headers = {name: value for name, value in self._headers.items() if not _PLACE.search(value)}
        user = self._users.get(session_id)
        url = _fill(delete.url, {"session_id": quote(session_id, safe="")})
        return Request(
            method=delete.method,
            url=url,
            headers=self._with_cookies(headers | {"traceparent": traceparent}, user, url),
            body=None,
        )

    def deleted(self, session_id: str) -> None:
        """The session is over: nothing about it needs to be kept."""
        self._users.pop(session_id, None)

    def keep_cookies(self, user: int, url: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """What the answer of that URL set for a user (raw header pairs)."""
        if self._target.cookies:
            self._cookies.setdefault(user, Cookies()).keep(url, headers)

    def _with_cookies(self, headers: dict[str, str], user: int | None, url: str) -> dict[str, str]:
        """Beside what the operator himself has put into `Cookie`."""
        jar = self._cookies.get(user) if user is not None else None
        if jar is None or (kept := jar.header(url)) is None:
            return headers
        own = {name: value for name, value in headers.items() if name.lower() == "cookie"}
        rest = {name: value for name, value in headers.items() if name not in own}
        return rest | {"Cookie": "; ".join([*own.values(), kept])}


def checked_url(url: str, places: tuple[str, ...]) -> str:
    """The URL as it is. Raises ValueError with a sentence."""
    if flaw := flaw_of_url(url):
        raise ValueError(flaw)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "{" in parts.netloc:
        raise ValueError("is not an http(s) URL with a host")
    if parts.username or parts.password:
        raise ValueError("a URL with a user name or password in it would end up in reports")
    _check_places(url, places)
    return url


def _check_places(text: str, places: tuple[str, ...]) -> None:
    for found in _PLACE.findall(text):
        if found.isidentifier() and found not in places:
            raise ValueError(f"{{{found}}} is not known here; known: {', '.join(places)}")


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda match: values.get(match[1], match[0]), text)


def _filled(tree: Any, values: Mapping[str, str]) -> Any:
    match tree:
        case str():
            return _fill(tree, values)
        case dict():
            return {key: _filled(value, values) for key, value in tree.items()}
        case list():
            return [_filled(value, values) for value in tree]
    return tree


def _at(tree: Any, path: str) -> Any:
    """The value at `a.b.0`; None where there is none."""
    for part in path.split("."):
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and part.isdecimal() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return None
    return tree
