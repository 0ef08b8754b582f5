"""Which rule names which mutant of the twin, and that none blames the honest one.

    python -m tests.judging.judging [--only SUBSTRING] [--honest SEEDS] [--first-seed 1] [--jobs 2]

For each mutant a short load run against a twin of its own; the table says which rules were broken (✗ fails the run, ⚠
only told). Takes about half a minute for each mutant, divided by the jobs. Exit 1 if a mutant that load sessions can
see is not named by its rule, or the honest twin breaks one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.criteria.statements import RULES
from loadtest.twin.mutants import MUTANTS

LIMIT_S = 180
TWIN = ("answer_s=3",)
TURNS = ("say", "barge_in", "say", "ignore", "say")
TOOL = """tools = [{type = "function", name = "weather", parameters = {type = "object", properties = {}}}]
tool_choice = "required"
"""
SCENARIO = """
name = "judging"
[load]
users = 4
ramp = "0.5s"
duration = "8s"
[secret]
ttl_s = 10
[session]
user_absent_timeout = 13
[realtime]
{realtime}
[conversation]
answer_timeout_s = 4
think_min_s = 0.3
think_max_s = 0.6
{turns}
"""
NO_TRANSCRIPTION = 'audio = {input = {transcription = "null"}}\n'


@dataclass(frozen=True)
class Setting:
    """What makes a mutant visible in load sessions: knobs of the twin, more of the scenario."""

    knobs: tuple[str, ...] = ()
    realtime: str = ""
    turns: tuple[str, ...] = TURNS
    users: int = 4


Job = tuple[str, Setting, tuple[str, ...], str, int]
"""Its name, what it runs with, further knobs of the twin, its profile, its seed."""
PASSIVE: dict[str, Setting] = {
    "EXP-2-killed-at-expiry": Setting(),
    "EXP-3-milliseconds": Setting(),
    "EXP-5-pooled-secrets": Setting(),
    "TD-1-keeps-running": Setting(),
    "TD-2-ends-on-leave": Setting(),
    "TD-3b-timer-not-cancelled": Setting(),
    "TR-1-always": Setting(realtime=NO_TRANSCRIPTION),
    "TR-1-never": Setting(),
    "TR-2-dropped-when-off": Setting(realtime=NO_TRANSCRIPTION),
    "TR-2-per-delta": Setting(),
    "TR-2-duplicated": Setting(),
    "TR-5-milliseconds": Setting(),
    "TR-5-iso": Setting(),
    "TR-7-leaks": Setting(),
    "TR-7-anothers-words": Setting(),
    "INT-1-plays-to-the-end": Setting(),
    "INT-2-discards-only-active": Setting(knobs=("generation_speed=10",)),
    "INT-3-resumes-tail": Setting(),
    "INT-4-never-ended": Setting(),
    "INT-5-any-packet-interrupts": Setting(),
    "AUD-3-event-at-first-delta": Setting(knobs=("latency.render=fixed:0.8",)),
    "TOOL-1-forwards": Setting(realtime=TOOL, turns=("say", "say")),
    "TOOL-2-fabricates": Setting(realtime=TOOL, turns=("say", "say")),
    "GA-3-un-nested": Setting(knobs=("fault.realtime_open=invalid_api_key:1",)),
    "ERR-3-silent": Setting(knobs=("fault.realtime_open=invalid_api_key:1",)),
    "LIM-1-kills-running": Setting(knobs=("limit.sessions=3",)),
    "SEC-2-refusal-echoes-token": Setting(),
    "SEC-2-message-tells-secret": Setting(),
    "SDK-1-hangs": Setting(),
}
"""Mutants that load sessions show by themselves; the others need a probe."""
HONEST: dict[str, Setting] = {
    "": Setting(),
    " no transcription": Setting(realtime=NO_TRANSCRIPTION),
    " fast generation": Setting(knobs=("generation_speed=10",)),
    " slow render": Setting(knobs=("latency.render=fixed:0.8",)),
    " tools": Setting(realtime=TOOL, turns=("say", "say")),
    " refused upstream": Setting(knobs=("fault.realtime_open=invalid_api_key:1",)),
    " quota": Setting(knobs=("limit.sessions=3",)),
    " two items": Setting(knobs=("output_items=2",)),
    " failing": Setting(knobs=("fault.response=server_error:0.2", "fault.create=503:0.2", "fault.delete=503:0.2")),
    " frozen": Setting(knobs=("freeze=9,3",)),
    " webrtc": Setting(knobs=("room=webrtc",)),
    " cut sockets": Setting(knobs=("fault.realtime_close=1006:0.5",)),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.judging.judging", description=__doc__)
    parser.add_argument("--only", default="", help="mutants, or honest twins, with this in their names")
    parser.add_argument("--honest", type=int, default=0, metavar="SEEDS", help="runs of each honest twin, instead")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen = {name: setting for name, setting in PASSIVE.items() if options.only in name}
    unknown = set(PASSIVE) - set(MUTANTS)
    assert not unknown, unknown
    jobs: list[Job] = [(name, setting, (f"mutant={name}",), "instant", 1) for name, setting in chosen.items()]
    if options.honest:
        jobs = []
    for seed in range(options.first_seed, options.first_seed + options.honest):
        for profile in ("instant", "realistic"):
            honest = {what: each for what, each in HONEST.items() if options.only in f"honest{what}"}
            jobs += [(f"honest {profile}{what}, seed {seed}", each, (), profile, seed) for what, each in honest.items()]
    bad = 0
    print("| twin | rules broken |\n|---|---|", flush=True)
    for name, broken in rounds(jobs, at_once=options.jobs):
        wrong = bool(broken) if name.startswith("honest") else rule_of(name) not in broken
        bad += wrong
        words = [f"{'✗' if row['outcome'] == 'fail' else '⚠'} {row['id']}" for row in broken.values()]
        print(f"| {name} | {', '.join(words) or '–'} |{' <-- wrong' if wrong else ''}", flush=True)
        if wrong:
            for row in broken.values():
                print(f"    {row['id']}: {row['summary']} {row['evidence'][:1]}", flush=True)
    return int(bad > 0)


def rule_of(mutant: str) -> str:
    """The rule that it breaks: its name begins with it."""
    return next(rule for rule in sorted(RULES, key=len, reverse=True) if mutant.startswith(f"{rule}-"))


def rounds(jobs: Iterable[Job], *, at_once: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each job its name and, by rule, the rows of report.json that were broken."""
    with ThreadPoolExecutor(at_once) as pool:
        for (name, setting, *_), report in pool.map(lambda job: (job, judged(*job[1:])), jobs):
            broken = {row["id"]: row for row in report["rules"] if row["violations"] and row["standing"] != "open"}
            if setting.realtime == TOOL:
                broken.pop("TOOL-3", None)
            if name.startswith("honest realistic"):
                broken.pop("EXP-8", None)  # true: of its avatars some come after 10 s, all of a secret's life here
            yield name, broken


