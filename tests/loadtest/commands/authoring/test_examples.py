"""What ships for those who write scenarios: every example is one, an editor that has the schema agrees, and a new
scenario begins as one of them."""

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from loadtest import cli
from loadtest.commands.authoring.examples import FOLDER
from loadtest.commands.authoring.init import PIPELINES
from loadtest.config.resolve import resolve
from loadtest.config.written.schema import LINE, schema
from loadtest.errors.exit_codes import Exit
from tests.support import ROOT

FILES = {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
LIVE = {"target.live": True, "target.max_sessions": 9}
KEYS = {"OPENAI_API_KEY": "sk-x", "AVATURN_API_KEY": "x"}


def mistakes(scenario: dict[str, Any]) -> list[str]:
    """As an editor marks them: where, and what."""
    found = jsonschema.Draft202012Validator(schema()).iter_errors(scenario)
    return [f"{'.'.join(map(str, each.absolute_path))}: {each.message}" for each in found]


def test_there_is_an_example_for_each_thing_that_people_come_for() -> None:
    assert set(FILES) == {
        *("smoke", "release-gate", "soak", "spike", "capacity", "barge-in", "mix", "own-backend", "stored-prompt"),
        "two-hosts",
    }


@pytest.mark.parametrize("name", FILES)
def test_an_example_names_its_schema_says_what_it_is_and_is_valid_by_it(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    first, title, how = text.splitlines()[:3]
    assert first == LINE
    assert re.fullmatch(r"# [A-Z].+[.?]", title)
    assert f"{name}.toml" in how or "AVALOAD_CLUSTER_TOKEN" in how
    assert mistakes(tomllib.loads(text)) == []
    assert resolve(FILES[name], LIVE if name == "two-hosts" else {}, KEYS).name == name


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ("[load]\nuser = 5", "load"),
        ('[load]\nusers = "5"', "load.users"),
        ('[load]\nduration = "10 minutes"', "load.duration"),
        ('[[conversation.turns]]\nkind = "speak"', "conversation.turns.0"),
        ('[[conversation.turns]]\nclip = "corpus:en"', "conversation.turns.0"),
        ('[[slo]]\nindicator = "mint.p59"\nmax = 1', "slo.0.indicator"),
        ('[[slo]]\nindicator = "mint.p95"', "slo.0"),
        ('[[mix]]\nfile = "x.toml"', "mix.0"),
        ("[target]\nlive = true", "target.live"),
        ("[session]\nmax_duration = 5", "session.max_duration"),
    ],
)
def test_an_editor_marks_what_avaload_would_refuse(wrong: str, where: str) -> None:
    assert {each.partition(": ")[0] for each in mistakes(tomllib.loads(wrong))} == {where}


@pytest.mark.parametrize(
    "right",
    [
        '[load]\nduration = 90\nramp = "1m30s"\ntrace = "starts.csv"',
        '[[load.stages]]\nusers = 3\nduration = "1m"\nramp = 5.5',
        '[tags]\napp.version = "7"',
        '[output]\nmetrics_port = "off"\nbaseline = "runs/x"',
        '[[slo]]\nindicator = "turn.barge_in.p95"\nmax = 1\nwindow = "30s"\nabort = true',
        '[target.backend]\nurl = "https://x"\nheaders = {a = "env:B"}\nbody = {a = [1, {b = true}]}',
    ],
)
def test_an_editor_takes_what_avaload_takes(right: str) -> None:
    assert mistakes(tomllib.loads(right)) == []


def test_the_schema_explains_every_key() -> None:
    def lacking(tables: dict[str, Any], place: str) -> list[str]:
        return [
            f"{place}.{key}"
            for key, said in tables.get("properties", {}).items()
            if "description" not in said and "$ref" not in said
        ]

    whole = schema()
    jsonschema.Draft202012Validator.check_schema(whole)
    assert [each for name, table in whole["$defs"].items() for each in lacking(table, name)] == []
    assert lacking(whole, "") == []


