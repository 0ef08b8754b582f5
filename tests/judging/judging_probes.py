"""Which active check names which mutant of the twin, and that none blames the honest one.

    python -m tests.judging.judging_probes [--only SUBSTRING] [--whole] [--honest SEEDS] [--scale 10] [--jobs 4]

For each mutant the probes of its own rule (--whole: of all rules) against a twin of its own, whose timers run --scale
times faster; the table says which rules were broken. With --honest only honest twins, all rules, both profiles
(`realistic` in real time: its latencies are in real time too). Exit 1 if a mutant is not named by its rule, or an
honest twin breaks one. `tests.judging.judging` does the same with what load sessions show by themselves.
"""

import argparse
import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import uvloop

from loadtest.caller.pacing import Ticker
from loadtest.config.settings import Settings
from loadtest.probes.bench.bench import Ground
from loadtest.probes.bench.wire import Wire
from loadtest.probes.catalogue import PURPOSE, chosen
from loadtest.probes.running import run_probe
from loadtest.rooms.opening import open_room
from loadtest.rules.rulebook import Rulebook
from loadtest.services.control import Control
from loadtest.session.lifecycle import Surroundings
from loadtest.session.ticket import Ticket
from loadtest.system.clock import now_ns
from loadtest.twin.mutants import MUTANTS
from tests.judging.judging import rule_of, twin

LIMIT_S = 900
_LAGS_KEPT = 500
"""Of the ticks of the rooms: one or two seconds."""


@dataclass(frozen=True)
class Setting:
    """What a mutant needs to be seen: knobs of the twin, its clock, a word in what is told of its rule."""

    knobs: tuple[str, ...] = ()
    scale: float | None = None
    told: str | None = None


BETA = ("fault.realtime_open=beta_api_shape_disabled:1",)
SPECIAL: dict[str, Setting] = {
    "EXP-6-single-use": Setting(told="refused"),
    "TD-10-upstream-left-open": Setting(knobs=("limit.tpm=6000",)),
    "DUR-1-zombie": Setting(scale=600),
    "TR-4-failure-swallowed": Setting(knobs=("fault.transcription=failed:1",)),
    "GA-1-starts-anyway": Setting(knobs=BETA),
    "GA-1-internal-error": Setting(knobs=BETA),
    "LIM-1-500": Setting(knobs=("limit.sessions=3",)),
    "LIM-1-kills-running": Setting(knobs=("limit.sessions=3",)),
}


@dataclass(frozen=True)
class Job:
    """One round of probes. `name`: of a mutant, or an honest twin's."""

    name: str
    rules: tuple[str, ...]
    knobs: tuple[str, ...]
    scale: float
    profile: str = "instant"
    seed: int = 1
    told: str | None = None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.judging.judging_probes", description=__doc__)
    parser.add_argument("--only", default="", help="mutants with this in their names")
    parser.add_argument("--whole", action="store_true", help="all rules against each mutant, not only its own")
    parser.add_argument("--honest", type=int, default=0, metavar="SEEDS", help="honest twins instead of mutants")
    parser.add_argument("--scale", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=4)
    options = parser.parse_args()
    print("| twin | rules broken |\n|---|---|", flush=True)
    jobs = list(_honest(options)) or [
        mutant_job(name, scale=options.scale, whole=options.whole) for name in MUTANTS if options.only in name
    ]
    bad = 0

    def say(job: Job, rows: list[dict[str, Any]]) -> None:
        nonlocal bad
        bad += _say(job, rows)

    uvloop.run(rounds(jobs, at_once=options.jobs, say=say))
    return int(bad > 0)


async def rounds(jobs: list[Job], *, at_once: int, say: Callable[[Job, list[dict[str, Any]]], None]) -> None:
    """All jobs; `say(job, rows of report.json)` as each ends."""
    places = asyncio.Semaphore(at_once)

    async def one(job: Job) -> None:
        async with places:
            say(job, await probed(job))

    await asyncio.gather(*map(one, jobs))


