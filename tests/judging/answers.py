"""Which code names which fault of an answer, and that the honest twin's answers are never blamed.

    python -m tests.judging.answers [--honest SEEDS] [--first-seed 1] [--jobs 2]

For each fault a short load run against a twin that has it in every second answer. Takes about half a minute each,
divided by the jobs. Exit 1 if a fault is not named, or an answer of the honest twin is. A machine that is too busy
hears holes in the line, and then says nothing of an answer: run it alone.
"""

import argparse
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from loadtest.errors.kinds import Code
from tests.judging.judging import Setting, judged

TURNS = ("say", "say", "say")
FAULTS: dict[str, tuple[Code | None, tuple[str, ...]]] = {
    "cut": (Code.ANSWER_CUT, ("fault.answer=cut:0.5",)),
    "incomplete": (None, ("fault.response=max_output_tokens:0.5",)),
    "twice": (Code.ANSWERED_TWICE, ("fault.answer=twice:0.5",)),
    "silent": (Code.VOICE_SILENT, ("fault.answer=silent:0.5",)),
    "clipped": (Code.VOICE_CLIPPED, ("fault.answer=clipped:0.5",)),
    "hears itself": (Code.SELF_INTERRUPTED, ("fault.answer=hears_itself:0.5",)),
}
"""Fault → the code that its turns fail with (None: they are counted as cut) and the knob for it."""
BLAMES = {code for code, _ in FAULTS.values() if code is not None} | {Code.ANSWERED_EARLY, Code.SPOKE_UNASKED}
HONEST: dict[str, Setting] = {
    "": Setting(turns=TURNS),
    " interrupted": Setting(),
    " two items": Setting(turns=TURNS, knobs=("output_items=2",)),
    " fast generation": Setting(turns=TURNS, knobs=("generation_speed=10",)),
    " short answers": Setting(turns=TURNS, knobs=("answer_s=0.4",)),
    " webrtc": Setting(turns=TURNS, knobs=("room=webrtc",)),
}
Job = tuple[str, Setting, str, int, Code | None, bool]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.judging.answers", description=__doc__)
    parser.add_argument("--honest", type=int, default=0, metavar="SEEDS", help="runs of each honest twin, instead")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    jobs: list[Job] = [
        (name, Setting(turns=TURNS, knobs=knobs), "instant", 1, code, False) for name, (code, knobs) in FAULTS.items()
    ]
    if options.honest:
        seeds = range(options.first_seed, options.first_seed + options.honest)
        jobs = [
            (f"honest {profile}{name}, seed {seed}", setting, profile, seed, None, True)
            for seed in seeds
            for profile in ("instant", "realistic")
            for name, setting in HONEST.items()
        ]
    bad = sum(_told(*each) for each in _rounds(jobs, at_once=options.jobs))
    return int(bad > 0)


def _rounds(jobs: Iterable[Job], *, at_once: int) -> Iterable[tuple[Job, dict[str, Any]]]:
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda job: (job, judged(job[1], (), job[2], job[3])), jobs)


def _told(job: Job, report: dict[str, Any]) -> bool:
    """One line of the table; whether it is wrong."""
    name, *_, code, is_honest = job
    named = {row["code"] for row in report["failures"]} & BLAMES
    taking = report["turns"]["taking"]
    if is_honest:
        wrong = bool(named or taking["unasked"]["count"] or taking["cut"]["count"])
    else:
        wrong = code not in named if code is not None else not taking["cut"]["count"]
    heard = taking["cut"]["of"]
    print(
        f"| {name} | {', '.join(sorted(named)) or '–'} | {heard} answers heard |{' <-- wrong' if wrong else ''}",
        flush=True,
    )
    return wrong


if __name__ == "__main__":
    sys.exit(main())
