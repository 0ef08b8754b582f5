"""The command line in this process: which exit code, what is printed where, which setting an option is."""

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

import avaload
from loadtest import __version__, cli
from loadtest.commands import options, sweep
from loadtest.config import settings
from loadtest.config.keys.backend import BackendTarget
from loadtest.config.keys.workload import Capacity
from loadtest.errors.exceptions import ConfigError, GeneratorError, HarnessError
from loadtest.errors.exit_codes import Exit
from loadtest.journal import Journal, JournalError, encode
from tests.exporters.traces.script import run_finished, run_started, session
from tests.support import environment


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (ConfigError(["one", "two"]), Exit.BAD_INPUT, "avaload: one\navaload: two\n"),
        (JournalError("x: no journal files"), Exit.BAD_INPUT, "avaload: x: no journal files\n"),
        (HarnessError("something"), Exit.BAD_INPUT, "avaload: something\n"),
        (GeneratorError("the engine did not start"), Exit.INVALID, "avaload: the engine did not start\n"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, ""),
        (MemoryError(), Exit.INVALID, "avaload: a limit of this machine: memory\n"),
        (
            OSError(28, "No space left on device"),
            Exit.INVALID,
            "avaload: a limit of this machine: disk full: [Errno 28] No space left on device\n",
        ),
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

    monkeypatch.setattr(sweep, "main", fail)
    assert cli.main(["sweep", "somewhere"]) == code
    assert capsys.readouterr() == ("", said)


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_arguments: argparse.Namespace) -> Exit:
        raise ZeroDivisionError

    monkeypatch.setattr(sweep, "main", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["sweep", "somewhere"])


def test_every_option_is_a_setting_that_exists() -> None:
    target = settings.Target(backend=BackendTarget(url="http://127.0.0.1:1"), avaturn_base_url="http://127.0.0.1:2")
    whole = settings.Settings(capacity=Capacity(), target=target).model_dump()
    for option, name, _ in (*options.OF_RUNS, *options.OF_MASTERS, *options.OF_SEARCHES):
        *sections, key = name.split(".")
        tree = whole
        for section in sections:
            tree = tree[section]
        assert key in tree, option


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("run", "--users", "5", "--max-users", "3", "--max-lateness", "2s"),
            [
                "--max-users: only for open arrivals, which have a rate",
                "--max-lateness: only for open arrivals, which have a rate",
            ],
        ),
        (
            ("run", "--expect-workers", "3", "--master-bind-port", "5560"),
            ["--expect-workers: only for --master", "--master-bind-port: only for --master"],
        ),
        (
            ("run", "--master", "--processes", "2", "--expect-workers", "3"),
            ["--expect-workers: says how many load processes all workers have; without --processes"],
        ),
        (
            ("run", "--master", "--expect-workers", "0"),
            ["--expect-workers: must be at least 1; got 0"],
        ),
        (("capacity", "--plan", "0"), ["--plan: at least 1 is needed"]),
        (
            ("capacity", "--plan", "5", "--think", "long"),
            ["--think: 'long' is not a length of time such as 60s, 10m or 1h30m"],
        ),
        (("capacity", "--plan", "5", "--prices", "nowhere.toml"), ["nowhere.toml: No such file or directory"]),
        (("capacity", "--think", "30s"), ["--think is for --plan"]),
        (
            ("doctor", "--calibrate", "--slo", "a.toml", "--tag", "a=1", "--prices", "b.toml", "--users", "3"),
            [f"{name}: --calibrate has settings of its own" for name in ("--slo", "--tag", "--prices", "--users")],
        ),
        (("doctor", "--calibrate", "a.toml"), ["a.toml: --calibrate has a scenario of its own"]),
        (("sweep", "file"), ["file: holds no journal; is it a run directory?"]),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_starts(
    words: tuple[str, ...],
    says: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert cli.main(words) == Exit.BAD_INPUT
    assert capsys.readouterr() == ("", "".join(f"avaload: {each}\n" for each in says))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("listed", ["'github', 'gitlab'", "github, gitlab"])
@pytest.mark.parametrize("meant", ["", ", maybe you meant 'gitlab'?"])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("'gitlap'", "got 'gitlap' (did you mean gitlab?)"),
        ('"my\'s"', "got 'my's'"),
        ("'a (choose) b'", "got 'a (choose) b'"),
    ],
)
def test_each_python_s_sentence_on_a_choice_is_said_in_our_words(
    listed: str, meant: str, given: str, says: str
) -> None:
    said = cli._in_our_words(f"argument --ci: invalid choice: {given}{meant} (choose from {listed})")
    assert said == f"--ci: must be one of github, gitlab; {says}"


