"""Transcripts that come when the real service sends them: the avatar's before its sound, the user's in the middle of
the answer."""

from pathlib import Path

import pytest

from tests.e2e.target import reaching, unless_late
from tests.loadtest.twin.process import running_twin
from tests.support import avaload

SCENARIO = """
name = "orders"
[load]
users = 2
duration = "1s"
ramp = "0s"
[conversation]
think_min_s = 0.1
think_max_s = 0.3
[[conversation.turns]]
kind = "say"
[[conversation.turns]]
kind = "say"
[[conversation.turns]]
kind = "say"
[[conversation.turns]]
kind = "barge_in"
[[conversation.turns]]
kind = "say"
"""
BEFORE_THE_SOUND = ("--set", "latency.render=fixed:1.2")
IN_THE_MIDDLE = ("--set", "latency.transcription=fixed:1.6", "--set", "answer_s=2.5")


@pytest.mark.parametrize(
    "knobs",
    [BEFORE_THE_SOUND, (*BEFORE_THE_SOUND, *IN_THE_MIDDLE)],
    ids=["the avatar's before its sound", "and the user's in the middle of the answer"],
)
def test_a_turn_that_was_told_is_said_to_have_none_in_no_order(knobs: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SCENARIO)
    with running_twin(*knobs) as twin, avaload("run", "s.toml", cwd=tmp_path, environ=reaching(twin)) as run:
        done, report = run.finish(within_s=90), run.report()
    assert done.code == unless_late(0, report), done
    told = report["turns"]["transcripts"]
    answered = report["turns"]["time_to_first_audio"]["count"]
    assert answered >= 8
    assert (told["turns_without_user"], told["turns_without_avatar"]) == (0, 0)
    assert told["user"] >= answered
    assert told["avatar"] >= answered
    rules = {row["id"]: (row["outcome"], row["violations"]) for row in report["rules"]}
    assert {rule: seen for rule, seen in rules.items() if rule.startswith("TR") and seen[1]} == {}
    assert rules["TR-1"][0] == rules["TR-2"][0] == "pass"
