"""Each session that a page shows: its row in the table, and its waterfall."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pandas as pd

from loadtest.criteria.slo import SECONDS
from loadtest.criteria.words import amount
from loadtest.events.kinds import Gone, Outcome, Remains, Step
from reports.data.frames import Run
from reports.formats.explore.chosen import SAMPLED, SLOW, Chosen
from reports.formats.explore.links import Links
from reports.formats.explore.waterfall import Bar, waterfall
from reports.sections.sessions import setup

_MOST_DETAILS, _LONGEST = 10, 400
"""How many failures of a session are told, in how many characters each."""
_SHORT: Final = 12
"""Digits of an id that tell sessions apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Times in s, None where there was nothing to time. `at_s`: its begin after the run's. `details`: failures with
    their texts. `drawing`: None for one of the sample."""

    id: str
    short: str
    why: Sequence[str]
    scenario: str
    at_s: float | None
    lasted_s: float | None
    waited_s: float
    setup_s: float | None
    first_audio_s: float | None
    failure: str
    details: Sequence[str]
    trace: str | None
    audio: Sequence[str]
    drawing: str | None
    troubled: bool


def stories(run: Run, picked: Chosen, links: Links, audio: Sequence[str]) -> list[Story]:
    """In the order of `picked`. `audio`: paths of the sound that was kept."""
    shown = replace(run, steps=run.steps[run.steps["session"].isin(picked.numbers)])
    steps, looks = _of(shown.steps, picked.numbers), _of(run.looks, picked.numbers)
    setups = setup(shown)["setup_s"].to_dict()
    ids = run.sessions.loc[picked.numbers, "id"]
    short = _SHORT if ids.str[:_SHORT].is_unique else None
    of_session: dict[str, list[str]] = {}
    for path in audio:
        of_session.setdefault(path.rpartition("/")[2].partition("-")[0], []).append(path)
    return [
        _story(
            run, number, steps.get(number, []), looks.get(number, []), setups.get(number), picked, links,
            of_session.get(str(ids[number]), []), short,
        )
        for number in picked.numbers
    ]  # fmt: skip


def _of(frame: pd.DataFrame, numbers: Sequence[int]) -> dict[int, list[Any]]:
    """Session → its rows in the order of time."""
    rows = frame[frame["session"].isin(numbers)].sort_values("t_ns", kind="stable")
    found: dict[int, list[Any]] = {}
    for number, row in zip(rows["session"].tolist(), rows.itertuples(), strict=True):
        found.setdefault(number, []).append(row)
    return found


def _story(
    run: Run,
    number: int,
    steps: list[Any],
    looks: list[Any],
    setup_s: float | None,
    picked: Chosen,
    links: Links,
    audio: Sequence[str],
    short: int | None,
) -> Story:
    session: Any = run.sessions.loc[number]
    identity, span_ns = str(session["id"]), _span_ns(session, steps, looks)
    drawing = None
    if span_ns is not None and (steps or looks) and not picked.is_sample(number):
        bars = [_bar(row, span_ns[0]) for row in steps] + [_look(row, span_ns[0]) for row in looks]
        drawing = waterfall(sorted(bars, key=lambda bar: (bar.begin_s, -bar.end_s)), label=f"Session {identity}")
    waits_s = [row.first_audio_ns / 1e9 for row in steps if row.step == Step.TURN and pd.notna(row.first_audio_ns)]
    return Story(
        id=identity,
        short=identity[:short],
        why=picked.why[number],
        scenario="" if pd.isna(session["scenario"]) else str(session["scenario"]),
        at_s=None if span_ns is None else (span_ns[0] - run.start_ns) / 1e9,
        lasted_s=None if span_ns is None else (span_ns[1] - span_ns[0]) / 1e9,
        waited_s=picked.waited_s[number],
        setup_s=setup_s,
        first_audio_s=max(waits_s, default=None),
        failure=_words(session["failed_step"], session["kind"], session["code"]),
        details=_details(session, steps),
        trace=None if span_ns is None else links.of_session(identity, *span_ns, kept=_is_kept(session)),
        audio=audio,
        drawing=drawing,
        troubled=not set(picked.why[number]) <= {SLOW, SAMPLED},
    )


def _is_kept(session: Any) -> bool:
    """Whether its trace is exported for what became of it: see `exporters.traces.tail`. Being slow is one reason, too,
    but compared with what had been before: that can't be told from here."""
    unsaid = pd.isna(session["outcome"])
    return bool(unsaid or session["outcome"] == Outcome.FAILED or session["remains"] != Remains.NOTHING)


def _span_ns(session: Any, steps: list[Any], looks: list[Any]) -> tuple[int, int] | None:
    """Its begin and its end, as far as anything tells of them."""
    begins = [row.started_ns for row in steps] + [row.deleted_ns for row in looks]
    ends = [row.t_ns for row in [*steps, *looks]]
    begin = min(begins, default=None) if pd.isna(session["started_ns"]) else session["started_ns"]
    end = max(ends, default=None) if pd.isna(session["end_ns"]) else session["end_ns"]
    return None if begin is None or end is None else (int(begin), int(end))


def _words(step: Any, kind: Any, code: Any) -> str:
    return "" if pd.isna(kind) else f"{step}/{kind}/{code}"


def _details(session: Any, steps: list[Any]) -> list[str]:
    """Each failure once, with its text, the session's own first."""
    found = [(session["failed_step"], session["kind"], session["code"], session["detail"])]
    found += [(row.failed_step, row.kind, row.code, row.detail) for row in steps]
    said = [
        _words(step, kind, code) + (f": {text}" if pd.notna(text) and text else "")
        for step, kind, code, text in found
        if pd.notna(kind)
    ]
    return [words[:_LONGEST] for words in dict.fromkeys(said)][:_MOST_DETAILS]


def _bar(row: Any, begin_ns: int) -> Bar:
    name = str(row.step)
    if row.step == Step.TURN and pd.notna(row.turn):
        kind = "" if pd.isna(row.turn_kind) else f" {row.turn_kind}"
        name = f"turn {int(row.turn)}{kind}"
    if row.attempt > 1:
        name += f", attempt {row.attempt}"
    more = [
        "" if pd.isna(row.code) else str(row.code),
        "" if pd.isna(row.first_audio_ns) else f"first audio {amount(row.first_audio_ns / 1e9, SECONDS)}",
    ]
    whole = row.step == Step.CONVERSE and row.outcome == Outcome.OK
    return Bar(
        name=name,
        begin_s=(row.started_ns - begin_ns) / 1e9,
        end_s=(row.t_ns - begin_ns) / 1e9,
        became="whole" if whole else str(row.outcome),
        more=", ".join(filter(None, more)),
    )


def _look(row: Any, begin_ns: int) -> Bar:
    words = {Gone.CONFIRMED: "proved gone", Gone.STILL_ALIVE: "still alive"}
    return Bar(
        name=words.get(row.gone, "not proved gone"),
        begin_s=(row.deleted_ns - begin_ns) / 1e9,
        end_s=(row.t_ns - begin_ns) / 1e9,
        became="ok" if row.gone == Gone.CONFIRMED else "failed" if row.gone == Gone.STILL_ALIVE else "cancelled",
    )
