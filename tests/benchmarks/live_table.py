"""What the live table costs: a run in trouble drawn each second, at the size of a large terminal, in colour.

    python -m tests.benchmarks.live_table

Bar: 1 % of a core. It is CPU time of this process, of frames that all differ, on a terminal that shows nothing.
"""

import io
import os
import time
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

from msgspec.structs import replace

from loadtest.config.settings import Settings
from loadtest.criteria.objectives import Standing, State
from loadtest.progress.glance import Glance, Times
from loadtest.progress.progress import Progress
from tests.benchmarks.bench import Row

OBJECTIVES = 12


class Screen(io.StringIO):
    """A terminal of 120 columns and 40 rows, whose text is thrown away."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def glance(second: int) -> Glance:
    """What a run with 1,000 users tells of one second."""
    times = Times(count=100 + second % 7, p50_s=0.5, p95_s=0.7 + second % 11 / 100, first_s=0.01, last_s=60)
    return Glance(
        elapsed_s=second, begun=True, fitness=("suspect", f"event loop lag: p99 {11 + second % 9} ms"),
        active=990 + second % 10, target=1000, open=1000, started=100 * second, ok=90 * second, failed=second,
        rates=(88.0, 90.0 + second % 3), setup=times, first_audio=replace(times, count=300),
        failures=tuple(("create", "rejected", f"http_{number}", second + number) for number in range(8)),
        objectives=tuple(
            Standing(state=list(State)[(number + second) % 3], count=100 * second, beyond=second)
            for number in range(OBJECTIVES)
        ),
        rules_broken=("EXP-1",),
    )  # fmt: skip


def share_of_a_core(frames: int) -> float:
    """CPU time of a frame in percent of the second that it stands for."""
    os.environ |= {"COLUMNS": "120", "LINES": "40", "TERM": "xterm-256color"}
    slos = [
        {"name": f"objective {number}", "indicator": "create.p95", "max": number + 1} for number in range(OBJECTIVES)
    ]
    settings = Settings.model_validate({"slo": slos, "load": {"users": 1000, "duration": "1h"}})
    with redirect_stderr(Screen()), Progress(settings, Path("run")) as progress:
        assert progress._live is not None
        for second in range(1, 20):
            progress.show(glance(second))
        began_s = time.process_time()
        for second in range(20, 20 + frames):
            progress.show(glance(second))
        used_s = time.process_time() - began_s
    return 100 * used_s / frames


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    runs = [share_of_a_core(50 if quick else 500) for _ in range(rounds)]
    yield Row("live table, drawn each second: CPU", runs, "% of a core", at_most=1.0)


if __name__ == "__main__":
    print(*(f"{row.what}: {row.median:.2f} {row.unit}" for row in rows(3, quick=False)), sep="\n")
