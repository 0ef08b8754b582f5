"""A twin for a first try, and one that is broken on purpose: lines that a shell takes in, knobs of the embedded one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.config.run_dir import load_resolved, read_written
from tests.e2e.target import unless_late
from tests.support import avaload, call, eventually

SHORT = ("--users", 1, "--duration", "1s", "--ramp", "0s", "--room", "none")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_shell_that_has_the_twins_lines_runs_against_it(tls: bool, tmp_path: Path) -> None:
    with avaload("twin", "--env", *(["--tls"] if tls else []), cwd=tmp_path) as twin:
        lines = eventually(
            lambda: twin.printed().count("export ") >= 7 + tls and twin.printed(), within_s=20, what="lines"
        )
        assert all(line.startswith("export ") for line in str(lines).splitlines())
        (tmp_path / "twin.env").write_text(str(lines))
        names: tuple[str, ...] = ("AVALOAD_TARGET__OPENAI_BASE_URL", "AVALOAD_TARGET__AVATURN_BASE_URL")
        names += ("OPENAI_API_KEY", "AVATURN_API_KEY")
        names += ("AVALOAD_TARGET__CA_FILE",) if tls else ()
        show = "import json, os; print(json.dumps(dict(os.environ)))"
        script = [f". ./twin.env; exec {sys.executable} -c '{show}'"]
        told = json.loads(subprocess.run(["sh", "-c", *script], cwd=tmp_path, capture_output=True, check=True).stdout)
        done = call("run", *SHORT, cwd=tmp_path, environ={name: told[name] for name in names})
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert done.code == unless_late(0, report), done
    assert report["steps"]["create"]["count"] > 0
    assert (told["OPENAI_BASE_URL"], told["AVATURN_BASE_URL"]) == (told[names[0]], told[names[1]])
    assert not read_written(tmp_path / "run").embedded_twin


def broken(tmp_path: Path, *words: object, **environ: str) -> set[str]:
    done = call("run", *words, *SHORT, cwd=tmp_path, environ=environ)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert done.code == unless_late(3, report), done
    return {row["code"] for row in report["failures"] if row["step"] == "mint"}


def test_the_embedded_twin_is_broken_by_a_knob_which_is_written_down(tmp_path: Path) -> None:
    knobs = ("--twin-set", "fault.mint=503:1", "--twin-set", "latency.mint=fixed:0.05")
    assert broken(tmp_path, *knobs) == {"http_5xx"}
    assert load_resolved(tmp_path / "run").target.twin_set == (knobs[1], knobs[3])


def test_a_scenario_or_a_variable_can_break_it_as_well(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[target]\ntwin_set = ["fault.mint=503:1"]\n')
    assert broken(tmp_path, "s.toml") == {"http_5xx"}
    (tmp_path / "run").rename(tmp_path / "first")
    knobs = "latency.mint=fixed:0.01  fault.mint=401:1"
    assert broken(tmp_path, "s.toml", AVALOAD_TARGET__TWIN_SET=knobs) == {"invalid_api_key"}, "a variable wins"
