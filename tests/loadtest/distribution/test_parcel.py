"""Clips arrive at a worker as they are called, with what is said in them."""

from pathlib import Path
from typing import Any

from loadtest.config.settings import Settings
from loadtest.distribution.parcel import Parcel, as_rows, fetch
from loadtest.sound.sources import corpus
from tests.loadtest.sound.test_speech import tone, wav


def sent(tmp_path: Path, *turns: dict[str, Any], **more: Any) -> tuple[list[str], dict[str, Any]]:
    """The names of what travels, and the settings that come of it."""
    settings = Settings.model_validate({"name": "s", "conversation": {"turns": list(turns)}, **more})
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


def test_a_file_with_the_noise_in_a_callers_room_travels_and_a_noise_by_rule_needs_none(tmp_path: Path) -> None:
    street = wav(tmp_path / "street.wav", tone(5_000, 4_800))
    caller = {"noise": str(street), "noise_dbfs": -50}
    names, tree = sent(tmp_path, {"kind": "say"}, caller=caller)
    assert "parcel/noise-0.wav" in names
    assert Path(tree["caller"]["noise"]) == tmp_path / "worker" / "parcel" / "noise-0.wav"
    assert Path(tree["caller"]["noise"]).read_bytes() == street.read_bytes()
    (tmp_path / "other").mkdir()
    names, tree = sent(tmp_path / "other", {"kind": "say"}, caller={"noise": "babble", "noise_dbfs": -50})
    assert (tree["caller"]["noise"], [name for name in names if "noise" in name]) == ("babble", [])
