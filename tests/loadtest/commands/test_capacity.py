"""`avaload capacity --plan`: what is said after a search, without one."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from loadtest import cli
from loadtest.commands.work import load_run
from loadtest.language.errors import ConfigError, Exit
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
