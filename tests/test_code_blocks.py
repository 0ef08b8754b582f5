"""Blocks of code in the documents: scenarios are scenarios, commands are commands, programs compile."""

import re
import shlex
from pathlib import Path

import pytest

from docs.generator.commands import parsers
from loadtest import cli
from loadtest.config.resolve import resolve
from tests.code_blocks import Block, blocks, commands, exits, in_a_shell, of_users
from tests.support import ROOT
from tests.test_documents import WRITTEN, documents

LANGUAGES = {"", "sh", "toml", "python", "yaml", "json"}


def command_lines() -> list[str]:
    """What documents tell to type, but for the twin, which has a parser of its own; placeholders are filled in."""
    inline = re.compile(r"`(avaload [a-z]+ [^`…]*)`")
    found = {line for page in documents() for line in inline.findall(page.read_text(encoding="utf-8"))}
    found |= {line for block in blocks("", "sh") for line in commands(block.text)}
    lines = {re.sub(r"<id>|\bSHELL\b", "bash", re.split(" 2?>", line)[0]) for line in found}
    return sorted(line for line in lines if not line.startswith("avaload twin") and "|" not in line)


def test_every_block_has_a_language_that_is_checked() -> None:
    fence = re.compile(r"^```([^\n]*)\n.*?^```", re.MULTILINE | re.DOTALL)
    said = {language for page in of_users() for language in fence.findall(page.read_text(encoding="utf-8"))}
    assert said - LANGUAGES == set()


def test_every_scenario_in_the_documents_is_one(tmp_path: Path) -> None:
    given = {"target.live": True, "target.max_sessions": 1}
    environ = {"OPENAI_API_KEY": "sk-x", "AVATURN_API_KEY": "x", "APP_TOKEN": "x"}
    found = blocks("toml")
    for number, block in enumerate(found):
        file = tmp_path / f"{number}.toml"
        file.write_text(block.text, encoding="utf-8")
        resolve(file, given, environ)
    assert len(found) >= 5


@pytest.mark.parametrize("line", command_lines())
def test_every_command_in_the_documents_is_one(line: str) -> None:
    words = shlex.split(line)[1:]
    words = [re.sub(r"^(N|USERS)$", "3", re.sub(r"^URL$", "http://127.0.0.1", word)) for word in words]
    cli.parser(words).parse_args(words)


def test_every_program_in_the_documents_compiles() -> None:
    found = blocks("python")
    for block in found:
        compile(block.text, block.page, "exec")
    assert len(found) >= 2


def test_every_target_of_make_in_the_documents_is_there() -> None:
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    inline = re.compile(r"`make ([a-z-]+)[^`]*`")
    named = {name for page in documents() for name in inline.findall(page.read_text(encoding="utf-8"))}
    named |= {name for block in blocks("", "sh") for name in re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE)}
    assert {"run", "test"} <= named
    assert named - there == set()


def test_what_a_block_tells_to_type_and_promises_is_read() -> None:
    text = (
        "# a remark\navaload twin --env > t &\navaload run a.toml 2> err\navaload run b.toml   # exit 3, as it should\n"
    )
    assert list(commands(text)) == ["avaload twin --env", "avaload run a.toml", "avaload run b.toml"]
    assert exits(text) == [0, 3]
    script = in_a_shell("avaload a \\\n  b  # exit 3\nkill %1\n", fd=7)
    assert script == "{ avaload a    b  # exit 3\n} && said=0 || said=$?; echo $said >&7\nkill %1"
    assert not Block("p", "sh", "# needs your keys\navaload run\n").is_run
    assert Block("p", "sh", "avaload run\n").is_run


def test_every_option_that_a_document_names_of_a_command_is_one() -> None:
    known = {option for parser in parsers().values() for action in parser._actions for option in action.option_strings}
    option = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
    named = {
        (name, page)
        for page in WRITTEN
        for code in re.findall(r"`(avaload [^`\n]+)`", (ROOT / page).read_text(encoding="utf-8"))
        for name in option.findall(code)
    }
    assert len(named) >= 10
    assert {(name, page) for name, page in named if name not in known | {"--version"}} == set()


def test_every_command_is_named_in_a_document_that_a_person_wrote() -> None:
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in WRITTEN)
    assert [name for name in parsers() if not re.search(rf"\bavaload {name}\b|`{name}`", text)] == []
