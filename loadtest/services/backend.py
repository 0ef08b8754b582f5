"""The integrator's own endpoint that mints and creates (`--backend-url`): what is sent to it and what its answer means.

Its session is an Avaturn session like any other: the same lifecycle, rules and reports apply. Only the mint is not
observed, because it happens behind the endpoint. `control.py` does the HTTP.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from loadtest.config.keys.backend import FROM_ENVIRONMENT, PLACE, BackendTarget, is_filled
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.secrecy.redact import credentials, names_secret
from loadtest.services.cookies import Cookies
from loadtest.services.creating import created, salvaged
from loadtest.session.ports import Created
from loadtest.text.validation import json_value


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
        texts = {name: value.reveal() for name, value in target.headers.items()}
        self._headers = {
            name: environ.get(text.removeprefix(FROM_ENVIRONMENT), "") if text.startswith(FROM_ENVIRONMENT) else text
            for name, text in texts.items()
        }
        self._of_user = {name for name, text in texts.items() if is_filled(text)}
        self.secrets = [environ[name] for name in target.variables if environ.get(name)]
        of_headers = [(name, value) for name, value in target.literals if name in target.headers]
        self.literals = credentials((n, v) for n, v in of_headers if names_secret(n) and "cookie" not in n.lower())
        """Keys that stand in the scenario. A cookie may be set anew, and what else is sent may be said again."""
        self._cookies: dict[int, Cookies] = {}
        self._users: dict[str, int] = {}

    def create_request(self, *, user: int, iteration: int, trace_id: str, traceparent: str) -> Request:
        """What mints and creates for that user."""
        values = {"user": str(user), "iteration": str(iteration), "trace_id": trace_id}
        tree = self._target.sent_body
        body = None if tree is None else json.dumps(_filled(tree, values)).encode()
        headers = {**self._headers, "traceparent": traceparent}
        headers |= {name: _fill(self._headers[name], values) for name in self._of_user}
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
        self._users[made.target_session_id] = user
        return made

    def delete_request(self, session_id: str, *, traceparent: str) -> Request | None:
        """What ends the session with the cookies of its user; None: Avaturn's own delete does."""
        delete = self._target.delete
        if delete is None:
            return None
        headers = {name: value for name, value in self._headers.items() if name not in self._of_user}
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


def _fill(text: str, values: Mapping[str, str]) -> str:
    return PLACE.sub(lambda match: values.get(match[1], match[0]), text)


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
