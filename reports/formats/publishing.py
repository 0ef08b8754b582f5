"""Pages into a directory: whatever it takes, what was judged is not lost."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from loadtest.system import disk
from loadtest.text.outlets import line


def publish(directory: Path, pages: Mapping[str, str], *, what: str = "the report", hint: str = "") -> Path | None:
    """Where they are: there; where it takes nothing, elsewhere, and it is said where; None where nothing takes them.
    `what` they are, and a `hint` at what to do, for people."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        disk.replace_all({directory / name: page.encode() for name, page in pages.items()})
    except OSError as error:
        why = line(f"avaload: {directory}: {error.strerror}")
        try:
            elsewhere = Path(tempfile.mkdtemp(prefix=f"avaload-{directory.resolve().name}-"))
            for name, page in pages.items():
                (elsewhere / name).write_text(page, encoding="utf-8")
        except OSError as again:
            print(f"{why}: {what} can't be written, there or elsewhere ({again.strerror}){hint}", file=sys.stderr)
            return None
        print(f"{why}: {what} is in {elsewhere}{hint}", file=sys.stderr)
        return elsewhere
    return directory
