"""`--dry-run`: what a run or a search would do and cost. Nobody is contacted, nothing is started."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from loadtest.capacity.steering import HELD_ALL, at_most
from loadtest.commands.printing import say_json, say_lines
from loadtest.commands.work.expected_samples import too_few
from loadtest.config.access.guard import endpoints_of
from loadtest.config.clips.lengths import check_clips
from loadtest.config.settings import Settings, place
from loadtest.criteria.words import load_words
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit
from loadtest.forecast.expected import forecast
from loadtest.preflight import machine
from loadtest.text.durations import parse_s
from loadtest.text.validation import is_loopback


def of_run(settings: Settings, arguments: argparse.Namespace) -> Exit:
    """Of a load run."""
    check_clips(settings.spoken, by_backend=settings.by_backend)
    return _tell(settings, arguments, heading=f"a run of {_length(settings)}, {settings.load.described()}")


def of_search(settings: Settings, arguments: argparse.Namespace) -> Exit:
    """Of a search for the limit, if the target holds every level: the most that it can take."""
    check_clips(settings.spoken, by_backend=settings.by_backend)
    searched = at_most(settings)
    assert searched.capacity is not None
    *before, last = (stage.level for stage in searched.load.stages)
    levels = ", ".join([*(f"{level:,g}" for level in before), load_words(last, searched.capacity.unit)])
    heading = f"a search through at most {levels}, {_length_of(searched.load.duration)}"
    note = f"{HELD_ALL}; a search that meets the limit takes other levels, and less"
    return _tell(searched, arguments, heading=heading, note=note)


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
