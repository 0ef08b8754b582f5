"""Lossy lines in WebRTC rooms: is anybody blamed for what the line did, and how far off are the figures then?

Each run has two users, spoken turns, a barge-in, and the least patient turn detection there is (200 ms). Asked: no rule
is called broken. The errors are the reported figures minus what the twin says. `python -m tests.benchmarks.lossy_lines
[SEEDS]`; twenty seeds of two losses take ten minutes.
"""

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from loadtest.commands.work.calibration import summary, turn_errors
from tests.e2e.target import events
from tests.e2e.test_lossy_line import SCENARIO, Loss, run
from tests.judging.broken_backends.proxy import Passing

SHARES = (0.05, 0.15)
AT_ONCE = 3
BARGE_IN = """
[[conversation.turns]]
kind = "barge_in"
after_s = 0.4
"""


def tried(loss: Loss) -> dict[str, Any]:
    """One run: the rules that it calls broken, and its errors."""
    with tempfile.TemporaryDirectory(prefix="lossy-") as folder:
        done, report, truth = run(Path(folder), "webrtc", Passing, loss, scenario=SCENARIO + BARGE_IN)
        errors, unmatched = turn_errors(events(Path(folder) / "run"), truth)
    blamed = {row["id"]: row["summary"] for row in report["rules"] if row["violations"]}
    found = {
        "loss": loss.share,
        "seed": loss.seed,
        "exit": done.code,
        "blamed": blamed,
        "turns": report["turns"]["count"],
    }
    print(json.dumps(found | {"errors": summary(errors), "not_comparable": unmatched}), flush=True)
    return found | {"ns": errors}


def main() -> int:
    """1 if anybody was blamed."""
    seeds = range(1, 1 + (int(sys.argv[1]) if len(sys.argv) > 1 else 20))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = list(pool.map(tried, [Loss(share, False, True, seed) for share in SHARES for seed in seeds]))
    for share in SHARES:
        of_share = [each for each in runs if each["loss"] == share]
        together = {name: [ns for each in of_share for ns in each["ns"][name]] for name in of_share[0]["ns"]}
        blamed = [each["blamed"] for each in of_share if each["blamed"]]
        print(json.dumps({"loss": share, "runs": len(of_share), "blamed": blamed, "errors": summary(together)}))
    return int(any(each["blamed"] for each in runs))


if __name__ == "__main__":
    sys.exit(main())
