"""The page `/sessions` of Locust's web UI: the run at a glance, each second, from the same snapshot as /metrics."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from exporters.metrics import catalogue as c
from exporters.metrics.labels import DOUBTFUL, LEAKED, OUTCOME
from exporters.metrics.metric import Metric
from exporters.metrics.reading import at_most, bounds, edges_of, histogram, labelled, quantile_of, total
from exporters.metrics.snapshot import SEPARATOR, Snapshot
from loadtest.criteria.statements import RULES
from loadtest.events.kinds import STEPS, Step
from loadtest.text.outlets import cleaned

if TYPE_CHECKING:
    from locust.web import WebUI

PATH: Final = "/sessions"
_PAGE: Final = Path(__file__).with_name("sessions_page.html")
_LISTED_ERRORS: Final = 20


LEFT_OUT: Final = (
    c.USERS,
    c.SESSION_DURATION,
    c.FIRST_FRAME,
    c.CONNECT_PHASE,
    c.DEAD_AIR,
    c.TALK_OVER,
    c.TAKING_OF,
    c.TAKING_SO,
    c.STAGE_START,
    c.ANSWERS_BY_AGE,
    c.WAITED_BY_AGE,
    c.TURNS,
    c.GONE_CHECKS,
    c.LOOP_LAG,
    c.GC_PAUSE,
    c.PACING_ERROR,
    c.POOL_WAIT,
    c.MEDIA_HEARD,
    c.WORKER_REPORT_GAPS,
    c.MASTER_REFUSED,
    c.GENERATOR_STATE,
    c.OBJECTIVE_BOUND,
    c.OBJECTIVE_OBSERVED,
    c.OBJECTIVE_MET,
)
"""What the page doesn't show: it is on the boards."""


def install(web_ui: "WebUI", snapshot: Callable[[], Snapshot]) -> None:
    """Add the page and its data, behind Locust's login where it has one. Call it before the first request."""
    from flask import Response, jsonify

    if web_ui.app is None:
        raise ValueError("the web UI has no app")

    def page() -> Response:
        # Its own script and style, and nothing from elsewhere.
        policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"
        return Response(_PAGE.read_bytes(), mimetype="text/html", headers={"Content-Security-Policy": policy})

    def live() -> Response:
        response: Response = jsonify(cleaned(view(snapshot())))
        response.headers["Cache-Control"] = "no-store"
        return response

    for path, answer in ((PATH, page), (f"{PATH}/live.json", live)):
        web_ui.app.add_url_rule(path, f"avaload_{answer.__name__}", web_ui.auth_required_if_enabled(answer))


def view(snapshot: Snapshot) -> dict[str, Any]:
    """What the page shows. Seconds, of the run so far.

    Quantiles stand beside their count and the outermost edges of their buckets: without a value but with a count they
    are above the last edge. Of wide buckets only the edges are told that a quantile lies between, `over` and `under`;
    None on one side: beyond the outermost edge; on both: nothing observed."""
    errors = _errors(snapshot)
    info = next(iter(snapshot.get(c.RUN_INFO.name, {})), "").split(SEPARATOR)
    return {
        "run": {
            "id": info[0],
            "scenario": info[1] if len(info) > 1 else "",
            "active": bool(total(snapshot, c.RUN_ACTIVE)),
            "started_s": total(snapshot, c.RUN_START),
        },
        "open": total(snapshot, c.SESSIONS_OPEN),
        "unknown": total(snapshot, c.SESSIONS_UNKNOWN),
        "target": total(snapshot, c.SESSIONS_TARGET),
        "states": [[labels[0], count] for labels, count in labelled(snapshot, c.SESSIONS_ACTIVE)],
        "started": total(snapshot, c.SESSIONS_STARTED),
        "outcomes": {name: total(snapshot, c.SESSIONS, name) for name in OUTCOME.values or ()},
        "dropped": total(snapshot, c.ITERATIONS_DROPPED),
        "left": {reason: total(snapshot, c.SESSIONS_LEFT, reason) for reason in LEAKED},
        "doubtful": total(snapshot, c.SESSIONS_LEFT, DOUBTFUL),
        "errors": errors[:_LISTED_ERRORS],
        "errors_left_out": len(errors[_LISTED_ERRORS:]),
        "rules": _rules(snapshot),
        "waived": [[labels[0], count] for labels, count in labelled(snapshot, c.RULE_VIOLATIONS_WAIVED) if count],
        "latency": list(_latencies(snapshot)),
        "secrets": {
            "p5_left": _between(snapshot, c.SECRET_MARGIN, 0.05),
            "half_left": _between(snapshot, c.SECRET_MARGIN, 0.5),
            "under_10_s": at_most(snapshot, c.SECRET_MARGIN, 10.0),
            "p95_age_at_connect": _between(snapshot, c.SECRET_AGE, 0.95, Step.CONNECT),
        },
        "sound": {
            "frames": total(snapshot, c.MEDIA_FRAMES),
            "underruns": total(snapshot, c.MEDIA_UNDERRUNS),
            "stalled_s": total(snapshot, c.MEDIA_STALLED),
            "gap": _quantiles(snapshot, c.MEDIA_GAP, (0.95,)),
            "jitter": _quantiles(snapshot, c.MEDIA_JITTER, (0.95,)),
            "lost": total(snapshot, c.MEDIA_LOST),
            "expected": total(snapshot, c.MEDIA_PACKETS),
        },
        "workers": _workers(snapshot),
        "start_lag": _quantiles(snapshot, c.SCHEDULE_LAG, (0.99,)),
        "faults": {labels[0]: count for labels, count in labelled(snapshot, c.GENERATOR_FAULTS) if count},
        "telemetry": {
            "events lost": total(snapshot, c.EVENTS_LOST),
            "sink errors": total(snapshot, c.SINK_ERRORS),
            "spans dropped": total(snapshot, c.SPANS_DROPPED),
            "spans sent": total(snapshot, c.SPANS_EXPORTED),
        },
    }


