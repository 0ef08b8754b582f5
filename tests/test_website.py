"""The documents as a site: whole, in order, without anything from elsewhere; what leads nowhere ends it."""

import re
import subprocess
from pathlib import Path

import pytest

from docs.generator import website
from tests.support import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs") / "site"
    website.build(out)
    return out


def test_every_document_is_a_page_and_the_readme_the_first(site: Path) -> None:
    expected = {page.with_suffix(".html") for page in website.pages() if page.name != "README.md"}
    there = {page.relative_to(site) for page in site.rglob("*.html")}
    assert expected - there == set()
    assert "Load tests for real-time avatar sessions" in (site / "index.html").read_text(encoding="utf-8")


def test_links_of_a_page_lead_to_pages(site: Path) -> None:
    problems = []
    for page in site.rglob("*.html"):
        for target in re.findall(r'href="([^"#?]+)[^"]*"', page.read_text(encoding="utf-8")):
            if not re.match(r"\w+:|/", target) and not (page.parent / target).exists():
                problems.append(f"{page.relative_to(site)}: {target}")
    assert problems == []


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|link|iframe)\b[^>]*?(?:src|href)="(https?:|//)')
    pages = {page: loads.findall(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    assert len(pages) > 20
    assert {page: found for page, found in pages.items() if found} == {}


def test_contents_name_every_document_for_users() -> None:
    named = {page for found in website.contents().values() for page in found.values()}
    of_the_house = {"README.md", "docs/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "DECISIONS.md"}
    assert {str(page) for page in website.pages()} - {str(page) for page in named} == of_the_house


def test_a_link_that_leads_nowhere_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/README.md").write_text("# Documents\n\n## All\n\n[first](first.md)\n")
    (tmp_path / "docs" / "first.md").write_text("# First\n\n[back](../README.md#no-such-heading)\n")
    (tmp_path / "README.md").write_text("# A\n\n[docs](docs/README.md)\n")
    monkeypatch.setattr(website, "ROOT", tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        website.build(tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_what_is_no_page_is_named_and_not_linked() -> None:
    text = "[one](../examples/backend) ![two](../architecture.svg) [three](../ci.md#github) [four](https://docs.avaturn.live)"
    assert website.for_the_site(Path("docs/how-to/many-hosts.md"), text) == (
        "`docs/examples/backend` ![two](../architecture.svg) [three](../ci.md#github) [four](https://docs.avaturn.live)"
    )
    assert (ROOT / "docs/examples/backend").is_dir()