def test_a_search_refuses_the_checks_that_a_scenario_asks_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVALOAD_PROBES__SHARE", "0.5")
    assert cli.main(["capacity"]) == Exit.BAD_INPUT
    said = "avaload: AVALOAD_PROBES__SHARE: a search for the limit runs no active checks\n"
    assert capsys.readouterr().err == said


def test_the_lint_speaks_up_against_the_twin_too_but_not_about_our_own_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_run(_settings: settings.Settings, *, quiet: bool) -> NoReturn:
        raise ConfigError("not now")

    monkeypatch.setattr("loadtest.commands.work.load_run.run", no_run)
    path = tmp_path / "scenario.toml"
    path.write_text('name = "x"\n[session]\nmax_duration = 7200\n[realtime]\nmodel = "gpt-4o-realtime-preview"\n')
    for command in ("run", "capacity"):
        assert cli.main([command, str(path)]) == Exit.BAD_INPUT
        assert capsys.readouterr().err.splitlines() == [
            "avaload: warning: x: model gpt-4o-realtime-preview is a retired preview (AUD-2)",
            "avaload: warning: x: max_duration is 7200 s, but OpenAI ends a session after 3600 s (DUR-2)",
            "avaload: not now",
        ]


def test_checks_are_a_run_of_that_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def told(given: settings.Settings, *, quiet: bool) -> NoReturn:
        raise ConfigError(f"{given.name} {given.load.seed}")

    monkeypatch.setattr("loadtest.commands.work.load_run.run", told)
    assert cli.main(["probe", "VAL-2", "--seed", "7"]) == Exit.BAD_INPUT
    assert capsys.readouterr().err == "avaload: probe 7\n"


def test_an_option_wins_over_the_environment_and_that_over_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text('[load]\nusers = 2\nprocesses = 2\nduration = "2s"\nramp = "1s"\n')
    monkeypatch.setenv("AVALOAD_LOAD__USERS", "3")
    monkeypatch.setenv("AVALOAD_LOAD__PROCESSES", "3")
    words = ["run", str(path), "--users", "4", "--tag", "build=7", "--tag", "a=b=c"]
    words += ["--served-as", "a", "--served-as", "b,c"]
    resolved = options.settings_of(cli.parser(words).parse_args(words), scenario=path)
    assert (resolved.load.users, resolved.load.processes, resolved.load.duration) == (4, 3, 2.0)
    assert resolved.load.seed == 1
    assert resolved.tags == {"build": "7", "a": "b=c"}
    assert resolved.output.served_as == ("a", "b", "c")


def test_help_and_defaults_of_an_option_are_those_of_its_setting(capsys: pytest.CaptureFixture[str]) -> None:
    told = " ".join(helped("run", capsys).split())
    for option in (*options.OF_RUNS, *options.OF_MASTERS):
        field = options.field_of(option.setting)
        assert f"{option.flag} " in told
        assert field.description, option.setting
        assert field.description in told.replace("- ", "-"), option.setting
    for default in ("population (default 20)", "1h30m (default 60s)", "master (default 5m)", "are (default 1)"):
        assert default in told
    assert "--arrivals constant|poisson|ramp|steps|spike" in told
    assert "--room auto|websocket|webrtc|daily|none" in told


def test_options_of_a_run_stand_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    told = helped("run", capsys)
    groups = [line.removesuffix(":") for line in told.splitlines() if line.endswith(":") and not line.startswith(" ")]
    sections = ["load", "distribution", "probes", "target", "output", "cost", "before a run"]
    assert groups == ["positional arguments", "options", *sections]


