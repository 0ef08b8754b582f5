"""Backends that are not in this repository, as a judge would make them: which rule names which of them.

    python -m tests.judging.broken_backends [--only REGEX] [--wrong] [--jobs 4] [--scale 5]

Each is an honest twin behind a proxy that breaks the contract on the wire; avaload meets it by a short load run or by
its active checks. Exit 1 if a breakage isn't named by its rule, a rule is blamed without reason, or a secret is in what
a run leaves. All of them take half an hour on two cores.
"""

import argparse
import asyncio
import re
import sys

import uvloop

from tests.judging.broken_backends import over_http, over_rooms
from tests.judging.broken_backends.breakage import Breakage
from tests.judging.broken_backends.judging_broken import Verdict, judge

BREAKAGES = (*over_http.BREAKAGES, *over_rooms.BREAKAGES)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.judging.broken_backends", description=__doc__)
    parser.add_argument("--only", default="", help="backends whose name or broken rule this regular expression finds")
    parser.add_argument("--wrong", action="store_true", help="say more of those that are wrong")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--scale", type=float, default=5, help="of the twin's clock, for the active checks")
    options = parser.parse_args()
    only = re.compile(options.only)
    wanted = [each for each in BREAKAGES if any(map(only.search, (each.name, *each.breaks)))]
    print("| backend | should break | broken | |\n|---|---|---|---|", flush=True)
    return int(uvloop.run(_judge(wanted, options)) > 0)


async def _judge(breakages: list[Breakage], options: argparse.Namespace) -> int:
    places = asyncio.Semaphore(options.jobs)

    async def one(breakage: Breakage) -> bool:
        async with places:
            verdict = await judge(breakage, scale=options.scale)
        _say(verdict, more=options.wrong)
        return bool(verdict.wrong)

    wrong = sum(await asyncio.gather(*map(one, breakages)))
    print(f"\n{len(breakages)} backends, {wrong} wrong")
    return wrong


def _say(verdict: Verdict, *, more: bool) -> None:
    breakage = verdict.breakage
    expected = ", ".join(breakage.breaks) or ("can't be seen" if breakage.invisible else "–")
    named = ", ".join(verdict.named) or "–"
    print(f"| {breakage.name} | {expected} | {named} | {verdict.wrong or '✓'} |", flush=True)
    if verdict.wrong and more:
        for rule, summary in verdict.named.items():
            print(f"    {rule}: {summary}")
        for rule in breakage.breaks:
            if rule in verdict.untried:
                print(f"    {rule} not tested: {verdict.untried[rule]}")
        if verdict.exit_code == 1:
            print(verdict.said[-3000:])


if __name__ == "__main__":
    sys.exit(main())
