"""`avaload probe [RULE…]`: a run that consists of active checks. It prints what each found, and the verdict."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtest.commands import options
from loadtest.commands.printing import say_lines, show
from loadtest.commands.work import dry_option
from loadtest.commands.work.warned_run import loaded, tell_price
from loadtest.errors.exit_codes import Exit
from loadtest.events.kinds import RuleOutcome
from loadtest.probes.catalogue import chosen

EXAMPLE: Final = "avaload probe EXP-1 TD-3"

DURATION_S, GRACEFUL_S, SLOW_S = 2.0, 900.0, 5400.0
"""All checks start at once; then there is only waiting for them."""
_SETTINGS: Final = ("load.seed", "target.", "output.", "cost.")
"""Settings, or sections of them, that checks can be told."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which rules, and where."""
    parser.add_argument(
        "rules", nargs="*", metavar="RULE", help="ids of rules, as docs/contract.md has them (default: all)"
    )
    options.add_settings(parser, (each for each in options.OF_RUNS if each[1].startswith(_SETTINGS)))
    parser.add_argument(
        "--slow", action="store_true", help="also what takes more than a minute, or costs money in production"
    )
    dry_option.add_options(parser, talks=False)


def main(arguments: argparse.Namespace) -> Exit:
    """Checks, and tells what each of them found."""
    checks = settings_of_checks(arguments.rules, slow=arguments.slow)
    settings = options.without_search(options.settings_of(arguments, besides=checks))
    from loadtest.commands.work.dry_checks import of_checks, sessions_of

    if arguments.dry_run:
        return of_checks(settings, arguments)
    tell_price(settings, sessions=sessions_of(settings)[0])
    run_dir, report, code = loaded(settings, quiet=arguments.quiet)
    if report is not None:
        if not arguments.json and not arguments.quiet:
            say_lines(table(report, arguments.rules))
        show(report, run_dir, as_json=arguments.json, quiet=arguments.quiet)
    return code


def settings_of_checks(rules: Sequence[str], *, slow: bool) -> dict[str, Any]:
    """Settings, by dotted name, of a run of these checks (none: all). Raises ConfigError for a rule without one."""
    return {
        "name": "probe",
        "load.users": len(chosen(rules)),
        "load.ramp": 0.0,
        "load.duration": DURATION_S,
        "load.graceful_stop": SLOW_S if slow else GRACEFUL_S,
        "probes.share": 1.0,
        "probes.rules": list(rules),
        "probes.slow": slow,
        "probes.once": True,
    }


def table(report: Mapping[str, Any], rules: Sequence[str]) -> list[str]:
    """A line for each rule that was checked: its outcome, and what was seen."""
    from reports.verdict.rules import seen

    wanted = set(rules) or {rule for probe in chosen(()) for rule in probe.rules}
    lines = [f"{'rule':<8}{'outcome':<15}what was seen"]
    for row in report["rules"]:
        if row["id"] in wanted:
            mark = "  BROKEN: " if row["outcome"] == RuleOutcome.FAIL else "  "
            lines.append(f"{row['id']:<8}{row['outcome']:<13}{mark}{seen(row)}")
    return lines
