"""avaload from Python, and its pytest plugin, as a developer's own tests would use them."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import loadtest
from reports.tidy import COLUMNS
from tests.support import ROOT

pytestmark = pytest.mark.quiet  # its runs are judged, and other load beside them would make them invalid
EXAMPLE = ROOT / "docs" / "examples" / "backend"


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("api") / "run"
    report = loadtest.run_scenario(
        users=2, duration="8s", room="none", run_dir=path, metrics_port="off", tag={"build": "7", "team": "web"}
    )
    assert report.verdict.outcome == "pass", report.verdict.reasons
    assert (report.run_dir, report.tags) == (path, {"build": "7", "team": "web"})
    assert report.steps["mint"].count == report.sessions.started > 10
    assert report.slo("session.failed_rate").observed == 0
    return path


def modes(directory: Path) -> set[str]:
    found = (directory, *directory.rglob("*"))
    return {f"{'d' if path.is_dir() else '-'}{path.stat().st_mode & 0o777:o}" for path in found}


def test_what_a_run_from_python_leaves_is_its_owners_alone_unless_the_umask_is_to_be_followed(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"metrics.txt", "report.html", "settings.json", "log.jsonl"} <= {path.name for path in run_dir.iterdir()}
    assert modes(run_dir) == {"d700", "-600"}
    before = os.umask(0o027)
    monkeypatch.setenv("AVALOAD_OUTPUT__RUN_DIR", str(tmp_path / "open"))
    try:
        report = loadtest.run_scenario(users=1, duration="1s", room="none", metrics_port="off", permissions="umask")
    finally:
        os.umask(before)
    assert report.run_dir == tmp_path / "open"
    assert modes(tmp_path / "open") == {"d750", "-640"}


def test_no_public_name_is_that_of_a_module() -> None:
    modules = {path.stem for path in (ROOT / "loadtest").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(loadtest.__all__) & modules == set()
    # In a process of its own: AvatarUser brings Locust, which changes the process.
    script = "import loadtest; print(*(getattr(loadtest, name) for name in loadtest.__all__), sep='\\n')"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stdout.splitlines()) == len(loadtest.__all__)


def test_bad_input_is_a_value_error_in_the_command_s_own_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--usres"):
        loadtest.run_scenario(usres=2, run_dir=tmp_path / "run")
    with pytest.raises(ValueError, match=r"^--dry-run: makes no report; use the command$"):
        loadtest.run_scenario(dry_run=True, run_dir=tmp_path / "run")
    with (
        pytest.raises(ValueError, match=r"did you mean latency\.create"),
        loadtest.start_twin(latency__creat="fixed:1"),
    ):
        pass
    with pytest.raises(ValueError, match="holds no journal"):
        loadtest.read_run(tmp_path)
    assert not (tmp_path / "run").exists()


def test_a_run_that_fails_is_a_report_and_no_exception(tmp_path: Path) -> None:
    with loadtest.start_twin(fault__create="500:1") as twin:
        keys = pytest.MonkeyPatch()
        for name, value in twin.environment.items():
            keys.setenv(name, value)
        report = loadtest.run_scenario(
            users=1, duration="2s", room="none", run_dir=tmp_path / "run", metrics_port="off",
            openai_base_url=twin.openai_base_url, avaturn_base_url=twin.avaturn_base_url,
        )  # fmt: skip
        keys.undo()
    assert (report.verdict.outcome, report.verdict.exit_code) == ("fail", 3)
    assert report.steps["create"].failures == {"rejected": report.sessions.started}


def test_tables_have_the_documented_columns_and_agree_with_each_other(run_dir: Path) -> None:
    frames = loadtest.read_run(run_dir)
    for name, table in frames.tables().items():
        assert list(table.columns) == list(COLUMNS[name]), name
    sessions = frames.sessions
    assert sessions["session"].is_unique
    assert sessions["session"].str.fullmatch("[0-9a-f]{32}").all()
    assert str(sessions["started_at"].dt.tz) == "UTC"
    assert set(frames.steps["session"]) == set(sessions["session"])
    mints = frames.steps[frames.steps["step"] == "mint"].set_index("session")
    began = sessions.set_index("session")["started_at"]
    assert ((mints["started_at"] - began[mints.index]) < pd.Timedelta(seconds=1)).all()
    assert (frames.secrets["lives_s"] == 600).all()
    assert len(frames.turns) == 0
    assert set(frames.rules["outcome"]) <= {"pass", "fail", "not_tested", "characterised", "waived"}
    assert set(frames.health["source"]) == {"engine", "hub"}


def test_a_run_of_which_only_a_copy_was_made_has_not_changed(run_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", run_dir, copy], check=True)
    compared = loadtest.compare_runs(run_dir, [copy])
    assert (compared.outcome, compared.regressions) == ("no_change", [])


def test_the_notebook_s_cells_run_one_after_the_other_beside_a_loop_as_in_jupyter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = (ROOT / "docs" / "examples" / "notebook" / "first_look.py").read_text().split("# %%")
    names: dict[str, Any] = {}

    async def notebook() -> None:
        for cell in cells:
            exec(f"# {cell}", names)

    asyncio.run(notebook())
    report, by_step, per_second = names["report"], names["by_step"], names["per_second"]
    assert {"mint", "create", "delete"} <= set(by_step.index)
    assert by_step.loc["create", "p95_s"] == pytest.approx(report.steps["create"].p95_s, rel=0.2)
    assert per_second["creates"].sum() == report.steps["create"].count > 10
    assert list(names["its_steps"]["step"])[:2] == ["mint", "create"]


def _pytest(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110)


def test_the_example_of_a_back_end_passes_its_tests() -> None:
    done = _pytest(EXAMPLE, str(EXAMPLE))
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_bound_that_is_broken_fails_the_test_and_says_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / "test_slow.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.avaload_slo({'create.p50': 0.05})\n"
        "def test_slow(avaload_twin, avaload_run):\n"
        "    avaload_run(users=2, duration='4s', room='none')\n\n"
        "test_slow = pytest.mark.avaload_twin(latency__create='fixed:0.2')(test_slow)\n"
    )
    done = _pytest(tmp_path, str(tmp_path))
    assert done.returncode == 1
    assert "avaload's verdict is fail" in done.stdout
    assert "create.p50: 0.2" in done.stdout
    assert "bound 0.05: fail" in done.stdout
    assert "Traceback" not in done.stdout


def test_bounds_of_the_marker_beside_a_file_of_objectives_fail_the_test_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.avaload_slo({'create.p50': 0.05})\n"
        "def test_two(avaload_run):\n"
        "    avaload_run(users=1, slo='mine.toml')\n"
    )
    done = _pytest(tmp_path, str(tmp_path), "--basetemp", str(tmp_path / "kept"))
    assert done.returncode == 1
    assert "avaload_slo and slo= both say what the run must hold: give one of them" in done.stdout
    assert [path.name for path in (tmp_path / "kept").rglob("avaload-*")] == []


@pytest.mark.parametrize("mode", ["prepend", "importlib"])
def test_a_project_with_a_loadtest_folder_of_its_own_still_collects_its_tests(tmp_path: Path, mode: str) -> None:
    for name in ("loadtest", "reports"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = 1\n")
    (tmp_path / "test_mine.py").write_text("from loadtest import MINE\n\ndef test_mine():\n    assert MINE == 1\n")
    done = _pytest(tmp_path, str(tmp_path), f"--import-mode={mode}")
    assert done.returncode == 0, done.stdout


def test_what_a_marker_says_and_nobody_hears_fails_the_test(tmp_path: Path) -> None:
    fixtures = "@pytest.fixture\ndef avaload_twin(): pass\n\n@pytest.fixture\ndef avaload_run(): pass\n"
    (tmp_path / "conftest.py").write_text(f"import pytest\n\n{fixtures}")
    (tmp_path / "test_knobs.py").write_text(
        "import pytest\n\n"
        "pytestmark = pytest.mark.avaload_twin(seed=1)\n\n"
        "def test_of_its_module(avaload_twin): pass\n\n"
        "@pytest.mark.avaload_twin(seed=2)\n"
        "def test_without_a_twin(): pass\n\n"
        "@pytest.mark.avaload_twin(seed=3)\n"
        "def test_of_its_own(avaload_twin): pass\n\n"
        "@pytest.mark.avaload_twin(seed=4)\n"
        "class TestMarked:\n"
        "    def test_of_its_class(self, avaload_twin): pass\n\n"
        "@pytest.mark.avaload_twin(seed=5)\n"
        "def test_of_a_run(avaload_run): pass\n\n"
        "@pytest.mark.avaload_slo({'create.p50': 1})\n"
        "def test_without_a_run(avaload_twin): pass\n"
    )
    done = _pytest(tmp_path, "-rE", str(tmp_path), "--avaload-twin-scope", "module")
    said = "is not heard with --avaload-twin-scope module: that twin serves more tests than these"
    of_scope = {
        "test_of_its_own": "test_of_its_own",
        "test_of_its_class": "TestMarked",
        "test_of_a_run": "test_of_a_run",
    }
    assert re.findall(r"^ERROR \S+::(\w+) - ", done.stdout, re.M) == [*of_scope, "test_without_a_run"]
    assert [done.stdout.count(f"\navaload_twin(...) of {node} {said}\n") for node in of_scope.values()] == [1, 1, 1]
    unjudged = "avaload_slo(...) of test_without_a_run judges nothing: the test doesn't use avaload_run"
    assert done.stdout.count(f"\n{unjudged}\n") == 1
    assert "2 passed, 4 errors" in done.stdout


@pytest.mark.parametrize("name", ["loadtest", "reports"])
def test_a_hidden_package_is_one_line_that_names_both_paths(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "test_twin.py").write_text("def test_twin(avaload_twin):\n    pass\n")
    done = _pytest(tmp_path, str(tmp_path))
    assert done.returncode != 0
    assert str(tmp_path / name) in done.stdout
    assert str(ROOT / name) in done.stdout
    assert "Traceback" not in done.stdout


def test_the_plugin_imports_nothing_of_ours_before_it_is_used() -> None:
    script = (
        "import sys, avaload_pytest\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'loadtest', 'reports', 'pandas', 'locust'}))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
