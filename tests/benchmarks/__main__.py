"""`make bench`: all benchmarks, one after the other, into one table of medians; 1 if a bar was missed or one of them
crashed.

    python -m tests.benchmarks [--quick] [--rounds N] [--only NAME …] [--out FILE]

About 25 minutes on a quiet machine of two cores: nothing else may run on it. `--quick` is one short round of each, to
see that they work; its figures mean little. The table goes to stdout, and to docs/benchmarks.md if everything was
measured in full, or to `--out`.
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tests.benchmarks import (
    cluster_curve,
    held_memory,
    hostile_lag,
    http_lifecycles,
    live_table,
    plain_locust,
    plugin,
    report_scale,
    rooms_webrtc,
    rooms_websocket,
    sink_costs,
    truth,
    whole_session,
)
from tests.benchmarks.bench import Row
from tests.benchmarks.table import table

BENCHMARKS = {
    module.__name__.rsplit(".", 1)[-1]: module
    for module in (
        http_lifecycles, plain_locust, sink_costs, truth, rooms_websocket, rooms_webrtc, whole_session, report_scale,
        hostile_lag, cluster_curve, plugin, live_table, held_memory,
    )
}  # fmt: skip
OUT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--rounds", type=int, help="of which the median is taken (default 3)")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--out", type=Path, help="where the table goes")
    asked = parser.parse_args(argv)
    rounds = asked.rounds or (1 if asked.quick else 3)
    found: list[Row] = []
    crashed: dict[str, str] = {}
    for name in asked.only or BENCHMARKS:
        print(f"== {name}, {datetime.now():%H:%M:%S}", flush=True)
        try:
            for row in BENCHMARKS[name].rows(rounds, quick=asked.quick):
                found.append(row)
        except KeyboardInterrupt:
            crashed[name] = "interrupted"
            break
        except (Exception, SystemExit) as error:  # the others' rows must not be lost
            traceback.print_exc()
            crashed[name] = f"{type(error).__name__}: {error}"
    text = table(found, crashed, rounds=rounds, quick=asked.quick)
    out = asked.out or (None if asked.quick or asked.only else OUT)
    if out is not None:
        out.write_text(text)
    print(text, flush=True)
    return int(bool(crashed) or any(row.missed for row in found))


if __name__ == "__main__":
    sys.exit(main())
