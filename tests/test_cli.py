"""The command line in this process: which exit code, what is printed where, which setting an option is."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest import cli, commands, settings
from loadtest.backend import BackendTarget
from loadtest.errors import ConfigError, Exit, GeneratorError, HarnessError
from loadtest.journal import Journal, JournalError, encode
from loadtest.workload import Capacity
from tests.exporters.script import run_finished, run_started, session
from tests.support import environment


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (ConfigError(["one", "two"]), Exit.BAD_INPUT, "avaload: one\navaload: two\n"),
        (JournalError("x: no journal files"), Exit.BAD_INPUT, "avaload: x: no journal files\n"),
        (HarnessError("something"), Exit.BAD_INPUT, "avaload: something\n"),
        (GeneratorError("the engine did not start"), Exit.INVALID, "avaload: the engine did not start\n"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, ""),
    ],
)
def test_what_a_command_raises_decides_the_exit_code(
    raised: BaseException,
    code: Exit,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_arguments: argparse.Namespace) -> Exit:
        raise raised

    monkeypatch.setattr(commands, "sweep", fail)
    assert cli.main(["sweep", "somewhere"]) == code
    assert capsys.readouterr() == ("", said)


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_arguments: argparse.Namespace) -> Exit:
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "sweep", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["sweep", "somewhere"])


def test_every_option_is_a_setting_that_exists() -> None:
    target = settings.Target(backend=BackendTarget(url="http://127.0.0.1:1"), avaturn_base_url="http://127.0.0.1:2")
    whole = settings.Settings(capacity=Capacity(), target=target).model_dump()
    for option, name, _, _ in (*cli._OPTIONS, *cli._CAPACITY_OPTIONS):
        *sections, key = name.split(".")
        tree = whole
        for section in sections:
            tree = tree[section]
        assert key in tree, option


def test_an_option_wins_over_the_environment_and_that_over_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text('[load]\nusers = 2\nprocesses = 2\nduration = "2s"\nramp = "1s"\n')
    monkeypatch.setenv("AVALOAD_LOAD__USERS", "3")
    monkeypatch.setenv("AVALOAD_LOAD__PROCESSES", "3")
    arguments = cli._parser().parse_args(["run", str(path), "--users", "4", "--tag", "build=7", "--tag", "a=b=c"])
    resolved = commands.settings_of(arguments)
    assert (resolved.load.users, resolved.load.processes, resolved.load.duration) == (4, 3, 2.0)
    assert resolved.load.seed == 1
    assert resolved.tags == {"build": "7", "a": "b=c"}


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_verdict_is_not_lost_where_nobody_reads_the_output(arguments: list[str], tmp_path: Path) -> None:
    slos = tmp_path / "slo.toml"
    slos.write_text('[[slo]]\nindicator = "create.p95"\nmax = 0.000001\n')
    with Journal(tmp_path / "journal" / "engine.jsonl") as journal:
        for event in (run_started(), *session(1), run_finished()):
            journal.write(encode(event))
    command = [sys.executable, "-m", "loadtest.cli", "report", str(tmp_path), "--slo", str(slos), *arguments]
    environ = environment("nobody-reads")
    del environ["PYTHONUNBUFFERED"]  # as in a shell: the pipe breaks when Python flushes at its end
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), said) == (Exit.FAIL, "")
