"""`make bench` as far as it can be tested without measuring: what misses a bar, and what a crash leaves."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks.bench import Row


@pytest.mark.parametrize(
    ("row", "missed"),
    [
        (Row("cost", (9.0, 1.0, 2.0), "ms", at_most=2.0), False),
        (Row("cost", (9.0, 3.0, 2.0), "ms", at_most=2.0), True),
        (Row("rate", (9.0, 3.0, 2.0), "1/s", at_least=4.0), True),
        (Row("rate", (9.0, 5.0, 2.0), "1/s", at_least=4.0), False),
        (Row("skipped", (), "", at_least=4.0), False),
    ],
)
def test_the_median_holds_the_bar(row: Row, *, missed: bool) -> None:
    assert row.missed is missed


def test_a_benchmark_that_crashes_loses_only_what_it_had_not_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def crashing(rounds: int, *, quick: bool) -> Iterator[Row]:
        yield Row("first", (1.0,) * rounds, "s", at_most=2)
        raise RuntimeError("no more")

    def after(rounds: int, *, quick: bool) -> Iterator[Row]:
        yield Row("rate", (1234.5, 1300.2), "1/s", at_least=1500, others="k6 4,479")

    modules = {"a": SimpleNamespace(rows=crashing), "b": SimpleNamespace(rows=after)}
    monkeypatch.setattr(command, "BENCHMARKS", modules)
    assert command.main(["--rounds", "2", "--out", str(tmp_path / "table.md")]) == 1
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert "| first | 1 | 1 to 1 | s | ≤ 2 | ✓ |  |" in lines
    assert "| rate | 1,267 | 1,234 to 1,300 | 1/s | ≥ 1,500 | ✗ | k6 4,479 |" in lines
    assert lines[-1] == "**a crashed, the rest of its rows is missing:** RuntimeError: no more"


def test_it_ends_with_0_where_every_bar_is_met_and_leaves_the_file_of_full_runs_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def met(rounds: int, *, quick: bool) -> Iterator[Row]:
        yield Row("cost", (1.0,) * rounds, "ms", at_most=2)

    monkeypatch.setattr(command, "BENCHMARKS", {"a": SimpleNamespace(rows=met)})
    monkeypatch.setattr(command, "OUT", tmp_path / "benchmarks.md")
    assert command.main(["--quick"]) == 0
    assert not (tmp_path / "benchmarks.md").exists()
    assert command.main([]) == 0
    assert "median of 3" in (tmp_path / "benchmarks.md").read_text()
