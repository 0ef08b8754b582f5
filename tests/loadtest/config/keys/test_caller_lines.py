"""Callers' lines by name: each is a line, says where it is from, and gives way to what stands beside it."""

import pytest

from loadtest.config.keys.caller import CABLE, Caller
from loadtest.config.keys.caller_lines import profiles


@pytest.mark.parametrize("name", profiles())
def test_each_profile_is_a_line_with_a_source(name: str) -> None:
    caller = Caller.model_validate({"profile": name})
    assert caller.has_line
    assert CABLE not in (caller.up, caller.down)
    assert len(profiles()[name]["source"]) > 20


def test_what_stands_beside_a_profile_wins_key_by_key() -> None:
    plain = Caller.model_validate({"profile": "train"})
    caller = Caller.model_validate({"profile": "train", "echo_dbfs": -30, "up": {"loss": 0.2}})
    assert (caller.up.loss, caller.up.burst, caller.up.delay_s) == (0.2, plain.up.burst, plain.up.delay_s)
    assert (caller.down, caller.echo_dbfs) == (plain.down, -30)


def test_a_profile_that_is_written_down_and_read_again_is_the_same() -> None:
    caller = Caller.model_validate({"profile": "3g", "down": {"delay_s": 0.1, "jitter_s": 0}})
    assert Caller.model_validate(caller.model_dump()) == caller


def test_a_profile_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"there is no 'trian', but .*train.*did you mean train"):
        Caller.model_validate({"profile": "trian"})
