"""`avaload capacity --plan`: what is said after a search, without one."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from loadtest import cli
from loadtest.commands.work import load_run
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from tests.reports import journals as j


def test_a_search_of_which_no_plan_can_be_made_keeps_its_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    j.write_file(run_dir, j.good_session(1, 1))
    report = j.reported(run_dir)

    def searched(*_: Any, **__: Any) -> tuple[Path, dict[str, Any], Exit]:
        return run_dir, report, Exit.LEFT_BEHIND

    monkeypatch.setattr(load_run, "run", searched)
    assert cli.main(["capacity", "--plan", "100"]) == Exit.LEFT_BEHIND
    said = f"avaload: no plan: {run_dir}: fewer than two sessions went well: nothing to plan with\n"
    assert capsys.readouterr().err == said


def test_a_plan_is_told_in_sentences_and_json_is_refused_beside_it_before_the_search(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def searched(*_: Any, **__: Any) -> NoReturn:
        raise ConfigError("it was searched")

    monkeypatch.setattr(load_run, "run", searched)
    assert cli.main(["capacity", "--plan", "5", "--json"]) == Exit.BAD_INPUT
    said = "avaload: --plan: it is told in sentences, not with --json; `avaload plan RUN_DIR --json` has it\n"
    assert capsys.readouterr() == ("", said)


def test_a_pace_of_users_is_refused_where_levels_are_arrivals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["capacity", "--by", "arrivals", "--pacing", "30s", "--dry-run"]) == Exit.BAD_INPUT
    said = "avaload: --pacing: only for users; in a search by arrivals sessions come at the rate of their level\n"
    assert capsys.readouterr() == ("", said)
    assert cli.main(["capacity", "--by", "users", "--most", "5", "--pacing", "30s", "--dry-run"]) == Exit.PASS
    monkeypatch.setenv("AVALOAD_LOAD__PACING", "30s")
    assert cli.main(["capacity", "--by", "arrivals", "--most", "5", "--dry-run"]) == Exit.PASS


@pytest.mark.parametrize("words", [["--plan", "5"], ["--plan", "5", "--think", "9s"]])
def test_a_dry_run_measures_nothing_that_a_plan_could_be_made_of(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["capacity", "--dry-run", *words]) == Exit.BAD_INPUT
    said = "avaload: --plan: not with --dry-run: there is no plan without what a search has measured\n"
    assert capsys.readouterr() == ("", said)


def test_what_a_search_costs_if_every_level_holds_is_said_before_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice 2 users and once 4, for 3, 3 and 5 s, without talk: a session lives for 0.1 s and reserves 0.1 USD."""

    def searched(*_: Any, **__: Any) -> NoReturn:
        raise ConfigError("it was searched")

    monkeypatch.setattr(load_run, "run", searched)
    monkeypatch.setenv("AVALOAD_COST__PRICES__AVATAR__PER_MINUTE", "0.1")
    monkeypatch.setenv("AVALOAD_SESSION__MAX_DURATION", "60")
    levels = ["--start", "2", "--most", "4", "--stage", "2s", "--settle", "1s", "--sustain", "4s"]
    assert cli.main(["capacity", *levels, "--room", "none", "--budget", "0.3"]) == Exit.BAD_INPUT
    price, *budget, _ = capsys.readouterr().err.splitlines()
    assert price.startswith("avaload: expected cost: ")
    assert price.endswith(", if the target holds every level")
    assert budget == [
        "avaload: budget: 0.3 USD; each session of default reserves 0.10 USD until it ends",
        "avaload: budget: the budget reserves for 3 sessions at once at most, 4 are planned: it would end the run then",
    ]
