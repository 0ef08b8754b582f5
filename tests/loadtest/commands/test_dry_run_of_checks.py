"""What `avaload probe --dry-run` says of the sessions that its checks make."""

import argparse
import json

import pytest

from loadtest.commands.work.dry_run import of_checks
from loadtest.config.settings import Settings, Target


@pytest.mark.parametrize(
    ("checks", "most", "sessions", "words"),
    [
        (20, None, {"value": 60, "low": 20, "high": 180}, "20 checks; about 60 (20 to 180)"),
        (20, 10, {"value": 10, "low": 10, "high": 10}, "20 checks; about 10 (10 to 10)"),
        (20, 30, {"value": 30, "low": 20, "high": 30}, "20 checks; about 30 (20 to 30)"),
        (1, None, {"value": 3, "low": 1, "high": 9}, "1 check; about 3 (1 to 9)"),
    ],
)
def test_figures_are_in_order_within_max_sessions_and_the_same_in_words(
    checks: int, most: int | None, sessions: dict[str, int], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(target=Target(max_sessions=most))
    of_checks(settings, argparse.Namespace(json=True), count=checks)
    assert json.loads(capsys.readouterr().out)["sessions"] == sessions
    of_checks(settings, argparse.Namespace(json=False), count=checks)
    lines = capsys.readouterr().out.splitlines()
    of, about = words.split("; ")
    assert lines[:2] == [f"{of}; nobody was contacted", f"  sessions             {about}"]
