"""`python -m docs.generator`: writes the generated pages; with `--check` it tells how they differ, and exits with 1."""

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from docs.generator import commands, environment, journal, licences, report, rules, scenario, tables

ROOT: Final = Path(__file__).parents[2]
PAGES: Final[dict[str, Callable[[str], str]]] = {
    "docs/contract.md": rules.written,
    "docs/licences.md": licences.page,
    "docs/reference/commands.md": commands.page,
    "docs/reference/environment.md": environment.page,
    "docs/reference/journal.md": journal.page,
    "docs/reference/report.md": report.page,
    "docs/reference/scenario.md": scenario.page,
    "docs/reference/tables.md": tables.page,
}
"""By path below the root: what makes the page of the page that is there."""


def made(path: str) -> str:
    """The page anew."""
    there = ROOT / path
    return PAGES[path](there.read_text(encoding="utf-8") if there.exists() else "")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m docs.generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    check = parser.parse_args().check
    differs = False
    for path in PAGES:
        there, page = ROOT / path, made(path)
        if not check:
            there.parent.mkdir(exist_ok=True)
            there.write_text(page, encoding="utf-8")
            continue
        before = there.read_text(encoding="utf-8") if there.exists() else ""
        lines = list(difflib.unified_diff(before.splitlines(), page.splitlines(), path, "make generated", lineterm=""))
        differs |= bool(lines)
        sys.stdout.writelines(f"{line}\n" for line in lines)
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
