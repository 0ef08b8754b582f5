"""Journals' frames → the samples of an indicator, and which part of a run was steady; as arrays.

The same samples that `loadtest.criteria.samples` takes one by one while a run goes on; a test holds the two equal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from loadtest.arrivals.schedule import WARM_UP
from loadtest.criteria.slo import TAKING
from loadtest.errors.kinds import Kind
from loadtest.events.kinds import STEPS, Gone, Outcome
from reports.data.frames import Run
from reports.data.measures import judged
from reports.data.taking import taken
from reports.sections import arrivals, expiry
from reports.sections.heard import age
from reports.sections.sessions import CERTAIN, Left, left_behind, setup

FOREVER_NS: Final = 2**62


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples in the order in which they ended: `t_ns` (int64), `values` (seconds; of ratios how many were bad; of
    counts 1), the numbers of their sessions (−1 for iterations that never became one), for how many samples each speaks
    (`loadtest.criteria.samples.WEIGHTS`; None: for one), and when the step or turn that was timed began (int64; None:
    nothing was)."""

    t_ns: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    sessions: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int64] | None = None
    began_ns: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.t_ns)

    def where(self, places: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> "Samples":
        """Those that a mask keeps, or those at these places, in their order."""
        weights, began_ns = (None if each is None else each[places] for each in (self.weights, self.began_ns))
        return Samples(self.t_ns[places], self.values[places], self.sessions[places], weights, began_ns)

    @property
    def count(self) -> int:
        """How many samples they are."""
        return len(self) if self.weights is None else int(self.weights.sum())


def samples(run: Run, measure: str, *, scenario: str | None = None) -> Samples:
    """The samples of `Slo.measure`, of all of the run. `run` is the load sessions alone."""
    rows = _rows(run, measure)
    if scenario is not None:
        of = rows["session"].map(run.sessions["scenario"]).astype("str")
        if "scenario" in rows:
            of = of.fillna(rows["scenario"].astype("str"))
        rows = rows[of == scenario]
    rows = rows.sort_values("t_ns", kind="stable")
    return Samples(
        rows["t_ns"].to_numpy(dtype=np.int64),
        rows["value"].to_numpy(dtype=np.float64),
        rows["session"].to_numpy(dtype=np.int64),
        rows["weight"].to_numpy(dtype=np.int64) if "weight" in rows else None,
        rows["began_ns"].to_numpy(dtype=np.int64) if "began_ns" in rows else None,
    )


def steady_ns(run: Run) -> list[tuple[int, int]]:
    """The steady stretches of the plan, [from, until) in ns; all of the run where no plan is written. The last one goes
    on to the end: what is in flight when the plan is over belongs to it."""
    return _stretches(run, lambda _, steady: steady)


def after_warm_up_ns(run: Run) -> list[tuple[int, int]]:
    """The same of all that is not the warm-up: the operator wants it in no verdict."""
    return _stretches(run, lambda stage, steady: steady or stage != WARM_UP)  # a stage of that name is judged


def _stretches(run: Run, wanted: Callable[[str, bool], bool]) -> list[tuple[int, int]]:
    stages = run.stages[run.stages["file"] == run.stages["file"].min()]  # each load process writes the same plan
    if not len(stages):
        return [(0, FOREVER_NS)]
    stretches: list[tuple[int, int]] = []
    began_ns: int | None = None
    for t_ns, stage, steady in zip(stages["t_ns"], stages["stage"], stages["steady"], strict=True):
        inside = wanted(str(stage), bool(steady))
        if inside and began_ns is None:
            began_ns = int(t_ns)
        elif not inside and began_ns is not None:
            stretches.append((began_ns, int(t_ns)))
            began_ns = None
    if began_ns is not None:
        stretches.append((began_ns, FOREVER_NS))
    return stretches


def within(t_ns: npt.NDArray[np.int64], stretches: list[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Which stamps lie in one of the stretches."""
    mask = np.zeros(len(t_ns), dtype=bool)
    for from_ns, until_ns in stretches:
        mask |= (t_ns >= from_ns) & (t_ns < until_ns)
    return mask


def _rows(run: Run, measure: str) -> pd.DataFrame:
    """Columns t_ns, value, session; of iterations that were dropped scenario, too; weight where one speaks for many;
    began_ns where something was timed."""
    subject, _, what = measure.partition(".")
    if subject in STEPS:
        steps = run.steps[(run.steps["step"] == subject) & (run.steps["attempt"] == 1)]
        if not what:
            return _lengths(steps)
        if what in ("failed", "failed_rate"):
            return _outcomes(steps, what)
        raise _unheard_of(measure)
    if measure == "turn.time_to_first_audio.drift":
        return _drifts(run)
    if subject == "turn":
        return _of_turns(run.turns, what)
    if subject == "media":
        return _of_media(run.media, what)
    if measure == "secret.margin":
        return _margins(run)
    if measure == "teardown.time_to_gone":
        looks = run.looks[run.looks["gone"] == Gone.CONFIRMED]
        return _table(looks, (looks["t_ns"] - looks["deleted_ns"]) / 1e9)
    if what == "setup":
        return setup(run).rename(columns={"setup_s": "value"}).reset_index()
    if what in ("setup_from_due", "first_step_from_due"):
        from_due = arrivals.setup_from_due if what == "setup_from_due" else arrivals.first_step_from_due
        return from_due(run).rename_axis("session").reset_index()
    if subject == "session":
        return _of_sessions(run, what)
    raise _unheard_of(measure)


def _unheard_of(measure: str) -> LookupError:
    """An indicator may be asked for, and nobody said here which rows are its samples."""
    return LookupError(f"no samples of {measure}")


def _table(rows: pd.DataFrame, value: Any, t_ns: str = "t_ns") -> pd.DataFrame:
    return pd.DataFrame({"t_ns": rows[t_ns].astype("int64"), "value": value, "session": rows["session"]})


def _timed(rows: pd.DataFrame, value: Any) -> pd.DataFrame:
    """The same of what began at a known moment: steps and turns. An answer that is heard out ends long after the time
    to it is known, so that one can't be had from the other."""
    return _table(rows, value).assign(began_ns=rows["started_ns"])


def _lengths(rows: pd.DataFrame) -> pd.DataFrame:
    good = rows[rows["outcome"] == Outcome.OK]
    return _timed(good, (good["t_ns"] - good["started_ns"]) / 1e9)


def _outcomes(rows: pd.DataFrame, what: str, t_ns: str = "t_ns") -> pd.DataFrame:
    """Of a rate all that say something about the target; of a count those that failed."""
    rows = judged(rows)
    found = _table(rows, (rows["outcome"] == Outcome.FAILED).astype(float), t_ns)
    return found if what == "failed_rate" else found[found["value"] == 1]


def _of_turns(turns: pd.DataFrame, what: str) -> pd.DataFrame:
    if what == "time_to_first_audio":
        turns = turns[(turns["outcome"] == Outcome.OK) & turns["first_audio_ns"].notna()]
        return _timed(turns, turns["first_audio_ns"].astype("int64") / 1e9)
    if what == "barge_in":
        turns = turns[turns["barge_in_ns"].notna()]
        return _timed(turns, turns["barge_in_ns"].astype("int64") / 1e9)
    if what == "dead_air":
        turns = turns[(turns["outcome"] == Outcome.OK) & turns["dead_air_ns"].notna()]
        return _table(turns, turns["dead_air_ns"].astype("int64") / 1e9)
    if what == "answered_early_rate":
        turns = judged(turns)
        return _table(turns, (turns["kind"] == Kind.ANSWERED_EARLY).astype(float))
    if what == "talk_over":
        turns = judged(turns)
        turns = turns[turns["talk_over_ns"].notna()]
        return _table(turns, turns["talk_over_ns"].astype("int64") / 1e9)
    if what in ("failed", "failed_rate"):
        return _outcomes(turns, what)
    if (rate := what.removesuffix("_rate")) in TAKING:
        found = taken(turns, rate)
        return _table(turns.loc[found.index], found.astype(float))
    raise _unheard_of(f"turn.{what}")


def _drifts(run: Run) -> pd.DataFrame:
    ended = run.sessions["end_ns"].dropna()
    drifts = age.drifts(run)
    drifts = drifts[drifts.index.isin(ended.index)]
    at_ns = ended.reindex(drifts.index).astype("int64")
    return pd.DataFrame({"t_ns": at_ns, "value": drifts, "session": drifts.index}).reset_index(drop=True)


def _of_media(media: pd.DataFrame, what: str) -> pd.DataFrame:
    if what in ("gap", "jitter"):
        column = {"gap": "gap_max_ns", "jitter": "jitter_ns"}[what]
        media = media[media[column].notna()]
        return _table(media, media[column] / 1e9)
    if what == "underruns_per_minute":
        media = media[media["heard_ns"].notna()]
        return _table(media, media["underruns"]).assign(weight=media["heard_ns"] // 1_000_000)
    if what == "packet_loss":
        media = media[media["packets_lost"].notna()]
        return _table(media, media["packets_lost"]).assign(weight=media["frames"] + media["packets_lost"])
    raise _unheard_of(f"media.{what}")


def _margins(run: Run) -> pd.DataFrame:
    known = expiry.uses(run).dropna(subset="margin_s").reset_index()
    return _table(known, known["margin_s"], "connected_ns")


def _of_sessions(run: Run, what: str) -> pd.DataFrame:
    sessions = run.sessions.reset_index()
    if what in ("started", "dropped", "dropped_rate"):
        began = sessions[sessions["started_ns"].notna()]
        dropped = pd.DataFrame(
            {"t_ns": run.drops["t_ns"], "value": 1.0, "session": -1, "scenario": run.drops["scenario"].astype("str")}
        )
        if lost := arrivals.unaccounted(run):
            at_ns = int(run.stages["t_ns"].max())
            gone = {"t_ns": at_ns, "value": 1.0, "session": -1, "scenario": run.scenario}
            dropped = pd.concat([dropped, pd.DataFrame([gone] * lost)], ignore_index=True)
        started = _table(began, 0.0 if what == "dropped_rate" else 1.0, "started_ns").assign(scenario=None)
        kept = {"started": [started], "dropped": [dropped], "dropped_rate": [started, dropped]}[what]
        kept = [rows for rows in kept if len(rows)] or kept[:1]
        return pd.concat(kept, ignore_index=True)
    if what in ("failed", "failed_rate"):
        return _outcomes(sessions, what, "end_ns")
    if what in ("leaked", "doubtful"):
        left = left_behind(run)
        wanted = sessions["session"].isin(
            left.index[left == Left.CREATE_UNANSWERED if what == "doubtful" else left.isin(CERTAIN)]
        )
    elif what == "completed":
        wanted = sessions["outcome"] == Outcome.OK
    elif what == "unconfirmed":
        wanted = sessions["gone"] == Gone.UNCONFIRMED
    else:
        raise _unheard_of(f"session.{what}")
    return _table(sessions[wanted], 1.0, "end_ns")
