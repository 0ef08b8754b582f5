"""`--dry-run`: what a run, a search or a round of checks would do and cost. Nobody is contacted, nothing is started."""

import argparse
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadtest.capacity.search import Found, Purpose, Search
from loadtest.capacity.steering import prepared, settle_s
from loadtest.commands.printing import say_json, say_lines
from loadtest.commands.work.expected_samples import too_few
from loadtest.config.access.guard import endpoints_of
from loadtest.config.clips.lengths import check_clips
from loadtest.config.settings import Settings, place
from loadtest.config.workload import LoadStage
from loadtest.criteria.words import load_words, plural
from loadtest.forecast.expected import forecast
from loadtest.language.durations import parse_s
from loadtest.language.errors import ConfigError, Exit
from loadtest.language.validation import is_loopback
from loadtest.preflight import machine

_SESSIONS_OF_A_CHECK: Final = 3, 1, 9
"""What an active check creates: about, at least, at most; see `tests/e2e/test_dry_run.py`."""


def of_run(settings: Settings, arguments: argparse.Namespace) -> Exit:
    """Of a load run."""
    check_clips(settings.spoken, by_backend=settings.by_backend)
    return _tell(settings, arguments, heading=f"a run of {_length(settings)}, {settings.load.described()}")


def of_search(settings: Settings, arguments: argparse.Namespace) -> Exit:
    """Of a search for the limit, if the target holds every level: the most that it can take."""
    check_clips(settings.spoken, by_backend=settings.by_backend)
    searched = prepared(settings)
    assert searched.capacity is not None
    capacity, settle = searched.capacity, settle_s(searched)
    search = Search(
        start=capacity.start, most=capacity.most, precision=capacity.precision, whole=not searched.load.open
    )
    stages = []
    while (probe := search.next()) is not None:
        held_s = settle + (capacity.sustain if probe.purpose is Purpose.SUSTAIN else capacity.stage)
        level: dict[str, Any] = {"rate": probe.level} if searched.load.open else {"users": math.ceil(probe.level)}
        stages.append(LoadStage(duration=held_s, **level))
        search.tell(Found.PASSED)
    load = searched.load.model_copy(
        update={"stages": tuple(stages), "rate": None, "duration": sum(stage.duration for stage in stages)}
    )
    *before, last = (stage.level for stage in stages)
    levels = ", ".join([*(f"{level:,g}" for level in before), load_words(last, capacity.unit)])
    heading = f"a search through at most {levels}, {_length_of(load.duration)}"
    note = "if the target holds every level; a search that meets the limit takes other levels, and less"
    return _tell(searched.model_copy(update={"load": load}), arguments, heading=heading, note=note)


def of_checks(settings: Settings, arguments: argparse.Namespace, *, count: int) -> Exit:
    """Of active checks: how many sessions they make is known about."""
    most = settings.target.max_sessions
    about, low, high = (count * each if most is None else min(count * each, most) for each in _SESSIONS_OF_A_CHECK)
    found = {
        "checks": count,
        "sessions": {"value": about, "low": low, "high": high},
        "cost": None,
        "notes": ["what a check costs isn't known: --max-sessions bounds it"],
    }
    if arguments.json:
        say_json(found)
    else:
        say_lines(
            [
                f"{plural(count, 'check')}; nobody was contacted",
                f"  sessions             about {about:,} ({low:,} to {high:,})",
                "  cost                 unknown: what a check says and hears isn't planned; --max-sessions bounds it",
            ]
        )
    return Exit.PASS


def _tell(settings: Settings, arguments: argparse.Namespace, *, heading: str, note: str = "") -> Exit:
    answer_s = _answer_s(arguments.answer)
    urls = endpoints_of(settings)
    twin = settings.embedded_twin or (bool(urls) and all(map(is_loopback, urls)))
    found = forecast(settings, answer_s=answer_s, twin=twin, today=datetime.now(UTC).date())
    limits = machine.examine(settings, place(settings) if settings.output.run_dir else Path())
    notes = [*([note] if note else []), *too_few(settings)]
    if arguments.json:
        told = found.as_dict()
        told["notes"] = [*notes, *told["notes"]]
        told["machine"] = {each.name: {"state": each.state, "text": each.text} for each in limits}
        say_json(told)
        return Exit.PASS
    say_lines(
        [
            f"{heading}; nobody was contacted",
            *found.sentences(),
            *(f"  note: {each}" for each in notes),
            *(f"  {each.name + ('' if each.state == 'ok' else f', {each.state}'):<21}{each.text}" for each in limits),
        ]
    )
    return Exit.PASS


def _answer_s(given: str | None) -> float | None:
    if given is None:
        return None
    try:
        seconds = parse_s(given)
    except ValueError as error:
        raise ConfigError(f"--answer: {error}") from error
    if not seconds:
        raise ConfigError("--answer: must be longer than nothing")
    return seconds


def _length(settings: Settings) -> str:
    return _length_of(settings.load.duration)


def _length_of(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
