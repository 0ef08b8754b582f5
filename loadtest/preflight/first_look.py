"""One look at the services before the load: what a mistyped URL or a wrong key would make of every session is said at
once. A cheap call each, which creates nothing, and which no figure of a run counts.

What is certainly the operator's to change stops the start. What restricted keys and doubles answer as well is a note.
"""

import asyncio
import time
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from loadtest.config.access.trust import trust
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import StepError
from loadtest.events.kinds import TO_THE_ROOM
from loadtest.http_client.opening import reach
from loadtest.http_client.pool import Pool
from loadtest.services.transport import fetch, open_session
from loadtest.session.ports import Call
from loadtest.text.validation import http_date_s, json_value

DEADLINE_S: Final = 5.0
"""Of each service, all of them at once."""
LEAST_MARGIN: Final = 0.5
"""Share of a secret's life that a clock may always be off."""
_HTML: Final = (b"<!doctype html", b"<html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Of one service. `stops`: sentences on what has to be changed, each begins with a setting or a key; `notes`: on
    what may be as it should. None: not known."""

    service: str
    url: str
    took_s: float | None = None
    clock_ahead_s: float | None = None
    stops: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    models: Mapping[str, date | None] | None = field(default=None, repr=False)
    """Those that the key may use, each with the day on which it is shut down."""


async def look(settings: Settings, keys: Mapping[str, str]) -> list[Seen]:
    """At each service that the run will call by itself; `keys` by their variables. Raises nothing."""
    target = settings.target
    async with open_session(connections=4, verify=trust(target.ca_file), live=target.live) as session:
        looking = _Looking(session, settings, keys)
        return list(await asyncio.gather(*looking.all()))


def margin_s(settings: Settings) -> float:
    """How far a clock may be off before secrets look expired that aren't: what is left of a secret's life when the last
    step that needs it has had all of its time."""
    ttl_s = min(scenario.secret.ttl_s for scenario in settings.scenarios)
    return max(LEAST_MARGIN * ttl_s, ttl_s - sum(settings.target.deadline_s(step) or 0.0 for step in TO_THE_ROOM))


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    date: str | None
    body: bytes
    took_s: float
    at_s: float

    @property
    def is_html(self) -> bool:
        return self.body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_HTML)

    @property
    def json(self) -> Any:
        try:
            return json_value(self.body, "an answer")
        except StepError:
            return None

    @property
    def ahead_s(self) -> float | None:
        """The service's clock against ours. The header has whole seconds: on average it is half a second behind."""
        stamp_s = None if self.date is None else http_date_s(self.date)
        return None if stamp_s is None else stamp_s + 0.5 - self.at_s


class _Looking:
    def __init__(self, session: Pool, settings: Settings, keys: Mapping[str, str]) -> None:
        self._session, self._settings, self._keys = session, settings, keys

    def all(self) -> list[Coroutine[Any, Any, Seen]]:
        target = self._settings.target
        avaturn = str(target.avaturn_base_url)
        if target.backend is None:
            return [self._openai(str(target.openai_base_url)), self._avaturn(avaturn)]
        reached = {"backend": target.backend.url}  # calling it would create something
        if target.backend.delete is not None:  # then nothing is called with a key of Avaturn's, and there may be none
            reached["avaturn"] = avaturn
        # A proxy finds them itself.
        found = [] if target.proxy is not None else [self._reached(name, url) for name, url in reached.items()]
        return found if "avaturn" in reached else [*found, self._avaturn(avaturn)]

    async def _openai(self, url: str) -> Seen:
        answer = await self._ask("GET", f"{url}/models", key="OPENAI_API_KEY")
        if isinstance(answer, str):
            return Seen(service="openai", url=url, notes=(f"openai: {url}/models: {answer}",))
        models = _models(answer.json) if answer.status == 200 else None
        stops = self._refusals(answer, "OPENAI_API_KEY", "openai_base_url", url)
        notes: tuple[str, ...] = ()
        if not stops and models is None:
            if (better := await self._better(url)) is not None:
                stops = [f"target.openai_base_url: {url}: no API there, but at {better}: write that"]
            elif answer.is_html and answer.status < 300:
                stops = [
                    f"target.openai_base_url: {url}: a page in HTML where JSON was expected; is it the API's address,"
                    " with /v1 once?"
                ]
            else:
                said = "what is no list of models" if answer.status == 200 else f"HTTP {answer.status}"
                notes = (f"openai: {url}/models answers {said}: whether the key is right is not known",)
        return self._seen("openai", url, answer, stops, notes, models)

    async def _avaturn(self, url: str) -> Seen:
        answer = await self._ask("DELETE", f"{url}/api/v1/sessions/{uuid.uuid4()}", key="AVATURN_API_KEY")
        if isinstance(answer, str):
            return Seen(service="avaturn", url=url, notes=(f"avaturn: {url}: {answer}",))
        stops = self._refusals(answer, "AVATURN_API_KEY", "avaturn_base_url", url)
        notes: tuple[str, ...] = ()
        if not stops and answer.is_html and answer.status < 300:
            stops = [
                f"target.avaturn_base_url: {url}: a page in HTML where JSON was expected; is it the API's address,"
                " without a path?"
            ]
        elif not stops and (answer.status not in (200, 204, 404) or answer.is_html):
            page = " with a page in HTML" if answer.is_html else ""
            said = f"HTTP {answer.status}{page}"
            notes = (f"avaturn: {url} answers the delete of a session that isn't there with {said}",)
        return self._seen("avaturn", url, answer, stops, notes)

    async def _reached(self, service: str, url: str) -> Seen:
        """Whether somebody listens there: its name and certificate were looked at before."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await reach(parts.hostname or "", port, live=self._settings.target.live)
        except OSError as error:  # TimeoutError is one
            gone = "nobody listens there" if isinstance(error, ConnectionRefusedError) else error.strerror
            said = gone or f"nobody took the connection within {DEADLINE_S:g} s"
            return Seen(service=service, url=url, notes=(f"{service}: {url}: {said}",))
        return Seen(service=service, url=url, took_s=time.perf_counter() - began)

    def _refusals(self, answer: _Answer, key: str, setting: str, url: str) -> list[str]:
        if answer.status == 407:
            return [f"target.{setting}: {url}: a proxy on the way wants a password (HTTP 407): see --proxy"]
        if answer.status == 401:
            return [f"{key}: {url} doesn't take it (HTTP 401): is it whole, still valid, of this service?"]
        limit_s = margin_s(self._settings)
        if answer.ahead_s is not None and abs(answer.ahead_s) > limit_s:
            which = "ahead of" if answer.ahead_s > 0 else "behind"
            return [
                f"target.{setting}: the clock at {url} is {abs(answer.ahead_s):.0f} s {which} this machine's, more than"
                f" the {limit_s:.0f} s that a secret has to spare: set the clock that is wrong"
            ]
        return []

    def _seen(
        self,
        service: str,
        url: str,
        answer: _Answer,
        stops: list[str],
        notes: tuple[str, ...],
        models: Mapping[str, date | None] | None = None,
    ) -> Seen:
        return Seen(
            service=service,
            url=url,
            took_s=answer.took_s,
            clock_ahead_s=answer.ahead_s,
            stops=tuple(stops),
            notes=notes,
            models=models,
        )

    async def _better(self, url: str) -> str | None:
        """The same address with /v1 once, where that is an API and this isn't."""
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        without = path
        while without.endswith("/v1"):
            without = without.removesuffix("/v1")
        fixed = urlunsplit(parts._replace(path=f"{without}/v1"))
        if fixed == url:
            return None
        answer = await self._ask("GET", f"{fixed}/models", key="OPENAI_API_KEY")
        if isinstance(answer, str) or answer.is_html:
            return None
        return fixed if answer.status in (401, 403) or _models(answer.json) is not None else None

    async def _ask(self, method: str, url: str, *, key: str) -> _Answer | str:
        """The answer, or why there is none."""
        headers = {"Authorization": f"Bearer {self._keys.get(key, '')}", "Accept": "application/json"}
        proxy = self._settings.target.proxy
        began = time.perf_counter()
        try:
            async with asyncio.timeout(DEADLINE_S):
                before_s = time.time()
                answered = await fetch(self._session, Call(), method=method, url=url, headers=headers, proxy=proxy)
        except TimeoutError:
            return f"no answer within {DEADLINE_S:g} s"
        except StepError as error:
            return error.detail or str(error.code)
        took_s = time.perf_counter() - began
        return _Answer(
            status=answered.status,
            date=answered.header(b"date"),
            body=answered.body,
            took_s=took_s,
            at_s=before_s + took_s / 2,
        )


def _models(answer: Any) -> dict[str, date | None] | None:
    """By name the day of the end that was announced (None: none was); None where it is no list of models."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        return None
    return {
        row["id"]: _day(row.get("shutdown_date")) for row in rows if isinstance(row, dict) and _is_name(row.get("id"))
    }


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 200


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
