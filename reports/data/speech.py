"""How long user and avatar spoke in each session, as it was heard: what a talk is priced by.

An answer is from its onset to the first moment at which it was heard to be over, whichever turn that is in: a turn that
makes a sound into an answer hears its end, and one that interrupts it silences it.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd

from loadtest.config.keys.scenario import NOISES
from loadtest.events.kinds import Mark, Observed, SessionFinished, Step, StepFinished
from reports.data.columns import Numbers

_OVER, _ONSET, _GOES_ON, _NOISE, _SPEAKS, _SPOKE = range(6)
"""In which order those of one moment count."""
_MARKS: Final = {
    Mark.LAST_AUDIO: _OVER,
    Mark.SILENCED: _OVER,
    Mark.LINE_CUT: _OVER,
    Mark.ROOM_ENDED: _OVER,
    Mark.FIRST_AUDIO: _ONSET,
    Mark.BARGE_IN: _GOES_ON,
    Mark.SPEECH_START: _SPEAKS,
    Mark.SPEECH_END: _SPOKE,
}
_NO_TURN: Final = -1


class Speech:
    """The fold. Of each session in progress it keeps a few numbers per turn. `sessions`: their numbers by id."""

    def __init__(self, sessions: Numbers) -> None:
        self._sessions = sessions
        self._open: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        self._columns: dict[str, array[Any]] = {
            "session": array("i"), "answers": array("i"), "user_s": array("d"), "avatar_s": array("d")
        }  # fmt: skip

    def add(
        self, marks: Iterable[Observed], steps: Iterable[StepFinished], finished: Iterable[SessionFinished]
    ) -> None:
        """More of a journal, in its order. What else there is of the sessions has been numbered."""
        for mark in marks:
            what = _MARKS.get(mark.mark)
            if what is not None:
                self._open[mark.session].append((mark.t_ns, what, _NO_TURN if mark.turn is None else mark.turn))
        for step in steps:
            if step.step is Step.TURN and step.session in self._open:
                what = _NOISE if step.turn_kind in NOISES else _GOES_ON
                self._open[step.session].append((step.t_ns, what, _NO_TURN if step.turn is None else step.turn))
        for end in finished:
            if end.session in self._open:
                self._fold(end.session)

    def end_file(self) -> None:
        """The sessions that its writer did not finish have no more to say."""
        for session in list(self._open):
            self._fold(session)

    def frame(self) -> pd.DataFrame:
        """By session, of those in which anybody spoke: answers (how many were heard), user_s in turns that ask for
        one, avatar_s of all answers."""
        columns = {name: np.array(column, dtype=column.typecode) for name, column in self._columns.items()}
        return pd.DataFrame(columns).groupby("session").sum()

    def _fold(self, session: str) -> None:
        said = sorted(self._open.pop(session))
        number = self._sessions.get(session)
        if number is None:
            return
        noises = {turn for _, what, turn in said if what == _NOISE}
        answers = user_ns = avatar_ns = 0
        onset_ns = known_ns = spoke_ns = None
        for t_ns, what, turn in said:
            if what == _ONSET:
                avatar_ns += _length_ns(onset_ns, known_ns)  # of an answer whose end nobody told
                answers, onset_ns, known_ns = answers + 1, t_ns, None
            elif what == _OVER:
                avatar_ns += _length_ns(onset_ns, t_ns)
                onset_ns = None
            elif what in (_GOES_ON, _NOISE):
                known_ns = t_ns
            elif what == _SPEAKS:
                spoke_ns = t_ns
            elif turn not in noises:
                user_ns += _length_ns(spoke_ns, t_ns)
                spoke_ns = None
        avatar_ns += _length_ns(onset_ns, known_ns)
        row = {"session": number, "answers": answers, "user_s": user_ns / 1e9, "avatar_s": avatar_ns / 1e9}
        for name, column in self._columns.items():
            column.append(row[name])


def _length_ns(began_ns: int | None, until_ns: int | None) -> int:
    return 0 if began_ns is None or until_ns is None else until_ns - began_ns
