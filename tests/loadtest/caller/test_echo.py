"""The echo's level and delay are what was set, to the sample, whatever the frames' phases."""

import numpy as np
import pytest

from loadtest.caller.echo import Echo
from loadtest.caller.microphone import Microphone
from loadtest.config.keys.caller import Caller
from loadtest.rooms.opus import Decoder, EncodedMicrophone
from loadtest.sound.speech import FRAME_NS, FRAME_SAMPLES, RATE_HZ, SILENCE, is_loud

MS = 1_000_000
TONE = (6000 * np.sin(2 * np.pi * 440 * np.arange(20 * FRAME_SAMPLES) / RATE_HZ)).astype("<i2").reshape(20, -1)
AVATAR = [frame.tobytes() for frame in TONE]
QUARTER = FRAME_SAMPLES // 4


def heard_back(
    *, level_dbfs: float, delay_ms: float, phase_ms: float, voice: list[bytes], phone: bool = False
) -> list[tuple[int, bytes]]:
    """What a microphone sends whose frames are so far from the avatar's, and when."""
    echo = Echo(level_dbfs=level_dbfs, delay_ns=round(delay_ms * MS), phone=phone)
    sent = []
    for number in range(100):
        if number < len(voice):
            echo.hear(number * FRAME_NS, voice[number])
        t_ns = number * FRAME_NS + round(phase_ms * MS)
        sent.append((t_ns, echo.into(t_ns, SILENCE)))
    return sent


@pytest.mark.parametrize("phase_ms", [0, 3.5, 19.9])
@pytest.mark.parametrize("delay_ms", [40, 100, 333])
@pytest.mark.parametrize("level_dbfs", [-20, -30, -40])
def test_level_and_delay_are_those_that_were_set(level_dbfs: float, delay_ms: float, phase_ms: float) -> None:
    silent_at_first = SILENCE[: 2 * QUARTER] + AVATAR[0][2 * QUARTER :]
    sent = heard_back(level_dbfs=level_dbfs, delay_ms=delay_ms, phase_ms=phase_ms, voice=[silent_at_first, *AVATAR[1:]])
    sounding = [(t_ns, frame) for t_ns, frame in sent if frame != SILENCE]
    onset_ns = sounding[0][0] + int(np.argmax(np.frombuffer(sounding[0][1], "<i2") != 0)) * 1_000_000_000 // RATE_HZ
    loud = sounding
    assert onset_ns / MS == pytest.approx(5 + delay_ms, abs=0.4)
    middle = np.frombuffer(b"".join(frame for _, frame in loud[2:-2]), "<i2").astype(float)
    assert 20 * np.log10(np.sqrt((middle**2).mean()) / 32768) == pytest.approx(level_dbfs, abs=0.3)
    assert len(loud) in (20, 21)


def test_a_microphone_that_hears_no_echo_sends_its_own_frames_untouched() -> None:
    sent = heard_back(level_dbfs=-30, delay_ms=40, phase_ms=1, voice=[SILENCE] * 50)
    assert all(frame is SILENCE for _, frame in sent)


def test_a_pause_in_the_avatars_voice_is_one_in_its_echo() -> None:
    sent = heard_back(level_dbfs=-30, delay_ms=60, phase_ms=0, voice=[*AVATAR[:5], *[SILENCE] * 10, *AVATAR[:5]])
    loud = [number for number, (_, frame) in enumerate(sent) if is_loud(frame)]
    assert loud == [*range(3, 8), *range(18, 23)]


@pytest.mark.parametrize(("every_ms", "seconds"), [(20, 5.0), (10, 2.8), (0.4, 0.4)])
def test_a_voice_that_comes_faster_than_it_plays_is_neither_piled_up_nor_played_for_longer_than_a_player_keeps_it(
    every_ms: float, seconds: float
) -> None:
    echo = Echo(level_dbfs=-30, delay_ns=120 * MS)
    voice = [AVATAR[number % 20] for number in range(250)]
    sent = []
    for number in range(320):
        t_ns = number * FRAME_NS
        while len(voice) and (250 - len(voice)) * every_ms * MS <= t_ns:
            echo.hear(round((250 - len(voice)) * every_ms * MS), voice.pop(0))
        sent.append(echo.into(t_ns, SILENCE))
    loud = [frame for frame in sent if is_loud(frame)]
    assert len(loud) * 0.02 == pytest.approx(seconds, abs=0.05)
    heard = np.frombuffer(b"".join(loud), "<i2").astype(float)
    assert 20 * np.log10(np.sqrt((heard**2).mean()) / 32768) == pytest.approx(-30, abs=0.5)


