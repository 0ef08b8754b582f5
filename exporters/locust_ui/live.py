"""Locust's web UI: a Sessions tab with what the page /sessions shows, and no way to start, edit or stop the run."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from exporters.locust_ui import sessions_page
from exporters.metrics.snapshot import Snapshot
from exporters.visitors import meant_only
from loadtest.criteria.slo import COUNT, SECONDS, SHARE
from loadtest.criteria.words import amount
from loadtest.text.outlets import cleaned

if TYPE_CHECKING:
    from locust.web import WebUI

REFUSAL: Final = (
    "The run's plan is the scenario's: it can't be started, edited, reset or stopped here. Use avaload run.\n"
)

_KEY: Final = "sessions"  # the UI pairs tab, table and rows by one key
_SECONDS: Final = frozenset({"age_s", "lag_s", "stalled_s"})
"""Keys of the page's values that are lengths of time."""
GROUPS: Final = {
    "states": "Running sessions, by step",
    "left": "Left behind",
    "errors": "Errors, by step and type",
    "rules": "Rules broken",
    "latency": "Times, run so far",
    "secrets": "Client secrets",
    "sound": "The avatar's sound",
    "workers": "Generator",
}
"""As the page calls them."""
_ITEMS: Final = {
    "open": "at the target",
    "started": "sessions",
    "dropped": "iterations",
    "errors_left_out": "kinds",
    "doubtful": "sessions",
    "target": "sessions planned",
}
"""What a number is of that stands alone."""
_REFUSED: Final = ("/swarm", "/stop", "/user", "/stats/reset")


def install(web_ui: "WebUI", snapshot: Callable[[], Snapshot], *, served_as: Iterable[str] = ()) -> None:
    """Add the tab, the page and the refusals. Call it once, before the first request. `snapshot`: as /metrics has it;
    `served_as`: names by which it is asked for, besides this machine's."""
    from flask import Response, request
    from gevent.pywsgi import WSGIServer

    from exporters.seats import Seated

    app = web_ui.app
    if app is None:
        raise ValueError("the web UI has no app")
    web_ui.template_args["extended_tabs"] = [{"title": "Sessions", "key": _KEY}]
    web_ui.template_args["extended_tables"] = [
        {"key": _KEY, "structure": [{"key": key, "title": key.capitalize()} for key in ("group", "item", "value")]}
    ]

    def refuse() -> Response | None:
        if request.path.rstrip("/").endswith(_REFUSED):
            return Response(REFUSAL, status=403, mimetype="text/plain")
        return None

    def add_rows(response: Response) -> Response:
        if request.path.endswith("/stats/requests") and response.is_json and response.status_code == 200:
            body = response.get_json()
            body["extended_stats"] = [{"key": _KEY, "data": cleaned(list(rows(sessions_page.view(snapshot()))))}]
            response.set_data(json.dumps(body))
        return response

    sessions_page.install(web_ui, snapshot)
    app.before_request(refuse)
    app.after_request(add_rows)
    # Locust lets any page of any origin read its answers, and asks nobody by which name it was found.
    app.wsgi_app = meant_only(app.wsgi_app, bound=web_ui.host, served_as=served_as)
    WSGIServer.handler_class = Seated  # Locust's own server is still to be made
    app.config.update(SESSION_COOKIE_SAMESITE="Lax", REMEMBER_COOKIE_SAMESITE="Lax", REMEMBER_COOKIE_HTTPONLY=True)


def rows(now: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What the page shows (`sessions_page.view`), as a table: all of it, in its order."""
    for group, value in now.items():
        for item, text in _cells(value, group):
            yield {
                "group": GROUPS.get(group) or _words(group),
                "item": " · ".join(item) or _ITEMS.get(group, ""),
                "value": text,
            }


def _cells(value: Any, key: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Of what the texts are, and the texts."""
    match value:
        case {"first": float(first_s), "last": float(last_s), "count": count}:
            own = (value["name"],) if "name" in value else ()
            yield (*own, "count"), amount(count, COUNT)
            for quantile in (each for each in value if each not in ("name", "count", "first", "last")):
                yield (*own, quantile), _quantile(value[quantile], first_s, last_s) if count else "–"
        case {"over": over_s, "under": under_s}:
            yield (), _between(over_s, under_s)
        case dict():
            for name, each in value.items():
                for item, text in _cells(each, name):
                    yield (_words(name), *item), text
        case [str(), *_]:  # labels, and what was counted of them; False: of a rule that is only assumed
            *labels, count = (each for each in value if not isinstance(each, bool))
            labels[-1] += " (assumed)" if value[-1] is False else ""
            yield tuple(labels), amount(count, COUNT)
        case list():
            for number, each in enumerate(value):
                own = () if isinstance(each, list | tuple) or "name" in each else (str(each.get("worker", number)),)
                for item, text in _cells(each, key):
                    yield (*own, *item), text
        case None:
            yield (), "–"
        case bool():
            yield (), "yes" if value else "no"
        case int() | float():
            yield (), _number(value, key)
        case _:
            yield (), str(value)


def _number(value: float, key: str) -> str:
    """With its unit, as the page has it."""
    if key == "started_s":
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC" if value else "–"
    if key == "bytes":
        return f"{value / 1e6:,.0f} MB"
    return amount(value, SECONDS if key in _SECONDS else SHARE if key == "cpu" else COUNT)


def _words(key: str) -> str:
    return (key.removesuffix("_s") if key in _SECONDS or key == "started_s" else key).replace("_", " ")


def _quantile(value_s: float | None, first_s: float, last_s: float) -> str:
    """Of wide buckets: what is below the first edge or above the last isn't known more exactly."""
    if value_s is None:
        return f"> {last_s:g} s"
    if value_s <= first_s:
        return f"< {first_s:g} s"
    return f"{value_s:.3f} s" if value_s >= 0.01 else amount(value_s, SECONDS)


def _between(over_s: float | None, under_s: float | None) -> str:
    if over_s is None:
        return "–" if under_s is None else f"≤ {under_s:g} s"
    return f"> {over_s:g} s" if under_s is None else f"{over_s:g} s to {under_s:g} s"
