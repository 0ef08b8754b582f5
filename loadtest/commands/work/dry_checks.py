"""`probe --dry-run`: what active checks would do. Nobody is contacted, nothing is started."""

import argparse
from typing import Final

from loadtest.commands.printing import say_json, say_lines
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.errors.exit_codes import Exit
from loadtest.forecast.costing import check_budget
from loadtest.probes.catalogue import chosen
from loadtest.probes.running import allowed

_SESSIONS_OF_A_CHECK: Final = 3, 1, 9
"""What an active check creates: about, at least, at most; see `tests/e2e/test_dry_run.py`."""


def of_checks(settings: Settings, arguments: argparse.Namespace) -> Exit:
    """Of active checks: how many sessions they make is known about."""
    if settings.cost.budget is not None:
        check_budget(settings, settings.cost.table)
    count = len(allowed(settings))
    away = len(chosen(settings.probes.rules)) - count
    about, low, high = sessions_of(settings)
    found = {
        "checks": count,
        "turned_away": away,
        "sessions": {"value": about, "low": low, "high": high},
        "cost": None,
        "notes": ["what a check costs isn't known: --max-sessions bounds it"],
    }
    if arguments.json:
        say_json(found)
    else:
        say_lines(
            [
                f"{plural(count, 'check')}{f', {away:,} more may not run here' if away else ''}; nobody was contacted",
                f"  sessions             about {about:,} ({low:,} to {high:,})",
                "  cost                 unknown: what a check says and hears isn't planned; --max-sessions bounds it",
            ]
        )
    return Exit.PASS


def sessions_of(settings: Settings) -> tuple[int, int, int]:
    """What those checks create: about, at least, at most."""
    count, most = len(allowed(settings)), settings.target.max_sessions
    about, low, high = (count * each if most is None else min(count * each, most) for each in _SESSIONS_OF_A_CHECK)
    return about, low, high