def judged(setting: Setting, knobs: tuple[str, ...], profile: str, seed: int) -> dict[str, Any]:
    """report.json of a short run against such a twin."""
    with tempfile.TemporaryDirectory() as folder, twin((*TWIN, *setting.knobs, *knobs), profile, seed) as told:
        path = Path(folder)
        turns = "\n".join(f'[[conversation.turns]]\nkind = "{kind}"' for kind in setting.turns)
        (path / "s.toml").write_text(SCENARIO.format(realtime=setting.realtime, turns=turns))
        command = [sys.executable, "-m", "loadtest.cli", "run", str(path / "s.toml"), "--run-dir", str(path / "run")]
        command += ["--openai-base-url", told["openai_base_url"], "--avaturn-base-url", told["avaturn_base_url"]]
        command += ["--metrics-port", "off", "--seed", str(seed)]
        keys = {"OPENAI_API_KEY": told["openai_api_key"], "AVATURN_API_KEY": told["avaturn_api_key"]}
        done = subprocess.run(command, env=os.environ | keys, capture_output=True, timeout=LIMIT_S, check=False)
        if not (path / "run" / "report.json").exists():
            raise SystemExit(f"{knobs}: {done.stderr.decode()}")
        report: dict[str, Any] = json.loads((path / "run" / "report.json").read_text())
        return report


@contextmanager
def twin(knobs: tuple[str, ...], profile: str, seed: int, *more: str) -> Iterator[dict[str, Any]]:
    """A twin of its own, and its line."""
    command = [sys.executable, "-m", "loadtest.cli", "twin", "--profile", profile, "--seed", str(seed), *more]
    for knob in knobs:
        command += ["--set", knob]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit(process.stderr.read())
            yield json.loads(line)
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
