"""What a run left behind: certain, doubtful, settled by a sweep, or unknown because an engine was killed."""

from pathlib import Path
from typing import Any

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Fault, GeneratorFailed, Gone, Outcome, Remains, Step
from loadtest.journal import Journal
from tests.reports import journals as j

CREATED = 6
"""So many of a good session's first events end with its answered create."""


def engine_died(number: int, begin_s: float, end_s: float, **more: Any) -> Any:
    why = j.failure(Step.CONVERSE, Kind.ENGINE_DIED, Code.ENGINE_DIED)
    return j.finished(number, begin_s, end_s, outcome=Outcome.FAILED, failure=why, **more)


def write_sweep(run_dir: Path, number: int) -> None:
    """Sweeps come later, from a process of their own, and know nothing of a session's purpose."""
    j.write_file(
        run_dir, [j.remains(number, 500, Remains.NOTHING, "swept")], role="sweep", started_s=499, finished_s=501
    )


def test_a_delete_that_failed_leaves_a_session_behind(run_dir: Path) -> None:
    whole = j.good_session(1, 1)
    j.write_file(run_dir, [*whole[:-4], j.remains(1, 12, Remains.LEAKED, "delete_failed"), whole[-1]])

    report = j.reported(run_dir)

    assert report["sessions"]["left_behind"] == {"delete_failed": 1}
    assert report["evidence"]["leaked"] == [j.sid(1)]
    assert report["verdict"]["exit_code"] == 5


def test_a_session_that_is_alive_after_its_delete_is_left_behind(run_dir: Path) -> None:
    whole = j.good_session(1, 1)
    alive: list[Event] = [j.look(1, 12, 17, Gone.STILL_ALIVE), j.remains(1, 17, Remains.LEAKED, "still_alive")]
    j.write_file(run_dir, [*whole[:-2], *alive, j.finished(1, 1, 17, outcome=Outcome.FAILED, gone=Gone.STILL_ALIVE)])

    report = j.reported(run_dir)

    assert report["sessions"]["left_behind"] == {"still_alive": 1}
    assert report["teardown"]["still_alive"] == 1
    assert report["teardown"]["confirmed_gone"] == 0
    assert report["verdict"]["exit_code"] == 5


def test_an_unconfirmed_end_is_neither_gone_nor_left_behind(run_dir: Path) -> None:
    whole = j.good_session(1, 1)
    look = j.look(1, 12, 17, Gone.UNCONFIRMED)
    j.write_file(run_dir, [*whole[:-2], look, j.finished(1, 1, 17, gone=Gone.UNCONFIRMED)])

    report = j.reported(run_dir)

    assert (report["sessions"]["leaked"], report["sessions"]["unconfirmed"]) == (0, 1)
    assert (report["teardown"]["confirmed_gone"], report["teardown"]["unconfirmed"]) == (0, 1)
    assert report["teardown"]["time_to_gone"] == dict.fromkeys(("p50_s", "p90_s", "p95_s", "p99_s", "max_s"))
    assert report["verdict"]["exit_code"] == 0
    assert "nothing was left behind" not in report["verdict"]["reasons"][0]


def test_a_create_without_an_answer_is_doubtful_and_fails_nothing_by_itself(run_dir: Path) -> None:
    doubtful = [*j.good_session(1, 1)[:4], j.finished(1, 1, 3, outcome=Outcome.CANCELLED, remains=Remains.DOUBTFUL)]
    j.write_file(run_dir, [*doubtful, *j.good_session(2, 1)])

    report = j.reported(run_dir)

    assert (report["sessions"]["leaked"], report["sessions"]["doubtful"]) == (0, 1)
    assert report["verdict"]["exit_code"] == 0
    assert "nothing was left behind" not in report["verdict"]["reasons"][0]
    assert report["verdict"]["reasons"][report["verdict"]["told"] :] == [
        "1 session doubtful: create was not answered, or with a server error; user_absent_timeout ends them"
    ]


def test_a_swept_session_is_no_longer_left_behind(run_dir: Path) -> None:
    whole = j.good_session(1, 1)
    j.write_file(run_dir, [*whole[:-4], j.remains(1, 12, Remains.LEAKED, "delete_failed"), whole[-1]])
    before = j.reported(run_dir)
    write_sweep(run_dir, 1)

    after = j.reported(run_dir)

    assert before["verdict"]["exit_code"] == 5
    assert (after["sessions"]["leaked"], after["sessions"]["swept"]) == (0, 1)
    assert after["verdict"]["exit_code"] == 0
    assert after["duration_s"] == before["duration_s"]


