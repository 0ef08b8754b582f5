"""Fixtures: a twin whose rooms are WebRTC."""

from collections.abc import Iterator

import pytest

from tests.loadtest.twin.process import RunningTwin, running_twin


@pytest.fixture(scope="session")
def rtc_twin() -> Iterator[RunningTwin]:
    """Answers of one second, 300 ms after the user's last voiced frame."""
    with running_twin("--set", "room=webrtc", "--set", "answer_s=1", "--set", "answer_after=fixed:0.3") as twin:
        yield twin
