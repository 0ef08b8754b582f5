"""A room that sends an answer faster than it plays: told as a fact, and no answer is called broken for it."""

import time
from collections.abc import Sequence
from pathlib import Path

from loadtest.sound.speech import SILENCE, is_loud
from tests.e2e.test_lossy_line import Loss, run
from tests.judging.broken_backends.proxy import Frame, Link, Passing
from tests.judging.broken_backends.room import STARTED

ANSWER_S = 1.0
"""`run` has its twin speak so long."""
SCENARIO = """
name = "early"
[load]
users = 2
duration = "1s"
ramp = "0s"
[[conversation.turns]]
kind = "say"
[[conversation.turns]]
kind = "say"
"""


class AtOnce(Passing):
    """What an answer is made of, messages too, comes when it would have been over: all at once."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._held: list[Frame] = []
        self._until_s: float | None = None

    async def down(self, frame: Frame) -> Sequence[Frame]:
        if not self.link.path.startswith("/rooms/"):
            return (frame,)
        begins = STARTED in frame if isinstance(frame, str) else is_loud(frame)
        if self._until_s is None and begins:
            self._until_s = time.monotonic() + ANSWER_S + 0.2
        if self._until_s is None:
            return (frame,)
        self._held.append(frame)
        if time.monotonic() < self._until_s:
            return () if isinstance(frame, str) else (SILENCE,)  # a hole would excuse whatever comes
        held, self._held, self._until_s = self._held, [], None
        return held


def test_answers_that_come_all_at_once_are_whole_and_how_far_ahead_they_were_is_told(tmp_path: Path) -> None:
    done, report, _ = run(tmp_path, "websocket", AtOnce, Loss(share=0, has_holes=False), scenario=SCENARIO)
    turns, ahead = report["turns"], report["media"]["ahead"]
    assert (turns["count"], turns["failures"]) == (4, {}), done
    assert {row["id"]: row["summary"] for row in report["rules"] if row["violations"]} == {}, done
    assert ahead["sessions"] == 2
    assert 4 * (ANSWER_S - 0.35) < ahead["sound_s"] < 4 * (ANSWER_S + 0.2)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "of speech came faster than it plays" in page