def test_the_echo_goes_on_under_what_the_caller_says() -> None:
    echo = Echo(level_dbfs=-30, delay_ns=40 * MS)
    said = np.full(FRAME_SAMPLES, 1000, "<i2").tobytes()
    for number in range(5):
        echo.hear(number * FRAME_NS, AVATAR[number])
        mixed = echo.into(number * FRAME_NS, said)
    samples = np.frombuffer(mixed, "<i2").astype(float)
    assert samples.mean() == pytest.approx(1000, abs=100)
    assert samples.std() == pytest.approx(32768 * 10 ** (-30 / 20), rel=0.1)


def test_packets_encoded_as_they_leave_decode_to_the_frames_that_were_taken() -> None:
    microphone = EncodedMicrophone(Microphone((SILENCE,)))
    ear = Decoder()
    before = [microphone.take()[0] for _ in range(3)]
    microphone.speak(AVATAR, first_voiced=0, last_voiced=19)
    taken = [microphone.take() for _ in range(25)]
    frames = [ear.decode(packet or b"") for packet in [*before, *(packet for packet, _ in taken)]]
    loud = [number for number, frame in enumerate(frames) if is_loud(frame)]
    assert loud[0] == 4  # one frame behind
    assert len(loud) in (20, 21)
    marked = [number + 3 for number, (_, marks) in enumerate(taken) if marks]
    assert (marked[0], marked[-1]) == (4, 23)
    shift = np.correlate(
        np.frombuffer(b"".join(frames[8:12]), "<i2").astype(float),
        np.frombuffer(b"".join(AVATAR[4:8]), "<i2").astype(float)[60:-60],
        "valid",
    )
    assert int(shift.argmax()) % 55 in (4, 5, 6)  # whole periods of 440 Hz away from where it was put in: 60 = 55 + 5


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"noise": "pink"}, "give noise_dbfs"),
        ({"echo_delay_s": 0.2}, "give echo_dbfs"),
        ({"speech_dbfs": -30, "clipping_db": 6}, "give one of them"),
    ],
)
def test_a_key_without_the_one_that_it_needs_is_refused(keys: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Caller.model_validate(keys)


def shares(samples: "np.ndarray[tuple[int], np.dtype[np.float64]]", *bands_hz: tuple[float, float]) -> list[float]:
    """Of the power, in each band."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return [float(spectrum[(hz >= low) & (hz < high)].sum() / spectrum.sum()) for low, high in bands_hz]


@pytest.mark.parametrize("delay_ms", [40, 100])
@pytest.mark.parametrize("level_dbfs", [-20, -35])
def test_through_a_telephone_the_echo_is_as_narrow_as_the_speech_as_loud_as_was_set_and_as_late(
    level_dbfs: float, delay_ms: float
) -> None:
    noise = np.random.default_rng(7).normal(0, 3000, 50 * FRAME_SAMPLES).astype("<i2").reshape(50, -1)
    voice = [frame.tobytes() for frame in noise]
    sounding = {
        phone: np.frombuffer(
            b"".join(
                frame
                for _, frame in heard_back(
                    level_dbfs=level_dbfs, delay_ms=delay_ms, phase_ms=0, voice=voice, phone=phone
                )
            ),
            "<i2",
        ).astype(float)
        for phone in (False, True)
    }
    first = round(delay_ms * RATE_HZ / 1000) + 5 * FRAME_SAMPLES
    middle = {phone: samples[first : first + 40 * FRAME_SAMPLES] for phone, samples in sounding.items()}
    inside, below, above = shares(middle[True], (250, 3450), (0, 150), (4000, 12000))
    assert inside > 0.97
    assert below + above < 0.01
    assert shares(middle[False], (4000, 12000))[0] > 0.6
    level = 20 * np.log10(np.sqrt((middle[True] ** 2).mean()) / 32768)
    assert level == pytest.approx(level_dbfs, abs=1)
    lags = range(-120, 121)
    alike = [float(np.dot(middle[True][200:-200], np.roll(middle[False], lag)[200:-200])) for lag in lags]
    assert abs(lags[int(np.argmax(alike))]) / RATE_HZ < 0.002
