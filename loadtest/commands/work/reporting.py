"""The reports of a run that has just ended, made by a process of its own: tables and charts are imported there, so the
command that waits for a run has no need of their memory."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from loadtest.config.environment import CLUSTER_TOKEN, METRICS_PASSWORD, of_child, of_senders
from loadtest.config.keys.backend import BackendTarget
from loadtest.errors.exceptions import GeneratorError
from loadtest.errors.exit_codes import Exit

LIMIT_S: Final = 3600.0
"""A million sessions take a minute."""
_LOOK_S: Final = 0.1


def write_reports(
    run_dir: Path, backend: BackendTarget | None, *, keys: Mapping[str, str], is_enough: Callable[[], bool]
) -> dict[str, Any] | None:
    """The report of the run, which is written by then; None where `is_enough()` said that nobody waits for it. Of
    `backend` and `keys`, what the run has sent, SEC-1 looks for the values.

    Raises GeneratorError where no report was made: the load has run, so nothing of it is bad input.
    """
    command = [sys.executable, "-P", "-m", "avaload", "report", str(run_dir), "--json"]
    again = f"`avaload report {run_dir}` tries again"
    environ = of_child((METRICS_PASSWORD, CLUSTER_TOKEN, *(backend.variables if backend is not None else ())))
    environ |= of_senders(keys, None if backend is None else backend.hidden())
    # A session of its own: Ctrl-C is for the command, which says what it is to mean.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        start_new_session=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as making:
        try:
            out, told = _outcome(making, is_enough)
        finally:
            making.kill()
    if out is None:
        return None
    if making.returncode == Exit.BAD_INPUT:
        why = "; ".join(line.removeprefix("avaload: ") for line in told.splitlines())
        raise GeneratorError(f"no report was made: {why}; {again}")
    sys.stderr.write(told)
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:
        raise GeneratorError(f"no report was made (exit code {making.returncode}); {again}") from None
    return found


def _outcome(making: "subprocess.Popen[str]", is_enough: Callable[[], bool]) -> tuple[str | None, str]:
    """What it printed, on stdout and on stderr."""
    deadline_s = time.monotonic() + LIMIT_S
    while not is_enough():
        try:
            return making.communicate(timeout=_LOOK_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline_s:
                return "", ""
    return None, ""
