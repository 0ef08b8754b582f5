"""The command line of the twin (docs/reference/commands.md#avaload-twin)."""

import argparse
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from loadtest.twin.command_line.loading import ProfileError, load
from loadtest.twin.command_line.points import KNOBS
from loadtest.twin.knobs.profiles import Profile

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
    env: bool
    """Announce it as lines for a shell."""
    tls: bool
    """Serve over TLS, with a certificate of an authority made for this run."""
    record: Path | None
    """Record real services into this file, instead of serving a twin."""
    upstreams: dict[str, str]
    """Base URLs of the services to record, `openai` and `avaturn`; empty without `record`."""
    replay_diff: Path | None
    """Compare a twin with this recording, instead of serving it."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError([message])


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    made = _Parser(
        prog="avaload twin",
        description="Serve the twin of OpenAI Realtime and Avaturn Live until SIGINT or SIGTERM.",
        epilog=f"{_EXAMPLE}\n{_catalogue()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    made.add_argument(
        "--port", type=int, default=0, metavar="N", help="OpenAI on N, Avaturn on N+1 (default: free ones)"
    )
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of all chance (default %(default)s)")
    made.add_argument("--profile", default="instant", help="instant (default), realistic, or a TOML file")
    made.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="a knob, repeatable; see below"
    )
    made.add_argument(
        "--tls", action="store_true", help="https and wss; the line on stdout says whom to trust: ca_file"
    )
    made.add_argument("--env", action="store_true", help="export lines for a shell, instead of the JSON line")
    made.add_argument("--clock-scale", type=float, default=1.0, metavar="X", help="timers run X times faster")
    made.add_argument("--lifeline-fd", type=int, default=None, help=argparse.SUPPRESS)
    _add_contract(made)
    return made


def parse(argv: Sequence[str]) -> Options:
    """Read the command line. Raises UsageError; `--help` prints and leaves by SystemExit(0)."""
    args = parser().parse_args(argv)
    problems = _contract_problems(args)
    for name in ("tls", "env"):
        if getattr(args, name) and (args.record is not None or args.replay_diff is not None):
            problems.append(f"argument --{name}: only for a twin that is served")
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
        tls=args.tls,
        env=args.env,
        record=args.record,
        upstreams={"openai": args.openai_base_url, "avaturn": args.avaturn_base_url} if args.record else {},
        replay_diff=args.replay_diff,
    )


def _add_contract(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("contract", "keep the twin honest: record the real services, then compare")
    one = group.add_mutually_exclusive_group()
    one.add_argument(
        "--record", type=Path, metavar="FILE", help="serve a proxy of the two services below, and write what passes"
    )
    one.add_argument(
        "--replay-diff", type=Path, metavar="FILE", help="do the same to a twin; print what differs; 3 if anything does"
    )
    group.add_argument("--openai-base-url", metavar="URL", help="the service to record, with /v1")
    group.add_argument("--avaturn-base-url", metavar="URL", help="the service to record")
    group.add_argument("--live", action="store_true", help="needed to record anything that is not on this host")


def _contract_problems(args: argparse.Namespace) -> list[str]:
    urls = {"--openai-base-url": args.openai_base_url, "--avaturn-base-url": args.avaturn_base_url}
    if args.record is None:
        given = [name for name, url in urls.items() if url is not None] + (["--live"] if args.live else [])
        return [f"argument {name}: only with --record" for name in given]
    problems = ["argument --set: a recorder serves no twin"] if args.settings else []
    for name, url in urls.items():
        if url is None:
            problems.append(f"argument {name}: needed with --record")
        elif (fault := _fault_of(url, is_live=args.live)) is not None:
            problems.append(f"argument {name}: {fault}")
    return problems


def is_here(host: str | None) -> bool:
    """Whether a host is this one itself; a name that has to be looked up is not, but `localhost`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _fault_of(url: str, *, is_live: bool) -> str | None:
    """Why this is no service to record. The URL itself is not repeated: it may hold a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "not a URL"
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.username is not None:
        return "must be http(s)://HOST, with a path at most"
    if is_here(host):
        return None
    if not is_live:
        return f"{host} is not on this host: needs --live"
    return None if parts.scheme == "https" else "a key must not travel over plain http"


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
