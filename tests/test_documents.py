"""What the documents promise of themselves: references resolve, what is generated is fresh, people can read them."""

import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import msgspec
import pytest

from docs.generator import __main__ as generator
from docs.generator import commands, environment, journal, scenario
from loadtest.config import environment as variables
from tests import prose
from tests.support import ROOT

CODE = ("loadtest", "exporters", "reports", "dashboards", "tests", "docs", "Makefile", "pyproject.toml", "avaload.py")
NOT_OURS = {"__pycache__", "node_modules", ".venv", ".pytest_cache", "runs"}
_REFERENCE = re.compile(r"(?<![\w/.-])((?:docs/)?(?:[\w-]+/)*[\w-]+\.md)((?:(?:, )?#[\w-]+)*)")
_MODULE = re.compile(r"(?<![\w/.*<{\]-])(?!locust/)((?:[a-z_]+/)*[a-z_]+\.py)\b(?!\w)")
_LINK = re.compile(r"\]\(([^)\s]*)\)")


def files(*below: str) -> list[Path]:
    """Ours, not what tools have left beside them; all of them, or those below some names."""
    tops = [ROOT / name for name in below] if below else [*ROOT.glob("*.*"), *(ROOT / name for name in CODE)]
    found = {path for top in tops for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()}
    return sorted(path for path in found if not NOT_OURS & set(path.relative_to(ROOT).parts))


def documents() -> list[Path]:
    return [path for path in files() if path.suffix == ".md" and "tests/" not in str(path.relative_to(ROOT))]


@cache
def anchors(page: Path) -> frozenset[str]:
    """As GitHub makes them of headings; of equal ones the second gets -1."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", prose_and_tables(page.read_text(encoding="utf-8")), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
        seen[slug] += 1
    return frozenset(found)


def prose_and_tables(text: str) -> str:
    """Without blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def problems_of(page: Path, fragments: list[str], said: str) -> list[str]:
    if not page.is_file():
        return [f"{said}: there is no {page.relative_to(ROOT) if page.is_relative_to(ROOT) else page}"]
    return [f"{said}: no heading makes #{each}" for each in fragments if each not in anchors(page)]


def test_every_document_that_code_names_is_there_and_has_the_heading() -> None:
    problems = []
    for path in files(*CODE):
        if path.suffix not in (".py", ".toml", ".html", ".js", ".yaml", ".yml", ".sh", "") or path == Path(__file__):
            continue
        for name, fragments in _REFERENCE.findall(path.read_text(encoding="utf-8")):
            if not name.startswith("docs/") and not (name.isupper() or name[:-3].isupper()):
                continue  # report.md and the like: files of a run
            where = f"{path.relative_to(ROOT)}: {name}{fragments}"
            problems += problems_of(ROOT / name, re.findall(r"#([\w-]+)", fragments), where)
    assert problems == []


def test_every_link_of_a_document_leads_somewhere() -> None:
    problems = []
    for page in documents():
        for target in _LINK.findall(prose_and_tables(page.read_text(encoding="utf-8"))):
            if re.match(r"\w+:", target):
                continue
            file, _, fragment = target.partition("#")
            there = (page.parent / file).resolve() if file else page
            where = f"{page.relative_to(ROOT)}: {target}"
            if not there.exists():
                problems.append(f"{where}: there is no such file")
            elif fragment:
                problems += problems_of(there, [fragment], where)
    assert problems == []


def test_every_file_of_ours_that_documents_and_code_name_is_there() -> None:
    """A path from the root, or from the package that says it, or a name that some module has."""
    known = [str(path.relative_to(ROOT)) for path in files()]
    names = {Path(file).name for file in known}
    problems = []
    for path in [path for path in files() if not path.is_relative_to(ROOT / "tests")]:
        text = path.read_text(encoding="utf-8") if path.suffix in (".py", ".md", ".toml") else ""
        for name in _MODULE.findall(text):
            if "/" not in name and name in names:
                continue
            if not any(file == name or file.endswith(f"/{name}") for file in known):
                problems.append(f"{path.relative_to(ROOT)}: {name}")
    assert problems == []


