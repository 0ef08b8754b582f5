"""What the twin can do to the sound of an answer, in the playout and in the voice themselves."""

import numpy as np
import pytest

from loadtest.twin.avaturn_side.rooms.mouth import Playout
from loadtest.twin.openai_side.turns.output_item import CHARACTERS_PER_DELTA, words
from loadtest.twin.pcm import FRAME_BYTES, driven, tone

CODE_WORD = "twin-0123abcd"
SOUND = tone(duration_ms=600)


def played(playout: Playout) -> tuple[int, list[str]]:
    """Frames until there is nothing to say, and the phrases that were announced."""
    frames = 0
    while playout.next_frame() is not None:
        frames += 1
    return frames, [each["phrase_id"] for each in playout.events if each["type"] == "avatar_started_speaking_phrase"]


def test_an_answer_that_is_cut_ends_after_a_third_and_one_that_is_said_again_begins_anew() -> None:
    playout = Playout()
    playout.queue("a", SOUND)
    playout.cut("a")
    playout.complete("a")
    assert played(playout) == (10, ["a"])

    playout = Playout()
    playout.queue("a", SOUND)
    playout.complete("a")
    playout.say_again("a")
    assert played(playout) == (60, ["a", "a"])


def test_what_was_played_before_the_cut_stays_played() -> None:
    playout = Playout()
    playout.queue("a", SOUND)
    for _ in range(20):
        playout.next_frame()
    playout.cut("a")
    playout.complete("a")
    assert played(playout)[0] == 0


def test_sound_that_is_driven_is_clipped_at_both_rails() -> None:
    samples = np.frombuffer(driven(SOUND[:FRAME_BYTES], by=16), dtype="<i2")
    assert (samples.min(), samples.max()) == (-32768, 32767)
    assert np.mean(np.abs(samples.astype(int)) >= 32767) > 0.5


@pytest.mark.parametrize("deltas", [1, 2, 3, 9, 10, 15, 100])
def test_what_the_twin_says_ends_as_a_sentence_and_takes_as_long_as_a_voice_needs_for_it(deltas: int) -> None:
    pieces = words(1, CODE_WORD, deltas=deltas)
    text = "".join(pieces)
    assert len(pieces) == deltas
    assert text.startswith("Answer 1")
    assert (CODE_WORD in text) == (deltas > 1)
    assert text.endswith(".")
    assert ".." not in text
    said = len(text) - len(CODE_WORD)
    assert said <= max(len("Answer 1 of ."), deltas * CHARACTERS_PER_DELTA + 1)
    assert said > deltas * CHARACTERS_PER_DELTA - len(" something") or deltas < 6