def helped(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as left:
        cli.main([command, "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "twin"])
def test_the_help_of_every_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"avaload {command}" in helped(command, capsys).partition("example: ")[2]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert (left.value.code, capsys.readouterr().out) == (0, f"avaload {__version__}\n")


def test_help_waits_for_nothing_heavy() -> None:
    code = "import sys, loadtest.cli as c; c.parser([]); print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert "argparse" in loaded
    assert not loaded & {"pydantic", "asyncio", "numpy", "pandas", "aiohttp", "locust", "reports", "exporters", "shtab"}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["comp"], {"compare", "completion"}),
        (["run", "--max-s"], {"--max-sessions"}),
        (["capacity", "--by", ""], {"users", "arrivals"}),
        (["run", "--room", "web"], {"websocket", "webrtc"}),
        (["twin", "--prof"], {"--profile"}),
        (["sweep", "a-d"], {"a-dir"}),
        (["completion", "f"], {"fish"}),
    ],
)
def test_bash_completes(typed: list[str], offered: set[str], tmp_path: Path) -> None:
    (tmp_path / "a-dir").mkdir()
    (tmp_path / "a-door").write_text("")
    script = subprocess.run(
        [sys.executable, "-m", "avaload", "completion", "bash"], capture_output=True, text=True, timeout=60, check=True
    )
    (tmp_path / "script").write_text(script.stdout)
    asked = (
        'source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_avaload; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", asked, "bash", "avaload", *typed], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (set(done.stdout.split()), done.stderr) == (offered, "")


@pytest.mark.parametrize(("shell", "begins"), [("zsh", "#compdef avaload"), ("fish", "# AUTOMATICALLY GENERATED")])
def test_other_shells_have_a_script_with_all_commands(
    shell: str, begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["completion", shell]) == Exit.PASS
    script = capsys.readouterr().out
    assert begins in script
    assert all(name in script for name in (*cli.COMMANDS, "--max-sessions", "--clock-scale"))


@pytest.mark.parametrize(("most", "code"), [(0.000001, Exit.FAIL), (1000, Exit.BAD_INPUT)])
def test_a_full_disk_costs_a_pass_and_no_other_verdict(most: float, code: Exit, tmp_path: Path) -> None:
    slos = tmp_path / "slo.toml"
    slos.write_text(f'[[slo]]\nindicator = "create.max"\nmax = {most}\n')
    with Journal(tmp_path / "journal" / "engine.jsonl") as journal:
        for event in (run_started(), *session(1), run_finished()):
            journal.write(encode(event))
    command = [sys.executable, "-m", "loadtest.cli", "report", str(tmp_path), "--slo", str(slos)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment("full"), timeout=60, check=False
        )
    said = "avaload: stdout: No space left on device; what was to be printed is lost\n"
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_verdict_is_not_lost_where_nobody_reads_the_output(arguments: list[str], tmp_path: Path) -> None:
    slos = tmp_path / "slo.toml"
    slos.write_text('[[slo]]\nindicator = "create.max"\nmax = 0.000001\n')
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


@pytest.mark.parametrize("words", [["run", "--room", "none"], ["doctor"]])
def test_a_working_directory_that_somebody_deleted_is_said(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    assert cli.main(words) == Exit.BAD_INPUT
    assert capsys.readouterr().err == "avaload: the working directory is no longer there: change to another one\n"


@pytest.mark.parametrize(
    ("names", "given", "told"),
    [
        ("iso8859-1", None, "iso8859-1"),
        ("iso8859-1", "latin-1", "latin-1"),
        ("ascii", None, None),
    ],
)
def test_names_of_files_are_read_as_utf_8_and_the_terminal_keeps_its_own_encoding(
    names: str, given: str | None, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Sequence[str]] = []

    def begin(program: str, words: Sequence[str]) -> None:
        begun.append([program, *words])
        raise SystemExit

    for name in ("PYTHONUTF8", "PYTHONIOENCODING"):
        monkeypatch.setenv(name, "")  # so that the test's end puts back what settle() sets
        monkeypatch.delenv(name)
    if given is not None:
        monkeypatch.setenv("PYTHONIOENCODING", given)
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: names)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="iso8859-1"))
    monkeypatch.setattr(os, "execv", begin)
    with pytest.raises(SystemExit):
        avaload.settle()
    assert begun == [[sys.executable, sys.executable, *sys.orig_argv[1:]]]
    assert (os.environ["PYTHONUTF8"], os.environ.get("PYTHONIOENCODING")) == ("1", told)


@pytest.mark.parametrize(("command", "says"), [("run", 1), ("capacity", 1), ("probe", 1), ("export", 1), ("report", 0)])
def test_whatever_may_send_to_a_collector_says_which_variables_name_none(
    command: str, says: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "forget_steering", lambda: ["OTEL_SDK_DISABLED is not used"])
    monkeypatch.setattr(cli.disk, "keep_private", lambda: None)
    monkeypatch.setattr(cli, "main", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["avaload", command])
    assert cli.entry() == 0
    assert capsys.readouterr().err == "avaload: note: OTEL_SDK_DISABLED is not used\n" * says
