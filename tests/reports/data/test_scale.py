"""A journal of 200,000 steps becomes a report without taking the machine's memory with it."""

import json
import subprocess
import sys
from pathlib import Path

from loadtest.journal import encode
from tests.reports import journals as j

SESSIONS = 29_000
STEPS_PER_SESSION = 7
BEGINS = 500
LIMIT_MIB = 430
"""About 2.5 times what it takes today, so that a second copy of everything is noticed."""

BUILD = """
import json, re, sys
from pathlib import Path
from reports.build import build
report = build(Path(sys.argv[1]))
print(json.dumps([report["sessions"]["completed"], report["turns"]["count"],
                  int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024]))
"""
"""VmHWM and not ru_maxrss: that one begins with the size of the process that started this one."""


def test_two_hundred_thousand_steps_fit_into_memory(run_dir: Path) -> None:
    path = j.write_file(run_dir, [], finish=None)
    templates = [b"".join(map(encode, j.good_session(0, begin_s))) for begin_s in range(BEGINS)]
    with path.open("ab") as file:
        for number in range(1, SESSIONS + 1):
            file.write(templates[number % BEGINS].replace(j.sid(0).encode(), j.sid(number).encode()))

    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(run_dir)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip

    completed, turns, peak_mib = json.loads(done.stdout)
    assert completed * STEPS_PER_SESSION > 200_000
    assert turns == 2 * completed
    assert peak_mib < LIMIT_MIB, f"{peak_mib:.0f} MiB"
