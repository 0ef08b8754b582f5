"""`[target.backend]`: what a scenario says of the integrator's own endpoint. loadtest/services/backend.py calls it."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from loadtest.config.headers import flaw_of_url, flaw_of_value
from loadtest.config.scenario import Section

_PLACES = ("user", "iteration", "trace_id")
_WITH_BODY = ("POST", "PUT", "PATCH")
_DELETE_PLACES = ("session_id",)
PLACE = re.compile(r"\{([^{}]*)\}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FROM_ENVIRONMENT = "env:"


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
    headers: dict[str, str] = Field(
        default_factory=dict, description="headers that are sent; a value env:NAME is that environment variable's"
    )
    body: Any = Field(None, description="sent as JSON (left out: {} where the method has a body)")
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

    @model_validator(mode="after")
    def _places_are_known(self) -> "BackendTarget":
        for text in (*self.headers.values(), json.dumps(self.body)):
            if not text.startswith(FROM_ENVIRONMENT):
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
    def sent_body(self) -> Any:
        """The tree that is sent as JSON; None: no body."""
        return {} if self.body is None and self.method in _WITH_BODY else self.body

    @property
    def variables(self) -> list[str]:
        """Names of what it wants from the environment."""
        values = self.headers.values()
        return [v.removeprefix(FROM_ENVIRONMENT) for v in values if v.startswith(FROM_ENVIRONMENT)]

    @property
    def endpoints(self) -> list[str]:
        """Everything that it makes us contact."""
        return [self.url] if self.delete is None else [self.url, self.delete.url]


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
    for found in PLACE.findall(text):
        if found.isidentifier() and found not in places:
            raise ValueError(f"{{{found}}} is not known here; known: {', '.join(places)}")