def _errors(snapshot: Snapshot) -> list[list[Any]]:
    """Step, type and how many, of all scenarios of a mix, the most frequent first."""
    found: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for (_, *labels), count in labelled(snapshot, c.LIFECYCLE_ERRORS):
        found[tuple(labels)] += count
    return [[*labels, count] for labels, count in sorted(found.items(), key=lambda row: -row[1]) if count]


def _rules(snapshot: Snapshot) -> list[tuple[str, str, float, bool]]:
    """Rules broken so far: id, what it says, how often, whether that fails the run."""
    counted = [(labels[0], count) for labels, count in labelled(snapshot, c.RULE_VIOLATIONS) if count]
    return [
        (rule, RULES[rule].statement, count, not RULES[rule].characterised) for rule, count in counted if rule in RULES
    ]


def _latencies(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    steps = [(step.value, c.STEP_DURATION, (step.value, "ok")) for step in STEPS]
    rest = [
        ("set-up", c.SESSION_SETUP, ()),
        ("first audio", c.FIRST_AUDIO, ()),
        ("barge-in", c.BARGE_IN, ()),
        ("gone", c.TIME_TO_GONE, ()),
    ]
    for name, metric, labels in steps + rest:
        found = _quantiles(snapshot, metric, (0.5, 0.95, 0.99), *labels)
        if found["count"]:
            yield {"name": name, **found}


def _quantiles(snapshot: Snapshot, metric: Metric, shares: tuple[float, ...], *labels: str) -> dict[str, float | None]:
    edges = edges_of(snapshot, metric)
    return {
        "count": sum(histogram(snapshot, metric, *labels)),
        "first": float(edges[0]),
        "last": float(edges[-1]),
        **{f"p{share * 100:g}": quantile_of(snapshot, metric, share, *labels) for share in shares},
    }


def _between(snapshot: Snapshot, metric: Metric, share: float, *labels: str) -> dict[str, float | None]:
    return dict(zip(("over", "under"), bounds(snapshot, metric, share, *labels), strict=True))


def _workers(snapshot: Snapshot) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (worker,), up in labelled(snapshot, c.WORKER_UP):
        found[worker] = {"worker": worker, "up": bool(up), "processes": {}}
    for (worker,), age_s in labelled(snapshot, c.WORKER_REPORT_AGE):
        if worker in found:
            found[worker]["age_s"] = age_s
    for name, metric in (("lag_s", c.WORKER_LAG), ("cpu", c.WORKER_CPU), ("bytes", c.WORKER_RSS)):
        for (worker, source), value in labelled(snapshot, metric):
            if worker in found:
                found[worker]["processes"].setdefault(source, {})[name] = value
    return [found[worker] for worker in sorted(found, key=lambda each: (len(each), each))]
