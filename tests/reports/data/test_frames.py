"""Reading journals: cut lines, killed writers, other hosts' clocks, and what is no run at all."""

from pathlib import Path

import pytest

from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import STEPS, HealthSampled, RuleChecked, RuleOutcome, RunFinished
from loadtest.journal import JournalError, encode
from reports.build import build
from reports.data import frames
from reports.sections.sessions import active
from tests.reports import journals as j


def test_a_line_that_was_cut_by_a_kill_is_left_out(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1), finish=None, tail=b'{"event":"session_sta')

    run = frames.load(run_dir)

    assert list(run.sessions["id"]) == [j.sid(1)]
    assert list(run.truncated["name"]) == ["host-a-engine-0-0.jsonl"]


def test_a_file_whose_first_line_was_cut_does_not_spoil_the_others(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1))
    (run_dir / "journal" / "host-a-engine-1-0.jsonl").write_bytes(b'{"event":"run_st')
    (run_dir / "journal" / "host-a-engine-2-0.jsonl").write_bytes(b"")

    assert len(frames.load(run_dir).sessions) == 1


def test_a_session_without_an_end_lasts_until_its_engines_last_word(run_dir: Path) -> None:
    j.write_file(run_dir, [*j.good_session(1, 1)[:4], j.health(7)], finish=None)
    j.write_file(run_dir, [j.health(50)], incarnation=1)

    session = frames.load(run_dir).sessions.set_index("id").loc[j.sid(1)]

    assert session["end_ns"] == j.at(7)
    assert session[["outcome", "ended_by", "gone"]].isna().all()


def test_hosts_with_clocks_of_their_own_are_put_on_one(run_dir: Path) -> None:
    other_start_ns = 77_000_000_000  # that host was started 77 s before the run
    shift_ns = other_start_ns - j.START_NS
    there = [
        type(event)(**{f: getattr(event, f) + shift_ns if f in ("t_ns", "started_ns", "due_ns", "deleted_ns")
                       else getattr(event, f) for f in event.__struct_fields__})
        for event in j.good_session(2, 5)
    ]  # fmt: skip
    j.write_file(run_dir, j.good_session(1, 1))
    j.write_file(run_dir, there, host="host-b", boot_id="boot-b", start_ns=other_start_ns, started_s=0.5)

    run = frames.load(run_dir)

    sessions = run.sessions.set_index("id")
    assert sessions.loc[j.sid(2), "started_ns"] == j.at(5)
    assert sessions.loc[j.sid(2), "end_ns"] == j.at(16.15)
    assert active(run)["active"].max() == 2
    assert j.reported(run_dir)["duration_s"] == 16.15


def test_one_bad_pair_of_clocks_does_not_move_a_host(run_dir: Path) -> None:
    stepped = HealthSampled(
        t_ns=77_000_000_000, wall_ns=j.WALL_NS + j.ns(3600), source="engine", process=0, lag_p99_ns=0, lag_max_ns=0,
        cpu_percent=1.0, rss_bytes=1,
    )  # fmt: skip
    steady = [
        HealthSampled(t_ns=77_000_000_000 + j.ns(t_s), wall_ns=j.WALL_NS + j.ns(t_s), source="engine", process=0,
                      lag_p99_ns=0, lag_max_ns=0, cpu_percent=1.0, rss_bytes=1)
        for t_s in (1, 2)
    ]  # fmt: skip
    j.write_file(run_dir, j.good_session(1, 1))
    j.write_file(run_dir, [stepped, *steady], host="host-b", boot_id="boot-b", start_ns=77_000_000_000)

    health = frames.load(run_dir).health

    assert list(health["t_ns"]) == [j.at(0), j.at(1), j.at(2)]


def test_stamps_of_one_boot_are_never_moved(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1))
    j.write_file(run_dir, j.good_session(2, 1), process=1, wall_ns=j.WALL_NS + j.ns(5))

    sessions = frames.load(run_dir).sessions

    assert list(sessions["started_ns"]) == [j.at(1), j.at(1)]


def test_an_end_and_a_start_at_one_instant_are_not_two_at_once(run_dir: Path) -> None:
    j.write_file(run_dir, [j.started(1, 1), j.finished(1, 1, 5), j.started(2, 5), j.finished(2, 5, 9)])

    line = active(frames.load(run_dir))

    assert list(zip(line["t_ns"], line["active"], strict=True)) == [
        (j.at(1), 1), (j.at(5), 0), (j.at(5), 1), (j.at(9), 0),
    ]  # fmt: skip


def test_a_run_in_which_nothing_happened_has_nulls_and_is_invalid(run_dir: Path) -> None:
    j.write_file(run_dir, [])

    report = j.reported(run_dir)

    nothing = dict.fromkeys(("p50_s", "p90_s", "p95_s", "p99_s", "max_s"))
    assert {step: {key: row[key] for key in nothing} for step, row in report["steps"].items()} == dict.fromkeys(
        STEPS, nothing
    )
    assert report["turns"]["time_to_first_audio"] == {"count": 0, **nothing}
    assert report["secrets"]["min_margin_s"] is None
    assert report["generator"]["engine_lag_p99_s"] is None
    assert report["sessions"]["peak_active"] == 0
    assert report["slos"] == []
    assert report["duration_s"] == 0
    assert report["verdict"]["exit_code"] == 4
    assert report["verdict"]["reasons"] == ["the generator's numbers can't be trusted: no session was started"]


