"""The twin's memory over very many sessions created and deleted. Not a test: a million take about a quarter of an hour.

python -m tests.benchmarks.twin_soak
python -m tests.benchmarks.twin_soak --sessions 200000
python -m tests.benchmarks.twin_soak --sessions 100000 --clock-scale 1    what unexpired secrets cost
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from typing import Any

import psutil
import uvloop

from tests.loadtest.twin.bench_twin import Session, connect

_MARKS = 10
_FLAT_MB = 10.0
"""Growth after the first tenth that still counts as flat: what the allocator needs to settle."""


async def live(twin: dict[str, Any], process: psutil.Process, *, sessions: int, workers: int) -> list[float]:
    """Run that many HTTP lifecycles; prints and returns the resident memory in MB at every tenth of them."""
    done, marks, start_s = 0, [], time.perf_counter()

    async def work() -> None:
        nonlocal done
        session = Session(twin, await connect(twin["openai_base_url"]), await connect(twin["avaturn_base_url"]))
        while done < sessions:
            done += 1
            if done % (sessions // _MARKS) == 0:
                marks.append(process.memory_info().rss / 1e6)
                secrets = counters(twin)["secrets_alive"]
                rate = done / (time.perf_counter() - start_s)
                print(f"{done:>9} sessions, {rate:.0f}/s: {marks[-1]:.1f} MB, {secrets} secrets alive", flush=True)
            await session.open()
            await session.close()

    await asyncio.gather(*(work() for _ in range(workers)))
    return marks


def counters(twin: dict[str, Any]) -> dict[str, Any]:
    """The twin's own count."""
    with urllib.request.urlopen(f"{twin['state_url']}?alive=1", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)["counters"]
    return found


def main() -> int:
    """Exit code 1 if memory grew although all secrets expire on the way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--clock-scale", type=float, default=100)
    parser.add_argument("--workers", type=int, default=20)
    args = parser.parse_args()
    command = [sys.executable, "-m", "loadtest.twin", f"--clock-scale={args.clock_scale}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            twin = json.loads(child.stdout.readline())
            process = psutil.Process(child.pid)
            marks = uvloop.run(live(twin, process, sessions=args.sessions, workers=args.workers))
            alive = counters(twin)["alive"]
        finally:
            child.terminate()
    growth = marks[-1] - marks[0]
    print(f"grew by {growth:.1f} MB since {args.sessions // _MARKS} sessions; {alive} sessions alive")
    return int(alive > 0 or (args.clock_scale >= 100 and growth > _FLAT_MB))


if __name__ == "__main__":
    sys.exit(main())
