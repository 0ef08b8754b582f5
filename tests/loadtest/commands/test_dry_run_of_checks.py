"""What `avaload probe --dry-run` says of the sessions that its checks make."""

import argparse
import json

import pytest

from loadtest import cli
from loadtest.commands.work.dry_checks import of_checks
from loadtest.config.settings import Probes, Settings, Target
from loadtest.errors.exit_codes import Exit
from loadtest.probes.catalogue import PROBES

BRIEF = [probe.lead for probe in PROBES if not (probe.lasts_s or probe.alone)]


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
    settings = Settings(target=Target(max_sessions=most), probes=Probes(rules=tuple(BRIEF[:checks])))
    of_checks(settings, argparse.Namespace(json=True))
    assert json.loads(capsys.readouterr().out)["sessions"] == sessions
    of_checks(settings, argparse.Namespace(json=False))
    lines = capsys.readouterr().out.splitlines()
    of, about = words.split("; ")
    assert lines[:2] == [f"{of}; nobody was contacted", f"  sessions             {about}"]


def test_a_check_that_may_not_run_here_makes_no_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    """TD-8 lasts for five minutes, by the target's clock."""
    assert cli.main(["probe", "TD-8", BRIEF[0], "--dry-run"]) == Exit.PASS
    assert capsys.readouterr().out.splitlines()[:2] == [
        "1 check, 1 more may not run here; nobody was contacted",
        "  sessions             about 3 (1 to 9)",
    ]
    for options in (["--slow"], ["--clock-scale", "10"]):
        assert cli.main(["probe", "TD-8", BRIEF[0], "--dry-run", *options]) == Exit.PASS
        assert capsys.readouterr().out.startswith("2 checks; nobody was contacted\n")


def test_what_the_checks_themselves_would_refuse_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVALOAD_COST__PRICES__AVATAR__PER_MINUTE", "0.1")
    assert cli.main(["probe", "--dry-run", "--budget", "0.01"]) == Exit.BAD_INPUT
    assert capsys.readouterr().err.startswith("avaload: --budget: 0.01 USD is less than the ")


def test_how_long_answers_are_is_no_matter_of_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", "--dry-run", "--answer", "3s"]) == Exit.BAD_INPUT
    assert capsys.readouterr().err.startswith("avaload: --answer: no such option")
