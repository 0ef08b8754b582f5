"""What is warned of before a run."""

from pathlib import Path

import pytest

from loadtest.commands.work.warned_run import warn
from loadtest.config.resolve import resolve
from loadtest.sound.speech import SILENCE
from tests.loadtest.sound.test_speech import tone, wav


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