def test_the_documents_scenarios_are_valid_by_the_schema() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    blocks = [text for page in pages for text in re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.M | re.S)]
    assert len(blocks) >= 3
    assert [mistakes(tomllib.loads(text)) for text in blocks] == [[]] * len(blocks)


def test_examples_are_listed_and_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["examples"]) == Exit.PASS
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.partition("\n\n")[0].splitlines()] == list(FILES)
    for word in ("smoke", "smoke.toml"):
        assert cli.main(["examples", word]) == Exit.PASS
        assert capsys.readouterr().out == FILES["smoke"].read_text(encoding="utf-8")


def test_an_example_that_names_others_says_how_to_get_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["examples", "mix"]) == Exit.PASS
    printed, said = capsys.readouterr()
    assert printed == FILES["mix"].read_text(encoding="utf-8")
    assert said.splitlines() == [
        "avaload: beside it: avaload examples smoke > smoke.toml",
        "avaload: beside it: avaload examples barge-in > barge-in.toml",
    ]


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == Exit.PASS
    assert json.loads(capsys.readouterr().out) == schema()


@pytest.mark.parametrize("word", ["support-call", "support-call.toml"])
def test_init_writes_a_scenario_that_runs_and_the_schema_that_it_names(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    umask = os.umask(0o022)
    try:
        assert cli.main(["init", word]) == Exit.PASS
    finally:
        os.umask(umask)
    assert capsys.readouterr().out.splitlines() == [
        *("wrote support-call.toml", "wrote avaload.schema.json"),
        *("next: avaload run support-call.toml", "more: avaload examples"),
    ]
    written = Path("support-call.toml").read_text()
    assert written.splitlines()[0] == LINE
    assert "NAME" not in written
    assert mistakes(tomllib.loads(written)) == []
    assert resolve(Path("support-call.toml"), {}, {}).name == "support-call"
    assert json.loads(Path("avaload.schema.json").read_text()) == schema()


@pytest.mark.parametrize("service", PIPELINES)
def test_init_writes_a_pipeline_where_the_service_looks_for_it(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "load").mkdir()
    assert cli.main(["init", "load/gate", "--ci", service]) == Exit.PASS
    pipeline = yaml.safe_load(PIPELINES[service].read_text())
    if service == "github":
        (step,) = (each for each in pipeline["jobs"]["avaload"]["steps"] if "with" in each)
        inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
        assert step["with"] == {"scenario": "load/gate.toml"}
        assert set(step["with"]) < set(inputs)
    else:
        assert pipeline["include"] == [{"project": "your-group/avaload", "file": "/docs/ci/gitlab.yml"}]
        job = pipeline["load-test"]
        assert (job["extends"], job["variables"]) == (".avaload", {"SCENARIO": "load/gate.toml"})
        assert ".avaload" in yaml.safe_load((ROOT / "docs" / "ci" / "gitlab.yml").read_text())


@pytest.mark.parametrize(
    ("words", "there", "says"),
    [
        (["init", "x"], "x.toml", "x.toml: is there already; nothing was written"),
        (["init", "x", "--ci", "github"], ".github/workflows/avaload.yml", ".github/workflows/avaload.yml: is there"),
        (["init", "x", "--ci", "gitlab"], ".gitlab-ci.yml", ".gitlab-ci.yml: is there already; nothing was written"),
        (["init", "nowhere/x"], "other", "nowhere: no such directory; nothing was written"),
        (["init", "-x"], "other", ""),
    ],
)
def test_init_writes_over_nothing(
    words: list[str],
    there: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(there).parent.mkdir(parents=True, exist_ok=True)
    Path(there).write_text("mine")
    assert cli.main(words) == Exit.BAD_INPUT
    assert capsys.readouterr().err.startswith(f"avaload: {says}")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / there]
    assert Path(there).read_text() == "mine"


def test_a_schema_that_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("avaload.schema.json").write_text("{}")
    assert cli.main(["init", "x"]) == Exit.PASS
    assert Path("avaload.schema.json").read_text() == "{}"
