"""What `avaload probe` prints of each rule that it checked."""

from typing import Any

import pytest

from loadtest.commands.probe import table
from loadtest.language.events import RuleOutcome


def row(outcome: RuleOutcome, violations: int) -> dict[str, Any]:
    summary = f"not so in {violations} of 5 cases"
    return {"id": "EXP-1", "outcome": str(outcome), "violations": violations, "summary": summary, "seen": []}


@pytest.mark.parametrize("outcome", RuleOutcome)
def test_broken_is_a_rule_that_fails_the_run_and_no_other(outcome: RuleOutcome) -> None:
    (_, line) = table({"rules": [row(outcome, 3)]}, ["EXP-1"])
    assert ("BROKEN" in line) == (outcome == RuleOutcome.FAIL)
    assert line.startswith("EXP-1   ")
    assert line.endswith("not so in 3 of 5 cases")
