"""The third way in: avaload from Python. `import loadtest` gives these names; docs/python.md shows them in use.

A run and a twin are processes of their own, as on the command line: nothing of Locust or gevent is imported here.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from loadtest.config.environment import OWNER, TOLD_FD, of_child
from loadtest.errors.exit_codes import Exit
from loadtest.http_client import loopback
from loadtest.system.lifeline import pipe

if TYPE_CHECKING:
    from reports.figures import Comparison, Report
    from reports.tidy import Frames

TWIN_READY_S: Final = 20.0
TWIN_END_S: Final = 10.0
TWIN_OPTIONS: Final = ("seed", "profile", "clock_scale", "port", "host")
REPEATED: Final = ("tag", "twin_set", "served_as", "allow_host", "allow_env")
"""Options of `avaload run` that may be given several times; of all others the command would take the last alone."""
_OF_THE_JOB: Final = ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")
"""Variables with which a command tells a job of its verdict: here that is for who calls us."""
_AVALOAD: Final = (sys.executable, "-P", "-m", "avaload")


def run_scenario(scenario: Path | str | None = None, **settings: Any) -> "Report":
    """Run a scenario in a process of its own and return its report, whatever the verdict.

    Ctrl-C, and the death of this process, interrupt the run: its sessions are deleted and its report is written.

    scenario: a TOML file; None is the built-in one. settings: the options of `avaload run`, named as there with `_` for
    `-`: `users=2, duration="12s", run_dir=…, max_sessions=10, live=True, tag={"build": "7"}`. True is an option without
    a value; False and None are left out; a list or a dict repeats an option that may be repeated.

    Raises ValueError with one line a problem for bad input (nothing was started), RuntimeError where no report was
    written.
    """
    from reports.figures import report_of

    if settings.get("dry_run"):
        raise ValueError("--dry-run: makes no report; use the command")
    command = [*_AVALOAD, "run", *([] if scenario is None else [str(scenario)]), "--json", *_options(settings)]
    done, told = _finished(command)
    if done.returncode == Exit.BAD_INPUT:
        raise ValueError(done.stderr.strip())
    try:
        content = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"avaload run ended with exit code {done.returncode}: {done.stderr.strip()}") from None
    return report_of(content, Path(settings.get("run_dir") or told))


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A twin of both services that is served on loopback. Its keys are made anew each time."""

    openai_base_url: str
    avaturn_base_url: str
    openai_api_key: str = field(repr=False)
    avaturn_api_key: str = field(repr=False)
    state_url: str

    def state(self, *, alive: bool = False) -> dict[str, Any]:
        """The ground truth: `sessions` (with `alive` those that live) and `counters`. Raises URLError."""
        return loopback.state(f"{self.state_url}{'?alive=1' if alive else ''}")

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make an integrator's own back end use it, as the official packages name them."""
        return {
            "OPENAI_BASE_URL": self.openai_base_url,
            "OPENAI_API_KEY": self.openai_api_key,
            "AVATURN_BASE_URL": self.avaturn_base_url,
            "AVATURN_API_KEY": self.avaturn_api_key,
        }


@contextlib.contextmanager
def start_twin(**knobs: Any) -> Iterator[Twin]:
    """A twin for as long as the block lasts.

    knobs: `seed`, `profile`, `clock_scale`, `port` and `host` are options of `avaload twin`; all others are knobs of
    `--set`, with `__` for a dot: `latency__create="fixed:0.2", limit__sessions=5, mutant="…"`. A list repeats one.

    Raises ValueError for a knob that there is none of, RuntimeError if the twin isn't there within 20 s.
    """
    options: dict[str, Any] = {name: knobs.pop(name) for name in TWIN_OPTIONS if name in knobs}
    sets = [(name.replace("__", "."), value) for name, given in knobs.items() for value in _each(given)]
    command = [sys.executable, "-P", "-m", "loadtest.twin", *_options(options)]
    command += [word for name, value in sets for word in ("--set", f"{name}={_text(value)}")]
    with (
        pipe() as (lifeline, _),
        tempfile.TemporaryFile() as said,  # a pipe that nobody reads would be full one day, and hold the twin up
        subprocess.Popen(
            [*command, "--lifeline-fd", str(lifeline)],
            stdout=subprocess.PIPE,
            stderr=said,
            stdin=subprocess.DEVNULL,
            env=of_child(),
            pass_fds=(lifeline,),
            start_new_session=True,  # the terminal's Ctrl-C is not for it: runs still delete their sessions there
        ) as process,
    ):
        try:
            told = json.loads(_first_line(process, said))
            yield Twin(**{name: told[name] for name in Twin.__dataclass_fields__})
        finally:
            _end(process)


