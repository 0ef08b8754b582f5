"""`avaload probe` as a process: against the honest twin, against three mutants at once, and cut short."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.target import alive, leftovers, reaching, unless_late
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, Done, avaload, call, eventually

RULES = ("EXP-1", "EXP-4", "TD-1", "TD-2", "TD-11", "GA-2", "VAL-1")
CHECKED = {
    *RULES,
    *("EXP-1b", "ERR-3", "GA-3", "EXP-3", "EXP-5", "TD-5", "TD-6", "SDK-2", "SEC-3", "VAL-2", "TD-3c", "TD-4b"),
}
"""Some of them are checked by the same sessions."""
BROKEN = ("EXP-4-clamps", "TD-2-ends-on-leave", "GA-2-mint-accepted")
CLOCK = ("--clock-scale", "10")


@dataclass(frozen=True)
class Probed:
    """A run of checks that has ended. `left`: of the twin's sessions, alive after it."""

    done: Done
    run: Avaload
    left: list[dict[str, Any]]

    def outcomes(self) -> dict[str, str]:
        return {row["id"]: row["outcome"] for row in self.run.report()["rules"] if row["id"] in CHECKED}


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Probed]]:
    """Three at a time: they spend their time waiting."""
    with ExitStack() as stack:

        def start(name: str, *knobs: str, rules: tuple[str, ...]) -> tuple[RunningTwin, Avaload]:
            cwd = tmp_path_factory.mktemp(name)
            twin = stack.enter_context(running_twin(*CLOCK, *knobs))
            options = ("--run-dir", cwd / "run", "--metrics-port", "off")
            return twin, stack.enter_context(avaload("probe", *rules, *options, cwd=cwd, environ=reaching(twin)))

        knobs = [word for name in BROKEN for word in ("--set", f"mutant={name}")]
        started = {
            "honest": start("honest", rules=RULES),
            "broken": start("broken", *knobs, rules=RULES),
            "interrupted": start("interrupted", rules=("TD-4", "INT-1", "TR-1")),
        }
        twin, run = started["interrupted"]
        eventually(lambda: len(alive(twin)) >= 5, within_s=40, what="five sessions", during=run)
        os.kill(run.pid, signal.SIGINT)
        ended = {name: (run.finish(within_s=90), run, twin) for name, (twin, run) in started.items()}
        yield {name: Probed(done, run, alive(twin)) for name, (done, run, twin) in ended.items()}


def test_the_honest_twin_keeps_every_rule_that_is_tried(probed: dict[str, Probed]) -> None:
    found = probed["honest"]

    assert found.outcomes() == dict.fromkeys(found.outcomes(), "pass")
    assert found.outcomes().keys() == CHECKED
    assert found.done.code == unless_late(0, found.run.report()), found.done
    assert "EXP-4   pass" in found.done.out
    assert found.left == []
    assert found.run.report()["sessions"]["started"] == 0


def test_each_of_three_mutants_is_named_by_its_rule_and_the_other_rules_hold(probed: dict[str, Probed]) -> None:
    found = probed["broken"]

    assert {rule for rule, outcome in found.outcomes().items() if outcome == "fail"} == {"EXP-4", "TD-2", "GA-2"}
    assert found.done.code == unless_late(3, found.run.report()), found.done
    assert "GA-2    fail" in found.done.out
    assert found.left == []


def test_ctrl_c_leaves_nothing_alive(probed: dict[str, Probed]) -> None:
    found = probed["interrupted"]

    assert found.done.code == 130, found.done
    assert found.left == []
    assert leftovers(found.run.run_dir).leaked == {}
    assert [row["outcome"] for row in found.run.report()["rules"] if row["id"] == "TD-4"] == ["not_tested"]


def test_a_rule_that_has_no_check_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = call("probe", "EXP-99", "EXP-1", cwd=tmp_path)

    assert done.code == 2
    assert done.err_lines == ["avaload: EXP-99: no such rule (did you mean EXP-8?)"]
    assert list(tmp_path.glob("runs")) == []


WAYS = {
    "429 at create": (),
    "in the room": ("--set", "quota_status=200"),
    "a room that closes": ("--set", "quota_status=200", "--set", "quota_room=close"),
}


def test_a_quota_is_a_refusal_however_it_is_told_and_whoever_it_kills_is_missed(tmp_path: Path) -> None:
    with ExitStack() as stack:

        def start(name: str, *knobs: str) -> Avaload:
            cwd = tmp_path / name
            cwd.mkdir()
            twin = stack.enter_context(running_twin("--set", "limit.sessions=3", *knobs))
            return stack.enter_context(
                avaload("probe", "LIM-1", "--metrics-port", "off", cwd=cwd, environ=reaching(twin))
            )

        started = {way: start(way, *knobs) for way, knobs in WAYS.items()}
        started["it kills"] = start("it kills", "--set", "mutant=LIM-1-kills-running")
        said = {name: run.finish(within_s=110).out for name, run in started.items()}

    found = {name: next(line for line in out.splitlines() if line.startswith("LIM-1")) for name, out in said.items()}
    assert {name: line.split()[1] for name, line in found.items()} == dict.fromkeys(WAYS, "pass") | {"it kills": "fail"}
    assert "refused with HTTP 429, the others lived on" in found["429 at create"]
    for way in ("in the room", "a room that closes"):
        assert "was created, and refused in its room with limits_exceeded, the others lived on" in found[way]
