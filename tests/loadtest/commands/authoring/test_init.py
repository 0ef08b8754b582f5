"""`avaload init` writes all of it, or nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from loadtest.cli import main

Spoil = Callable[[Path], object]


def found(folder: Path) -> dict[str, str]:
    """What is in it: a link is told by where it leads, a file by its text."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: str(path.readlink()) if path.is_symlink() else "/" if path.is_dir() else path.read_text()
        for name, path in paths.items()
    }


def linked(place: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).symlink_to("nowhere")

    return spoil


def a_file(place: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text("mine")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "ci", "says"),
    [
        (a_file(".github"), "github", ".github/workflows: Not a directory; nothing was written"),
        (a_file(".github/workflows"), "github", ".github/workflows/avaload.yml: Not a directory; nothing was written"),
        (linked(".github"), "github", ".github: File exists; nothing was written"),
        (linked(".github/workflows/avaload.yml"), "github", "avaload.yml: is there already; nothing was written"),
        (linked(".gitlab-ci.yml"), "gitlab", ".gitlab-ci.yml: is there already; nothing was written"),
        (linked("support.toml"), "gitlab", "support.toml: is there already; nothing was written"),
    ],
)
def test_where_one_file_can_not_be_written_none_is(
    spoil: Spoil,
    ci: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil(tmp_path)
    before = found(tmp_path)
    for _ in range(2):  # nor is anything in the way of the next try
        assert main(["init", "support", "--ci", ci]) == 2
        assert capsys.readouterr().err.splitlines()[0].endswith(says)
        assert found(tmp_path) == before


def test_folders_that_were_made_for_it_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".github").mkdir()
    monkeypatch.setattr("loadtest.commands.authoring.init.PIPELINES", {"github": Path(".github/w/x/" + "y" * 300)})
    assert main(["init", "support", "--ci", "github"]) == 2
    assert "File name too long; nothing was written" in capsys.readouterr().err
    assert found(tmp_path) == {".github": "/"}


@pytest.mark.parametrize("place", ["/elsewhere/x", "../x", "load/../../x"])
def test_a_pipeline_for_a_scenario_that_it_would_not_find_is_refused(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here" / "load").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert main(["init", place, "--ci", "github"]) == 2
    says = "with --ci it has to be in this directory, or below; nothing was written"
    assert capsys.readouterr().err == f"avaload: {place}.toml: {says}\n"
    assert found(tmp_path) == {"here": "/", "here/load": "/"}


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_pipeline_names_the_scenario_from_where_it_begins_whatever_its_folder_is_called(
    ci: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'a #1: "b\\c"'
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["init", f"{folder}/x", "--ci", ci]) == 0
    (written,) = [path for path in (Path(".gitlab-ci.yml"), Path(".github/workflows/avaload.yml")) if path.exists()]
    tree = yaml.safe_load(written.read_text())
    in_github = ci == "github" and tree["jobs"]["avaload"]["steps"][1]["with"]["scenario"]
    assert (in_github or tree["load-test"]["variables"]["SCENARIO"]) == 'a #1: "b\\c"/x.toml'


@pytest.mark.parametrize(("top", "notes"), [("", 1), ("sub", 0), (None, 0)])
def test_a_pipeline_below_the_top_of_the_repository_is_written_with_a_note(
    top: str | None, notes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir()
    if top is not None:
        (tmp_path / top / ".git").touch()  # of a submodule it is a file
    monkeypatch.chdir(tmp_path / "sub")
    assert main(["init", "x", "--ci", "gitlab"]) == 0
    note = f"avaload: note: .gitlab-ci.yml is looked for at the top of the repository, {tmp_path}, not here\n"
    assert capsys.readouterr().err == note * notes
