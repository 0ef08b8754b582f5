"""The command line of the twin (INTERFACE.md, `avaload twin`)."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NoReturn

from loadtest.twin.loading import ProfileError, load
from loadtest.twin.profiles import KNOBS, Profile

_EXAMPLE = """example:
  avaload twin --port 9700 --profile realistic --set fault.mint=503:0.05 --clock-scale 60
"""
_FORMS = """knobs of the profile:
  DURATION is fixed:S, uniform:FROM,TO or lognormal:MU,SIGMA (seconds); FAULTS is NAME:SHARE[,NAME:SHARE...]
  with a status or a name and a share from 0 to 1.
"""
_LONG_FORM = 25


class UsageError(Exception):
    """The command line can't be obeyed; `problems` has one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A valid command line."""

    host: str
    port: int
    """Of the OpenAI side; Avaturn gets the next one. 0: two free ones."""
    seed: int
    profile: Profile
    clock_scale: float
    lifeline_fd: int | None
    """An inherited pipe; when it reads end-of-file, whoever owns the twin is gone."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError([message])


def parse(argv: Sequence[str]) -> Options:
    """Read the command line. Raises UsageError; `--help` prints and leaves by SystemExit(0)."""
    parser = _Parser(
        prog="avaload twin",
        description="Serve the twin of OpenAI Realtime and Avaturn Live until SIGINT or SIGTERM.",
        epilog=f"{_EXAMPLE}\n{_catalogue()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="OpenAI on N, Avaturn on N+1 (default: free ones)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all chance (default %(default)s)")
    parser.add_argument("--profile", default="instant", help="instant (default), realistic, or a TOML file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="a knob, repeatable; see below"
    )
    parser.add_argument("--clock-scale", type=float, default=1.0, metavar="X", help="timers run X times faster")
    parser.add_argument("--lifeline-fd", type=int, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    problems = []
    if not 0 <= args.port <= 65534:
        problems.append("argument --port: must be from 0 to 65534")
    if not 0.001 <= args.clock_scale <= 100_000:
        problems.append("argument --clock-scale: must be from 0.001 to 100000")
    if args.lifeline_fd is not None and not _is_open(args.lifeline_fd):
        problems.append(f"argument --lifeline-fd: {args.lifeline_fd} is not an open file descriptor")
    try:
        profile = load(name=args.profile, settings=args.settings)
    except ProfileError as error:
        problems += error.problems
    else:
        if profile.room == "webrtc" and find_spec("aiortc") is None:
            problems.append("--set room=webrtc: needs the extra webrtc (pip install 'avaload[webrtc]')")
    if problems:
        raise UsageError(problems)
    return Options(
        host=args.host,
        port=args.port,
        seed=args.seed,
        profile=profile,
        clock_scale=args.clock_scale,
        lifeline_fd=args.lifeline_fd,
    )


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except (OSError, OverflowError):
        return False
    return True


def _catalogue() -> str:
    width = max(len(f"{each.key}={each.form}") for each in KNOBS.values() if len(each.form) < _LONG_FORM)
    lines = [f"  {f'{each.key}={each.form}':<{width}}  {each.help}" for each in KNOBS.values()]
    return "\n".join([_FORMS, *lines])
