"""A voice may be quick, or low: one that says all of its words has cut none of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from loadtest.config.keys.scenario import Scenario
from loadtest.config.keys.session_object import completed
from loadtest.config.promise import Manner, manner
from loadtest.session.hearing.answer import Answer
from loadtest.session.hearing.conversation import Conversation
from loadtest.sound.languages import LANGUAGES
from loadtest.sound.levels import at_level
from loadtest.sound.noises import samples_of
from loadtest.sound.sources import corpus
from loadtest.sound.speech import FRAME_NS, SILENCE, Samples, clip_of, pcm_of
from loadtest.twin.openai_side.turns.output_item import DELTA_MS, words

QUICK = 250 / 175
"""Of its clips' words a minute to the plain ones' (tests/corpus/corpus.toml)."""


def manner_of(*, by_backend: bool = False, **realtime: Any) -> Manner:
    return manner(Scenario(name="s", realtime=completed(realtime)), by_backend=by_backend)


def texts_and_sounds(source: str) -> Iterator[tuple[str, Samples]]:
    """Each clip of which the text is known, and all of them without a pause."""
    each = [(clip.text, samples_of(clip)) for clip in corpus(source) if clip.text]
    yield from each
    texts, sounds = zip(*each, strict=True)
    yield " ".join(texts), np.concatenate(sounds)


def is_too_short(text: str, sound: Samples, how: Manner) -> bool:
    talk = Conversation(observe=lambda *_, **__: None, manner=how)
    talk.answer.told(text)
    for number, frame in enumerate((*clip_of("answer", pcm_of(sound)).frames, *(SILENCE,) * 13)):
        talk.on_audio(number * FRAME_NS, frame)
    return talk.answer.is_too_short


@pytest.mark.parametrize("level_dbfs", [-24, -34, -38, -40])
@pytest.mark.parametrize(
    ("style", "how"),
    [
        ("", manner_of()),
        ("/quick", manner_of(audio={"output": {"speed": QUICK}})),
        ("/quick", manner_of(by_backend=True)),  # which alone knows how quick it is
    ],
    ids=["plain", "quick by its speed", "quick by a back end"],
)
def test_what_is_said_to_its_end_is_not_too_short_in_any_language_however_low(
    style: str, how: Manner, level_dbfs: float
) -> None:
    for language in LANGUAGES:
        for text, sound in texts_and_sounds(f"corpus:{language}{style}"):
            assert not is_too_short(text, at_level(sound, level_dbfs), how), text


def test_a_third_of_it_is_too_short() -> None:
    for language in LANGUAGES:
        *_, (text, sound) = texts_and_sounds(f"corpus:{language}")
        assert is_too_short(text, sound[: len(sound) // 3], manner_of()), language


def test_a_third_of_what_the_twin_says_in_3_s_is_too_short() -> None:
    code_word = "twin-0123456789abcdef"
    answer = Answer(0, manner_of())
    answer.told("".join(words(1, code_word, deltas=3_000 // DELTA_MS)), unsaid=code_word)
    answer.sound_ns = 10**9
    assert answer.is_too_short


def test_a_back_end_that_says_how_quick_its_voice_is_is_believed() -> None:
    assert manner_of(by_backend=True, audio={"output": {"speed": 0.8}}).speed == 0.8


def test_what_a_back_end_of_an_engine_that_is_not_told_says_by_itself_nobody_knows() -> None:
    assert manner_of(by_backend=True).speaks_unasked
    assert not manner_of().speaks_unasked
