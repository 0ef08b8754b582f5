"""METRICS.md, from the catalogue: `python -m exporters.metrics.metrics_page > METRICS.md`."""

from typing import Final

from exporters.metrics.catalogue import METRICS

_INTRODUCTION: Final = """\
One scrape target per run, `http://127.0.0.1:9646/metrics` by default. Load sessions only, unless the help says
otherwise. Every series whose labels are known beforehand starts at 0. Histograms get a further edge at each bound of
the run's service levels. Asked for OpenMetrics, and pushed, the buckets of steps and turns carry exemplars:
`trace_id` is the session's id (`avaload session RUN_DIR ID`), `span_id` leads to the very step or turn.
The journals are the truth; these are views."""

_ABSENT: Final = (
    (
        "tokens, cost",
        "no event carries them: `response.done` goes to Avaturn, which passes on transcripts and no usage",
        "the providers' billing; what is billed by the minute is `avaload_session_duration_seconds_sum` / 60",
    ),
    (
        "round-trip time",
        "a WebSocket doesn't tell, no RTCP is sent, Daily's own figures could not be tried",
        "`avaload_media_jitter_seconds`, `avaload_media_gap_seconds`, `avaload_media_underruns_total`: what a listener "
        "notices of the way",
    ),
    ("video", "no room subscribes to it", "none"),
    ("a session, a user", "a label of that many values", "exemplars, traces, `avaload session RUN_DIR ID`"),
)
"""What one may look for here: what there is no metric of, why, and what to look at instead."""


def markdown() -> str:
    """METRICS.md."""
    lines = [
        "# Metrics",
        "",
        "Generated from `exporters/metrics/catalogue.py` by `make generated`; do not edit.",
        "",
        _INTRODUCTION,
        "",
        "| metric | type | what it says |",
        "|---|---|---|",
    ]
    for metric in METRICS:
        labels = f"{{{','.join(label.name for label in metric.labels)}}}" if metric.labels else ""
        lines.append(f"| `{metric.name}{labels}` | {metric.type} | {metric.help} |")
    lines += ["", "## Labels", "", "| metric | label | values |", "|---|---|---|"]
    for metric in METRICS:
        for label in metric.labels:
            values = "set by the run" if label.values is None else ", ".join(f"`{value}`" for value in label.values)
            lines.append(f"| `{metric.name}` | `{label.name}` | {values} |")
    lines += ["", "## Buckets", "", "| metric | upper edges |", "|---|---|"]
    for metric in METRICS:
        if metric.buckets:
            lines.append(f"| `{metric.name}` | {' '.join(f'{edge:g}' for edge in metric.buckets)} |")
    lines += ["", "## Not here", "", "| no metric of | because | instead |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _ABSENT]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
