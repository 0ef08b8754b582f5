"""A million sessions become a report: wall time, CPU time and memory. Bars: 90 s and 2 GiB on two quiet cores.

    python -m tests.benchmarks.report_scale [--sessions 1000000] [--files 2] [--keep DIR]

`make bench` does a tenth of it, with a tenth of the bars' time and all of their memory.

A wave of sessions of the default scenario (36 events each, a seeded spread of latencies, one in two hundred in trouble)
is made once and written again and again, shifted in time, as an engine writes it: many sessions interleaved, in the
order of their stamps. Since every wave has the same latencies, the report of all of them must show the figures of one.
"""

import argparse
import json
import math
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from msgspec.structs import replace

from loadtest.config.settings import Settings
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import EndedBy, Event, Gone, Mark, Observed, Outcome, Remains, Step, StepFinished
from loadtest.journal import encode
from tests.benchmarks import bench
from tests.benchmarks.bench import Row
from tests.reports import journals as j

WAVE = 1000
WAVE_S = 10.0
"""A wave starts so much after the one before: about 1,200 sessions run at once in each file."""
BAR_S = 90.0
BAR_MIB = 2048.0

BUILD = """
import json, resource, sys, time
from pathlib import Path
from reports.build import build
began = time.perf_counter()
report = build(Path(sys.argv[1]))
own, beside = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({"wall_s": time.perf_counter() - began, "cpu_s": own.ru_utime + own.ru_stime,
                  "cpu_beside_s": beside.ru_utime + beside.ru_stime}))
"""


def session(number: int, begin_s: float, chance: random.Random) -> list[Event]:
    """One of the default scenario: two turns, 36 events."""

    def around(middle_s: float, sigma: float = 0.5) -> float:
        return middle_s * math.exp(chance.gauss(0, sigma))

    waits_s = (around(0.8), around(0.8))
    whole = j.good_session(
        number, begin_s, mint_s=around(0.12), create_s=around(0.25), connect_s=around(0.6), first_audio_s=waits_s,
        delete_s=around(0.08), gone_s=around(0.1),
    )  # fmt: skip
    events: list[Event] = []
    for event in whole:
        if isinstance(event, StepFinished) and event.step is Step.CONNECT:
            times_s = [chance.random() for _ in range(5)]
            names = (Mark.SDK_SESSION, Mark.SIGNALLED, Mark.JOINED, Mark.AVATAR_PRESENT, Mark.FIRST_FRAME)
            events += _marks(number, event, dict(zip(names, sorted(times_s), strict=True)))
        if isinstance(event, StepFinished) and event.step is Step.TURN:
            names = (Mark.SPEECH_START, Mark.SPEECH_END, Mark.USER_TRANSCRIPT, Mark.AVATAR_STARTED, Mark.FIRST_AUDIO,
                     Mark.AVATAR_TRANSCRIPT, Mark.AVATAR_ENDED, Mark.LAST_AUDIO)  # fmt: skip
            shares = (0.01, 0.4, 0.45, 0.55, 0.56, 0.7, 0.9, 0.91)
            events += _marks(number, event, dict(zip(names, shares, strict=True)), turn=event.turn)
        if isinstance(event, StepFinished):
            event = replace(event, server_ns=1_000_000 + chance.randrange(10**6), lag_ns=chance.randrange(10**6))
        events.append(event)
    return events


def troubled(number: int, begin_s: float, chance: random.Random) -> list[Event]:
    """Created, connected, never answered; its delete fails."""
    events = session(number, begin_s, chance)[:14]
    silent = j.failure(Step.TURN, Kind.NO_RESPONSE, Code.NO_ANSWER, f"no answer within {chance.randrange(5, 15)} s")
    return [
        *events,
        j.step(number, Step.TURN, begin_s + 2, begin_s + 12, turn=0, outcome=Outcome.FAILED, failure=silent),
        j.failed_step(number, Step.DELETE, begin_s + 12, begin_s + 12.1, Kind.REJECTED, Code.HTTP_5XX),
        j.remains(number, begin_s + 12.1, Remains.LEAKED, "delete_failed"),
        j.finished(
            number, begin_s, begin_s + 12.2, outcome=Outcome.FAILED, failure=silent, remains=Remains.LEAKED,
            ended_by=EndedBy.UNEXPECTED, gone=Gone.UNCONFIRMED,
        ),
    ]  # fmt: skip


