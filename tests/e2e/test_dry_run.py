"""`--dry-run`: nobody is contacted, and what a run then does is what was said."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.config.settings import RUNS
from tests.e2e.target import reaching
from tests.loadtest.twin.process import running_twin
from tests.support import avaload, call

PRICES = "[avatar]\nper_minute = 0.1\n"
PLANS = {
    "users": ("--users", 6, "--duration", "25s", "--ramp", "2s"),
    "arrivals": ("--rate", 1, "--duration", "20s", "--ramp", "0s"),
    "bounded": ("--users", 6, "--duration", "20s", "--ramp", "0s", "--max-sessions", 8),
}


@pytest.mark.parametrize("plan", PLANS)
def test_sessions_and_minutes_of_a_run_are_within_a_tenth_of_what_was_said(tmp_path: Path, plan: str) -> None:
    (tmp_path / "prices.toml").write_text(PRICES)
    words = ("run", *PLANS[plan], "--prices", "prices.toml", "--room", "websocket")
    told = json.loads(call(*words, "--dry-run", "--json", cwd=tmp_path).out)
    with running_twin() as twin, avaload(*words, cwd=tmp_path, environ=reaching(twin)) as run:
        run.finish(within_s=120)
        lived_s = sum(session["ended_at"] - session["created_at"] for session in twin.state()["sessions"])
    report = run.report()
    assert told["sessions"]["value"] == pytest.approx(report["sessions"]["started"], rel=0.1)
    assert told["avatar_minutes"]["value"] == pytest.approx(lived_s / 60, rel=0.1)
    assert report["cost"]["avatar_minutes"] == pytest.approx(lived_s / 60, rel=0.1)
    cost, spent = told["cost"]["total"], report["cost"]["estimate"]["total"]
    assert cost["usd"] == pytest.approx(spent["usd"], rel=0.15)


@pytest.mark.parametrize("command", ["run", "capacity", "probe"])
def test_a_dry_run_starts_nothing_and_looks_up_no_name(tmp_path: Path, command: str) -> None:
    environ = {
        "AVALOAD_TARGET__OPENAI_BASE_URL": "https://nowhere.invalid/v1",
        "AVALOAD_TARGET__AVATURN_BASE_URL": "https://nowhere.invalid",
        "OPENAI_API_KEY": "sk-test-key-0123456789",
        "AVATURN_API_KEY": "avaturn-test-key-0123456789",
    }
    done = call(command, "--live", "--max-sessions", 5, "--dry-run", cwd=tmp_path, environ=environ)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].endswith("; nobody was contacted")
    assert "unknown" in done.out
    assert not (tmp_path / RUNS).exists()


def test_a_search_is_told_by_its_levels(tmp_path: Path) -> None:
    levels = ("--start", 2, "--most", 8, "--stage", "5s", "--settle", "1s", "--sustain", "6s")
    done = call("capacity", *levels, "--dry-run", cwd=tmp_path)
    assert done.out.splitlines()[0] == "a search through at most 2, 4, 8, 8 users, 25 s; nobody was contacted"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "--answer", "3s"), "--answer: only with --dry-run; a run hears how long answers are"),
        (
            ("run", "--dry-run", "--answer", "soon"),
            "--answer: 'soon' is not a length of time such as 60s, 10m or 1h30m",
        ),
        (("run", "--dry-run", "--answer", "0"), "--answer: must be longer than nothing"),
        (("run", "--dry-run", "--prices", "none.toml"), "none.toml: No such file or directory"),
        (("run", "--dry-run", "--budget", "-1"), "--budget: must be above 0; got -1"),
        (("prices", "--prices", "none.toml"), "none.toml: No such file or directory"),
    ],
)
def test_what_can_not_be_meant_is_one_line(tmp_path: Path, words: tuple[Any, ...], told: str) -> None:
    done = call(*words, cwd=tmp_path)
    assert (done.code, done.err_lines) == (2, [f"avaload: {told}"])


def test_the_table_in_force_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(PRICES)
    ours, theirs = call("prices", cwd=tmp_path), call("prices", "--prices", "prices.toml", cwd=tmp_path)
    assert "gpt-realtime-2.1             32.00    0.40   64.00    4.00    0.40   24.00   2026-11-30" in ours.out
    (unknown,) = [line for line in ours.out.splitlines() if line.startswith("avatar")]
    (known,) = [line for line in theirs.out.splitlines() if line.startswith("avatar")]
    assert unknown.split()[1] == "unknown"
    assert known.split()[1:] == ["0.1000", "no", "date,", "your", "own"]
    assert json.loads(call("prices", "--json", cwd=tmp_path).out)["avatar"]["per_minute"] is None