@pytest.mark.parametrize("page", generator.PAGES)
def test_generated_pages_are_as_generated(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == generator.made(page), "run: make generated"


def test_the_picture_of_the_house_has_every_package() -> None:
    """Those of the import contracts, whose layers are exhaustive."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = {
        name.strip() for each in contracts if "layers" in each for layer in each["layers"] for name in layer.split("|")
    }
    packages = {
        name for name in named for root in ("loadtest", "exporters", "reports") if (ROOT / root / name).is_dir()
    }
    words = set(re.findall(r"[\w]+", (ROOT / "docs/architecture.svg").read_text(encoding="utf-8")))
    assert packages - words == set()


def test_every_key_of_a_scenario_says_what_it_means() -> None:
    assert [key for key, field in scenario.keys().items() if not field.description] == []


def test_every_command_option_and_argument_says_what_it_means() -> None:
    lacking = [
        f"{name} {'/'.join(action.option_strings) or action.metavar}"
        for name, parser in commands.parsers().items()
        for action in parser._actions
        if not action.help
    ]
    assert lacking == []


def test_every_event_and_field_of_a_journal_says_what_it_means() -> None:
    lacking = [
        f"{journal.name_of(event)}.{field.name}"
        for event in journal.all_events()
        for field in msgspec.structs.fields(event)
        if not journal._row(event, field)[-1]
    ]
    assert lacking == []


def test_every_variable_that_the_code_reads_is_in_the_reference() -> None:
    page = environment.page("")
    named = set()
    for path in files("loadtest", "exporters", "reports", "avaload.py"):
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            named |= set(re.findall(r'"((?:AVALOAD|GITHUB|[A-Z]+_API)_[A-Z_]*[A-Z])"', text))
    assert named >= set(variables.BETWEEN_PROCESSES), "the pattern finds none"
    assert [name for name in sorted(named) if f"`{name}`" not in page] == []


GENERATED = {*generator.PAGES, "METRICS.md", "docs/benchmarks.md", "docs/compatibility.md", "docs/mutants.md"} - {
    "docs/contract.md"
}
WRITTEN = sorted({str(page.relative_to(ROOT)) for page in documents()} - GENERATED)


@pytest.mark.parametrize("page", WRITTEN)
def test_people_can_read_it(page: str) -> None:
    """Lines of a screen's width, sentences of a breath's; what is generated is left out."""
    text = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert prose.long_lines(text) == []
    assert prose.long_sentences(text) == []
    assert not re.search(r"^(<<<<<<<|=======|>>>>>>>)", text, re.MULTILINE), "two versions of a paragraph"


@pytest.mark.parametrize("page", sorted(GENERATED))
def test_people_can_read_what_generated_tables_stand_in(page: str) -> None:
    assert prose.long_sentences((ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "x" * 141,
        "A " + "word " * 24 + "too many.",
        "- An item. It is one; it has two; it has a chain.",
        "One [a link](x.md) and so on " + "and on " * 12 + "to the end.",
    ],
)
def test_what_nobody_likes_to_read_is_found(text: str) -> None:
    assert prose.long_lines(text) or prose.long_sentences(text)


@pytest.mark.parametrize(
    "text",
    [
        "A short one. " * 20,
        "```\n" + "code; " * 40 + "\n```",
        "| " + "cell " * 27 + "|",
        "- an item\n" * 30,
        "`" + "code " * 25 + "` is one word.",
    ],
)
def test_what_people_can_read_is_let_through(text: str) -> None:
    assert prose.long_sentences(text) == []


def test_the_readme_is_read_in_a_few_minutes() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


def test_pictures_are_shown_small_and_load_nothing() -> None:
    """Nor do they show where they were taken."""
    pictures = sorted((ROOT / "docs/pictures").iterdir())
    shown = "".join(page.read_text(encoding="utf-8") for page in documents())
    assert [path.name for path in pictures if f"pictures/{path.name})" not in shown] == []
    assert [path.name for path in pictures if path.stat().st_size > 100_000] == []
    for path in pictures:
        text = path.read_bytes().decode(errors="replace")
        assert not re.search(r"/(?:tmp|work|home)/|@font-face|<image|<script", text), path.name
    assert {path.suffix for path in pictures} == {".png", ".svg"}
