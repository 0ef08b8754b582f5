"""One session's story, found by our id, by the beginning of it, or by Avaturn's."""

from pathlib import Path

import pytest

from loadtest.errors.exceptions import ConfigError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    Gone,
    GoneChecked,
    LineMeasured,
    Mark,
    MediaMeasured,
    Observed,
    Outcome,
    Remains,
    RuleChecked,
    RuleOutcome,
    Step,
    Way,
)
from loadtest.journal import JournalError
from reports.sections.timeline import timeline
from tests.reports import journals as j


@pytest.fixture
def run(run_dir: Path) -> Path:
    """Session 0x21 fails at its delete and is swept later; session 0x22 is good; 0x31 has no end."""
    whole = j.good_session(0x21, 1, first_audio_s=(0.8,))
    why = j.failure(Step.DELETE, Kind.REJECTED, Code.HTTP_5XX, "503 busy")
    failed = [
        *whole[:-4],
        Observed(t_ns=j.at(3), session=j.sid(0x21), mark=Mark.SPEECH_END, turn=0, lag_ns=300_000),
        j.step(
            0x21, Step.DELETE, 11.8, 12, attempt=3, outcome=Outcome.FAILED, failure=why, http_status=503,
            server_ns=4_000_000, pool_wait_ns=2_000_000,
        ),
        j.remains(0x21, 12, Remains.LEAKED, "delete_failed"),
        j.finished(0x21, 1, 12, outcome=Outcome.FAILED, failure=why, remains=Remains.LEAKED),
    ]  # fmt: skip
    j.write_file(run_dir, [*failed, *j.good_session(0x22, 2), *j.good_session(0x31, 3)[:4]], finish=None, tail=b"{")
    j.write_file(run_dir, [j.remains(0x21, 100, Remains.NOTHING, "swept")], role="sweep", started_s=99)
    return run_dir


def test_the_whole_story_is_told_in_order(run: Path) -> None:
    assert timeline(run, j.sid(0x21)).splitlines() == [
        "session  00000000000000000000000000000021 (trace id)",
        "avaturn  ava-33",
        "scenario support-call · user 33 · load",
        "remains  nothing (swept)",
        "",
        "        ms    took ms  what",
        "       0.0             session started, 0.0 ms after it was due  [engine]",
        "     100.0      100.0  mint ok  [engine]",
        "     100.0             secret minted, valid for 600 s  [engine]",
        "     100.0             remains: doubtful (create_sent)  [engine]",
        "     300.0             remains: leaked (create_answered)  [engine]",
        "     300.0      200.0  create ok  [engine]",
        "     800.0      500.0  connect ok  [engine]",
        "    2000.0             · speech_end 0 (stamped late 0.3 ms)  [engine]",
        "   10800.0    10000.0  turn 0 ok (first audio after 800.0 ms)  [engine]",
        "   10800.0    10000.0  converse ok  [engine]",
        "   11000.0      200.0  delete attempt 3 failed http 503 (in the target 4.0 ms, waited for our pool 2.0 ms)"
        "  ← delete/rejected/http_5xx: 503 busy  [engine]",
        "   11000.0             remains: leaked (delete_failed)  [engine]",
        "   11000.0    11000.0  session failed, remains: leaked  ← delete/rejected/http_5xx: 503 busy  [engine]",
        "   99000.0             remains: nothing (swept)  [sweep]",
    ]


@pytest.mark.parametrize("text", ["0" * 30 + "22", "ava-34", " ava-34\n", ("0" * 30 + "22").upper()])
def test_a_session_is_found_by_either_id(run: Path, text: str) -> None:
    story = timeline(run, text)
    assert story.startswith(f"session  {j.sid(0x22)} ")
    assert "gone: confirmed (2 looks, the last: http 404)" in story


def test_the_beginning_of_an_id_is_enough_where_only_one_begins_so(run: Path) -> None:
    assert timeline(run, "0" * 30 + "3").startswith(f"session  {j.sid(0x31)} ")


def test_an_ambiguous_beginning_lists_the_candidates(run: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        timeline(run, "0" * 30 + "2")
    (problem,) = caught.value.problems
    assert problem.endswith(f"2 sessions begin with '{'0' * 30}2': {j.sid(0x21)}, {j.sid(0x22)}")


@pytest.mark.parametrize("text", ["f00", "ava-3", "", '"', ".*"])
def test_an_id_that_is_nobodys_is_one_clear_line(run: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        timeline(run, text)
    assert len(caught.value.problems) == 1


def test_a_session_without_an_end_says_so(run: Path) -> None:
    assert timeline(run, j.sid(0x31)).rstrip().endswith("(no end: still running, or its engine was killed)")


def test_a_directory_without_journals_is_refused(run_dir: Path) -> None:
    with pytest.raises(JournalError, match="holds no journal"):
        timeline(run_dir, "0")


def test_the_secret_is_not_told(run: Path) -> None:
    assert "fingerprint" not in timeline(run, j.sid(0x22))
    assert Gone.CONFIRMED in timeline(run, j.sid(0x22))


def test_a_probes_finding_is_told(tmp_path: Path) -> None:
    finding = RuleChecked(
        t_ns=j.at(2), session=j.sid(1), rule="TD-1", outcome=RuleOutcome.FAIL, detail="alive after 5 s"
    )
    j.write_file(tmp_path, [*j.good_session(1, 1), finding])

    assert "rule TD-1: fail: alive after 5 s" in timeline(tmp_path, j.sid(1))


@pytest.mark.parametrize(("count", "s"), [(1, ""), (2, "s")])
def test_counts_have_the_noun_of_their_number(count: int, s: str, run_dir: Path) -> None:
    session, wait = {"t_ns": j.at(9), "session": j.sid(1)}, {"packets": 5, "lost": 0, "held": 0}
    events = [
        j.started(1, 1),
        MediaMeasured(**session, frames=count, underruns=count, stalled_ns=0, packets_lost=count),
        LineMeasured(**session, way=Way.DOWN, **wait, delay_ns=0, delay_max_ns=0, underruns=count),
        GoneChecked(**session, gone=Gone.CONFIRMED, looks=count, deleted_ns=j.at(8), http_status=404),
    ]
    j.write_file(run_dir, events)
    story = timeline(run_dir, j.sid(1))
    assert f"heard: {count} frame{s} of audio, {count} underrun{s} (0 ms), {count} packet{s} lost" in story
    assert f"0 ms at most, {count} underrun{s} (0 ms)" in story
    assert f"({count} look{s}, the last: http 404)" in story
