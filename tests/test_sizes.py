"""No module of the product is long, and no folder full, without a reason in DECISIONS.md; and no reason outlives it."""

import re
from collections import Counter
from pathlib import Path

from tests.support import ROOT

LINES, MODULES = 300, 14
NEARLY = 20, 3
"""So many lines a module may lose, and so many modules a folder, before its reason goes."""
PRODUCT = ("loadtest", "exporters", "reports", "dashboards", "docs")


def modules(root: Path) -> list[Path]:
    found = [path for folder in PRODUCT for path in (root / folder).rglob("*.py")]
    return [*found, *root.glob("*.py")]


def too_large(root: Path, lines: int = LINES, most: int = MODULES) -> set[str]:
    """Paths from the root: modules of too many lines, folders of too many modules."""
    long = {path for path in modules(root) if len(path.read_text().splitlines()) > lines}
    held = Counter(path.parent for path in modules(root) if path.name != "__init__.py")
    full = {folder for folder, count in held.items() if count > most}
    return {path.relative_to(root).as_posix() for path in long | full}


def explained() -> list[str]:
    """What the table of DECISIONS.md names."""
    text = (ROOT / "DECISIONS.md").read_text()
    table = text.split("| long | why it is one |\n", 1)[1].split("\n\n", 1)[0]
    return list(re.findall(r"^\| `([^`]+)` \| .{10,} \|$", table, re.M))


def test_what_is_long_or_full_has_its_reason_and_every_reason_something_that_is() -> None:
    rows = explained()
    assert too_large(ROOT) <= set(rows) <= too_large(ROOT, LINES - NEARLY[0], MODULES - NEARLY[1])
    assert len(rows) == len(set(rows))


def test_a_long_module_and_a_full_folder_are_seen(tmp_path: Path) -> None:
    folder = tmp_path / "loadtest" / "full"
    folder.mkdir(parents=True)
    for number in range(MODULES):
        (folder / f"m{number}.py").write_text("\n" * LINES)
    (folder / "__init__.py").write_text("")
    assert too_large(tmp_path) == set()
    (folder / "m0.py").write_text("\n" * (LINES + 1))
    (folder / "one_more.py").write_text("")
    assert too_large(tmp_path) == {"loadtest/full", "loadtest/full/m0.py"}
