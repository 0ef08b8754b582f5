"""TWIN.md tells the truth about the knobs and the mutants."""

from pathlib import Path

import pytest

from loadtest.twin import mutants
from loadtest.twin.command_line.page import written
from loadtest.twin.mutants import MUTANTS

PAGE = Path(__file__).parents[3] / "TWIN.md"


def test_the_tables_of_the_page_are_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert written(page) == page, "run: python -m loadtest.twin.command_line.page --write TWIN.md"


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table of knobs"):
        written("<!-- mutants -->\n\n<!-- /mutants -->")


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_says_in_one_line_how_it_is_wrong(name: str) -> None:
    text = MUTANTS[name].__doc__ or ""

    assert text.partition("\n")[0].endswith(".")
    assert issubclass(mutants.maker([name])(MUTANTS[name].__bases__[0]), MUTANTS[name])
