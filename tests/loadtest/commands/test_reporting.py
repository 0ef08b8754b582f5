"""The report that a run makes of itself looks for what the run has sent, in all that it has left."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loadtest.commands.work.reporting import write_reports
from loadtest.config.run_dir import write_settings
from loadtest.errors.exceptions import GeneratorError
from tests.loadtest.config.test_settings import resolved
from tests.reports import journals as j

ENVIRON = {"AVATURN_API_KEY": "avt-9Lk8Jh7Gf6Ds5Aq", "APP_TOKEN": "one-of-ours-1", "SECRET_NAME": "production-1"}
OWN: dict[str, Any] = {
    "name": "a-scenario-of-2026",
    "tags.env": "production-1",
    "target.backend": {
        "url": "http://127.0.0.1:9/start",
        "headers": {"X-Api-Key": "h3ader-v4lue", "Authorization": "env:APP_TOKEN", "X-Name": "a-scenario-of-2026"},
        "body": {"model": "gpt-realtime-2025-08-28"},
    },
    "realtime.model": "gpt-realtime-2025-08-28",
    "target.avaturn_base_url": "http://127.0.0.1:9",
}


def sec_1(run_dir: Path, told: str) -> dict[str, Any]:
    """Of a run that has left that in its log."""
    settings = resolved(OWN, **ENVIRON)
    j.write_file(run_dir, j.good_session(1, 1))
    write_settings(settings, run_dir, started_at=datetime.now(UTC))
    (run_dir / "locust.log").write_text(told)
    keys = {"OPENAI_API_KEY": "", "AVATURN_API_KEY": ENVIRON["AVATURN_API_KEY"]}
    report = write_reports(run_dir, settings.target.backend, keys=keys, is_enough=lambda: False)
    assert report is not None
    [row] = [row for row in report["rules"] if row["id"] == "SEC-1"]
    return dict(row)


@pytest.mark.parametrize("name", ["AVATURN_API_KEY", "APP_TOKEN", "a literal header"])
def test_a_value_that_the_run_has_sent_breaks_sec_1_whatever_it_looks_like(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in ENVIRON.items():
        monkeypatch.setenv(variable, value)
    row = sec_1(tmp_path, f"refused: {ENVIRON.get(name, 'h3ader-v4lue')} is no good")
    assert (row["outcome"], row["violations"]) == ("fail", 1)
    assert row["summary"].endswith("locust.log holds a key, header value or password of this run")


def test_what_the_settings_tell_openly_and_what_was_not_sent_is_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in ENVIRON.items():
        monkeypatch.setenv(variable, value)
    row = sec_1(tmp_path, "gpt-realtime-2025-08-28 for a-scenario-of-2026 in production-1")
    assert (row["outcome"], row["seen"]) == ("pass", [])


def test_a_load_that_has_run_and_has_no_report_is_no_bad_input(tmp_path: Path) -> None:
    why = f"{tmp_path}: holds no journal; is it a run directory?"
    with pytest.raises(GeneratorError) as found:
        write_reports(tmp_path, None, keys={}, is_enough=lambda: False)
    assert str(found.value) == f"no report was made: {why}; `avaload report {tmp_path}` tries again"
