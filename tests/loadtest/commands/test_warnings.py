"""What is warned of before a run."""

import random
from pathlib import Path

import pytest

from loadtest.commands.work.warned_run import warn
from loadtest.config.keys.caller import Caller, Line
from loadtest.config.resolve import resolve
from loadtest.session.line import CallersLine
from loadtest.sound.speech import FRAME_BYTES, FRAME_NS, SILENCE
from tests.loadtest.sound.test_speech import tone, wav


@pytest.mark.parametrize(
    ("room", "kbps", "told"),
    [
        ("websocket", 256, "s: caller.up.bandwidth_kbps: 256, but a WebSocket room carries 404: sound is lost all the"),
        ("auto", 403, "s: caller.up.bandwidth_kbps: 403, but a WebSocket room carries 404"),
        ("webrtc", 40, "s: caller.up.bandwidth_kbps: 40, but a WebRTC room carries 50"),
        ("websocket", 404, None),
        ("webrtc", 256, None),
        ("none", 40, None),
    ],
)
def test_a_line_that_is_too_narrow_for_the_room_is_warned_of(
    room: str, kbps: int, told: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f'name = "s"\n[caller.up]\nbandwidth_kbps = {kbps}\n[[conversation.turns]]\nkind = "say"\n')
    warn(resolve(path, {"target.room": room}, {}))
    found = [line for line in capsys.readouterr().err.splitlines() if "bandwidth" in line]
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_a_websocket_room_carries_what_the_warning_says() -> None:
    for kbps, is_enough in ((404, True), (403, False)):
        way = CallersLine(Caller(up=Line(bandwidth_kbps=kbps)), random.Random(1)).up
        lost = [way.carry(number * FRAME_NS, FRAME_BYTES, sends_again=True)[1] for number in range(12_000)]
        assert any(lost) is not is_enough


def test_a_clip_that_pauses_is_no_more_than_warned_of_where_an_endpoint_of_ones_own_sets_the_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wav(tmp_path / "slow.wav", tone(5_000) * 30 + SILENCE * 40 + tone(5_000) * 30)
    path = tmp_path / "own.toml"
    path.write_text('[[conversation.turns]]\nkind = "say"\nclip = "slow.wav"\n')
    options = {"target.backend.url": "http://127.0.0.1:9/make", "target.avaturn_base_url": "http://127.0.0.1:9"}
    warn(resolve(path, options, {"AVATURN_API_KEY": "key"}))
    assert [line for line in capsys.readouterr().err.splitlines() if "slow.wav" in line] == [
        "avaload: warning: slow.wav: pauses for 0.80 s, but the service takes 0.50 s of silence as the end of the turn,"
        " unless your endpoint asks for another"
    ]
