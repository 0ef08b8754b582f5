"""What avaload from Python starts: it is in nobody's way, and it never outlives the process that it was started for."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest import api
from loadtest.commands import run
from loadtest.config.environment import OWNER, TOLD_FD
from loadtest.processes.ctrl_c import Interruption
from tests.support import end_all, environment, eventually, marked

RUN = """
import json, os, sys
os.write(int(os.environ["AVALOAD_TOLD_FD"]), b"/some/where")
of_the_job = [name for name in os.environ if name.startswith("GITHUB_")]
print(json.dumps({"leads": os.getsid(0) == os.getpid(), "owner": os.environ["AVALOAD_OWNER"], "job": of_the_job}))
"""
ENDLESS = "import sys, pathlib; sys.stdin.read(); pathlib.Path(sys.argv[1]).write_text('cleaned up')"


def test_a_run_tells_where_it_writes_not_what_it_found_and_no_signal_of_the_terminal_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_RUN_ID"):
        monkeypatch.setenv(name, "true")
    done, told = api._finished([sys.executable, "-P", "-c", RUN])
    assert (done.returncode, told) == (0, "/some/where")
    assert json.loads(done.stdout) == {"leads": True, "owner": "stdin", "job": ["GITHUB_RUN_ID"]}
    assert (OWNER in os.environ, TOLD_FD in os.environ) == (False, False)


def test_of_a_run_that_ends_before_it_has_a_directory_none_is_told() -> None:
    done, told = api._finished([sys.executable, "-P", "-c", "raise SystemExit(2)"])
    assert (done.returncode, told) == (2, "")


def test_a_setting_of_zero_is_told_and_one_of_none_or_false_is_left_out() -> None:
    given = {"seed": 0, "ramp": 0, "trace_share": 0.0, "clips": None, "live": False, "quiet": True, "tag": {"a": 0}}
    assert api._options(given) == [
        "--seed", "0", "--ramp", "0", "--trace-share", "0.0", "--quiet", "--tag", "a=0",
    ]  # fmt: skip


def test_a_list_is_for_an_option_that_may_be_repeated_and_no_other() -> None:
    assert api._options({"served_as": ["a", "b"]}) == ["--served-as", "a", "--served-as", "b"]
    for bad in ({"users": [1, 2]}, {"grafana_url": {"a": 1}}, {"duration": ("1s",)}):
        with pytest.raises(ValueError, match="it takes one value, not "):
            api._options(bad)
    parser = argparse.ArgumentParser()
    run.add_options(parser)
    repeated = {each.option_strings[0] for each in parser._actions if isinstance(each, argparse._AppendAction)}
    assert {f"--{name.replace('_', '-')}" for name in api.REPEATED} == repeated


def test_a_twin_that_has_much_to_complain_of_goes_on_serving() -> None:
    with api.start_twin() as twin:
        host, port = twin.state_url.removeprefix("http://").partition("/")[0].split(":")
        for _ in range(2200):  # 31 bytes each: more than a pipe of 64 KiB holds
            with socket.create_connection((host, int(port)), timeout=10) as client:
                client.sendall(b"\x16\x03\x01 the hello of TLS\r\n\r\n")
                assert client.recv(64).startswith(b"HTTP/1.1 400")
        assert twin.state()["sessions"] == []


@contextmanager
def caller(script: str, *words: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process whose children bear the mark; it says a line when they are up."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", script, *words], env=environment(mark), stdout=subprocess.PIPE, text=True
    )
    try:
        yield process, mark
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        end_all(mark)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_hears_of_the_death_of_who_started_it(number: signal.Signals, tmp_path: Path) -> None:
    script = f"import sys; from loadtest import api; api._finished([sys.executable, '-c', {ENDLESS!r}, sys.argv[1]])"
    with caller(script, str(tmp_path / "end")) as (process, mark):
        eventually(lambda: len(marked(mark)) == 2, within_s=20, what="both processes")
        os.kill(process.pid, number)
        assert process.wait(10) == -number
        eventually((tmp_path / "end").exists, within_s=20, what="the run's end")
        eventually(lambda: not marked(mark), within_s=20, what="the end of both")


def test_a_twin_ends_with_who_started_it() -> None:
    script = (
        "import os, time, loadtest\n"
        "with loadtest.start_twin() as twin:\n"
        "    print(twin.state()['counters'] is not None, flush=True)\n"
        "    time.sleep(60)"
    )
    with caller(script) as (process, mark):
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        children = set(marked(mark)) - {process.pid}
        assert {os.getsid(pid) for pid in children} == children, "the terminal's Ctrl-C would end it under its runs"
        process.kill()
        eventually(lambda: not marked(mark), within_s=20, what="the twin's end")


def test_the_end_of_who_started_it_interrupts_a_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        ours, nobodys = Interruption(), Interruption()
        with nobodys.heard({}), ours.heard({OWNER: "stdin"}):
            os.kill(os.getpid(), signal.SIGINT)
            assert ours.count == 1
            os.write(write_fd, b"still here")
            os.close(write_fd)
            eventually(lambda: ours.count == 2, within_s=10, what="the end of its owner")
        assert (ours.count, nobodys.count) == (2, 0)
