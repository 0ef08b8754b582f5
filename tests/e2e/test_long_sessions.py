"""Sessions whose answers get slower with each turn: what was set is what the report shows, and what a gate stops."""

from pathlib import Path

import pytest

from tests.e2e.target import unless_late
from tests.support import avaload

GROWTH_S = 0.2
SCENARIO = """
[target]
twin_set = ["answer_s=0.3", "context_growth=0.2"]
[conversation]
repeat_for = "9s"
[[conversation.turns]]
kind = "say"
[[slo]]
indicator = "turn.time_to_first_audio.drift"
max = 0.5
"""


def test_answers_that_get_slower_with_each_turn_are_shown_turn_by_turn_and_miss_an_objective(tmp_path: Path) -> None:
    (tmp_path / "aging.toml").write_text(SCENARIO)
    words = ("--users", "6", "--ramp", "0s", "--duration", "5s", "--graceful-stop", "30s")
    with avaload("run", "aging.toml", *words, cwd=tmp_path) as run:
        done = run.finish(within_s=90)
        report = run.report()
    age, (objective,) = report["age"], report["slos"]
    first, second, third = (row["p50_s"] for row in age["by_turn"][:3])
    assert (second - first, third - second) == (pytest.approx(GROWTH_S, abs=0.03), pytest.approx(GROWTH_S, abs=0.03))
    assert age["drift"]["sessions"] == objective["count"] == 6
    assert 0.5 < age["drift"]["low_s_per_minute"] <= age["drift"]["median_s_per_minute"] == objective["observed"]
    assert objective["outcome"] == "fail"
    assert done.code == unless_late(3, report)
    assert "turn.time_to_first_audio.drift: +" in done.out
