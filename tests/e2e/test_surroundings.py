"""Wherever it is started, and whatever is around: the same program, its exit code, its report, and no traceback."""

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from tests.e2e.target import unless_late
from tests.support import Avaload, Done, avaload, call, eventually

SHORT = ("--room", "none", "--users", "2", "--duration", "1s", "--ramp", "0s", "--pacing", "500ms")
FOREIGN = 'raise SystemExit("what lay around was imported")\n'


def plant(folder: Path, *names: str) -> None:
    """Modules and packages that must not be imported."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FOREIGN)


def passed(run: Avaload, done: Done) -> None:
    report = run.report()
    assert done.code == unless_late(0, report), (done, run.log())
    assert report["sessions"]["completed"] >= 2
    assert (run.run_dir / "report.html").exists()
    assert "Traceback" not in done.out + done.err


def test_neither_configuration_of_locust_nor_modules_nor_the_environment_around_change_a_run(tmp_path: Path) -> None:
    home, cwd, library = tmp_path / "home", tmp_path / "here", tmp_path / "library"
    for folder in (home, cwd, library):
        folder.mkdir()
    (home / ".locust.conf").write_text("tags = checkout\n")
    (cwd / "locust.conf").write_text("tags = checkout\nusers = 7\nlogfile = elsewhere\n")
    (cwd / "pyproject.toml").write_text('[tool.locust]\ntags = ["checkout"]\nusers = 7\n')
    plant(cwd, "loadtest/__init__.py", "reports/__init__.py", "queue.py", "types.py", "locust.py", "gevent.py")
    plant(library, "loadtest/__init__.py", "reports/__init__.py", "exporters/__init__.py", "pydantic/__init__.py")
    environ = {
        "HOME": str(home),
        "PYTHONPATH": str(library),
        "PYTHONWARNINGS": "error",
        "OTEL_PROPAGATORS": "what_our_company_has",
        "OTEL_TRACES_SAMPLER": "nonsense",
        "SSLKEYLOGFILE": "/nowhere/keys",
        "LOCUST_TAGS": "checkout",
        "LOCUST_LOCUSTFILE": "/nowhere/locustfile.py",
        "MPLBACKEND": "nonsense",
        "GEVENT_LOOP": "nonsense",
    }
    with avaload("run", *SHORT, cwd=cwd, environ=environ) as run:
        done = run.finish(within_s=60)
        passed(run, done)
    assert not (cwd / "elsewhere").exists()
    assert run.report()["sessions"]["failed"] == 0


def test_paths_of_a_user_are_those_of_his_directory(tmp_path: Path, brief: Path) -> None:
    text = brief.read_text()
    clip = next(line for line in text.splitlines() if line.startswith("clip")).split('"')[1]
    (tmp_path / "own.wav").write_bytes(Path(clip).read_bytes())
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "own.toml").write_text(text.replace(clip, "own.wav"))
    options = ("--users", "1", "--duration", "1s", "--ramp", "0s")
    with avaload("run", "scenarios/own.toml", *options, "--run-dir", "out/here", cwd=tmp_path) as run:
        done = run.finish(within_s=90)
    report = json.loads((tmp_path / "out" / "here" / "report.json").read_text())
    assert done.code in (0, 4), done
    assert report["sessions"]["completed"] == report["turns"]["count"] == 1


@pytest.mark.parametrize(
    ("around", "said"),
    [
        ('"$@" 2>&1 >/dev/null | head -1; exit ${PIPESTATUS[0]}', None),
        ('"$@" 2>/dev/full', ""),
        ('"$@" 2>&-', ""),
        ('"$@" <&-', None),
        ('"$@" <&- >&- 2>&-', ""),
    ],
    ids=["a reader that leaves", "stderr full", "stderr closed", "stdin closed", "all closed"],
)
def test_streams_that_cannot_be_used_cost_nothing_but_what_they_would_have_shown(
    around: str, said: str | None, tmp_path: Path
) -> None:
    with avaload("run", *SHORT, cwd=tmp_path, through=("bash", "-c", around, "bash")) as run:
        done = run.finish(within_s=60)
        passed(run, done)
    assert said is None or done.err == said


def test_a_terminal_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    with avaload("run", *SHORT[:-2], "--pacing", "200ms", cwd=tmp_path) as run:
        eventually(lambda: "writing" in run.said(), within_s=30, what="the run's beginning", during=run)
        os.kill(run.pid, signal.SIGHUP)
        passed(run, run.finish(within_s=60))


@pytest.mark.parametrize("name", ["shop[main]", "[red]shop[/red]", "a:smile:b", "ünï códe", "*?"])
def test_a_name_is_a_name_and_no_markup_and_no_pattern(name: str, tmp_path: Path) -> None:
    run_dir = tmp_path / "runs" / name
    with avaload("run", *SHORT, "--run-dir", run_dir, cwd=tmp_path) as run:
        done = run.finish(within_s=60)
        passed(run, done)
    assert f"writing {run_dir}\n" in done.err
    assert f"report:  {run_dir / 'report.html'}\n" in done.out


@pytest.mark.parametrize(
    "environ",
    [
        {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PATH": ""},
        {"HOME": "", "TMPDIR": "/nowhere", "TERM": "nonsense"},
    ],
    ids=["C", "ascii", "latin-1", "no PATH", "no HOME"],
)
def test_whatever_encoding_and_path_the_machine_has(environ: dict[str, str], tmp_path: Path) -> None:
    tag = ("--tag", "build=naïve – 20 µs")
    with avaload("run", *SHORT, *tag, "--otlp-endpoint", "http://127.0.0.1:9", cwd=tmp_path, environ=environ) as run:
        passed(run, run.finish(within_s=60))


def test_a_tag_that_is_no_text_is_one_line_and_nothing_is_started(tmp_path: Path) -> None:
    done = call("run", "--tag", os.fsdecode(b"build=\xff"), cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err_lines == ["avaload: 'build=\\udcff': not in UTF-8"]
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("finished")
    with avaload("run", *SHORT, cwd=cwd) as run:
        run.finish(within_s=60)
    return run.run_dir


def test_a_report_that_cannot_be_written_there_is_written_elsewhere_and_one_line_says_where(
    finished: Path, tmp_path: Path
) -> None:
    code = json.loads((finished / "report.json").read_text())["verdict"]["exit_code"]
    (finished / "report.md").unlink()
    (finished / "report.md").mkdir()
    try:
        done = call("report", finished, cwd=tmp_path, environ={"TMPDIR": str(tmp_path)})
    finally:
        (finished / "report.md").rmdir()
    assert done.code == code
    assert len(done.err_lines) == 1
    assert done.err.startswith(f"avaload: {finished}: Is a directory: the report is in {tmp_path}/")
    assert Path(done.err_lines[0].rsplit(" ", 1)[1], "report.md").is_file()


def test_what_nobody_thought_of_is_one_line_with_the_place_of_its_details_and_exit_1(
    finished: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import reports.sections.timeline\n"
        "def broken(*_):\n    raise RuntimeError('the key is ' + 'sk-abcdefgh12345678' + ' here\\nand there')\n"
        "reports.sections.timeline.timeline = broken\n"
    )
    done = call("session", finished, "1f", cwd=tmp_path, environ={"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)})
    assert (done.code, done.out) == (1, "")
    line, path = done.err_lines[0].rsplit(" ", 1)
    assert len(done.err_lines) == 1
    assert line == "avaload: a mistake of avaload's own, RuntimeError: the key is [redacted] here; details:"
    details = Path(path).read_text()
    assert details.startswith("Traceback")
    assert "sk-abcdefgh" not in details
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
