"""The command line, the announcement, chance, and the ways in which the twin ends (TWIN.md)."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.twin import main
from tests.loadtest.twin.process import DEADLINE_S, RunningTwin, running_twin


def _refusal(*options: str) -> list[str]:
    command = [sys.executable, "-m", "loadtest.twin", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.splitlines()


def test_one_line_announces_everything(twin: RunningTwin) -> None:
    announced = twin.announcement

    assert list(announced) == [
        *("openai_base_url", "avaturn_base_url", "openai_api_key", "avaturn_api_key", "state_url", "clock_scale"),
    ]
    assert announced["openai_base_url"].endswith("/v1")
    assert announced["openai_api_key"].startswith("sk-")
    assert announced["clock_scale"] == 1


def test_keys_are_new_in_every_run_whatever_the_seed(start_twin: Callable[..., RunningTwin]) -> None:
    first, second = start_twin("--seed", "1"), start_twin("--seed", "1")

    assert first.openai_key != second.openai_key
    assert first.avaturn_key != second.avaturn_key


def test_a_fixed_port_is_openai_s_and_the_next_is_avaturn_s() -> None:
    port = _two_free_ports()

    with running_twin("--port", str(port)) as twin:
        assert twin.openai_url == f"http://127.0.0.1:{port}/v1"
        assert twin.avaturn_url == f"http://127.0.0.1:{port + 1}"


def _two_free_ports() -> int:
    """The lower of two neighbours, below the range from which the system gives out ports to everybody else."""
    for port in range(20_011, 28_000, 2):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two free ports side by side")


def test_a_port_in_use_is_one_clear_line(twin: RunningTwin) -> None:
    port = twin.openai_url.removesuffix("/v1").rsplit(":", 1)[1]

    assert _refusal("--port", port) == [
        f"avaload twin: cannot listen on 127.0.0.1 port {port}: Address already in use",
    ]


def test_every_bad_knob_is_a_line_of_its_own() -> None:
    lines = _refusal(
        *("--set", "latency.mint=slow", "--set", "latency.lunch=fixed:1", "--set", "gone_status=500"),
        *("--set", "answer", "--set", "fault.mint=503:2", "--set", "colour=red", "--clock-scale", "0"),
    )

    assert len(lines) == 7
    for expected in ("latency.mint=slow", "latency.lunch", "gone_status=500", "--set answer", "fault.mint", "colour"):
        assert sum(expected in line for line in lines) == 1


@pytest.mark.parametrize("options", [["--bogus"], ["--port", "x"], ["--profile", "/no/such/file"], ["extra"]])
def test_a_bad_option_is_one_line(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_a_profile_file_and_options_add_up(tmp_path: Path, start_twin: Callable[..., RunningTwin]) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text('gone_status = 410\n[latency]\nmint = "fixed:0.05"\n[limit]\nsessions = 0\n')

    twin = start_twin("--profile", str(profile), "--set", "limit.sessions=5")

    assert int(twin.mint().headers["x-twin-handled-ns"]) >= 45_000_000
    session = twin.new_session()
    twin.delete(session["session_id"])
    assert twin.sdk(session["token"]).status_code == 410


def test_injected_latency_shows_in_every_answer_of_its_point(start_twin: Callable[..., RunningTwin]) -> None:
    points = ("mint", "create", "sdk_session", "delete")
    twin = start_twin(*(option for point in points for option in ("--set", f"latency.{point}=fixed:0.05")))

    answers = [twin.mint(), twin.create({})]
    answers += [twin.sdk(answers[1].json()["token"]), twin.delete(answers[1].json()["session_id"])]

    # The loop's timers may be a millisecond or two early.
    assert [int(answer.headers["x-twin-handled-ns"]) > 45_000_000 for answer in answers] == [True] * 4
    assert [answer.status_code for answer in answers] == [200] * 4


def test_equal_seeds_make_equal_fates(start_twin: Callable[..., RunningTwin]) -> None:
    def fates(seed: str) -> list[int]:
        twin = start_twin("--seed", seed, "--set", "fault.mint=503:0.5")
        return [twin.mint().status_code for _ in range(40)]

    first = fates("7")

    assert set(first) == {200, 503}
    assert fates("7") == first
    assert fates("8") != first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_code_0(number: signal.Signals) -> None:
    with running_twin() as twin:
        twin.new_session()
        twin.process.send_signal(number)
        assert twin.process.wait(DEADLINE_S) == 0


def test_it_ends_when_its_lifeline_does_and_not_by_a_sigterm_that_all_processes_of_a_job_get() -> None:
    reading, writing = os.pipe()
    try:
        with running_twin("--lifeline-fd", str(reading), pass_fds=[reading]) as twin:
            os.write(writing, b"still here")
            twin.process.send_signal(signal.SIGTERM)
            assert twin.mint().status_code == 200
            os.close(writing)
            writing = -1
            assert twin.process.wait(DEADLINE_S) == 0
    finally:
        os.close(reading)
        if writing != -1:
            os.close(writing)


def test_a_lifeline_that_is_not_open_is_refused() -> None:
    assert _refusal("--lifeline-fd", "987") == [
        "avaload twin: argument --lifeline-fd: 987 is not an open file descriptor",
    ]


def test_a_twin_whose_addresses_nobody_can_read_does_not_serve() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "loadtest.twin"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "avaload twin: stdout: No space left on device\n")
