"""`avaload init` writes all of it, or nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

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
