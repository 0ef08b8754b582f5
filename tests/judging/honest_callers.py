"""`python -m tests.judging.honest_callers [SEEDS]`: callers of all sorts against the honest twin; a rule that is broken
is a false blame. Exits 1 where there is one.

Each seed is a short run with several users, whose chance is its own, in the room of its turn.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loadtest.config.keys.caller_lines import profiles
from tests.e2e.target import reaching
from tests.loadtest.twin.process import running_twin
from tests.support import call

CALLERS: Final = {
    "echo": "echo_dbfs = -30\n",
    "faint echo": "echo_dbfs = -50\n",
    "babble": 'noise = "babble"\nnoise_dbfs = -40\n',
    "hum": 'noise = "pink"\nnoise_dbfs = -55\n',
    "faint": "speech_dbfs = -38\n",
    "too near": "clipping_db = 12\n",
    "telephone": 'band = "phone"\n',
    "echo on a train": 'profile = "train"\necho_dbfs = -30\n',
    "bad line": "".join(f"[caller.{way}]\nloss = 0.1\nburst = 4\ndelay_s = 0.1\n" for way in ("up", "down")),
} | {name: f'profile = "{name}"\n' for name in profiles()}
_TURNS: Final = (
    '[[conversation.turns]]\nkind = "say"\n[[conversation.turns]]\nkind = "say"\n'
    '[[conversation.turns]]\nkind = "barge_in"\nafter_s = 0.4\n'
)
_LOAD: Final = 'name = "s"\n[load]\nusers = 4\nduration = "1s"\nramp = "0s"\n'


def blamed(caller: str, seed: int, room: str, folder: Path) -> Iterator[str]:
    """A line for each rule that is told as broken."""
    (folder / "s.toml").write_text(f"{_LOAD}[caller]\n{CALLERS[caller]}{_TURNS}")
    with running_twin("--set", f"room={room}", "--set", "answer_s=1.2") as twin:
        environ = reaching(twin) | {"AVALOAD_TARGET__ROOM": room}
        done = call("run", "s.toml", "--seed", seed, cwd=folder, environ=environ, within_s=120)
    report = json.loads((folder / "run" / "report.json").read_text())
    for row in report["rules"]:
        if row["violations"]:
            yield f"{caller}, seed {seed}, {room}: {row['id']} {row['outcome']}: {row['summary']} {row['evidence']}"
    turns, failures = report["turns"], [(row["code"], row["steps"]) for row in report["failures"]]
    print(
        f"{caller}, seed {seed}, {room}: {turns['failed']} of {turns['count']} turns failed {failures} exit {done.code}"
    )


def main(seeds: int) -> int:
    found = []
    for seed in range(1, seeds + 1):
        for number, caller in enumerate(CALLERS):
            room = ("websocket", "webrtc")[(seed + number) % 2]
            with tempfile.TemporaryDirectory() as folder:
                found += list(blamed(caller, seed, room, Path(folder)))
    print("\n".join(found) or "nobody is blamed falsely")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 20))
