"""`python -m docs.generator.website DIR`: the documents as a site (`make docs`). A link that leads nowhere ends it.

README.md is its front page, docs/README.md the order of the others: each heading there is a section. Pages keep their
paths, so a link works here as it does in the repository. What is no page of the site is named, not linked.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
WITHIN_S: Final = 300
_LINK: Final = re.compile(r"(?<!!)\[([^\]]*)\]\((?!\w+:)([^)\s#]+)(#[^)\s]*)?\)")
PALETTES: Final = (  # as the reader's system says, until he says otherwise
    *("[[project.theme.palette]]", 'media = "(prefers-color-scheme)"'),
    'toggle = { icon = "lucide/sun-moon", name = "always light" }',
    *("[[project.theme.palette]]", 'media = "(prefers-color-scheme: light)"', 'scheme = "default"'),
    'toggle = { icon = "lucide/sun", name = "always dark" }',
    *("[[project.theme.palette]]", 'media = "(prefers-color-scheme: dark)"', 'scheme = "slate"'),
    'toggle = { icon = "lucide/moon", name = "as the system" }',
)
_SHOWN: Final = (".md", ".svg", ".png")


def pages() -> list[Path]:
    """All documents, below the root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(page.relative_to(ROOT) for page in found)


def contents() -> dict[str, dict[str, Path]]:
    """Section → title → page, as docs/README.md has them; its fragments and repetitions are left out."""
    sections: dict[str, dict[str, Path]] = {}
    seen: set[Path] = set()
    here: dict[str, Path] = {}
    for line in (ROOT / "docs/README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            here = sections[line[3:]] = {}
        for title, target, _ in _LINK.findall(line):
            page = (ROOT / "docs" / target).resolve().relative_to(ROOT)
            if page not in seen:
                here[title if "." in title else title[0].upper() + title[1:]] = page
                seen.add(page)
    return sections


def configuration() -> str:
    """Of the site's builder, as TOML. Nothing is loaded from elsewhere: neither fonts nor scripts."""
    sections = [
        f'  {{ "{section}" = [{", ".join(f"""{{ "{title}" = "{page}" }}""" for title, page in found.items())}] }},'
        for section, found in contents().items()
    ]
    return "\n".join(
        [
            "[project]",
            'site_name = "avaload"',
            'site_description = "Load tests for real-time avatar sessions"',
            'docs_dir = "pages"',
            'site_dir = "site"',
            "use_directory_urls = false",
            'extra_css = ["docs/site.css"]',
            "nav = [",
            '  { "avaload" = "README.md" },',
            *sections,
            "]",
            "[project.theme]",
            "font = false",
            'features = ["content.code.copy", "navigation.sections", "navigation.footer", "navigation.top"]',
            *PALETTES,
        ]
    )


def for_the_site(page: Path, text: str) -> str:
    """The page's text, where each link leads to a page or a picture: a folder or another file is only named."""

    def linked(link: re.Match[str]) -> str:
        there = (ROOT / page.parent / link[2]).resolve()
        if there.suffix in _SHOWN:
            return link[0]
        return f"`{there.relative_to(ROOT)}`"

    return _LINK.sub(linked, text)


def stage(directory: Path) -> None:
    """What the builder reads."""
    (directory / "zensical.toml").write_text(configuration(), encoding="utf-8")
    for page in pages():
        there = directory / "pages" / page
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(for_the_site(page, (ROOT / page).read_text(encoding="utf-8")), encoding="utf-8")
    for file in [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".svg", ".png", ".css")]:
        there = directory / "pages" / file.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, there)


def build(out: Path) -> None:
    """Write the site into `out`, which is made anew. Raises CalledProcessError: a link leads nowhere."""
    with tempfile.TemporaryDirectory(prefix="avaload-docs-") as name:
        directory = Path(name)
        stage(directory)
        builder = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", "zensical.toml"]
        subprocess.run(builder, cwd=directory, check=True, timeout=WITHIN_S)
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(directory / "site", out)


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
