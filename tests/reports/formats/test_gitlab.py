"""metrics.txt: what a merge request on GitLab compares with its target branch."""

from typing import Any

from reports.formats.gitlab import render


def test_figures_are_written_in_full_and_what_was_not_observed_has_no_line() -> None:
    states = {"started": 1_234_567, "failed": 0, "dropped": 100, "leaked": 0, "doubtful": 0}
    quantiles: dict[str, Any] = {"p50_s": 0.000012345, "p95_s": None}
    report = {
        "sessions": {**states, "failed_rate": 0.5},
        "steps": {"create": quantiles},
        "turns": {what: {"p50_s": 1.5, "p95_s": None} for what in ("time_to_first_audio", "barge_in")},
    }
    assert render(report).splitlines() == [
        'avaload_report_sessions{state="started"} 1234567',
        'avaload_report_sessions{state="failed"} 0',
        'avaload_report_sessions{state="dropped"} 100',
        'avaload_report_sessions{state="leaked"} 0',
        'avaload_report_sessions{state="doubtful"} 0',
        "avaload_report_session_failed_rate 0.5",
        'avaload_report_step_seconds{step="create",quantile="p50"} 0.000012345',
        'avaload_report_time_to_first_audio_seconds{quantile="p50"} 1.5',
        'avaload_report_barge_in_seconds{quantile="p50"} 1.5',
        "# EOF",
    ]