def read_run(run_dir: Path | str) -> "Frames":
    """A run as pandas tables: `sessions steps turns rules secrets health`; reports/tidy.py says what each column holds.

    Raises ValueError, one line, where no journal can be read, or settings.json is broken.
    """
    from loadtest.errors.exceptions import ConfigError
    from loadtest.journal import JournalError
    from reports import tidy

    try:
        return tidy.read(Path(run_dir))
    except (ConfigError, JournalError) as error:
        raise ValueError(str(error)) from error


def compare_runs(base: Path | str | Iterable[Path | str], new: Path | str | Iterable[Path | str]) -> "Comparison":
    """What changed from one run or several to others, as `avaload compare` judges it. Nothing is written.

    Raises ValueError, one line a problem, where a run can't be read.
    """
    from loadtest.errors.exceptions import ConfigError
    from loadtest.journal import JournalError
    from reports.comparing.compare import compare
    from reports.figures import comparison_of

    try:
        return comparison_of(compare(_paths(base), _paths(new)))
    except (ConfigError, JournalError) as error:
        raise ValueError(str(error)) from error


def _paths(given: Path | str | Iterable[Path | str]) -> list[Path]:
    return [Path(given)] if isinstance(given, Path | str) else [Path(each) for each in given]


def _options(settings: Mapping[str, Any]) -> list[str]:
    words = []
    for name, given in settings.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(given, list | tuple | Mapping) and name not in REPEATED:
            raise ValueError(f"{option}: it takes one value, not {given!r}")
        for value in _each(given):
            words += [option] if value is True else [] if value is None or value is False else [option, _text(value)]
    return words


def _each(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return [f"{key}={_text(value)}" for key, value in given.items()]
    return list(given) if isinstance(given, list | tuple) else [given]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _finished(command: list[str]) -> tuple[subprocess.CompletedProcess[str], str]:
    """The command's end, and where it wrote its run. An interruption is the command's, too, which deletes its sessions
    first: it hears of it once, from here. So does it of our end, whatever that is."""
    told_nothing = {name: value for name, value in os.environ.items() if name not in _OF_THE_JOB}
    with (
        pipe() as (lifeline, _),
        pipe() as (read_fd, write_fd),
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=lifeline,
            env=told_nothing | {OWNER: "stdin", TOLD_FD: str(write_fd)},
            pass_fds=(write_fd,),
            start_new_session=True,
            text=True,
        ) as process,
    ):
        try:
            out, err = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
        os.set_blocking(read_fd, False)
        told = b""
        with contextlib.suppress(BlockingIOError):  # it ended before it had a directory
            told = os.read(read_fd, 65536)
    return subprocess.CompletedProcess(command, process.returncode, out, err), os.fsdecode(told)


def _first_line(process: subprocess.Popen[bytes], said: IO[bytes]) -> bytes:
    """What the twin announces. Raises ValueError for bad input, RuntimeError where nothing comes in time, with what it
    `said` instead."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if ready.select(TWIN_READY_S) else b""
    if line:
        return line
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)
    said.seek(0)
    words = said.read().decode(errors="replace").strip() or "it said nothing"
    raise (
        ValueError(words) if process.returncode == Exit.BAD_INPUT else RuntimeError(f"the twin did not start: {words}")
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(TWIN_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
