"""`avaload report`: where the reports go when a run is judged by something else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from loadtest.cli import main
from loadtest.commands.report import _out
from tests.reports import journals as j

REPORTS = ["junit.xml", "metrics.txt", "report.html", "report.json", "report.md"]
STRICT = '[[slo]]\nname = "in no time"\nindicator = "create.p95"\nmax = 0.000001\n'


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run with a report of its own, which passed."""
    path = tmp_path / "run-1"
    path.mkdir()
    j.write_file(path, [event for number in range(1, 5) for event in j.good_session(number, number)])
    assert main(["report", str(path)]) == 0
    return path


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    path = tmp_path / "strict rules.toml"
    path.write_text(STRICT)
    return path


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in REPORTS}


def read(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "report.json").read_text())
    return found


def told(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code, said = main([str(word) for word in words]), capsys.readouterr()
    return int(code), said.out, said.err


def test_another_judgement_is_written_beside_and_names_its_file(
    run_dir: Path, strict: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run_dir)
    code, out, _ = told("report", run_dir, "--slo", strict, capsys=capsys)
    beside = run_dir / "judged-strict-rules"
    assert code == 3
    assert contents(run_dir) == before
    assert sorted(path.name for path in beside.iterdir()) == REPORTS
    assert (read(run_dir)["judged_by"], read(beside)["judged_by"]) == (None, "strict rules.toml")
    assert [row["name"] for row in read(beside)["slos"]] == ["in no time"]
    assert "judged by strict rules.toml; the run's own verdict stays where it is" in out.splitlines()
    assert out.splitlines()[-1] == f"report:  {beside / 'report.html'}"
    assert "Judged by the objectives of <code>strict rules.toml</code>" in (beside / "report.html").read_text()
    assert "Judged by strict rules.toml, not by what the run was asked for." in (beside / "report.md").read_text()


def test_a_scenario_lends_its_objectives(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "smoke"]) == 0
    (tmp_path / "smoke.toml").write_text(capsys.readouterr().out)
    assert told("report", run_dir, "--slo", tmp_path / "smoke.toml", capsys=capsys)[0] == 0
    names = [row["name"] for row in read(run_dir / "judged-smoke")["slos"]]
    assert names[:2] == ["every session works", "nothing is left behind"]


def test_out_says_where_and_a_second_judgement_takes_the_place_of_the_first(
    run_dir: Path, strict: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = contents(run_dir), tmp_path / "deep" / "there"
    assert told("report", run_dir, "--slo", strict, "--out", out, capsys=capsys)[0] == 3
    strict.write_text(STRICT.replace("0.000001", "60").replace("p95", "max"))
    assert told("report", run_dir, "--slo", strict, "--out", out, capsys=capsys)[0] == 0
    assert read(out)["slos"][0]["outcome"] == "pass"
    assert contents(run_dir) == before


def test_the_runs_own_judgement_can_be_written_elsewhere_too(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told("report", run_dir, "--out", tmp_path / "copy", capsys=capsys)[0] == 0
    assert read(tmp_path / "copy") == read(run_dir)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("run-1", "there is the verdict by what the run itself asked for; name another directory"),
        ("run-1/../run-1", "there is the verdict by what the run itself asked for; name another directory"),
        ("run-2", "is the directory of another run; name another one"),
        ("strict rules.toml", "is no directory"),
    ],
)
def test_no_verdict_of_a_run_is_overwritten(
    out: str, said: str, run_dir: Path, strict: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    j.write_file(tmp_path / "run-2", j.good_session(1, 1))
    before = contents(run_dir)
    code, printed, complaint = told("report", run_dir, "--slo", strict, "--out", tmp_path / out, capsys=capsys)
    assert (code, printed) == (2, "")
    assert complaint == f"avaload: --out {tmp_path / out}: {said}\n"
    assert contents(run_dir) == before


def test_a_link_that_somebody_put_there_is_not_followed(
    run_dir: Path, strict: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    (run_dir / "judged-strict-rules").symlink_to(tmp_path / "home")
    code, _, complaint = told("report", run_dir, "--slo", strict, capsys=capsys)
    assert code == 2
    assert complaint.endswith("judged-strict-rules: is a link; say with --out where the reports go\n")
    assert list((tmp_path / "home").iterdir()) == []


def test_the_page_beside_still_leads_to_the_sound(
    run_dir: Path, strict: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "audio").mkdir()
    (run_dir / "audio" / f"{j.sid(1)}-0-user.wav").write_bytes(b"RIFF")
    told("report", run_dir, "--slo", strict, capsys=capsys)
    told("report", run_dir, "--slo", strict, "--out", tmp_path / "away", capsys=capsys)
    link = f'href="../audio/{j.sid(1)}-0-user.wav"'
    assert link in (run_dir / "judged-strict-rules" / "report.html").read_text()
    away = (tmp_path / "away" / "report.html").read_text()
    assert f"audio/{j.sid(1)}-0-user.wav" in away
    assert re.findall(r'href="[^"]*wav"', away) == []


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("größe.toml", "judged-größe"),
        ("länge.toml", "judged-länge"),
        ("v1.2.toml", "judged-v1.2"),
        ("§§.toml", "judged-slo"),
    ],
)
def test_each_file_of_objectives_has_a_directory_of_its_name(name: str, beside: str, tmp_path: Path) -> None:
    assert _out(tmp_path / "run-1", None, judged_by=name) == tmp_path / "run-1" / beside