def _marks(number: int, step: StepFinished, shares: dict[Mark, float], turn: int | None = None) -> list[Event]:
    length_ns = step.t_ns - step.started_ns
    return [
        Observed(t_ns=step.started_ns + int(length_ns * share), session=j.sid(number), mark=mark, turn=turn, lag_ns=0)
        for mark, share in shares.items()
    ]


def wave(seed: int) -> list[Event]:
    """Sessions 0 … WAVE-1 in the order of their stamps, and the engine's health."""
    chance = random.Random(seed)
    events: list[Event] = [j.health(second, lag_p99_s=0.0005) for second in range(int(WAVE_S))]
    for number in range(WAVE):
        make = troubled if number % 200 == 199 else session
        events += make(number, WAVE_S * number / WAVE, chance)
    return sorted(events, key=lambda event: event.t_ns)


_STAMP = re.compile(rb'"(t_ns|started_ns|due_ns|deleted_ns|wall_ns|expires_at_s)":(\d+)')
_SESSION = re.compile(rb'"session":"([0-9a-f]{32})"')


def lines(events: list[Event], *, waves: Iterator[int]) -> Iterator[bytes]:
    """The wave's text for each number of a wave, its stamps shifted and its ids made new."""
    forms: list[tuple[bytes, list[int], list[int], int | None]] = []
    for event in events:
        line = encode(event).replace(b"%", b"%%")
        stamps = [(name, int(value)) for name, value in _STAMP.findall(line)]
        found = _SESSION.search(line)
        number = int(found[1], 16) if found else None
        line = _STAMP.sub(rb'"\1":%d', line)
        line = _SESSION.sub(b'"session":"%032x"', line)
        line = re.sub(rb'"fingerprint-\d+"', b'"%016x"', line)
        line = re.sub(rb'"ava-\d+"', b'"5b57a39c-5b4b-4de5-8d38-%012x"', line)
        shifts = [10**9 if name != b"expires_at_s" else 1 for name, _ in stamps]
        order = [m[0] for m in re.finditer(rb"%032x|%016x|%012x|%d", line)]
        stamp_at = iter(range(len(stamps)))
        plan = [next(stamp_at) if form == b"%d" else -1 for form in order]
        forms.append((line, plan, [value for _, value in stamps], number))
        assert len(shifts) == len(stamps)
    for which in waves:
        shift_s = int(which * WAVE_S)
        shift_ns = shift_s * 10**9
        base = which * WAVE + 1
        out = []
        for line, plan, values, number in forms:
            # A session id of a real run is random in every digit.
            sid = (base + number) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128) if number is not None else 0
            short = base + number if number is not None else 0
            first = True
            facts: list[Any] = []
            for place in plan:
                if place >= 0:
                    value = values[place]
                    facts.append(value + (shift_ns if value > 10**12 else shift_s))
                elif first:
                    facts.append(sid)
                    first = False
                else:
                    facts.append(short)
            out.append(line % tuple(facts))
        yield b"".join(out)


def write(run_dir: Path, *, sessions: int, files: int, seed: int) -> int:
    """Journals of `sessions` sessions in `files` engine files. Returns their size in bytes."""
    (run_dir / "journal").mkdir(parents=True)
    settings = {"scenario": Settings().model_dump(mode="json")}  # with it the rules know what was promised
    (run_dir / "settings.json").write_text(json.dumps(settings))
    events = wave(seed)
    total = sessions // WAVE
    for process in range(files):
        path = j.write_file(run_dir, [], process=process, finish=None)
        with path.open("ab") as file:
            for text in lines(events, waves=iter(range(process, total, files))):
                file.write(text)
            file.write(b'{"event":"run_finished","t_ns":%d,"reason":"completed"}\n' % j.at(total * WAVE_S + 60))
    return sum(path.stat().st_size for path in (run_dir / "journal").iterdir())


