"""The numbers are true: what a run reports is what the twin, on the same clock, knows to have happened."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from loadtest.events.kinds import Mark, Observed, Step, StepFinished
from tests.e2e.target import completed, events, reaching, unless_late
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, avaload

pytestmark = pytest.mark.alone

ANSWER_AFTER_S = 0.7
WITHIN_S = 0.005


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory, brief: Path) -> Iterator[tuple[RunningTwin, Avaload]]:
    """A few users at a twin that answers exactly 0.7 s after the last voiced frame."""
    cwd = tmp_path_factory.mktemp("spoken")
    options = ("--users", 4, "--duration", "6s", "--ramp", "1s")
    knobs = ("--set", f"answer_after=fixed:{ANSWER_AFTER_S}", "--set", "answer_s=0.5")
    with running_twin(*knobs) as twin, avaload("run", brief, *options, cwd=cwd, environ=reaching(twin)) as run:
        done = run.finish(within_s=60)
        assert done.code == unless_late(0, run.report()), done
        yield twin, run


def turns(run: Avaload) -> dict[str, StepFinished]:
    """Session → its one turn."""
    return {e.session: e for e in events(run.run_dir) if isinstance(e, StepFinished) and e.step is Step.TURN}


def truth(twin: RunningTwin) -> dict[str, dict[str, int]]:
    """Session → what the twin stamped in its one turn."""
    found = {}
    for session in twin.state()["sessions"]:
        assert (len(session["trace_ids"]), len(session["turns"])) == (1, 1)
        found[session["trace_ids"][0]] = session["turns"][0]
    return found


def pause_s(stamps: dict[str, int]) -> float:
    return (stamps["first_audio_sent_ns"] - stamps["last_voiced_ns"]) / 1e9


def test_the_reported_time_to_first_audio_is_the_pause_of_the_twin(spoken: tuple[RunningTwin, Avaload]) -> None:
    twin, run = spoken
    reported = run.report()["turns"]["time_to_first_audio"]
    pauses_s = [pause_s(stamps) for stamps in truth(twin).values()]
    assert reported["count"] == len(pauses_s) >= 8
    assert reported["p50_s"] == pytest.approx(median(pauses_s), abs=WITHIN_S)
    assert reported["p50_s"] == pytest.approx(ANSWER_AFTER_S, abs=WITHIN_S)


def test_each_turn_agrees_with_the_stamps_of_the_twin(spoken: tuple[RunningTwin, Avaload]) -> None:
    twin, run = spoken
    stamps_of = truth(twin)
    marks = [event for event in events(run.run_dir) if isinstance(event, Observed)]
    said = {event.session: event.t_ns for event in marks if event.mark is Mark.SPEECH_END}
    heard = {event.session: event.t_ns for event in marks if event.mark is Mark.FIRST_AUDIO}
    pauses_off_s, ends_off_s, onsets_off_s = [], [], []
    for session, turn in turns(run).items():
        stamps = stamps_of[session]
        assert turn.first_audio_ns is not None
        pauses_off_s.append(turn.first_audio_ns / 1e9 - pause_s(stamps))
        ends_off_s.append((stamps["last_voiced_ns"] - said[session]) / 1e9)
        onsets_off_s.append((heard[session] - stamps["first_audio_sent_ns"]) / 1e9)
    assert len(pauses_off_s) == len(completed(run.run_dir)) >= 8
    assert median(map(abs, pauses_off_s)) <= WITHIN_S, pauses_off_s
    # Both ends on one clock: nothing arrives before it was sent, and in the middle it takes next to nothing.
    assert min(ends_off_s) >= 0
    assert min(onsets_off_s) >= 0
    assert median(ends_off_s) <= WITHIN_S, ends_off_s
    assert median(onsets_off_s) <= WITHIN_S, onsets_off_s


def test_300_creates_at_once_of_a_second_each_are_reported_as_a_second(tmp_path: Path) -> None:
    # A machine that is too slow or busy can only make it late, and then the report says that it was: three may try.
    p50s_s: list[float] = []
    while len(p50s_s) < 3 and not any(p50_s <= 1.1 for p50_s in p50s_s):
        report = creates_at_once(300, tmp_path / str(len(p50s_s)))
        p50s_s.append(report["steps"]["create"]["p50_s"])
        assert p50s_s[-1] >= 1.0
        # No call waited for another's connection: with 100 of them it would be reported as two seconds and more.
        assert report["generator"]["pool_wait_p99_s"] < 0.1
        assert p50s_s[-1] <= 1.1 or report["generator"]["outcome"] != "valid", p50s_s


def creates_at_once(users: int, cwd: Path) -> dict[str, Any]:
    """The report of as many sessions, started within a second, at a twin that takes a second to create each."""
    cwd.mkdir()
    options = ("--room", "none", "--users", users, "--duration", "1s", "--ramp", "0s", "--pacing", "1s")
    with running_twin("--set", "latency.create=fixed:1.0") as twin:
        environ = {**reaching(twin), "AVALOAD_TARGET__PROVE_GONE": "false"}
        with avaload("run", *options, cwd=cwd, environ=environ) as run:
            done = run.finish(within_s=60)
            report = run.report()
            assert done.code == unless_late(0, report), done
    assert report["sessions"]["completed"] == report["steps"]["create"]["count"] == users
    assert report["sessions"]["peak_active"] > 0.9 * users
    return report