def _honest(options: argparse.Namespace) -> Iterator[Job]:
    for seed in range(1, options.honest + 1):
        yield Job(f"honest instant, seed {seed}", (), (), options.scale, "instant", seed)
        yield Job(f"honest realistic, seed {seed}", (), (), 1.0, "realistic", seed)


def mutant_job(name: str, *, scale: float, whole: bool) -> Job:
    """The probes of the mutant's own rule, or of all (`whole`), against it."""
    special = SPECIAL.get(name, Setting())
    rules = () if whole else (rule_of(name),)
    return Job(name, rules, (*special.knobs, f"mutant={name}"), special.scale or scale, told=special.told)


def broken_of(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By rule, those that were broken."""
    return {row["id"]: row for row in rows if row["violations"]}


def is_named(job: Job, rows: list[dict[str, Any]]) -> bool:
    """Whether the mutant's own rule says so: is broken or, of one that nothing breaks, tells of it."""
    own = next(row for row in rows if row["id"] == rule_of(job.name))
    return bool(own["violations"]) if job.told is None else job.told in own["summary"]


def _say(job: Job, rows: list[dict[str, Any]]) -> bool:
    """Print the job's row; whether it is wrong."""
    broken = broken_of(rows).values()
    wrong = bool(broken) if job.name.startswith("honest") else not is_named(job, rows)
    words = [f"{'✗' if row['outcome'] == 'fail' else '⚠'} {row['id']}" for row in broken]
    words += [f"“{row['summary']}”" for row in rows if job.told and row["id"] == rule_of(job.name)]
    print(f"| {job.name} | {', '.join(words) or '–'} |{' <-- wrong' if wrong else ''}", flush=True)
    if wrong:
        rules = job.rules or [row["id"] for row in broken]
        for row in rows:
            if row["id"] in rules:
                print(f"    {row['id']} {row['outcome']}: {row['summary']}", flush=True)
    return wrong


async def probed(job: Job) -> list[dict[str, Any]]:
    """`rules` of report.json of the probes against such a twin; run as an engine runs them, without the processes
    around it."""
    book = Rulebook({})
    with ExitStack() as stack:
        # In a thread: the other jobs are measuring while this one waits for its twin.
        serving = twin(job.knobs, job.profile, job.seed, "--clock-scale", str(job.scale))
        told = await asyncio.to_thread(stack.enter_context, serving)
        settings = Settings.model_validate(
            {
                "name": "probe",
                "target": {name: told[name] for name in ("openai_base_url", "avaturn_base_url")},
                "probes": {"once": True, "share": 1},
            }
        )
        keys = {"OPENAI_API_KEY": told["openai_api_key"], "AVATURN_API_KEY": told["avaturn_api_key"]}
        lags_ns: deque[int] = deque([0], maxlen=_LAGS_KEPT)
        ticker = Ticker(asyncio.get_running_loop(), on_late_ns=lags_ns.append)
        async with Control(settings, keys, connections=400) as control:
            around = Surroundings(
                settings=settings,
                scenarios=settings.scenarios,
                control=control,
                open_room=lambda grant, listener, between, situation=None: open_room(
                    grant, listener, between, ticker, settings, control.trust_for(grant.room_url), situation
                ),
                microphones={},
                emit=book.add,
                lag_ns=lambda: max(lags_ns),
                salt=b"salt",
            )
            ground = Ground(around=around, wire=Wire(control, settings.target), reserve=lambda: True)
            tickets = [
                Ticket(number=number, user=number, iteration=0, due_ns=now_ns(), purpose=PURPOSE + probe.lead)
                for number, probe in enumerate(chosen(job.rules))
            ]
            async with asyncio.timeout(LIMIT_S):
                await asyncio.gather(*(run_probe(ground, ticket) for ticket in tickets))
    return book.rows()


if __name__ == "__main__":
    sys.exit(main())
