"""The table of `make bench` as Markdown: what was measured, on which machine, and whether the bar was met."""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from tests.benchmarks.bench import Row

PACKAGES = ("locust", "gevent", "openai", "httpx", "aiohttp", "uvloop", "picows", "aiortc")
NOTES = """\
Core 0 carries the whole harness, core 1 the target and whatever only watches. Rates come from the journals' steady part
or from the target, CPU times from /proc. A bar that is missed is marked ✗. The last column is others' CPU time or rate
for the same work, beside a C server on a machine of the same sort. Compare ratios, not absolutes.
"""


def table(rows: Sequence[Row], crashed: Mapping[str, str], *, rounds: int, quick: bool) -> str:
    """The whole file. `crashed`: benchmarks that did not come to their end, and why."""
    lines = [
        "# Benchmarks",
        "",
        f"`make bench`, {datetime.now(UTC):%Y-%m-%d}:",
        "",
        *(f"- {fact}" for fact in _machine()),
        "",
    ]
    if quick:
        lines += ["**Short runs, to see that they work: these figures mean little.**", ""]
    lines += [NOTES, f"| what | median of {rounds} | lowest to highest | unit | bar | met | others |"]
    lines += ["|---|---|---|---|---|---|---|", *map(_line, rows)]
    lines += [f"\n**{name} crashed, the rest of its rows is missing:** {why}" for name, why in crashed.items()]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    if row.median is None:
        return f"| {row.what} | – | – | | | | |"
    spread = f"{_number(min(row.runs))} to {_number(max(row.runs))}" if len(row.runs) > 1 else ""
    bar = " ".join(
        f"{sign} {_number(limit)}" for sign, limit in (("≥", row.at_least), ("≤", row.at_most)) if limit is not None
    )
    met = ("✗" if row.missed else "✓") if bar else ""
    cells = (row.what, _number(row.median), spread, row.unit, bar, met, row.others)
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    """Three digits, or all of a larger one."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _machine() -> Iterator[str]:
    cores = len(os.sched_getaffinity(0))
    yield f"{_cpu_model()}, {cores} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"
    yield f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"no {package}"
    if described := _described():
        yield f"avaload at {described}"


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{model}{', virtual' if any('hypervisor' in line for line in lines) else ''}"


def _described() -> str | None:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True,
            timeout=10, check=False,
        )  # fmt: skip
    except OSError:
        return None
    return done.stdout.strip() or None
