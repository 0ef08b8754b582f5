"""A pause for thought is as long as was set, in the middle of what is said or where the clip itself makes one."""

import numpy as np
import pytest

from loadtest.config.clips.lengths import check_clips, long_pauses
from loadtest.config.clips.microphone import microphone, remarks
from loadtest.config.keys.caller import Caller
from loadtest.config.keys.scenario import Conversation, Hesitate, Say, Scenario, SessionFields, Turn
from loadtest.config.keys.session_object import default_realtime
from loadtest.errors.exceptions import ConfigError
from loadtest.sound.hesitation import hesitating
from loadtest.sound.speech import SILENCE, Clip, clip_of, is_loud
from tests.loadtest.sound.test_speech import tone, wav


def clip(*parts: int) -> Clip:
    """Sound and silence in turn, so many frames of each."""
    return clip_of(
        "x", b"".join((SILENCE if number % 2 else tone(5_000)) * count for number, count in enumerate(parts))
    )


def parts(of: Clip) -> list[int]:
    """The same of a clip."""
    loud = [is_loud(frame) for frame in of.frames]
    edges = [at for at in range(1, len(loud)) if loud[at] != loud[at - 1]]
    return [end - begin for begin, end in zip([0, *edges], [*edges, len(loud)], strict=True)]


@pytest.mark.parametrize(
    ("before", "pause_s", "after"),
    [
        ((30,), 0.6, [10, 30, 20]),
        ((14, 3, 13), 0.6, [14, 33, 13]),
        ((10, 20, 30), 0.6, [10, 30, 30]),
        ((10, 40, 30), 0.6, [10, 30, 30]),
        ((50, 20, 5, 4, 5), 0.9, [50, 45, 5, 4, 5]),
        ((10, 20, 10, 30, 10), 0.4, [10, 20, 10, 20, 10]),
    ],
    ids=["no pause", "between words", "longer than its own", "shorter than its own", "not in the middle", "two"],
)
def test_the_pause_is_as_long_as_was_set(before: tuple[int, ...], pause_s: float, after: list[int]) -> None:
    found = hesitating(clip(*before), pause_s)
    assert parts(found) == after
    assert (found.first_voiced, found.last_voiced) == (0, sum(after) - 1)
    assert found.longest_pause_s == pytest.approx(max(after[1::2]) / 50)
    assert found.pauses == sum(frames >= 10 for frames in after[1::2])


def scenario(*turns: Turn, caller: Caller | None = None) -> tuple[Scenario, ...]:
    plan = Conversation(turns=turns)
    return (Scenario(name="s", realtime=default_realtime(), conversation=plan, caller=caller or Caller()),)


@pytest.fixture
def calls(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("calls")
    word = (8_000 * np.sin(2 * np.pi * 800 * np.arange(9_600) / 24_000)).astype("<i2").tobytes()
    wav(folder / "slow.wav", word + SILENCE * 40 + word)
    return str(folder)


def test_clips_that_pause_by_themselves_are_for_turns_that_hesitate(calls: str) -> None:
    check_clips(scenario(Hesitate(clip=calls)))
    with pytest.raises(ConfigError, match=r"slow\.wav: pauses for 0\.80 s, but the service takes 0\.50 s"):
        check_clips(scenario(Say(clip=calls)))
    with pytest.raises(ConfigError, match=r"slow\.wav: pauses for 0\.80 s"):
        check_clips(scenario(Hesitate(clip=calls), Say(clip=calls)))


def test_no_clip_is_refused_where_nobody_knows_after_which_silence_a_turn_ends(calls: str) -> None:
    (said,) = scenario(Say(clip=calls))
    external = said.model_copy(update={"session": SessionFields(engine="external")})
    assert long_pauses((external,)) == []
    check_clips((said,), by_backend=True)
    assert long_pauses((said,)) == [
        "slow.wav: pauses for 0.80 s, but the service takes 0.50 s of silence as the end of the turn"
    ]


def test_clips_of_ones_own_are_looked_at_before_a_run_that_hesitates_with_them(calls: str) -> None:
    assert remarks(scenario(Hesitate(clip=calls))) == []


def test_a_caller_whose_line_changes_speech_hesitates_as_long(calls: str) -> None:
    turn = Hesitate(clip=calls, pause_s=0.6)
    (plain,) = scenario(turn, caller=Caller(band="phone", speech_dbfs=-30))
    (said,) = microphone(plain.conversation, plain.caller).clips[turn.spoken]
    assert said.longest_pause_s == pytest.approx(0.6, abs=0.021)
