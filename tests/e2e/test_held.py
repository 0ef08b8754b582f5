"""What the processes of a run hold while it goes on: none of the libraries that only others need."""

from pathlib import Path

import pytest

from tests.support import Avaload, avaload, eventually

LIBRARIES = {
    "numpy": "_multiarray_umath",
    "aiohttp": "aiohttp/_http_parser",
    "pandas": "pandas/_libs",
    "matplotlib": "matplotlib/",
    "gevent": "gevent/",
    "uvloop": "uvloop/",
    "pydantic": "_pydantic_core",
}
"""By what is mapped of each into a process that has imported it."""


def held(pid: int) -> set[str]:
    maps = Path("/proc", str(pid), "maps").read_text()
    return {name for name, mapped in LIBRARIES.items() if mapped in maps}


def _sessions_go_on(run: Avaload) -> bool:
    return any(b'"session_finished"' in path.read_bytes() for path in run.run_dir.glob("journal/*engine*"))


@pytest.mark.parametrize("http", ["official", "lean"])
def test_each_process_of_a_run_holds_what_it_works_with(http: str, tmp_path: Path) -> None:
    plan = ("--users", "2", "--ramp", "0s", "--duration", "20s", "--http", http)
    with avaload("run", *plan, cwd=tmp_path) as run:
        eventually(lambda: _sessions_go_on(run), within_s=60, what="a session has ended", during=run)
        (engine,) = run.processes("loadtest.engine.process")
        found = {"command": held(run.pid), "locust": held(run.locust_pid()), "engine": held(engine)}
        command = {name for name in run.processes() if name not in (run.pid, run.locust_pid(), engine)}
    assert found == {
        "command": {"pydantic"},
        "locust": {"pydantic", "gevent"},
        "engine": {"pydantic", "numpy", "uvloop"},
    }
    assert len(command) == 1, "the twin alone is left: what was done aside has ended"
