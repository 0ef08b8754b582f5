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
def pinned_target(module: str, *arguments: str) -> Iterator[dict[str, Any]]:
    """A target on its own core; yields the line it announced itself with, plus `printed`: its last line, once it
    stopped."""
    command = ["taskset", "-c", str(TARGET_CORE), sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        target = json.loads(child.stdout.readline())
        try:
            yield target
        finally:
            child.terminate()
            lines = child.stdout.read().splitlines()
            child.wait(10)
            target["printed"] = json.loads(lines[-1]) if lines else None


def pinned_twin(*arguments: str) -> contextlib.AbstractContextManager[dict[str, Any]]:
    """A twin of its own on the target's core."""
    return pinned_target("loadtest.twin", *arguments)


def run(twin: dict[str, Any], *options: str, **environ: str) -> tuple[dict[str, Any], Path]:
    """One `avaload run` on the harness core: its report and its directory. `environ`: further environment variables."""
    run_dir = Path(tempfile.mkdtemp(prefix="avaload-bench-"))
    keys = {"OPENAI_API_KEY": twin["openai_api_key"], "AVATURN_API_KEY": twin["avaturn_api_key"]}
    command = ["taskset", "-c", str(HARNESS_CORE), sys.executable, "-m", "loadtest.cli", "run", "--json"]
    command += ["--openai-base-url", twin["openai_base_url"], "--avaturn-base-url", twin["avaturn_base_url"]]
    command += ["--metrics-port", "off", "--run-dir", str(run_dir), *options]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=7200, env=os.environ | keys | environ
    )
    assert done.stdout, f"the run printed nothing; see {run_dir}"
    return json.loads(done.stdout), run_dir


def keys(twin: dict[str, Any]) -> dict[str, str]:
    """Our environment with the twin's keys."""
    return os.environ | {"OPENAI_API_KEY": twin["openai_api_key"], "AVATURN_API_KEY": twin["avaturn_api_key"]}


def settle() -> None:
    """Let what ran before come to rest, so that it isn't measured."""
    time.sleep(1.0)
