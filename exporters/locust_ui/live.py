"""Locust's web UI: a Sessions tab, the page /sessions, and no way to start, edit or stop the run from there."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from exporters.locust_ui import sessions_page
from exporters.locust_ui.sessions_page import quantile
from exporters.metrics import catalogue as c
from exporters.metrics.snapshot import EDGES, SEPARATOR, Snapshot, Value
from loadtest.language.outlets import cleaned

if TYPE_CHECKING:
    from locust.web import WebUI

REFUSAL: Final = (
    "The run's plan is the scenario's: it can't be started, edited, reset or stopped here. Use avaload run.\n"
)

_KEY: Final = "sessions"  # the UI pairs tab, table and rows by one key
_REFUSED: Final = ("/swarm", "/stop", "/user", "/stats/reset")


def install(web_ui: "WebUI", snapshot: Callable[[], Snapshot]) -> None:
    """Add the tab, the page and the refusal. Call it once, before the first request. `snapshot`: as /metrics has it."""
    from flask import Response, request

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
            body["extended_stats"] = [{"key": _KEY, "data": cleaned(list(rows(snapshot())))}]
            response.set_data(json.dumps(body))
        return response

    sessions_page.install(web_ui, snapshot)
    app.before_request(refuse)
    app.after_request(add_rows)


def rows(snapshot: Snapshot) -> Iterator[dict[str, str]]:
    """The table: what is open, how it ended, what failed, what is left, how fast it answers, how the generator does."""

    def each(group: str, metric: c.Metric, *, only_seen: bool = False) -> Iterator[dict[str, str]]:
        for key, value in snapshot.get(metric.name, {}).items():
            if isinstance(value, list) or (only_seen and not value):
                continue
            yield {"group": group, "item": key.replace(SEPARATOR, " · "), "value": f"{value:g}"}

    def quantiles(group: str, metric: c.Metric, *, only: str = "") -> Iterator[dict[str, str]]:
        for key, value in snapshot.get(metric.name, {}).items():
            if not isinstance(value, list) or not sum(value[:-1]) or (only and only not in key.split(SEPARATOR)):
                continue
            for q in (0.5, 0.95):
                item = " · ".join([*key.split(SEPARATOR), f"p{q * 100:g}"]).removeprefix(" · ")
                edges = snapshot.get(EDGES, {}).get(metric.name)
                own = tuple(edges) if isinstance(edges, list) else metric.buckets
                yield {"group": group, "item": item, "value": _seconds(value, own, q)}

    yield from each("running, by step", c.SESSIONS_ACTIVE)
    yield {"group": "open", "item": "at the target", "value": _number(snapshot, c.SESSIONS_OPEN)}
    yield from each("finished", c.SESSIONS)
    yield from each("dropped", c.ITERATIONS_DROPPED, only_seen=True)
    yield from each("errors", c.LIFECYCLE_ERRORS, only_seen=True)
    yield from each("left behind", c.SESSIONS_LEFT)
    yield {"group": "left behind", "item": "unknown", "value": _number(snapshot, c.SESSIONS_UNKNOWN)}
    yield from each("rules broken", c.RULE_VIOLATIONS, only_seen=True)
    yield from each("waived rules broken", c.RULE_VIOLATIONS_WAIVED, only_seen=True)
    yield from quantiles("time of steps", c.STEP_DURATION, only="ok")
    for share, who in ((0.05, "95 %"), (0.5, "half")):
        if (over_s := sessions_page.bounds(snapshot, c.SECRET_MARGIN, share)[0]) is not None:
            yield {"group": "secret's life left", "item": f"{who} had more than", "value": f"{over_s:g} s"}
    yield from quantiles("time to first audio", c.FIRST_AUDIO)
    yield from quantiles("barge-in", c.BARGE_IN)
    yield {"group": "avatar's speech", "item": "times that it ran dry", "value": _number(snapshot, c.MEDIA_UNDERRUNS)}
    yield from quantiles("avatar's speech, longest gap", c.MEDIA_GAP)
    yield from quantiles("loop lag, worst of a second", c.LOOP_LAG)
    yield from quantiles("lateness of starts", c.SCHEDULE_LAG)
    yield from each("load processes that report", c.WORKER_UP)
    yield from each("CPU, 1 is a core", c.WORKER_CPU)
    yield from each("generator faults", c.GENERATOR_FAULTS, only_seen=True)


def _seconds(histogram: list[float], edges: tuple[float, ...], q: float) -> str:
    value = quantile(histogram[:-1], edges, q)
    if value is None:
        return f"> {edges[-1]:g} s"
    return f"< {edges[0]:g} s" if value <= edges[0] else f"{value:.3f} s"


def _number(snapshot: Mapping[str, Mapping[str, Value]], metric: c.Metric) -> str:
    value = snapshot.get(metric.name, {}).get("", 0)
    return "0" if isinstance(value, list) else f"{value:g}"
