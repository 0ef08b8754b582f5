"""Clips in whatever people have them: all of them are the same sound."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from loadtest.config.clips.microphone import remarks
from loadtest.config.keys.scenario import Conversation, Ignore, Say, Scenario
from loadtest.errors.exceptions import ConfigError
from loadtest.sound import decoded, noises
from loadtest.sound.kinds import kind_of
from loadtest.sound.made import noise
from loadtest.sound.noises import samples_of
from loadtest.sound.sources import corpus, read_pcm, read_wav
from tests.loadtest.sound.test_speech import wav as wav_file

SECOND = (8000 * np.sin(2 * np.pi * 300 * np.arange(24_000) / 24_000)).astype(np.float32) / 32768


def written(path: Path, kind: str, sort: str, *, rate_hz: int = 24_000, channels: int = 1) -> Path:
    samples = np.repeat(np.resize(SECOND, rate_hz)[:, None], channels, axis=1)
    content = io.BytesIO()
    soundfile.write(content, samples, rate_hz, format=kind, subtype=sort)
    path.write_bytes(content.getvalue())
    return path


@pytest.mark.parametrize(
    ("name", "kind", "sort", "rate_hz"),
    [
        ("a.wav", "WAV", "PCM_24", 24_000),
        ("a.wav", "WAV", "PCM_32", 48_000),
        ("a.wav", "WAV", "FLOAT", 24_000),
        ("a.wav", "WAV", "DOUBLE", 44_100),
        ("a.wav", "WAV", "PCM_U8", 24_000),
        ("a.wav", "WAV", "ULAW", 8_000),
        ("a.wav", "WAV", "ALAW", 8_000),
        ("a.wav", "WAV", "IMA_ADPCM", 16_000),
        ("a.wav", "WAVEX", "PCM_24", 24_000),
        ("a.wav", "RF64", "FLOAT", 24_000),
        ("a.flac", "FLAC", "PCM_16", 24_000),
        ("a.ogg", "OGG", "VORBIS", 24_000),
        ("a.opus", "OGG", "OPUS", 24_000),
        ("a.mp3", "MP3", "MPEG_LAYER_III", 24_000),
        ("a.aiff", "AIFF", "PCM_16", 44_100),
        ("a.au", "AU", "ULAW", 8_000),
        ("a.caf", "CAF", "PCM_16", 24_000),
        ("a.sph", "NIST", "PCM_16", 16_000),
        ("a.voc", "VOC", "PCM_16", 24_000),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_form_is_read_as_the_same_sound(
    name: str, kind: str, sort: str, rate_hz: int, channels: int, tmp_path: Path
) -> None:
    clip = read_wav(written(tmp_path / name, kind, sort, rate_hz=rate_hz, channels=channels))
    samples = samples_of(clip)
    assert clip.duration_s == pytest.approx(1, abs=0.11)
    assert np.sqrt(np.mean(samples[2400:21600] ** 2)) == pytest.approx(8000 / 2**0.5, rel=0.06)


def test_a_form_in_which_nobody_can_go_back_is_read_too(tmp_path: Path) -> None:
    assert read_wav(written(tmp_path / "a.wav", "WAV", "GSM610", rate_hz=8_000)).duration_s == 1.04  # in whole blocks


@pytest.mark.parametrize(("kind", "name"), [("NIST", "a NIST SPHERE file"), ("VOC", "a VOC file")])
def test_old_kinds_are_known_by_their_beginning(kind: str, name: str, tmp_path: Path) -> None:
    assert kind_of(written(tmp_path / "a", kind, "PCM_16").read_bytes()) == name


def test_a_folder_of_all_sorts_is_one_source_and_other_files_in_it_are_none(tmp_path: Path) -> None:
    written(tmp_path / "b.FLAC", "FLAC", "PCM_16")
    written(tmp_path / "a.mp3", "MP3", "MPEG_LAYER_III")
    written(tmp_path / "c.wav", "WAV", "PCM_24")
    (tmp_path / "notes.txt").write_text("hello")
    assert [clip.name for clip in corpus(str(tmp_path))] == ["a.mp3", "b.FLAC", "c.wav"]


@pytest.mark.parametrize("kind", ["FLAC", "WAV"])
def test_what_is_longer_than_an_hour_is_refused_by_its_header(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded, "LONGEST_S", 0)
    with pytest.raises(ConfigError, match="more than 0 minutes: a clip is what somebody says in one go"):
        read_wav(written(tmp_path / f"a.{kind.lower()}", kind, "PCM_16"))


def from_a_pipe(path: Path) -> Path:
    """A FLAC file that doesn't say how many samples it has."""
    content = bytearray(written(path, "FLAC", "PCM_16").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    return path


def test_a_file_that_does_not_say_how_long_it_is_is_read_to_its_end(tmp_path: Path) -> None:
    assert (
        read_wav(from_a_pipe(tmp_path / "a.flac")).frames
        == read_wav(written(tmp_path / "b.flac", "FLAC", "PCM_16")).frames
    )


def test_such_a_file_is_refused_where_its_end_is_too_far_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = from_a_pipe(tmp_path / "a.flac")
    for longest_s, is_refused in ((1, False), (0, True)):
        monkeypatch.setattr(decoded, "LONGEST_S", longest_s)
        if is_refused:
            with pytest.raises(ConfigError, match="a clip is what somebody says in one go"):
                read_wav(path)
        else:
            assert read_wav(path).duration_s == 1


def test_at_a_rate_above_48_khz_a_clip_may_have_no_more_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert decoded.too_long(96_000).startswith("more than 30 minutes")
    monkeypatch.setattr(decoded, "LONGEST_S", 1)
    assert read_wav(written(tmp_path / "a.flac", "FLAC", "PCM_16", rate_hz=48_000)).duration_s == 1
    with pytest.raises(ConfigError, match="a clip is what somebody says in one go"):
        read_wav(written(tmp_path / "a.flac", "FLAC", "PCM_16", rate_hz=96_000))


@pytest.mark.parametrize(("name", "kind", "sort"), [("a.flac", "FLAC", "PCM_16"), ("a.wav", "WAV", "PCM_16")])
@pytest.mark.parametrize("channels", [1, 2])
def test_of_a_long_file_no_more_is_read_than_is_asked_for(
    name: str, kind: str, sort: str, channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    soundfile.write(path, np.repeat(np.tile(SECOND, 4)[:, None], channels, axis=1), 24_000, format=kind, subtype=sort)
    whole = read_pcm(path)
    monkeypatch.setattr(decoded, "_BLOCK", 1_000)
    assert read_pcm(path, most_s=9) == whole
    monkeypatch.setattr(decoded, "LONGEST_S", 2)
    assert read_pcm(path, most_s=2) == whole[: 2 * 48_000]
    with pytest.raises(ConfigError, match="in one go"):
        read_pcm(path)


def test_a_noise_may_be_a_file_that_is_too_long_for_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "LONGEST_S", 2)
    monkeypatch.setattr(noises, "LONGEST_S", 2)
    soundfile.write(tmp_path / "a.flac", np.tile(SECOND, 3), 24_000, subtype="PCM_16")
    assert len(noises.hum(str(tmp_path / "a.flac"), -40)) == 2 * 24_000


@pytest.mark.parametrize("rate_hz", [1, 1_999, 400_001])
def test_a_rate_at_which_nobody_records_is_not_believed(rate_hz: int, tmp_path: Path) -> None:
    path = wav_file(tmp_path / "a.wav", bytes(600), rate_hz=rate_hz)
    with pytest.raises(ConfigError, match=rf"a rate of {rate_hz:,} Hz, at which nobody records speech"):
        read_wav(path)


@pytest.mark.parametrize(("kind", "name"), [("W64", "a W64 file"), ("WAV", "a RIFX file")])
def test_the_rarer_kinds_are_read_and_named(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.w64"
    endian = "BIG" if kind == "WAV" else "FILE"
    soundfile.write(path, SECOND, 24_000, format=kind, subtype="PCM_16", endian=endian)
    assert kind_of(path.read_bytes()) == name
    assert read_wav(path).duration_s == pytest.approx(len(SECOND) / 24_000, abs=0.02)


@pytest.mark.parametrize("cut", [40, 4000, -200])
def test_a_file_that_was_cut_off_is_told_in_one_line(cut: int, tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", "FLAC", "PCM_16")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ConfigError, match="not a readable WAV file, but a FLAC file") as caught:
        read_wav(path)
    assert len(caught.value.problems) == 1


def test_of_a_folder_that_is_too_large_as_much_is_spoken_as_memory_has_for_it_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        written(tmp_path / f"{number:02}.wav", "WAV", "PCM_16")
    monkeypatch.setattr("loadtest.sound.recordings.MOST_BYTES", 5 * 48_000)
    clips = corpus(str(tmp_path))
    assert [clip.name for clip in clips] == sorted(clip.name for clip in clips)
    assert len(clips) == 5
    assert [clip.name for clip in clips] != ["00.wav", "01.wav", "02.wav", "03.wav", "04.wav"]
    told = remarks((_scenario(tmp_path),))
    assert told == [f"s: {tmp_path}: 5 of 20 files are spoken: a process holds 128 MiB"]


def test_clips_that_are_clipped_or_faint_are_told_before_the_run(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.clip(SECOND * 8, -1, 1), 24_000, subtype="PCM_16")
    soundfile.write(tmp_path / "faint.wav", SECOND * 0.045, 24_000, subtype="PCM_16")
    soundfile.write(tmp_path / "fine.wav", SECOND, 24_000, subtype="PCM_16")
    assert remarks((_scenario(tmp_path),)) == [
        f"s: {tmp_path}: loud.wav is clipped, at full scale for a while",
        f"s: {tmp_path}: faint.wav is hardly loud enough to be heard as speech",
    ]


def test_a_clip_that_is_shifted_off_zero_is_told_since_its_pauses_cannot_be_seen(tmp_path: Path) -> None:
    paused = np.concatenate([SECOND, np.zeros(24_000, np.float32), SECOND])
    soundfile.write(tmp_path / "a.wav", paused + 0.01, 24_000, subtype="PCM_16")
    assert remarks((_scenario(tmp_path),)) == [
        f"s: {tmp_path}: a.wav is shifted off zero, which makes its silence loud"
    ]
    (clip,) = corpus(str(tmp_path))
    assert clip.longest_pause_s == 0


def test_a_recording_from_a_room_as_loud_as_speech_is_told_since_nothing_shows_where_its_words_end(
    tmp_path: Path,
) -> None:
    said = samples_of(corpus("corpus:en")[0])
    speech = np.concatenate([np.zeros(12_000, np.float32), said, np.zeros(30_000, np.float32)])
    for name, level_dbfs in (("loud.wav", -42), ("low.wav", -50)):
        soundfile.write(tmp_path / name, (speech + noise(level_dbfs, len(speech))) / 32768, 24_000, subtype="PCM_16")
    assert remarks((_scenario(tmp_path),)) == [
        f"s: {tmp_path}: loud.wav is never silent: its noise counts as speech, and an answer to its last word as one"
        " that came too early"
    ]
    loud, low = corpus(str(tmp_path))
    assert loud.last_voiced >= len(loud.frames) - 2
    assert low.last_voiced < len(low.frames) - 60
    into_an_answer = Conversation(turns=(Say(), Ignore(clip=str(tmp_path / "loud.wav"))))
    assert remarks((Scenario(name="s", realtime={}, conversation=into_an_answer),)) == []


def test_the_own_corpus_has_nothing_to_remark() -> None:
    assert remarks((_scenario(Path("corpus:en")),)) == []


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_told(wrong: float, tmp_path: Path) -> None:
    samples = SECOND.copy()
    samples[100:103] = wrong
    soundfile.write(tmp_path / "a.wav", samples, 24_000, subtype="FLOAT")
    with pytest.raises(ConfigError, match="3 of its samples are no numbers"):
        corpus(str(tmp_path))


def test_float_samples_beyond_full_scale_are_clipped_and_that_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SECOND * 32768, 24_000, subtype="FLOAT")  # as whole numbers, which people do
    assert remarks((_scenario(tmp_path),)) == [f"s: {tmp_path}: a.wav is clipped, at full scale for a while"]


def test_of_thousands_of_files_that_cannot_be_used_ten_are_told_and_how_many_more(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"{number:04}.wav").write_bytes(b"RIFF")
    with pytest.raises(ConfigError) as caught:
        corpus(str(tmp_path))
    assert len(caught.value.problems) == 11
    assert caught.value.problems[-1] == f"{tmp_path}: and 2,990 more files can't be used"


def test_a_folder_inside_that_is_called_like_a_file_and_what_a_mac_leaves_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "old.wav").mkdir()
    (tmp_path / "._a.wav").write_bytes(b"\0\5\x16\7" + bytes(100))
    written(tmp_path / "a.wav", "WAV", "PCM_16")
    assert [clip.name for clip in corpus(str(tmp_path))] == ["a.wav"]


def test_a_folder_of_folders_says_where_the_sound_is(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    with pytest.raises(ConfigError, match=r"no file with sound in this folder$"):
        corpus(str(tmp_path))
    written(tmp_path / "de" / "a.wav", "WAV", "PCM_16")
    with pytest.raises(ConfigError, match=r"no file with sound in this folder itself, but in de: name that one"):
        corpus(f"{tmp_path}/.")


def test_a_name_that_is_no_text_becomes_one(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", "WAV", "PCM_16")
    path.rename(tmp_path / "caf\udce9\x1b.wav")
    (clip,) = corpus(str(tmp_path))
    assert clip.name == "caf.wav"


def _scenario(clips: Path) -> Scenario:
    return Scenario(name="s", realtime={}, conversation=Conversation(turns=(Say(clip=str(clips)),)))
