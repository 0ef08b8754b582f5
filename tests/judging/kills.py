"""kill -9 of any process at any moment: are `report` and `sweep` still right about what is alive at the target?

`python -m tests.judging.kills [RUNS] [--budget]` (20 by default; seeded). Each run has six users on a twin of its own,
in every second run on two load processes. One process of it, drawn by lot, is killed at an instant drawn by lot. Once
all others have ended: what is alive at the twin is what the journals call leaked or doubtful; `report` says so, `sweep`
deletes what has an id, and after `user_absent_timeout` nothing is alive. With `--budget` each run has one that ends it
early: what was reserved never exceeds it, and covers what the twin's sessions would have cost.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from loadtest.budget.reserving import spent_usd
from tests.e2e.target import alive, leftovers, reaching
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, avaload, eventually, marked

RUN_S, ENDS_WITHIN_S, ABSENCE_S = 8.0, 120.0, 10.0
BUDGET_USD, PER_MINUTE = 2.8, 0.1
"""A session's worst is about 0.45 USD: six of them fit at once, and some are refused in the middle of a run."""
KNOBS = ("--set", "latency.create=fixed:0.3", "--set", "latency.delete=fixed:0.2", "--set", "answer_s=1")


def one(seed: int, folder: Path, *, budget: bool) -> dict[str, Any]:
    """One run and its kill; `wrong` holds what should not be."""
    chance = random.Random(seed)
    with running_twin(*KNOBS) as twin:
        words = ("--users", 6, "--ramp", "1s", "--duration", f"{RUN_S:g}s", "--processes", 1 + seed % 2)
        words += ("--metrics-port", "off", "--run-dir", folder / "run")
        environ = reaching(twin)
        if budget:
            (folder / "prices.toml").write_text(f"[avatar]\nper_minute = {PER_MINUTE}\n")
            words += ("--budget", BUDGET_USD, "--prices", folder / "prices.toml")
            environ |= {"AVALOAD_SESSION__MAX_DURATION": "60", "AVALOAD_REALTIME__MAX_OUTPUT_TOKENS": "1200"}
        with avaload("run", *words, cwd=folder, environ=environ) as run:
            instant_s = chance.uniform(0.2, RUN_S + 3)
            time.sleep(instant_s)
            name = kill_one(run, chance)
            eventually(lambda: not run.processes(), within_s=ENDS_WITHIN_S, what="the end of all its processes")
        reserved = spent_usd(folder / "run" / "sessions.reserved") if budget else None
        wrong = verdict(twin, folder)
        if reserved is not None:
            wrong += overspent(twin, reserved)
        found = {"seed": seed, "at_s": round(instant_s, 2), "killed": name, "wrong": wrong}
        return found if reserved is None else found | {"reserved_usd": reserved}


def overspent(twin: RunningTwin, reserved: float) -> list[str]:
    """What was reserved against the budget, and against the minutes that the twin's sessions lived."""
    wrong = [f"{reserved} USD reserved of {BUDGET_USD}"] if reserved > BUDGET_USD else []
    lived_s = sum(s["ended_at"] - s["created_at"] for s in twin.state()["sessions"] if s["ended_at"] is not None)
    if lived_s / 60 * PER_MINUTE > reserved:
        wrong.append(f"{lived_s:.1f} s of avatar cost more than the {reserved} USD that were reserved")
    return wrong


def kill_one(run: Avaload, chance: random.Random) -> str:
    """Kill a process of the run; what it was."""
    found = {pid: name for pid, name in marked(run.mark).items() if "resource_tracker" not in name}
    if not found:
        return "nothing: it had ended"
    pid = chance.choice(sorted(found))
    os.kill(pid, signal.SIGKILL)
    kinds = ("loadtest.engine", "locustfile", "exporters.traces.process", "loadtest.cli")
    return next((kind for kind in kinds if kind in found[pid]), found[pid][:60])


def verdict(twin: RunningTwin, folder: Path) -> list[str]:
    """What the journals and the commands say against what the twin knows."""
    run_dir, wrong = folder / "run", []
    if not (run_dir / "journal").is_dir() or not any((run_dir / "journal").iterdir()):
        return [f"{len(alive(twin))} alive without a journal"] if alive(twin) else []
    left = leftovers(run_dir)
    living = alive(twin)
    unexplained = [s for s in living if not set(s["trace_ids"]) & (left.leaked.keys() | left.doubtful.keys())]
    if unexplained:
        wrong.append(f"{len(unexplained)} of {len(living)} alive that the journals call gone")
    known = {s["session_id"] for s in twin.state()["sessions"]}
    wrong += [f"{s} is called leaked and was never created" for s in set(left.leaked.values()) - known]
    reported = command(twin, folder, "report", run_dir)
    if reported not in (0, 3, 4, 5, 130):
        wrong.append(f"report: exit {reported}")
    swept = command(twin, folder, "sweep", run_dir)
    if swept != 0:
        wrong.append(f"sweep: exit {swept}")
    with_ids = set(left.leaked.values()) & {s["session_id"] for s in alive(twin)}
    if with_ids:
        wrong.append(f"{len(with_ids)} alive after the sweep")
    time.sleep(ABSENCE_S + 2)
    if alive(twin):
        wrong.append(f"{len(alive(twin))} alive after user_absent_timeout")
    return wrong


def command(twin: RunningTwin, folder: Path, *words: object) -> int:
    """The exit code of a command of avaload."""
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.cli", *map(str, words)],
        cwd=folder,
        env={**os.environ, **reaching(twin)},
        capture_output=True,
        timeout=120,
    )
    return done.returncode


def main() -> int:
    """Print a line for each run; 1 if any was wrong."""
    failed, budget = 0, "--budget" in sys.argv
    numbers = [word for word in sys.argv[1:] if word != "--budget"]
    for seed in range(int(numbers[0]) if numbers else 20):
        with tempfile.TemporaryDirectory() as folder:
            found = one(seed, Path(folder), budget=budget)
        failed += bool(found["wrong"])
        print(found, flush=True)
    print(f"{failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
