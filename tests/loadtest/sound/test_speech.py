import wave
from pathlib import Path

import numpy as np
import pytest

from loadtest.config.clips.lengths import too_long
from loadtest.errors.exceptions import ConfigError
from loadtest.session.hearing.ear import QUIET_NS, Ear
from loadtest.sound.sources import corpus, read_wav
from loadtest.sound.speech import FRAME_BYTES, FRAME_NS, FRAME_SAMPLES, LOUD_RMS, SILENCE, clip_of, is_loud


def tone(amplitude: int, samples: int = FRAME_SAMPLES) -> bytes:
    return (np.resize([amplitude, -amplitude], samples)).astype("<i2").tobytes()


def wav(path: Path, pcm: bytes, *, rate_hz: int = 24_000, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(pcm)
    return path


def test_a_frame_is_loud_from_the_threshold_on() -> None:
    assert is_loud(tone(int(LOUD_RMS))) is True
    assert is_loud(tone(int(LOUD_RMS) - 1)) is False
    assert is_loud(SILENCE) is False
    assert is_loud(b"") is False


def test_the_ear_backdates_the_onset_and_the_offset() -> None:
    onsets: list[int] = []
    offsets: list[int] = []
    ear = Ear(on_onset=onsets.append, on_offset=offsets.append)
    frames = [SILENCE] * 5 + [SILENCE[: FRAME_BYTES // 4] + tone(5_000)[FRAME_BYTES // 4 :]] + [tone(5_000)] * 9
    frames += [SILENCE] * (QUIET_NS // FRAME_NS + 1)
    for index, frame in enumerate(frames):
        ear.hear(index * FRAME_NS, frame)
    assert onsets == [5 * FRAME_NS + FRAME_NS // 4]
    assert offsets == [14 * FRAME_NS]


@pytest.mark.parametrize("frames_each", [1, 3, 20, 50])
def test_the_edges_are_the_same_however_many_frames_come_in_a_message(frames_each: int) -> None:
    onsets: list[int] = []
    offsets: list[int] = []
    ear = Ear(on_onset=onsets.append, on_offset=offsets.append)
    frames = [SILENCE] * 7 + [tone(5_000)] * 33 + [SILENCE] * 110
    for at in range(0, len(frames), frames_each):
        ear.hear(at * FRAME_NS, b"".join(frames[at : at + frames_each]))
    assert (onsets, offsets) == ([7 * FRAME_NS], [39 * FRAME_NS])
    assert (ear.loud_stretches, ear.length_ns) == (33, 33 * FRAME_NS)


def test_a_click_in_a_long_message_is_no_onset() -> None:
    edges: list[int] = []
    Ear(on_onset=edges.append, on_offset=edges.append).hear(0, SILENCE * 4 + tone(30_000) + SILENCE * 5)
    assert edges == []


def test_what_is_left_of_a_frame_counts_with_the_whole_one_before_it() -> None:
    onsets: list[int] = []
    stub = 64  # of messages of 512 samples, 1.3 ms
    Ear(on_onset=onsets.append, on_offset=onsets.append).hear(0, tone(5_000) + tone(5_000)[:stub])
    assert onsets == []  # one message, a click
    ear = Ear(on_onset=onsets.append, on_offset=onsets.append)
    for index in range(3):
        ear.hear(index * FRAME_NS, tone(5_000) + SILENCE[:stub])
    assert (onsets, ear.loud_stretches) == ([0], 3)


def test_a_gap_between_words_is_not_the_end_of_an_answer() -> None:
    edges: list[int] = []
    ear = Ear(on_onset=edges.append, on_offset=edges.append)
    for index in range(40):
        ear.hear(index * FRAME_NS, SILENCE if 10 <= index < 20 else tone(5_000))
    assert edges == [0]


def test_a_clip_knows_its_voiced_frames_and_its_longest_pause() -> None:
    clip = clip_of("x", SILENCE * 2 + tone(5_000) * 3 + SILENCE * 10 + tone(5_000) * 2 + SILENCE + b"\0\0")
    assert (clip.first_voiced, clip.last_voiced, clip.longest_pause_s, clip.pauses) == (2, 16, 0.2, 1)
    assert len(clip.frames) == 19
    assert {len(frame) for frame in clip.frames} == {FRAME_BYTES}


def test_a_clip_that_pauses_as_long_as_the_service_waits_is_named() -> None:
    clip = clip_of("slow.wav", tone(5_000) + SILENCE * 25 + tone(5_000))
    assert too_long({clip.name: clip.longest_pause_s}, 0.52) == []
    assert too_long({clip.name: clip.longest_pause_s}, 0.5) == [
        "slow.wav: pauses for 0.50 s, but the service takes 0.50 s of silence as the end of the turn"
    ]


def test_the_corpus_that_is_shipped_can_be_spoken() -> None:
    clips = corpus("corpus:en")
    assert len(clips) == 6
    assert all(1.0 < clip.duration_s < 2.5 for clip in clips)
    assert too_long({clip.name: clip.longest_pause_s for clip in clips}, 0.2) == []


def test_a_folder_of_wavs_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    wav(tmp_path / "b.wav", tone(900, 4_800))
    wav(tmp_path / "a.wav", tone(900, 2_400))
    assert [(clip.name, len(clip.frames)) for clip in corpus(str(tmp_path))] == [("a.wav", 5), ("b.wav", 10)]


def test_several_channels_become_one_their_mean(tmp_path: Path) -> None:
    left, right = np.full(960, 3_000, dtype="<i2"), np.full(960, 1_000, dtype="<i2")
    path = wav(tmp_path / "both.WAV", np.stack([left, right], axis=1).tobytes(), channels=2)
    (clip,) = corpus(str(tmp_path))
    assert (clip.name, clip.frames) == (path.name, (np.full(480, 2_000, dtype="<i2").tobytes(),) * 2)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_a_clip_of_any_rate_lasts_as_long_and_has_its_pitch(rate_hz: int, tmp_path: Path) -> None:
    stereo = np.repeat(8_000 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz), 2).astype("<i2")
    clip = read_wav(wav(tmp_path / "tone.wav", stereo.tobytes(), rate_hz=rate_hz, channels=2))
    heard = np.frombuffer(b"".join(clip.frames), dtype="<i2")
    assert len(clip.frames) == 50
    assert np.abs(np.fft.rfft(heard)).argmax() == 440


def test_every_unusable_file_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.mp3").write_bytes(b"ID3\4" + bytes(500))
    wav(tmp_path / "silent.wav", SILENCE * 9)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(ConfigError) as caught:
        corpus(str(tmp_path))
    told = caught.value.problems
    assert len(told) == 3
    assert told[0] == (
        f"{tmp_path}/broken.mp3: not a readable WAV file, but an MP3 file; `ffmpeg -i {tmp_path}/broken.mp3 -ac 1"
        f" -ar 24000 -c:a pcm_s16le {tmp_path}/broken.wav` makes one"
    )
    assert "text.wav: not a readable WAV" in told[1]
    assert "silent.wav: no speech" in told[2]


def test_a_missing_clip_is_told() -> None:
    with pytest.raises(ConfigError, match="corpus:xx: no such corpus; there is corpus:de, corpus:en, corpus:es"):
        corpus("corpus:xx")
    with pytest.raises(ConfigError, match="not a readable WAV"):
        read_wav(Path("nowhere.wav"))


def test_a_folder_or_a_name_without_a_clip_says_what_is_there_instead(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file with sound in this folder; it is empty"):
        corpus(str(tmp_path))
    (tmp_path / "hello.txt").touch()
    with pytest.raises(ConfigError, match=r"no file with sound in this folder, but hello\.txt"):
        corpus(str(tmp_path))
    with pytest.raises(ConfigError, match=r"helo\.txt: no WAV file .+ there \(did you mean hello\.txt\?\)"):
        corpus(str(tmp_path / "helo.txt"))
