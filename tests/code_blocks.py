"""The blocks of code in the documents.

```sh can be typed as it stands, page by page, but for a block whose first line begins with `# needs`: it says what
nobody has in a test. Both are parsed. ```toml is a scenario, ```python a program. A block without a language is only
shown, and what it tells to type is parsed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"\s#\s+exit (\d+)\b.*$")


@dataclass(frozen=True)
class Block:
    """Of one document. `page`: its path below the root."""

    page: str
    language: str
    text: str

    @property
    def is_run(self) -> bool:
        return self.language == "sh" and not self.text.startswith("# needs ")


def of_users() -> list[Path]:
    """The documents for users."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", ROOT / "RUNBOOK.md", ROOT / "TWIN.md", *pages]


def blocks(*languages: str) -> list[Block]:
    return [
        Block(str(page.relative_to(ROOT)), language, text)
        for page in of_users()
        for language, text in _FENCE.findall(page.read_text(encoding="utf-8"))
        if language in languages
    ]


def commands(text: str) -> Iterator[str]:
    """What a block tells to type to avaload, without comments and where its output goes."""
    for line in _lines(text):
        typed = re.sub(r"^\$ ", "", re.sub(r"\s+#.*", "", line))
        if typed.startswith("avaload "):
            yield re.split(r" 2?>| &$", typed)[0]


def exits(text: str) -> list[int]:
    """The exit code that a block promises of each command: `# exit N` behind it, else 0."""
    return [int(said[1]) if (said := _EXIT.search(line)) else 0 for line in _lines(text) if _ends(line)]


def in_a_shell(text: str, *, fd: int) -> str:
    """The script that types it, and writes the exit code of each of these commands to `fd`, a line each."""
    told = f"}} && said=0 || said=$?; echo $said >&{fd}"
    return "\n".join(f"{{ {line}\n{told}" if _ends(line) else line for line in _lines(text))


def _lines(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


def _ends(line: str) -> bool:
    """A command of avaload that is waited for."""
    return line.startswith("avaload ") and not line.endswith(" &")
