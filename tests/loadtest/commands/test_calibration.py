"""What is reported against what the twin says: which turns are compared, and which can't be."""

from pathlib import Path
from typing import Any

import pytest

from loadtest import cli
from loadtest.commands.work import calibration
from loadtest.commands.work.calibration import summary, turn_errors
from loadtest.errors.exit_codes import Exit
from loadtest.events.kinds import Event, Mark, Observed, Outcome, Step, StepFinished

MS = 1_000_000
SESSION = "0123456789abcdef0123456789abcdef"


def stamps(**told: int) -> dict[str, int | None]:
    """A turn as `state_url` has it, in ms."""
    names = ("last_voiced_ns", "first_audio_sent_ns", "barge_in_heard_ns", "silenced_ns")
    return {name: told[name[:-3]] * MS if name[:-3] in told else None for name in names}


def truth(*turns: dict[str, int | None]) -> dict[str, Any]:
    return {"sessions": [{"trace_ids": ["another"], "turns": []}, {"trace_ids": ["x", SESSION], "turns": [*turns]}]}


def turn(number: int, *, first_audio: float | None = None, barge_in: float | None = None) -> StepFinished:
    """A turn as the harness reports it, in ms."""
    return StepFinished(
        t_ns=0,
        session=SESSION,
        step=Step.TURN,
        started_ns=0,
        outcome=Outcome.OK,
        span_id="",
        parent_id="",
        turn=number,
        first_audio_ns=None if first_audio is None else round(first_audio * MS),
        barge_in_ns=None if barge_in is None else round(barge_in * MS),
    )


def mark(number: int, kind: Mark, at: int) -> Observed:
    return Observed(t_ns=at * MS, session=SESSION, mark=kind, turn=number)


FIRST = stamps(last_voiced=1_001, first_audio_sent=1_701, barge_in_heard=3_002, silenced=3_102)
SECOND = stamps(last_voiced=4_001, first_audio_sent=4_701)
SPOKEN: list[Event] = [
    mark(0, Mark.SPEECH_END, 1_000),
    turn(0, first_audio=702.5),
    mark(1, Mark.BARGE_IN, 3_000),
    mark(1, Mark.SPEECH_END, 4_000),
    turn(1, first_audio=699, barge_in=104),
]


def test_the_error_of_a_turn_is_what_was_reported_minus_what_happened() -> None:
    errors, not_comparable = turn_errors(SPOKEN, truth(FIRST, SECOND))

    assert errors == {"time to first audio": [2.5 * MS, -1 * MS], "barge-in": [4 * MS]}
    assert not_comparable == 0
    assert summary(errors)["barge-in"] == {"count": 1, "p50_ms": 4.0, "p99_ms": 4.0, "max_ms": 4.0}


def test_turns_are_matched_also_where_one_side_has_counted_more_of_them() -> None:
    noise = stamps(last_voiced=300)

    errors, not_comparable = turn_errors(SPOKEN, truth(noise, FIRST, stamps(last_voiced=3_500), SECOND))

    assert errors == {"time to first audio": [2.5 * MS, -1 * MS], "barge-in": [4 * MS]}
    assert not_comparable == 0


@pytest.mark.parametrize(
    ("first", "second", "compared", "left"),
    [
        (stamps(last_voiced=1_001, first_audio_sent=1_701), SECOND, (2, 0), 1),
        (stamps(last_voiced=1_001, first_audio_sent=1_701, barge_in_heard=3_002), SECOND, (2, 0), 1),
        (FIRST, stamps(last_voiced=4_001), (1, 1), 1),
        (stamps(last_voiced=1_001), stamps(last_voiced=4_001), (0, 0), 3),
        (stamps(last_voiced=1_501, first_audio_sent=1_701), SECOND, (1, 0), 2),
    ],
    ids=["ended by itself", "never silenced", "no answer", "nothing but speech", "another moment"],
)
def test_a_turn_without_the_twins_stamps_is_counted_and_not_compared(
    first: dict[str, Any], second: dict[str, Any], compared: tuple[int, int], left: int
) -> None:
    errors, not_comparable = turn_errors(SPOKEN, truth(first, second))

    assert (len(errors["time to first audio"]), len(errors["barge-in"])) == compared
    assert not_comparable == left


def test_a_session_that_the_twin_does_not_know_is_not_comparable() -> None:
    assert turn_errors(SPOKEN, {"sessions": []}) == ({"time to first audio": [], "barge-in": []}, 3)


@pytest.mark.parametrize(("generator", "code"), [("valid", Exit.PASS), ("invalid", Exit.INVALID)])
def test_figures_are_told_where_they_cannot_be_kept_and_the_code_is_the_runs(
    generator: str,
    code: Exit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = {"count": 3, "p50_ms": 0.5, "p99_ms": 1.5, "max_ms": 2.0}
    found = {"users": 10, "generator": generator, "errors": {"mint": error}, "not_comparable": 0}
    asked: list[bool] = []

    def calibrate(*, quiet: bool) -> dict[str, Any]:
        asked.append(quiet)
        return found

    monkeypatch.setattr(calibration, "calibrate", calibrate)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("a file, so no directory")
    assert cli.main(["doctor", "--calibrate", "--quiet"]) == code
    said = capsys.readouterr().out.splitlines()
    why = "runs: File exists" if code == Exit.PASS else "this says nothing about a fit one"
    assert said[0].endswith(f"10 users (generator: {generator}); not kept: {why}")
    assert said[2].split() == ["mint", "3", "0.50", "ms", "1.50", "ms", "2.00", "ms"]
    assert asked == [True]
