"""`avaload doctor [SCENARIO.toml]`: is this machine fit to measure, are keys and endpoints what they should be? It
prints a line per check, exits 2 where one is bad. With `--calibrate`: our own error, and exit 4 where it says nothing.
"""

import argparse
import asyncio
from typing import Final

from loadtest.commands import options
from loadtest.commands.printing import complain, say, say_json, say_lines
from loadtest.criteria.words import plural
from loadtest.errors.exceptions import ConfigError
from loadtest.errors.exit_codes import Exit

EXAMPLE: Final = "avaload doctor"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of which run, or that our own error is asked for."""
    options.add_scenario(parser)
    parser.add_argument(
        "--calibrate", action="store_true", help="measure our own error against the twin: half a minute"
    )
    groups = options.add_settings(parser, (*options.OF_RUNS, *options.OF_MASTERS), prints="the checks")
    options.add_switch(groups["distribution"], "--master", "distribution.master")


def main(arguments: argparse.Namespace) -> Exit:
    """Checks this machine, keys and endpoints; or measures our own error."""
    if arguments.calibrate:
        if arguments.scenario is not None:
            raise ConfigError(f"{arguments.scenario}: --calibrate has a scenario of its own")
        besides = [f"--{name}" for name in ("slo", "tag", "prices") if getattr(arguments, name)]
        if given := besides + sorted(options.given(arguments)):
            raise ConfigError([f"{name}: --calibrate has settings of its own" for name in given])
        return _calibrate(as_json=arguments.json, quiet=arguments.quiet)
    from loadtest.commands.work.checks import check_start
    from loadtest.commands.work.doctor_checks import Check, examine

    settings = options.without_search(options.settings_of(arguments, scenario=arguments.scenario))
    checks = asyncio.run(examine(settings))
    try:
        check_start(settings)
    except ConfigError as error:
        checks += [Check(name="start", state="bad", text=problem) for problem in error.problems]
    if arguments.json:
        say_json([check.as_dict() for check in checks])
    else:
        say_lines(f"{check.state:<5} {check.name}: {check.text}" for check in checks)
    return Exit.BAD_INPUT if any(check.state == "bad" for check in checks) else Exit.PASS


def _calibrate(*, as_json: bool, quiet: bool) -> Exit:
    from loadtest.commands.work.calibration import FIT, calibrate, keep
    from loadtest.config.run_dir import CALIBRATION

    result = calibrate(quiet=quiet)
    is_fit, why_not = result["generator"] in FIT, keep(result)
    if as_json:
        say_json(result)
        if why_not is not None:
            complain(f"not kept: {why_not}")
        return Exit.PASS if is_fit else Exit.INVALID
    kept = f"also in {CALIBRATION}" if why_not is None else f"not kept: {why_not}"
    say(
        f"error of what is reported, against the twin's own stamps, {plural(result['users'], 'user')}"
        f" (generator: {result['generator']}); {kept}"
    )
    say(f"{'quantity':<22}{'count':>7}{'p50':>12}{'p99':>12}{'max':>12}")
    for quantity, error in result["errors"].items():
        sizes = "".join(f"{error[name]:>9.2f} ms" for name in ("p50_ms", "p99_ms", "max_ms"))
        say(f"{quantity:<22}{error['count']:>7}{sizes}")
    if result["not_comparable"]:
        say(f"not comparable: {result['not_comparable']} reported by turns for which the twin has no stamps")
    return Exit.PASS if is_fit else Exit.INVALID
