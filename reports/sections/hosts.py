"""Which hosts took part, how far their clocks are apart, and whether every journal is here and whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtest import journal
from loadtest.criteria.slo import SECONDS
from loadtest.criteria.words import amount, more
from loadtest.events.kinds import ClockCompared, WorkerChanged, WorkerState
from loadtest.text.outlets import code
from loadtest.text.outlets import markdown as as_markdown
from reports.data.away import told
from reports.data.clocks import Anchors

if TYPE_CHECKING:
    from reports.data.frames import Run

_LISTED: Final = 20
_OF_A_PROCESS: Final = ("load", "engine")
"""Roles of the journals that every load process has."""
_STATES: Final = {
    WorkerState.HOME: "all here",
    WorkerState.JOINED: "not all here; what it wrote is in {directory}",
    WorkerState.LOST: "not all here: {detail}; what it wrote is in {directory}",
    WorkerState.WITHDRAWN: "none: it left before the beginning",
    WorkerState.REFUSED: "none: it was refused ({detail})",
}


def section(run_dir: Path) -> dict[str, Any]:
    """`hosts` of report.json, without `start_spread_s`. Empty workers where the run was of one host.

    workers: host, numbers (its load processes), state (a WorkerState), directory (over there), detail.
    clocks: host, offset_s (added to its monotonic stamps: the master's), error_s (at most), wall_skew_s (its wall clock
    minus the master's; null where the host wrote nothing that is here).
    """
    workers: dict[str, WorkerChanged] = {}
    anchors, first_lines = Anchors(), []
    for path in journal.journals(run_dir):
        if (started := journal.beginning(path)) is None:
            continue
        first_lines.append(started)
        said = list(told(path)) if started.role == "master" else []
        anchors.add(started, [event for event in said if isinstance(event, ClockCompared)])
        for event in said:
            if isinstance(event, WorkerChanged):
                workers[event.worker] = event
    master = next(((s.host, s.boot_id) for s in first_lines if s.role == "master"), None)
    bases = dict.fromkeys((started.host, started.boot_id) for started in first_lines)
    clocks = []
    for base in bases:
        if master is None or (measured := anchors.measured(base)) is None:
            continue
        offset_ns, rtt_ns = measured
        skew_ns = anchors.wall_offset_ns(base) - anchors.wall_offset_ns(master) - offset_ns
        clocks.append(
            {
                "host": base[0],
                "offset_s": offset_ns / 1e9,
                "error_s": rtt_ns / 2e9,
                "wall_skew_s": round(skew_ns / 1e9, 6),
            }
        )
    rows = [
        {
            "host": worker.host,
            "numbers": list(worker.numbers),
            "state": worker.state.value,
            "directory": worker.directory,
            "detail": worker.detail,
        }
        for worker in workers.values()
    ]
    return {"workers": rows, "clocks": clocks}


def start_spread_s(run: "Run") -> float | None:
    """How far apart the load processes of a run began, all stamps on one clock; None where there was but one, or no
    plan."""
    begins_ns = run.stages.groupby("file")["t_ns"].min()
    return round(int(begins_ns.max() - begins_ns.min()) / 1e9, 6) if len(begins_ns) > 1 else None


def files(run: "Run", hosts: dict[str, Any], *, processes: int | None) -> dict[str, Any]:
    """`files` of report.json: how many journals are `whole`, which are `truncated` (without their writer's last word)
    and what is `missing`, or of another run, in words. `processes`: of the run, where that is known."""
    truncated = run.truncated
    missing = []
    for number in range(processes or 0):
        own = run.files[run.files["process"] == number]
        lacking = [role for role in _OF_A_PROCESS if role not in set(own["role"])]
        if lacking:
            missing.append(
                f"load process {number}: no journal of its {' and its '.join(lacking)}{_where(hosts, number)}"
            )
    return {
        "whole": len(run.files) - len(truncated),
        "truncated": list(map(str, truncated["name"])),
        "missing": [*missing, *_strays(run, hosts)],
    }


def _strays(run: "Run", hosts: dict[str, Any]) -> Iterator[str]:
    """Load processes that are there more than once: runs that a pipeline called alike, unpacked into one directory. A
    worker that left before the beginning gave its numbers back."""
    left = {(each["host"], n) for each in hosts["workers"] if each["state"] == WorkerState.WITHDRAWN
            for n in each["numbers"]}  # fmt: skip
    for number, own in run.files[run.files["role"].isin(_OF_A_PROCESS)].groupby("process"):
        machines = [each for each in dict.fromkeys(zip(own["host"], own["boot_id"], strict=True))
                    if (each[0], number) not in left]  # fmt: skip
        if len(machines) > 1:
            times, runs = ("twice", "two") if len(machines) == 2 else (f"{len(machines)} times", len(machines))
            names = " and on ".join(host for host, _ in machines)
            yield f"load process {number} is there {times}: on {names}; these are journals of {runs} runs"


def rows(hosts: dict[str, Any]) -> list[dict[str, Any]]:
    """For a page: host, numbers, state in words, whether that is bad, how exactly its clock was compared, and how far
    its wall clock is ahead of the master's."""
    clocks = {clock["host"]: clock for clock in hosts["clocks"]}
    found = []
    for worker in hosts["workers"]:
        clock = clocks.get(worker["host"])
        skew_s = None if clock is None else clock["wall_skew_s"]
        found.append(
            {
                "host": worker["host"],
                "numbers": ", ".join(map(str, worker["numbers"])) or "none",
                "state": _STATES[worker["state"]].format(**worker | {"detail": worker["detail"] or "it fell silent"}),
                "bad": worker["state"] in (WorkerState.LOST, WorkerState.JOINED),
                "error": "not compared" if clock is None else f"± {amount(clock['error_s'], SECONDS)}",
                "skew": "–" if skew_s is None else amount(skew_s, SECONDS),
            }
        )
    return found


def markdown(hosts: dict[str, Any]) -> list[str]:
    """A line for each worker's command, nothing for a run of one host."""
    lines = [""] if hosts["workers"] else []
    found = rows(hosts)
    for row in found[:_LISTED]:
        line = f"- worker on {code(row['host'])}, load processes {row['numbers']}: {as_markdown(row['state'])}"
        if row["skew"] != "–":
            line += f"; its wall clock is ahead of the master's by {row['skew']} ({row['error']})"
        lines.append(line)
    return [*lines, *(f"- {words}" for words in more(found, _LISTED))]


def _where(hosts: dict[str, Any], number: int) -> str:
    for worker in hosts["workers"]:
        if number in worker["numbers"] and worker["state"] != WorkerState.WITHDRAWN:
            return f"; what it wrote is in {worker['directory']} on {worker['host']}"
    return ""
