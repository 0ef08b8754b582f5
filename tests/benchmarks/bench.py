"""What the benchmarks share: a pinned twin, a pinned run, and the CPU time that each process of them used.

Core 0 carries the harness (Locust and engine), core 1 the twin and whatever only watches. Rates come from the steady
part of the journals, CPU times from /proc, never from the tool under test.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HARNESS_CORE, TARGET_CORE = 0, 1


@contextlib.contextmanager
def pinned_twin(*arguments: str) -> Iterator[dict[str, Any]]:
    """A twin of its own on the target's core; yields its announcement plus `pid`."""
    command = ["taskset", "-c", str(TARGET_CORE), sys.executable, "-m", "loadtest.twin", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield json.loads(child.stdout.readline()) | {"pid": child.pid}
    finally:
        child.terminate()
        child.wait(10)


def run(twin: dict[str, Any], *options: str, **environ: str) -> tuple[dict[str, Any], Path]:
    """One `avaload run` on the harness core: its report and its directory. `environ`: further environment variables."""
    run_dir = Path(tempfile.mkdtemp(prefix="avaload-bench-"))
    keys = {"OPENAI_API_KEY": twin["openai_api_key"], "AVATURN_API_KEY": twin["avaturn_api_key"]}
    command = ["taskset", "-c", str(HARNESS_CORE), sys.executable, "-m", "loadtest.cli", "run", "--json"]
    command += ["--openai-base-url", twin["openai_base_url"], "--avaturn-base-url", twin["avaturn_base_url"]]
    command += ["--metrics-port", "off", "--run-dir", str(run_dir), *options]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=900, env=os.environ | keys | environ
    )
    assert done.stdout, f"the run printed nothing; see {run_dir}"
    return json.loads(done.stdout), run_dir


def settle() -> None:
    """Let what ran before come to rest, so that it isn't measured."""
    time.sleep(1.0)