def test_a_sweep_from_a_machine_whose_clock_is_behind_is_believed_and_moves_no_time_of_the_run(run_dir: Path) -> None:
    whole = j.good_session(1, 1)
    j.write_file(run_dir, [*whole[:-4], j.remains(1, 12, Remains.LEAKED, "delete_failed"), whole[-1]])
    before = j.reported(run_dir)
    j.write_file(
        run_dir, [j.remains(1, 500, Remains.NOTHING, "swept")], role="sweep", host="laptop", boot_id="boot-b",
        started_s=499, finished_s=501, wall_ns=j.WALL_NS - j.ns(3600),
    )  # fmt: skip

    after = j.reported(run_dir)

    assert (after["sessions"]["leaked"], after["sessions"]["swept"]) == (0, 1)
    assert after["verdict"]["exit_code"] == 0
    assert [after[key] for key in ("started_at", "duration_s")] == [before[key] for key in ("started_at", "duration_s")]


def test_a_swept_session_that_had_been_alive_is_still_the_targets_fault(run_dir: Path) -> None:
    whole = j.good_session(1, 1)
    alive: list[Event] = [j.look(1, 12, 17, Gone.STILL_ALIVE), j.remains(1, 17, Remains.LEAKED, "still_alive")]
    j.write_file(run_dir, [*whole[:-2], *alive, j.finished(1, 1, 17, outcome=Outcome.FAILED, gone=Gone.STILL_ALIVE)])
    write_sweep(run_dir, 1)

    report = j.reported(run_dir)

    assert (report["sessions"]["leaked"], report["teardown"]["still_alive"]) == (0, 1)


def test_a_killed_engine_leaves_what_it_had_created(run_dir: Path) -> None:
    created, asked = j.good_session(1, 1)[:CREATED], j.good_session(2, 1)[:4]
    j.write_file(run_dir, [*created, *asked, *j.good_session(3, 1)], finish=None)

    report = j.reported(run_dir)

    assert report["sessions"]["started"] == 3
    assert report["sessions"]["unfinished"] == 2
    assert report["sessions"]["left_behind"] == {"delete_never_sent": 1, "create_unanswered": 1}
    assert report["evidence"]["unfinished"] == [j.sid(1), j.sid(2)]
    assert report["generator"]["outcome"] == "invalid"
    assert report["verdict"]["exit_code"] == 5


def test_a_killed_engine_whose_sessions_were_swept_is_only_invalid(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1)[:CREATED], finish=None)
    write_sweep(run_dir, 1)

    report = j.reported(run_dir)

    assert report["sessions"]["leaked"] == 0
    assert report["verdict"]["exit_code"] == 4


def test_while_a_run_is_being_written_its_open_sessions_are_in_flight(run_dir: Path) -> None:
    path = j.write_file(run_dir, [*j.good_session(1, 1)[:CREATED], *j.good_session(2, 1)[:4]], finish=None)

    with Journal(path):
        report = j.reported(run_dir)

    assert report["being_written"] is True
    assert (report["sessions"]["leaked"], report["sessions"]["doubtful"]) == (0, 0)
    assert report["sessions"]["unfinished"] == 2
    assert "still being written" in report["generator"]["invalid_because"][0]


def test_the_load_process_speaks_for_sessions_whose_engine_died(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1)[:CREATED], finish=None)
    died = GeneratorFailed(t_ns=j.at(3), fault=Fault.ENGINE_DIED, process=0, detail="signal 9")
    j.write_file(run_dir, [died, engine_died(1, 1, 3), engine_died(2, 2.5, 3)], role="load")

    report = j.reported(run_dir)

    assert (report["sessions"]["started"], report["sessions"]["failed"]) == (2, 2)
    assert report["sessions"]["unfinished"] == 0
    assert report["sessions"]["failed_rate"] is None  # nothing here is the target's fault
    assert report["failures"][0]["kind"] == "engine_died"
    assert report["generator"]["invalid_because"] == [
        "an engine died (signal 9)",
        "journals cut short because their process was killed: 1 of 2 (host-a-engine-0-0.jsonl)",
    ]


def test_the_engines_own_last_word_beats_that_of_the_load_process(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1), finish=None)
    j.write_file(run_dir, [engine_died(1, 1, 3)], role="load")

    report = j.reported(run_dir)

    assert (report["sessions"]["started"], report["sessions"]["completed"], report["sessions"]["failed"]) == (1, 1, 0)


def test_sessions_of_probes_are_in_no_number(run_dir: Path) -> None:
    slow = j.good_session(9, 1, mint_s=30, purpose="probe:EXP-1")
    bad = [*j.good_session(8, 1, purpose="probe:TD-2")[:CREATED], j.remains(8, 40, Remains.LEAKED, "delete_failed")]
    write = [*j.good_session(1, 1), *slow, *bad]
    j.write_file(run_dir, write)

    report = j.reported(run_dir)

    assert (report["sessions"]["started"], report["sessions"]["leaked"], report["sessions"]["swept"]) == (1, 0, 0)
    assert report["steps"]["mint"]["count"] == 1
    assert report["steps"]["mint"]["max_s"] == 0.1
    assert (report["secrets"]["minted"], report["turns"]["count"], report["teardown"]["deleted"]) == (1, 2, 1)
    assert report["verdict"]["exit_code"] == 5
    assert report["verdict"]["reasons"][0] == ("1 session of active checks left behind: still there after the clean-up")
