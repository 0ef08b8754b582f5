"""The process: its one line, its exit codes, its end by SIGTERM."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.events.kinds import Event
from loadtest.journal import Journal, encode
from tests.exporters.traces.receiver import Receiver
from tests.exporters.traces.script import run_finished, run_started, session


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "exporters.traces.process", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def journal_of(run_dir: Path, *events: Event) -> None:
    with Journal(run_dir / "journal" / "engine.jsonl") as journal:
        for event in events:
            journal.write(encode(event))


def test_a_finished_run_is_exported_again_at_any_time(tmp_path: Path) -> None:
    journal_of(tmp_path, run_started(), *session(1), run_finished())
    with Receiver() as receiver:
        for _ in range(2):
            process = start(str(tmp_path), "--otlp-endpoint", receiver.url)
            out, error = process.communicate(timeout=60)
            assert (process.returncode, error) == (0, "")
            assert out == "traces: 1 session, 7 spans sent, 0 dropped\n"
    assert len(receiver.spans) == 14


def test_spans_of_a_finished_run_that_do_not_get_out_are_said_and_exit_4(tmp_path: Path) -> None:
    journal_of(tmp_path, run_started(), *session(1), run_finished())
    process = start(str(tmp_path), "--otlp-endpoint", "http://127.0.0.1:1")
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (4, "")  # no library's line about it either
    assert out == "traces: 1 session, 0 spans sent, 7 dropped (last: ConnectionError)\n"


@pytest.mark.parametrize("hung", [False, True])
def test_sigterm_ends_it_while_the_run_goes_on(tmp_path: Path, hung: bool) -> None:
    with Receiver(hung=hung) as receiver, Journal(tmp_path / "journal" / "engine.jsonl") as journal:
        for event in (run_started(), *session(1)):
            journal.write(encode(event))
        process = start(str(tmp_path), "--otlp-endpoint", receiver.url, "--follow")
        assert receiver.wait(lambda: len(receiver.paths) == 1, timeout_s=60)
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (0, "")
    assert re.fullmatch(rf"traces: 1 session, {0 if hung else 7} spans sent, {7 if hung else 0} dropped\n", out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--otlp-endpoint", "nowhere"], "--otlp-endpoint: must be like"),
        (["--otlp-endpoint", "http://127.0.0.1:1", "--trace-share", "2"], "--trace-share: must be from 0 to 1"),
        (["--otlp-endpoint", "http://127.0.0.1:1"], "holds no journal; is it a run directory?"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    process = start(str(tmp_path), *arguments)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1
