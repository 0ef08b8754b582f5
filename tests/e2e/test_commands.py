"""The commands on a run that is over, and what every command says of itself."""

import json
import re
import signal
from pathlib import Path

import pytest

from loadtest.events.kinds import SessionFinished, SessionStarted
from tests.e2e.target import events, reaching, unless_late
from tests.exporters.traces.receiver import Answer, Receiver
from tests.loadtest.twin.process import running_twin
from tests.support import Done, avaload, call, eventually

COMMANDS = ("run", "report", "compare", "session", "export", "sweep", "doctor", "twin")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A short run without rooms, its report printed: run directory and what the command said."""
    cwd = tmp_path_factory.mktemp("finished")
    options = ("--room", "none", "--users", 2, "--duration", "1s", "--ramp", "0s", "--pacing", "500ms", "--json")
    return cwd / "run", call("run", *options, cwd=cwd)


def first_session(run_dir: Path) -> SessionFinished:
    return next(event for event in events(run_dir) if isinstance(event, SessionFinished))


def test_run_prints_its_report_as_json(finished: tuple[Path, Done]) -> None:
    run_dir, done = finished
    report = json.loads(done.out)
    assert done.code == report["verdict"]["exit_code"] == unless_late(0, report), done
    assert report == json.loads((run_dir / "report.json").read_text())
    assert report["sessions"]["completed"] >= 2
    assert report["turns"]["count"] == report["steps"]["converse"]["count"] == 0


def test_report_rebuilds_the_same_report_from_the_journals_alone(finished: tuple[Path, Done], tmp_path: Path) -> None:
    run_dir, done = finished
    for name in ("report.json", "report.html", "report.md", "junit.xml"):
        (run_dir / name).unlink()
    again = call("report", run_dir, "--json", cwd=tmp_path)
    assert (again.code, again.err) == (done.code, "")
    assert json.loads(again.out) == json.loads(done.out)
    for name in ("report.json", "report.html", "report.md", "junit.xml"):
        assert (run_dir / name).exists(), name


def test_report_judges_again_by_a_file_of_objectives(finished: tuple[Path, Done], tmp_path: Path) -> None:
    run_dir, _ = finished
    own = (run_dir / "report.json").read_bytes()
    slos = tmp_path / "slo.toml"
    slos.write_text('[[slo]]\nname = "in no time"\nindicator = "create.p95"\nmax = 0.000001\n')
    done = call("report", run_dir, "--slo", slos, cwd=tmp_path)
    report = json.loads((run_dir / "judged-slo" / "report.json").read_text())
    assert done.code == unless_late(3, report), done
    assert done.out.splitlines()[0] == f"verdict: {'fail' if done.code == 3 else 'invalid'}"
    assert "in no time" in done.out
    assert [(row["name"], row["outcome"], row["objective"]) for row in report["slos"]] == [
        ("in no time", "fail", 0.000001)
    ]
    assert report["slos"][0]["observed"] == report["steps"]["create"]["p95_s"]
    slos.write_text('[[slo]]\nname = "in a minute"\nindicator = "create.max"\nmax = 60\n')
    assert call("report", run_dir, "--slo", slos, cwd=tmp_path).code == unless_late(0, report)
    assert (run_dir / "report.json").read_bytes() == own


def test_a_run_that_misses_its_objective_is_exit_3(tmp_path: Path) -> None:
    slos = tmp_path / "slo.toml"
    slos.write_text('[[slo]]\nindicator = "mint.max"\nmax = 0.000001\n')
    options = ("--room", "none", "--users", 1, "--duration", "1s", "--ramp", "0s", "--pacing", "1s")
    done = call("run", *options, "--slo", slos, cwd=tmp_path)
    assert done.code == unless_late(3, json.loads((tmp_path / "run" / "report.json").read_text())), done
    assert "mint.max" in done.out


def test_session_tells_one_sessions_story_by_any_of_its_ids(finished: tuple[Path, Done], tmp_path: Path) -> None:
    run_dir, _ = finished
    session = first_session(run_dir).session
    done = call("session", run_dir, session, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert session in done.out
    for word in ("mint", "create", "connect", "delete", "confirmed"):
        assert word in done.out
    ids = [getattr(e, "target_session_id", None) for e in events(run_dir) if getattr(e, "session", "") == session]
    avaturn_id = next(filter(None, ids))
    assert call("session", run_dir, avaturn_id, cwd=tmp_path).out == done.out
    assert call("session", run_dir, session[:12], cwd=tmp_path).out == done.out


def test_session_of_an_id_that_is_not_there_is_bad_input(finished: tuple[Path, Done], tmp_path: Path) -> None:
    done = call("session", finished[0], "feedfeedfeed", cwd=tmp_path)
    assert (done.code, done.out, len(done.err_lines)) == (2, "", 1)
    assert re.match(r"avaload: .*feedfeedfeed", done.err)


def test_export_sends_every_session_of_the_run(finished: tuple[Path, Done], tmp_path: Path) -> None:
    run_dir, _ = finished
    sessions = {event.session for event in events(run_dir) if isinstance(event, SessionStarted)}
    with Receiver() as receiver:
        done = call("export", run_dir, "--otlp-endpoint", receiver.url, cwd=tmp_path)
        where = receiver.url.removeprefix("http://").split("/")[0]
        assert (done.code, done.err) == (0, f"export: the spans of {len(sessions)} sessions to {where}\n")
        assert receiver.traces().keys() == sessions
        assert done.out == f"traces: {len(sessions)} sessions, {len(receiver.spans)} spans sent, 0 dropped\n"


def test_export_obeys_a_receiver_that_is_busy_and_says_what_it_rejected(
    finished: tuple[Path, Done], tmp_path: Path
) -> None:
    run_dir, _ = finished
    sessions = len({event.session for event in events(run_dir) if isinstance(event, SessionStarted)})
    busy = [Answer(429, {"retry-after": "3"}), Answer(503, {"retry-after": "0"})]
    with Receiver(first=[*busy, Answer(rejected=5)]) as receiver:
        gzip = {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
        done = call("export", run_dir, "--otlp-endpoint", receiver.url, cwd=tmp_path, environ=gzip)
    assert set(receiver.encodings) == {"gzip"}
    assert (
        done.out == f"traces: {sessions} sessions, {len(receiver.spans)} spans sent, 5 dropped (last: 200, in part)\n"
    )
    assert done.code == 4


def test_sweep_of_a_run_with_the_embedded_twin_needs_no_keys_for_it_has_nothing_to_delete(
    finished: tuple[Path, Done], tmp_path: Path
) -> None:
    done = call("sweep", finished[0], "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert {key: json.loads(done.out)[key] for key in ("gone", "failed", "doubtful")} == {
        "gone": [],
        "failed": {},
        "doubtful": [],
    }


def test_doctor_looks_at_this_machine(tmp_path: Path) -> None:
    done = call("doctor", "--json", cwd=tmp_path, environ={"AVALOAD_OUTPUT__METRICS_PORT": "off"})
    assert (done.code, done.err) == (0, "")
    checks = {check["name"]: check["state"] for check in json.loads(done.out)}
    assert {"cores", "open files", "metrics port", "timers", "target"} <= checks.keys()
    assert "bad" not in checks.values()


def test_doctor_asks_the_endpoints_and_says_which_does_not_answer(tmp_path: Path) -> None:
    with running_twin() as twin:
        environ = {**reaching(twin), "AVALOAD_OUTPUT__METRICS_PORT": "off"}
        good = call("doctor", cwd=tmp_path, environ=environ)
        assert good.code == 0, good
        assert re.search(rf"^ok +avaturn: {twin.avaturn_url} answers", good.out, re.MULTILINE)
        environ["AVALOAD_TARGET__AVATURN_BASE_URL"] = "http://127.0.0.1:1"
        bad = call("doctor", cwd=tmp_path, environ=environ)
        assert bad.code == 2
        assert re.search(r"^bad +avaturn: http://127\.0\.0\.1:1: ", bad.out, re.MULTILINE)
        assert re.search(r"^ok +openai: ", bad.out, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str, tmp_path: Path) -> None:
    done = call(command, "--help", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert re.search(rf"[Ee]xample:\s+avaload {command}\b", done.out), done.out


def test_the_command_itself_names_all_its_commands(tmp_path: Path) -> None:
    done = call("--help", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^ +{command} ", done.out, re.MULTILINE), command


def test_twin_announces_itself_in_one_line_and_ends_by_a_signal_with_exit_0(tmp_path: Path) -> None:
    with avaload("twin", "--clock-scale", 5, cwd=tmp_path) as twin:
        line = eventually(twin.printed, within_s=20, what="the twin's line", during=twin)
        announced = json.loads(line)
        assert announced["clock_scale"] == 5
        assert {"openai_base_url", "avaturn_base_url", "openai_api_key", "avaturn_api_key", "state_url"} <= set(
            announced
        )
        twin.process.send_signal(signal.SIGTERM)
        done = twin.finish(within_s=10)
        assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
