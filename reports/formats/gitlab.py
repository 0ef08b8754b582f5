"""report dict → metrics.txt: the run's main figures, a line each, for GitLab's metrics report of a merge request.

The format is OpenMetrics' text: https://docs.gitlab.com/ci/testing/metrics_reports/
"""

from collections.abc import Iterator
from typing import Any


def render(report: dict[str, Any]) -> str:
    """What a merge request compares with its target branch. A figure that was not observed has no line."""
    lines = [f"{name} {_number(value)}" for name, value in _figures(report) if value is not None]
    return "\n".join([*lines, "# EOF", ""])


def _number(value: float) -> str:
    """In full, to a billionth: a count of more than six digits is a count."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _figures(report: dict[str, Any]) -> Iterator[tuple[str, float | None]]:
    sessions, turns = report["sessions"], report["turns"]
    for state in ("started", "failed", "dropped", "leaked", "doubtful"):
        yield f'avaload_report_sessions{{state="{state}"}}', sessions[state]
    yield "avaload_report_session_failed_rate", sessions["failed_rate"]
    for step, figures in report["steps"].items():
        for quantile in ("p50", "p95"):
            yield f'avaload_report_step_seconds{{step="{step}",quantile="{quantile}"}}', figures[f"{quantile}_s"]
    for what in ("time_to_first_audio", "barge_in"):
        for quantile in ("p50", "p95"):
            yield f'avaload_report_{what}_seconds{{quantile="{quantile}"}}', turns[what][f"{quantile}_s"]