def build(run_dir: Path) -> dict[str, float]:
    """Wall and CPU seconds and the peak of the memory of all processes together, in MiB, of one `avaload report`."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(run_dir)], stdout=subprocess.PIPE, cwd=root)
    peaks: list[float] = [0.0]
    watch = threading.Thread(target=_watch, args=(process.pid, peaks))
    watch.start()
    out, _ = process.communicate(timeout=3600)
    watch.join(timeout=10)
    if process.returncode:
        raise SystemExit("the report failed")
    return {**json.loads(out), "peak_mib": max(peaks)}


def _watch(pid: int, peaks: list[float]) -> None:
    """Private and shared pages of the process and its children, shared ones once (PSS), every half a second."""
    try:
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            total = 0
            for process in (parent, *parent.children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            peaks.append(total / 2**20)
            time.sleep(0.5)
    except psutil.Error:
        return


def wrong(run_dir: Path, one_wave: Path, *, seed: int) -> list[str]:
    """What the report of all waves says and that of one does not."""
    write(one_wave, sessions=WAVE, files=1, seed=seed)
    build(one_wave)
    one, many = (json.loads((directory / "report.json").read_text()) for directory in (one_wave, run_dir))
    waves = many["sessions"]["started"] / one["sessions"]["started"]
    problems = []
    for where, count in (("sessions", "completed"), ("sessions", "leaked"), ("turns", "failed"), ("secrets", "minted")):
        if many[where][count] != waves * one[where][count]:
            problems.append(f"{where}.{count}: {many[where][count]}, not {waves} × {one[where][count]}")
    for step, row in one["steps"].items():
        for name in ("p50_s", "p95_s", "max_s"):
            if not math.isclose(row[name], many["steps"][step][name], rel_tol=0.01):
                problems.append(f"{step} {name}: {many['steps'][step][name]}, not {row[name]}")
    return problems


def rows(rounds: int, *, quick: bool) -> Iterator[Row]:
    sessions = 20_000 if quick else 100_000
    with tempfile.TemporaryDirectory(prefix="avaload-bench-") as scratch:
        run_dir = Path(scratch, "run")
        write(run_dir, sessions=sessions, files=2, seed=1)
        runs = bench.measured(lambda: build(run_dir), rounds)
        problems = wrong(run_dir, Path(scratch, "wave"), seed=1)
    what = f"report of {sessions:,} sessions"
    bar_s = BAR_S * sessions / 1_000_000
    yield Row(f"{what}: wall time", bench.column(runs, "wall_s"), "s", at_most=None if quick else bar_s)
    cpu_s = [run["cpu_s"] + run["cpu_beside_s"] for run in runs]
    yield Row(f"{what}: CPU", cpu_s, "s")
    yield Row(f"{what}: memory at its peak", bench.column(runs, "peak_mib"), "MiB", at_most=BAR_MIB)
    print(*problems, sep="\n", flush=True)
    yield Row(f"{what}: figures that are not those of what it was made of", [len(problems)], "figures", at_most=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="directory to make the run in, and to use again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run_dir = asked.keep or Path(scratch) / "run"
        if not (run_dir / "journal").exists():
            began = time.perf_counter()
            size = write(run_dir, sessions=asked.sessions, files=asked.files, seed=asked.seed)
            print(f"{asked.sessions:,} sessions, {size / 1e9:.2f} GB, written in {time.perf_counter() - began:.0f} s")
        measured = build(run_dir)
        print(", ".join(f"{name} {value:,.1f}" for name, value in measured.items()))
        problems = wrong(run_dir, Path(scratch) / "wave", seed=asked.seed)
        if asked.sessions >= 1_000_000:
            problems += [f"{measured['wall_s']:.0f} s, at most {BAR_S:.0f}"] * (measured["wall_s"] > BAR_S)
            problems += [f"{measured['peak_mib']:.0f} MiB, at most {BAR_MIB:.0f}"] * (measured["peak_mib"] > BAR_MIB)
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
