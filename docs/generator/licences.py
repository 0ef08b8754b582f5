"""docs/licences.md: what the packages that a run installs are licensed under, by what they say of themselves."""

import re
from importlib import metadata
from pathlib import Path
from typing import Final

_LOCK: Final = Path(__file__).parents[2] / "requirements.lock"
_LOCKED: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^ ;\\]+)", re.MULTILINE)
_COPYLEFT: Final = re.compile(r"\b[AL]?GPL|\bMPL|Mozilla|General Public|\bEPL|\bEUPL|\bCDDL", re.IGNORECASE)
_HEAD: Final = """\
# Licences

What `requirements.lock` installs, by what each package says of itself. `make generated` writes this page.

"""


def page(_before: str) -> str:
    """The page anew, from the packages that are installed."""
    rows = [(name, version, licence_of(name)) for name, version in locked()]
    named = [f"- {name} {version}: {licence}" for name, version, licence in rows if is_copyleft(licence)]
    table = [f"| {name} | {version} | {licence} |" for name, version, licence in rows]
    words = "These ask for something in return. They are used as they come, as libraries of their own:"
    parts = [words, "", *named, "", "| package | version | licence |", "|---|---|---|", *table]
    return _HEAD + "\n".join(parts) + "\n"


def locked() -> list[tuple[str, str]]:
    """Name and version of every package of the lock."""
    return _LOCKED.findall(_LOCK.read_text(encoding="utf-8"))


def licence_of(name: str) -> str:
    """In a few words; a package for another system isn't here to be asked."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "not for this system"
    classified = [each.rpartition(" :: ")[2] for each in said.get_all("Classifier") or () if each.startswith("License")]
    given, expression = ((said.get_all(key) or [""])[0] for key in ("License", "License-Expression"))
    first = given.strip().partition("\n")[0]
    found = expression or ", ".join(each for each in classified if each != "OSI Approved") or first
    return found.replace("|", "/")[:80] or "not said"


def is_copyleft(licence: str) -> bool:
    """Whether changes to the package itself must be published, or more."""
    return _COPYLEFT.search(licence) is not None
