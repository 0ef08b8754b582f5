"""Clips arrive at a worker as they are called, with what is said in them."""

from pathlib import Path
from typing import Any

from loadtest.config.settings import Settings
from loadtest.distribution.parcel import Parcel, as_rows, fetch
from loadtest.sound.sources import corpus
from tests.loadtest.sound.test_speech import tone, wav


def sent(tmp_path: Path, *turns: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The names of what travels, and the settings that come of it."""
    settings = Settings.model_validate({"name": "s", "conversation": {"turns": list(turns)}})
    parcel = Parcel(settings)
    worker = tmp_path / "worker"
    worker.mkdir()
    return [item.name for item in parcel.items], fetch(as_rows(parcel.items), parcel.piece, worker)


def test_names_texts_and_languages_travel_with_the_clips(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    (calls / "deep").mkdir(parents=True)
    for name in ("b.wav", "deep/a.wav", "c.wav"):
        wav(calls / name, tone(5_000, 4_800))
    (calls / "manifest.csv").write_text("file,text,language\ndeep/a.wav,Grüezi,de-CH\nb.wav,,\n", encoding="utf-8")
    turn = {"kind": "say", "clip": str(calls)}
    names, tree = sent(tmp_path, turn, {"kind": "hesitate", "clip": str(calls)}, {"kind": "backchannel"})
    assert sorted(names) == [
        *("parcel/clips-0/0000.wav", "parcel/clips-0/0001.wav", "parcel/clips-0/manifest.jsonl"),
        "parcel/settings.json",
    ]
    first, second, third = (each["clip"] for each in tree["conversation"]["turns"])
    assert (first, third) == (second, "hum:-26")
    assert [(clip.name, clip.text, clip.language) for clip in corpus(first)] == [
        ("b.wav", None, None),
        ("deep/a.wav", "Grüezi", "de-CH"),
    ]
    assert [clip.frames for clip in corpus(first)] == [clip.frames for clip in corpus(str(calls))]


def test_the_corpus_is_called_the_same_at_a_worker(tmp_path: Path) -> None:
    _, tree = sent(tmp_path, {"kind": "say", "clip": "corpus:fr/quick"})
    (turn,) = tree["conversation"]["turns"]
    assert corpus(turn["clip"]) == corpus("corpus:fr/quick")
