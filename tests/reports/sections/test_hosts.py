"""A run over several hosts: who took part, whose journals are here, and what is known of the sessions of the others."""

from pathlib import Path

from loadtest.events.kinds import ClockCompared, WorkerChanged, WorkerState
from reports.data import away
from reports.sections import hosts
from tests.reports import journals as j


def worker(name: str, state: WorkerState, number: int, *, seconds: float = 0.0) -> WorkerChanged:
    return WorkerChanged(
        t_ns=j.at(seconds), worker=name, host=f"host-{name}", state=state, numbers=(number,), directory=f"/runs/{name}"
    )


def write(run_dir: Path, master: list[WorkerChanged | ClockCompared], *, lost_is_cut: bool = True) -> None:
    """Load process 0 ended well; number 1 had a session open when its host was last heard of."""
    j.write_file(run_dir, master, role="master", process=-1).rename(run_dir / "journal" / "host-a-master.jsonl")
    for number in (0, 1):
        j.write_file(run_dir, [], role="load", process=number, host=f"host-{number}")
    j.write_file(run_dir, j.good_session(1, 1), process=0, host="host-0")
    finish = None if lost_is_cut else "completed"
    j.write_file(run_dir, [*j.good_session(2, 1), *j.good_session(3, 5)[:6]], process=1, host="host-1", finish=finish)


JOINED = [worker("a", WorkerState.JOINED, 0), worker("b", WorkerState.JOINED, 1)]
A_HOME = worker("a", WorkerState.HOME, 0, seconds=50)


def test_a_session_of_a_host_whose_journal_is_cut_short_is_unknown_and_not_leaked(run_dir: Path) -> None:
    write(run_dir, [*JOINED, A_HOME, worker("b", WorkerState.LOST, 1, seconds=60)])
    assert away.away(run_dir) == {j.sid(2), j.sid(3)}
    report = j.reported(run_dir)
    assert report["sessions"]["left_behind"] == {"worker_lost": 1}
    assert (report["sessions"]["leaked"], report["sessions"]["doubtful"], report["sessions"]["unknown"]) == (0, 0, 1)
    assert report["evidence"]["unknown"] == [j.sid(3)]
    assert report["verdict"]["exit_code"] == 4
    assert any(reason.startswith("1 session unknown: ") for reason in report["verdict"]["reasons"])


def test_the_same_journal_of_a_host_that_brought_it_home_means_a_leak(run_dir: Path) -> None:
    write(run_dir, [*JOINED, A_HOME, worker("b", WorkerState.HOME, 1, seconds=60)])
    assert away.away(run_dir) == frozenset()
    report = j.reported(run_dir)
    assert report["sessions"]["left_behind"] == {"delete_never_sent": 1}
    assert report["verdict"]["exit_code"] == 5


def test_a_journal_that_was_brought_home_by_hand_settles_its_sessions(run_dir: Path) -> None:
    write(run_dir, [*JOINED, A_HOME, worker("b", WorkerState.LOST, 1, seconds=60)], lost_is_cut=False)
    assert away.away(run_dir) == frozenset()
    assert j.reported(run_dir)["sessions"]["unknown"] == 0


def test_hosts_clocks_and_files_are_in_the_report(run_dir: Path) -> None:
    offset_ns = -3_000_000_000
    compared = ClockCompared(t_ns=j.at(1), host="host-1", boot_id="boot-a", offset_ns=offset_ns, rtt_ns=400_000)
    late = WorkerChanged(t_ns=j.at(9), worker="c", host="host-c", state=WorkerState.REFUSED, detail="the run has begun")
    write(run_dir, [*JOINED, compared, A_HOME, late])
    report = j.reported(run_dir)
    assert report["hosts"]["workers"] == [
        {"host": "host-a", "numbers": [0], "state": "home", "directory": "/runs/a", "detail": ""},
        {"host": "host-b", "numbers": [1], "state": "joined", "directory": "/runs/b", "detail": ""},
        {"host": "host-c", "numbers": [], "state": "refused", "directory": "", "detail": "the run has begun"},
    ]
    # Stamps of host-1 are 3 s above the master's at the same instant; its pairs of clocks are the master's own here, so
    # its wall clock is 3 s ahead.
    assert report["hosts"]["clocks"] == [{"host": "host-1", "offset_s": -3.0, "error_s": 0.0002, "wall_skew_s": 3.0}]
    assert hosts.markdown(report["hosts"]) == [
        "",
        "- worker on `host-a`, load processes 0: all here",
        "- worker on `host-b`, load processes 1: not all here; what it wrote is in /runs/b",
        "- worker on `host-c`, load processes none: none: it was refused (the run has begun)",
    ]
    report["hosts"]["workers"][1]["host"] = "host-1"
    assert hosts.markdown(report["hosts"])[2].endswith("; its wall clock is ahead of the master's by 3 s (± 200 µs)")
    assert hosts.rows(report["hosts"])[1] == {
        "host": "host-1",
        "numbers": "1",
        "state": "not all here; what it wrote is in /runs/b",
        "bad": True,
        "error": "± 200 µs",
        "skew": "3 s",
    }
    assert report["hosts"]["start_spread_s"] is None
    assert report["files"] == {"whole": 4, "truncated": ["host-1-engine-1-0.jsonl"], "missing": []}


def test_a_load_process_without_journals_is_missing_and_the_run_invalid(run_dir: Path) -> None:
    write(run_dir, [*JOINED, A_HOME])
    (run_dir / "journal" / "host-1-engine-1-0.jsonl").unlink()
    (run_dir / "settings.json").write_text('{"scenario": {"load": {"processes": 2}}}')
    report = j.reported(run_dir)
    words = "load process 1: no journal of its engine; what it wrote is in /runs/b on host-b"
    assert report["files"]["missing"] == [words]
    assert words in report["generator"]["invalid_because"]


def test_two_runs_of_one_name_in_one_directory_are_no_run(run_dir: Path) -> None:
    for host in ("runner-1", "runner-2"):
        first = 1 if host == "runner-1" else 100
        j.write_file(run_dir, j.good_session(first, 1), host=host, boot_id=host)
        j.write_file(run_dir, [], role="load", host=host, boot_id=host)
    report = j.reported(run_dir)
    words = "load process 0 is there twice: on runner-1 and on runner-2; these are journals of two runs"
    assert report["files"]["missing"] == [words]
    assert words in report["generator"]["invalid_because"]
    assert report["verdict"]["exit_code"] == 4


def test_what_a_worker_wrote_that_left_before_the_beginning_is_of_no_other_run(run_dir: Path) -> None:
    left = [worker("9", WorkerState.JOINED, 0), worker("9", WorkerState.WITHDRAWN, 0, seconds=0.5)]
    write(run_dir, [*left, *JOINED, A_HOME, worker("b", WorkerState.HOME, 1, seconds=60)], lost_is_cut=False)
    j.write_file(run_dir, [], role="load", process=0, host="host-9")
    assert j.reported(run_dir)["files"]["missing"] == []
