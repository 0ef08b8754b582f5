"""What somebody types by mistake (forty_wrong_inputs.toml, more_wrong_inputs.toml): one clear line that says what to
write instead, exit 2, nothing started. What it says to write is written then, and is taken."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from loadtest import cli
from loadtest.commands.work import load_run
from loadtest.errors.exit_codes import Exit
from tests.support import ROOT

TABLE: list[dict[str, Any]] = [
    row
    for name in ("forty_wrong_inputs.toml", "more_wrong_inputs.toml")
    for row in tomllib.loads(Path(__file__).with_name(name).read_text())["input"]
]
NO_PROBLEM = ("avaload: warning: ", "avaload: expected cost: ")
CLIP = ROOT / "loadtest" / "sound" / "corpus" / "en" / "opening_hours.wav"


class ReadyError(Exception):
    """All input was taken: the next thing would be the run's directory."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is typed, with a clip that is one and one that isn't. Nothing is started: that begins with a run's
    directory."""

    def ready(*_: object, **__: object) -> None:
        raise ReadyError

    monkeypatch.setattr(load_run, "make_run_dir", ready)
    monkeypatch.chdir(tmp_path)
    for name in {"OPENAI_API_KEY", "AVATURN_API_KEY", *(name for row in TABLE for name in row.get("environ", {}))}:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "hello.wav").write_bytes(CLIP.read_bytes())
    (tmp_path / "hello.mp3").write_bytes(b"ID3\4" + bytes(500))
    return tmp_path


def typed(given: str | list[str], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    if isinstance(given, str):
        Path("scenario.toml").write_text(given)
        given = ["run", "scenario.toml"]
    try:
        return cli.main(given)
    except ReadyError:
        return 0
    except SystemExit as ended:  # --version
        return int(ended.code or 0)


def test_there_are_forty_and_more_and_each_has_a_name_of_its_own() -> None:
    assert len({row["name"] for row in TABLE}) == len(TABLE) >= 40


@pytest.mark.parametrize("row", TABLE, ids=[row["name"].replace(" ", "-") for row in TABLE])
def test_a_wrong_input_is_one_line_that_says_what_to_write_and_that_is_taken(
    row: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "file" in row:
        file = row["file"]
        (folder / file["name"]).write_bytes(file["text"].encode(file.get("encoding", "utf-8")))
    before = {path.name for path in folder.iterdir()}
    environ = row.get("environ", {})
    with monkeypatch.context() as at_first:
        assert typed(row["wrong"], environ, at_first) == Exit.BAD_INPUT
    assert capsys.readouterr() == ("", f"avaload: {row['says']}\n")
    assert {path.name for path in folder.iterdir()} - {"scenario.toml"} == before

    if "right" not in row:  # it would need a run
        return
    code = typed(row["right"], row.get("right_environ", environ), monkeypatch)
    told = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(NO_PROBLEM)]
    assert (code, told) == (0, [])