def test_a_run_without_settings_names_itself_from_its_journals(run_dir: Path) -> None:
    j.write_file(run_dir, j.good_session(1, 1))

    report = j.reported(run_dir)

    assert (report["run_id"], report["scenario"]) == ("run-1", "support-call")
    assert report["started_at"] == "2026-09-21T14:13:20.000Z"


def test_a_directory_that_is_no_run_is_refused_and_left_alone(run_dir: Path) -> None:
    with pytest.raises(JournalError, match=r"run-1: holds no journal; is it a run directory\?$"):
        build(run_dir)
    assert list(run_dir.iterdir()) == []


def test_a_journal_of_another_schema_is_refused_by_name(run_dir: Path) -> None:
    j.write_file(run_dir, [], schema=3)
    with pytest.raises(JournalError, match=r"^host-a-engine-0-0.jsonl: schema 3, this version reads 1 to 2$"):
        build(run_dir)


@pytest.mark.parametrize("place", [2, -1])
@pytest.mark.parametrize("event", ["session_started", "step_finished", "secret_minted", "session_finished"])
def test_a_line_that_stands_twice_is_named_and_makes_the_run_invalid(run_dir: Path, event: str, place: int) -> None:
    path = j.write_file(run_dir, [*j.good_session(1, 1), *j.good_session(2, 2)])
    whole = j.reported(run_dir)
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(place, next(line for line in lines if event.encode() in line[:40]))
    path.write_bytes(b"".join(lines))

    report = j.reported(run_dir)

    assert report["passed_over"] == {"count": 1, "first": [f"{path.name}: a line stands twice ({event})"]}
    assert report["sessions"] == whole["sessions"]
    assert (whole["generator"]["outcome"], report["generator"]["outcome"]) == ("valid", "invalid")


def test_what_may_be_said_twice_in_a_moment_is_no_repeated_line(run_dir: Path) -> None:
    check = RuleChecked(t_ns=j.at(5), session=j.sid(1), rule="TD-1", outcome=RuleOutcome.FAIL, detail="late")
    j.write_file(run_dir, [*j.good_session(1, 1), check, check])
    run = frames.load(run_dir)
    assert (len(run.checks), run.passed_over.count) == (2, 0)


def test_what_cannot_be_read_is_passed_over_named_and_makes_the_run_invalid(run_dir: Path) -> None:
    path = j.write_file(run_dir, j.good_session(1, 1), finish=None)
    with path.open("ab") as file:
        file.write(b'{"event":"from_the_future"}\n')
        file.writelines(map(encode, j.good_session(2, 2)))
        file.write(encode(RunFinished(t_ns=j.at(60), reason="completed")))
    (run_dir / "journal" / "._host-a-engine-0-0.jsonl").write_bytes(bytes(1000) + b"\n")
    j.write_file(run_dir, [], process=1, run_id="run-2")

    report = build(run_dir)

    assert report["sessions"]["completed"] == 2
    assert report["passed_over"]["count"] == 3
    assert report["verdict"]["exit_code"] == 4
    told = next(why for why in report["generator"]["invalid_because"] if why.startswith("passed over"))
    line = len(j.good_session(1, 1)) + 2
    assert f"host-a-engine-0-0.jsonl:{line}: not an event line: Invalid value 'from_the_future'" in told
    assert "._host-a-engine-0-0.jsonl: does not begin with run_started" in told
    assert "host-a-engine-1-0.jsonl: belongs to run run-2, not to run-1" in told
    for page, name in (("report.md", r".\_host-a-engine-0-0.jsonl"), ("report.html", "._host-a-engine-0-0.jsonl")):
        assert name in (run_dir / page).read_text()


def test_one_more_session_and_a_damaged_line_leave_the_other_figures_as_they_were(run_dir: Path) -> None:
    path = j.write_file(run_dir, j.good_session(1, 1))
    before = j.reported(run_dir)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n" + bytes(50) + b"\n", 1))
    after = j.reported(run_dir)
    assert {name: after[name] for name in ("sessions", "steps", "secrets")} == {
        name: before[name] for name in ("sessions", "steps", "secrets")
    }
    assert after["passed_over"]["first"][0].startswith("host-a-engine-0-0.jsonl:2: not an event line: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "settings.json: can't be read"),
        ("[]", "settings.json: can't be read: must hold an object"),
        ('{"scenario": {"slo": [{"indicator": "mint.p50", "max": 1, "mx": 2}]}}', "unknown key 'mx'"),
    ],
)
def test_settings_that_make_no_sense_are_one_clear_line(run_dir: Path, text: str, problem: str) -> None:
    j.write_file(run_dir, [])
    (run_dir / "settings.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        build(run_dir)
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]
    assert not (run_dir / "report.json").exists()


def test_the_sweep_of_a_copied_directory_is_read_whatever_it_calls_the_run(run_dir: Path) -> None:
    j.write_file(run_dir, [], role="sweep", host="a-host-that-sorts-first", run_id="copy-of-run-1", started_s=99)
    j.write_file(run_dir, j.good_session(1, 1))
    assert frames.load(run_dir).run_id == "run-1"
