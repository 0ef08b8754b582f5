"""What is shipped is what the table says, can be spoken, and is made of it again to the byte."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from loadtest.config.clips.lengths import too_long
from loadtest.config.clips.microphone import remarks
from loadtest.config.keys.scenario import Conversation, Say, Scenario
from loadtest.sound.languages import LANGUAGES
from loadtest.sound.noises import samples_of
from loadtest.sound.recordings import CORPUS, pauses_s, recordings, styles
from loadtest.sound.sources import corpus
from loadtest.sound.speech import Clip
from tests.corpus.__main__ import files
from tests.corpus.synthesis import flac, spoken, table, version
from tests.programs import needed

STYLES = ["backchannel", "digits", "hesitant", "quick", "slow"]
MADE_WITH = "1.51"
"""Another version of espeak-ng speaks a little otherwise."""
MOST_BYTES = 3_700_000


def by_name(source: str) -> dict[str, Clip]:
    return {Path(clip.name).stem: clip for clip in corpus(source)}


def spoken_s(clip: Clip) -> float:
    return (clip.last_voiced - clip.first_voiced + 1) * 0.02


def test_there_are_six_languages_and_each_is_said_in_every_style() -> None:
    assert sorted(each.name for each in CORPUS.iterdir() if each.is_dir()) == sorted(LANGUAGES)
    assert {language: styles(language) for language in LANGUAGES} == dict.fromkeys(LANGUAGES, STYLES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_plain_speech_pauses_for_less_than_any_service_waits_and_has_nothing_to_remark(language: str) -> None:
    for style in ("", "/quick", "/slow", "/backchannel"):
        assert too_long(pauses_s(f"corpus:{language}{style}"), 0.2) == []
    clips = corpus(f"corpus:{language}")
    assert len(clips) == 6
    assert all(1.0 < clip.duration_s < 2.9 for clip in clips)
    assert {clip.language for clip in clips} == {language}
    assert all(clip.first_voiced <= 2 and clip.last_voiced >= len(clip.frames) - 8 for clip in clips)
    everything = tuple(Say(clip=f"corpus:{language}{style}") for style in ("", *(f"/{each}" for each in STYLES)))
    assert remarks((Scenario(name="s", realtime={}, conversation=Conversation(turns=everything)),)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_sentence_is_quicker_and_slower_by_a_fifth_or_more(language: str) -> None:
    plain = by_name(f"corpus:{language}")
    for style, factor in (("quick", 1.2), ("slow", 1 / 1.2)):
        for name, clip in by_name(f"corpus:{language}/{style}").items():
            assert clip.text == plain[name].text
            assert (
                spoken_s(plain[name]) / spoken_s(clip) > factor
                if factor > 1
                else (spoken_s(plain[name]) / spoken_s(clip) < factor)
            )


@pytest.mark.parametrize("language", LANGUAGES)
def test_hesitations_last_from_400_to_900_ms_and_digits_come_in_groups(language: str) -> None:
    pauses = sorted(clip.longest_pause_s for clip in corpus(f"corpus:{language}/hesitant"))
    assert 0.4 <= pauses[0] < 0.6 <= pauses[1] < 0.8 < pauses[2] <= 0.9
    (digits,) = corpus(f"corpus:{language}/digits")
    assert 0.28 <= digits.longest_pause_s < 0.4
    assert digits.text is not None
    assert len(digits.text.split()) == 7
    (said,) = too_long({digits.name: digits.longest_pause_s}, 0.2)
    assert said.endswith("but the service takes 0.20 s of silence as the end of the turn")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_backchannel_is_a_word_and_no_sentence(language: str) -> None:
    clips = by_name(f"corpus:{language}/backchannel")
    assert set(clips) == {"mm_hmm", "yeah"}
    assert all(0.1 < spoken_s(clip) < 1.0 for clip in clips.values())


def test_what_is_there_is_what_the_table_says() -> None:
    for language in LANGUAGES:
        for style in ("", *STYLES):
            folder = Path(language, style)
            rows = {clip.file: (clip.said, clip.language) for clip in table() if clip.folder == folder}
            with (CORPUS / folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
                written = {row["file"]: (row["text"], row["language"]) for row in csv.DictReader(file)}
            there = {path.name for path in (CORPUS / folder).iterdir() if path.is_file()} - {"manifest.csv"}
            assert (written, there) == (rows, set(rows))
            assert len(recordings(f"corpus:{language}{'/' * bool(style)}{style}")) == len(rows)


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MOST_BYTES


def test_each_clip_is_mono_at_24_khz_with_its_peak_at_minus_6_dbfs() -> None:
    for path in CORPUS.rglob("*.flac"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (24_000, 1, "PCM_16"), path
        peak = np.abs(soundfile.read(path)[0]).max()
        assert 20 * np.log10(peak) == pytest.approx(-6, abs=0.1), path


def test_it_is_made_of_the_table_to_the_byte() -> None:
    """By the version that it was made with; others speak a little otherwise, and about as long."""
    needed("espeak-ng")
    chosen = [clip for clip in table() if clip.language == "de" and not clip.as_recorded]
    for clip in chosen:
        said = (CORPUS / clip.folder / clip.file).read_bytes()
        samples, _ = soundfile.read(CORPUS / clip.folder / clip.file, dtype="int16")
        again = spoken(clip)
        assert len(again) == pytest.approx(len(samples), rel=0.3), clip.id
        if version() != MADE_WITH:
            continue
        assert np.array_equal(samples, np.round(again * 32767).astype("<i2")), clip.id
        if soundfile.__libsndfile_version__ == "1.2.2":  # which holds an encoder of FLAC
            assert flac(again) == said, clip.id


def test_the_manifests_are_made_of_the_table_too() -> None:
    recorded = [clip for clip in table() if clip.as_recorded]
    made = files(recorded)
    assert list(made) == [Path("en/manifest.csv")]
    assert made[Path("en/manifest.csv")] == (CORPUS / "en" / "manifest.csv").read_bytes()


def test_english_is_what_it_was() -> None:
    """Figures of older runs can be compared: the clips that a scenario speaks by default are the same samples."""
    clips = corpus("corpus:en")
    assert [clip.name for clip in clips] == [
        *("cancel_booking.wav", "nearest_shop.wav", "opening_hours.wav"),
        *("order_status.wav", "reset_password.wav", "talk_to_person.wav"),
    ]
    assert [len(clip.frames) for clip in clips] == [104, 95, 81, 101, 70, 98]
    assert int(sum(np.abs(samples_of(clip)).sum(dtype=np.float64) for clip in clips)) == 284_376_366
