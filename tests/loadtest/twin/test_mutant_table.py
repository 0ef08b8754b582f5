"""docs/mutants.md, which `python -m tests.judging.mutant_table` writes, has every mutant and who named it."""

import inspect

from loadtest.criteria.statements import RULES
from loadtest.twin.mutants import MUTANTS
from tests.judging.judging import rule_of
from tests.judging.mutant_table import PAGE, cells, page, rows_of, rule_is_named

TABLE = rows_of(PAGE.read_text(encoding="utf-8"))


def test_every_mutant_has_a_row_in_the_order_of_the_mutants() -> None:
    assert list(TABLE) == list(MUTANTS)


def test_every_row_says_how_the_mutant_is_wrong_and_the_rule_that_it_breaks() -> None:
    said = {name: tuple(cells(row)[1:3]) for name, row in TABLE.items()}

    assert said == {
        name: (inspect.cleandoc(mutant.__doc__ or "").partition("\n")[0], rule_of(name))
        for name, mutant in MUTANTS.items()
    }
    assert {rule for _, rule in said.values()} <= set(RULES)


def test_every_mutant_was_named_by_its_rule() -> None:
    assert [name for name, row in TABLE.items() if not rule_is_named(row)] == []


def test_a_row_with_no_sign_in_it_is_of_a_mutant_that_nobody_named() -> None:
    row = "| `TD-1-keeps-running` | It lives on. | TD-1 | {} | {} | L TD-5 | today |"

    assert [rule_is_named(row.format(*signs)) for signs in (("–", "–"), ("✗", "–"), ("–", "⚠"))] == [False, True, True]


def test_the_page_is_as_the_command_writes_it() -> None:
    assert page(TABLE) == PAGE.read_text(encoding="utf-8")
