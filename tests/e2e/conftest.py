"""Scenarios that most end-to-end tests use."""

from pathlib import Path

import pytest

from tests.support import ROOT

BRIEF = """
name = "brief"
[conversation]
think_min_s = 0
think_max_s = 0.1
[[conversation.turns]]
kind = "say"
clip = "{clip}"
"""


@pytest.fixture(scope="session")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario of one short turn: about 2.5 s with a twin that answers for half a second."""
    path = tmp_path_factory.mktemp("scenario") / "brief.toml"
    path.write_text(BRIEF.format(clip=ROOT / "loadtest" / "sound" / "corpus" / "en" / "reset_password.wav"))
    return path
