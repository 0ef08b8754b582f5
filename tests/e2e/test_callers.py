"""Callers as they are, against the twin: what was set is what the other side has measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.target import reaching
from tests.loadtest.twin.process import running_twin
from tests.support import Done, call

SAYS = '[[conversation.turns]]\nkind = "say"\n'


def run(cwd: Path, room: str, caller: str, *knobs: str, more: str = "", turns: int = 2) -> tuple[Done, Any, list[Any]]:
    """What `avaload run` says, its report, and the sessions as the twin knows them."""
    load = 'name = "caller"\n[load]\nusers = 2\nduration = "1s"\nramp = "0s"\n'
    (cwd / "s.toml").write_text(f"{load}[caller]\n{caller}\n{more}\n{SAYS * turns}")
    sets = [word for knob in (f"room={room}", "answer_s=1", *knobs) for word in ("--set", knob)]
    with running_twin(*sets) as twin:
        environ = reaching(twin) | {"AVALOAD_TARGET__ROOM": room}
        done = call("run", "s.toml", "--seed", 1, "--keep-audio", "failed", cwd=cwd, environ=environ, within_s=90)
        sessions = twin.state()["sessions"]
    return done, json.loads((cwd / "run" / "report.json").read_text()), sessions


def echo_ms(sessions: list[Any], *, least: float = 0.0) -> float:
    """From the avatar's first sound to its echo, as the other side sees it: the lower median of those of `least` ms."""
    turns = [turn for session in sessions for turn in session["turns"] if turn["echo_heard_ns"] is not None]
    took_ms = sorted((turn["echo_heard_ns"] - turn["first_audio_sent_ns"]) / 1e6 for turn in turns)
    took_ms = [ms for ms in took_ms if ms > least]
    return took_ms[(len(took_ms) - 1) // 2]


@pytest.fixture(scope="module", params=["websocket", "webrtc"])
def clean(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """A kind of room, and an echo's time there after 100 ms and nothing else: coding and decoding have their share."""
    caller = "echo_dbfs = -30\necho_delay_s = 0.1"
    _, _, sessions = run(tmp_path_factory.mktemp("clean"), request.param, caller, "answer_after=fixed:0.8")
    return request.param, echo_ms(sessions)


@pytest.mark.alone
def test_an_echo_has_the_level_and_the_delay_that_were_set_and_makes_the_avatar_interrupt_itself(
    clean: tuple[str, float], tmp_path: Path
) -> None:
    room, clean_ms = clean
    done, report, sessions = run(tmp_path, room, "echo_dbfs = -30\necho_delay_s = 0.2")
    assert {row["id"]: row["summary"] for row in report["rules"] if row["violations"]} == {}, done
    heard = [session["heard"]["over_avatar_dbfs"] for session in sessions]
    assert heard == pytest.approx([-30] * len(heard), abs=1)
    turns = [turn for session in sessions for turn in session["turns"] if turn["echo_heard_ns"] is not None]
    assert echo_ms(sessions) - clean_ms == pytest.approx(100, abs=2), (echo_ms(sessions), clean_ms)
    # It stops because of what nobody said, and takes its own voice for a turn.
    assert sum(turn["barge_in_heard_ns"] is not None for turn in turns) >= 2
    assert sum(len(session["turns"]) for session in sessions) > report["turns"]["count"]


def test_an_echo_below_the_threshold_of_the_vad_interrupts_nobody(tmp_path: Path) -> None:
    _, report, sessions = run(tmp_path, "websocket", "echo_dbfs = -50")
    turns = [turn for session in sessions for turn in session["turns"]]
    assert [turn["barge_in_heard_ns"] for turn in turns] == [None] * len(turns)
    assert len(turns) == report["turns"]["count"] == 4


@pytest.mark.alone
def test_both_ways_of_a_line_take_as_long_as_was_set_and_no_figure_of_the_target_has_any_of_it(
    clean: tuple[str, float], tmp_path: Path
) -> None:
    """The echo goes both ways: the other side itself sees how long that takes."""
    room, clean_ms = clean
    line = "[caller.up]\ndelay_s = 0.08\n[caller.down]\ndelay_s = 0.05"
    echo = "echo_dbfs = -30\necho_delay_s = 0.1"
    done, report, sessions = run(tmp_path, room, echo, "answer_after=fixed:0.8", more=line)
    took_ms = echo_ms(sessions, least=200)  # of an answer into which nothing else came
    assert took_ms - clean_ms == pytest.approx(80 + 50, abs=2), (took_ms, clean_ms, done)
    assert clean_ms == pytest.approx(100, abs=5)
    assert report["media"]["line"]["added"]["p50_s"] == pytest.approx(0.13, abs=0.001)
    assert report["turns"]["time_to_first_audio"]["p50_s"] == pytest.approx(0.8, abs=0.03)
    assert "line:    added 130 ms to an answer (median), lost 0 % up and 0 % down" in done.out


@pytest.mark.parametrize("way", ["up", "down"])
def test_what_the_line_loses_is_what_the_other_side_misses_and_nobody_is_blamed(way: str, tmp_path: Path) -> None:
    line = f"[caller.{way}]\ndelay_s = 0.05\nloss = 0.08\nburst = 2"
    done, report, sessions = run(tmp_path, "webrtc", "", more=line, turns=3)
    assert {row["id"]: row["summary"] for row in report["rules"] if row["violations"]} == {}, done
    told = report["media"]["line"][way]
    assert told["loss"] == pytest.approx(0.08, abs=0.005)
    missed = sum(session["heard"]["packets_lost"] or 0 for session in sessions)
    assert missed == (pytest.approx(told["lost"], abs=2) if way == "up" else 0)
    assert report["media"]["packet_loss"] == 0


def test_what_is_lost_in_a_websocket_comes_late_with_all_behind_it_and_nobody_is_blamed(tmp_path: Path) -> None:
    line = "[caller.up]\ndelay_s = 0.1\nloss = 0.03\n[caller.down]\ndelay_s = 0.1"
    done, report, sessions = run(tmp_path, "websocket", "", "answer_after=fixed:0.8", more=line, turns=3)
    assert {row["id"]: row["summary"] for row in report["rules"] if row["violations"]} == {}, done
    up = report["media"]["line"]["up"]
    assert (up["lost"], up["held"] / up["packets"]) == (0, pytest.approx(0.03, abs=0.005))
    assert up["delay_max_s"] == pytest.approx(0.1 + 0.02 + 1.25 * 0.2, abs=0.045)
    gaps_ms = [session["heard"]["gap_max_ns"] / 1e6 for session in sessions]
    assert min(gaps_ms) > 250


def journal(cwd: Path) -> list[dict[str, Any]]:
    """All lines of the engine's journals, in order of time."""
    files = (cwd / "run" / "journal").glob("*engine*.jsonl")
    return sorted(
        (json.loads(line) for file in files for line in file.read_text().splitlines()),
        key=lambda line: int(line["t_ns"]),
    )


@pytest.mark.parametrize("room", ["websocket", "webrtc"])
def test_a_caller_whose_line_is_cut_for_a_while_goes_on_in_the_same_session(room: str, tmp_path: Path) -> None:
    done, report, sessions = run(tmp_path, room, "cut_after_s = 3\ncut_for_s = 1", turns=3)
    assert {row["id"]: row["summary"] for row in report["rules"] if row["violations"]} == {}, done
    assert (report["sessions"]["completed"], report["sessions"]["failed"], len(sessions)) == (2, 0, 2), done
    turns = report["turns"]
    assert (turns["count"] + turns["cancelled"], turns["failed"]) == (6, 0)
    assert turns["count"] >= 4
    assert report["steps"]["connect"]["count"] == 2
    marks = [
        line for line in journal(tmp_path) if line["event"] == "observed" and line["mark"] in ("line_cut", "rejoined")
    ]
    for session in {line["session"] for line in marks}:
        cut, again = [line for line in marks if line["session"] == session]
        assert (cut["mark"], again["mark"]) == ("line_cut", "rejoined")
        assert (again["t_ns"] - cut["t_ns"]) / 1e9 == pytest.approx(1.1, abs=0.4)


def test_a_caller_whose_line_is_cut_for_longer_calls_again_with_a_new_secret_and_a_new_session(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        'name = "caller"\n[load]\nusers = 2\nduration = "1s"\nramp = "0s"\n'
        f"[caller]\ncut_after_s = 3\ncut_for_s = 3\n{SAYS * 3}"
    )
    with running_twin("--clock-scale", "10", "--set", "answer_s=1") as twin:
        environ = reaching(twin) | {"AVALOAD_TARGET__CLOCK_SCALE": "10", "AVALOAD_TARGET__ROOM": "websocket"}
        done = call("run", "s.toml", "--seed", 1, cwd=tmp_path, environ=environ, within_s=90)
        truth = twin.state()
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert {row["id"]: row["summary"] for row in report["rules"] if row["violations"]} == {}, done
    assert (report["sessions"]["completed"], report["sessions"]["failed"]) == (4, 0), done
    assert report["teardown"]["ended_by"] | {"max_duration": 0} == {
        "user_absent_timeout": 2, "delete": 2, "max_duration": 0, "unexpected": 0
    }  # fmt: skip
    assert truth["counters"]["sessions_ended"]["user_absent_timeout"] == 2
    assert (report["secrets"]["minted"], report["secrets"]["reused"]) == (4, 0)
    assert report["turns"]["count"] + report["turns"]["cancelled"] == 6
    assert report["turns"]["count"] >= 4
