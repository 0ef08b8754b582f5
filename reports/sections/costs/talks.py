"""A run's sessions as talks with a price: those of equally many answers together."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from loadtest.config.keys.scenario import Scenario
from loadtest.config.settings import Settings
from loadtest.forecast.costing import talk_of
from loadtest.prices.talk import Talk
from reports.data.frames import Run
from reports.sections.costs.lives import lives


def said(run: Run) -> pd.DataFrame:
    """A row per session: lived_s and open as `lives` has them; answers, user_s, avatar_s as `Speech.frame` has them, 0
    where nobody spoke."""
    return lives(run).join(run.speech.reindex(run.sessions.index, fill_value=0))


def talks(sessions: pd.DataFrame, settings: Settings | None, scenario: Scenario | None) -> Iterator[tuple[int, Talk]]:
    """Rows of `said`, of one scenario (None: its settings are not known) → how many sessions had so many answers, and
    their mean talk. Each answer reads all before it, so a talk of ten costs more than ten times one of one: the mean
    of both has no price that is theirs."""
    for _, group in sessions.groupby("answers"):
        answers = int(group["answers"].iloc[0])
        user_s, avatar_s, lived_s = (float(group[name].mean()) for name in ("user_s", "avatar_s", "lived_s"))
        turns = [(user_s / answers, avatar_s / answers)] * answers if answers else []
        if settings is None or scenario is None:
            talk = Talk(model=None, transcriber=None, turns=turns, lived_s=lived_s)
        else:
            talk = talk_of(settings, scenario, turns, lived_s)
        yield len(group), talk if answers else replace(talk, unanswered_s=user_s)
