"""The language of a conversation says which clips are spoken where a turn names none."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from loadtest.config.clips.lengths import check_clips
from loadtest.config.keys.scenario import BargeIn, Conversation, Say, Scenario, Spoken
from loadtest.config.keys.session_object import default_realtime
from loadtest.errors.exceptions import ConfigError
from loadtest.sound.languages import nearest
from loadtest.sound.sources import corpus


def clips(**given: Any) -> list[str]:
    plan = Conversation.model_validate(given)
    return [turn.clip for turn in plan.turns if isinstance(turn, Spoken)]


def test_turns_that_name_no_clip_are_said_in_it() -> None:
    turns = [
        {"kind": "say"},
        {"kind": "backchannel"},
        {"kind": "say", "clip": "corpus:en"},
        {"kind": "barge_in"},
        {"kind": "ignore"},
        {"kind": "hesitate", "clip": "calls"},
        {"kind": "pause"},
    ]
    assert clips(language="de", turns=turns) == ["corpus:de", "hum:-26", "corpus:en", "corpus:de", "noise:-60", "calls"]
    assert clips(language="fr") == ["corpus:fr", "corpus:fr"]
    assert clips() == ["corpus:en", "corpus:en"]
    assert Conversation(language="es", turns=(Say(), BargeIn(clip="x"))).clips() == {"corpus:es", "x"}


def test_what_was_resolved_once_stays_as_it_is_when_it_is_read_again() -> None:
    plan = Conversation.model_validate({"language": "it", "turns": [{"kind": "say"}, {"kind": "hesitate"}]})
    assert Conversation.model_validate(plan.model_dump(mode="json")) == plan


@pytest.mark.parametrize(
    ("given", "language"),
    [
        ({}, "en"),
        ({"language": "pt"}, "pt"),
        ({"turns": [{"kind": "say", "clip": "corpus:fr/quick"}, {"kind": "backchannel"}]}, "fr"),
        ({"turns": [{"kind": "say", "clip": "corpus:fr"}, {"kind": "say", "clip": "corpus:es"}]}, None),
        ({"turns": [{"kind": "say", "clip": "calls"}]}, None),
        ({"language": "pl", "turns": [{"kind": "say", "clip": "calls"}]}, "pl"),
    ],
)
def test_which_language_a_conversation_is_in(given: dict[str, Any], language: str | None) -> None:
    assert Conversation.model_validate(given).usual_language == language


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("german", "'german' is no tag of a language (did you mean de?)"),
        ("Français", "'Français' is no tag of a language (did you mean fr?)"),
        ("portugese", "'portugese' is no tag of a language (did you mean pt?)"),
        ("klingon", "'klingon' is no tag of a language, like de"),
        ("", "'' is no tag of a language, like de"),
    ],
)
def test_what_is_no_tag_is_answered_with_the_one_that_was_meant(language: str, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Conversation.model_validate({"language": language})
    assert [error["msg"] for error in caught.value.errors()] == [f"Value error, {says}"]


@pytest.mark.parametrize("language", ["de-AT", "DE", "deu", "de_DE", "german", "Deutsch"])
def test_a_language_by_another_name_is_known(language: str) -> None:
    assert nearest(language) == "de"


KNOWN = "there is corpus:de, corpus:en, corpus:es, corpus:fr, corpus:it, corpus:pt"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("corpus:pl", f"corpus:pl: no such corpus; {KNOWN}"),
        ("corpus:de-AT", f"corpus:de-AT: no such corpus; {KNOWN} (did you mean corpus:de?)"),
        ("corpus:EN", f"corpus:EN: no such corpus; {KNOWN} (did you mean corpus:en?)"),
        ("corpus:german/quick", f"corpus:german/quick: no such corpus; {KNOWN} (did you mean corpus:de/quick?)"),
        ("corpus:", f"corpus:: no such corpus; {KNOWN}"),
        ("corpus:..", f"corpus:..: no such corpus; {KNOWN}"),
        ("corpus:de/../en", "corpus:de/../en: no such style; there is corpus:de/backchannel, corpus:de/digits,"
                            " corpus:de/hesitant, corpus:de/quick, corpus:de/slow"),
        ("corpus:de/quik", "corpus:de/quik: no such style; there is corpus:de/backchannel, corpus:de/digits,"
                           " corpus:de/hesitant, corpus:de/quick, corpus:de/slow (did you mean corpus:de/quick?)"),
    ],
)  # fmt: skip
def test_a_corpus_that_there_is_not_is_answered_with_the_nearest_one(source: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        corpus(source)
    assert caught.value.problems == [says]


def test_a_language_without_a_corpus_needs_clips_of_ones_own(tmp_path: Path) -> None:
    plan = Conversation(language="pl")
    with pytest.raises(ConfigError, match="corpus:pl: no such corpus"):
        check_clips((Scenario(name="s", realtime=default_realtime(), conversation=plan),))
