"""What `avaload probe` prints of each rule that it checked."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from loadtest import cli
from loadtest.commands.probe import table
from loadtest.commands.work import load_run
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.events.kinds import RuleOutcome
from tests.reports import journals as j


def row(outcome: RuleOutcome, violations: int) -> dict[str, Any]:
    summary = f"not so in {violations} of 5 cases"
    return {"id": "EXP-1", "outcome": str(outcome), "violations": violations, "summary": summary, "seen": []}


@pytest.mark.parametrize("outcome", RuleOutcome)
def test_broken_is_a_rule_that_fails_the_run_and_no_other(outcome: RuleOutcome) -> None:
    (_, line) = table({"rules": [row(outcome, 3)]}, ["EXP-1"])
    assert ("BROKEN" in line) == (outcome == RuleOutcome.FAIL)
    assert line.startswith("EXP-1   ")
    assert line.endswith("not so in 3 of 5 cases")


def test_what_checks_cost_is_said_to_be_unknown_before_them_where_a_budget_bounds_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def checked(*_: Any, **__: Any) -> NoReturn:
        raise ConfigError("it was checked")

    monkeypatch.setattr(load_run, "run", checked)
    monkeypatch.setenv("AVALOAD_COST__PRICES__AVATAR__PER_MINUTE", "0.1")
    monkeypatch.setenv("AVALOAD_SESSION__MAX_DURATION", "60")
    assert cli.main(["probe", "TD-1", "TD-2", "--room", "none", "--budget", "3"]) == Exit.BAD_INPUT
    assert capsys.readouterr().err.splitlines() == [
        "avaload: expected cost: unknown: no price for active checks, for about 6 sessions",
        "avaload: budget: 3 USD; each session of probe reserves 0.10 USD until it ends",
        "avaload: budget: a session of an active check keeps what it reserves: there can be 30 of them, beside nothing"
        " else",
        "avaload: it was checked",
    ]


@pytest.mark.parametrize(("words", "tells"), [([], True), (["--quiet"], False)])
def test_quiet_is_the_verdict_alone(
    words: list[str],
    tells: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    j.write_file(tmp_path, j.good_session(1, 1))
    report = j.reported(tmp_path)

    def checked(*_: Any, **__: Any) -> tuple[Path, dict[str, Any], Exit]:
        return tmp_path, report, Exit.PASS

    monkeypatch.setattr(load_run, "run", checked)
    assert cli.main(["probe", "TD-1", *words]) == Exit.PASS
    said = capsys.readouterr().out
    assert ("what was seen" in said, said.startswith("verdict:")) == (tells, not tells)
