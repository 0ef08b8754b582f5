"""What a run that is too short, or whose target says nothing, says of itself: through the command, as a job sees it."""

import json
import socket
import wave
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.e2e.target import reaching, unless_late
from tests.loadtest.twin.process import running_twin
from tests.support import Done, call, free_port

NO_TALK = ("--room", "none")
P95 = '[[slo]]\nname = "first audio"\nindicator = "turn.time_to_first_audio.p95"\nmax = 30\n'


def ran(cwd: Path, *arguments: object, environ: dict[str, str] | None = None) -> tuple[Done, dict[str, Any]]:
    done = call("run", *arguments, cwd=cwd, environ=environ, within_s=150)
    return done, json.loads((cwd / "run" / "report.json").read_text())


def junit(cwd: Path) -> list[ElementTree.Element]:
    return list(ElementTree.parse(cwd / "run" / "junit.xml").iter("testcase"))


def test_every_third_create_refused_in_the_ramp_of_a_short_run_fails_it(tmp_path: Path) -> None:
    with running_twin("--seed", "3", "--set", "fault.create=500:0.34") as twin:
        done, report = ran(
            tmp_path, "--users", 4, "--duration", "10s", *NO_TALK, "--pacing", "4s", environ=reaching(twin)
        )
    assert report["sessions"]["failed"] > 0
    assert done.code == unless_late(3, report), done
    (row,) = [slo for slo in report["slos"] if slo["indicator"] == "session.failed_rate"]
    assert (row["outcome"], row["beyond"] > 0) == ("fail", True)


@pytest.mark.parametrize("asked", [False, True])
def test_a_target_that_answers_500_to_everything_failed_whatever_lacks_samples(tmp_path: Path, asked: bool) -> None:
    (tmp_path / "slo.toml").write_text(P95)
    slo = ("--slo", "slo.toml") if asked else ()
    with running_twin("--set", "fault.mint=500:1") as twin:
        done, report = ran(tmp_path, "--users", 2, "--duration", "2s", "--ramp", "0s", *slo, environ=reaching(twin))
    assert done.code == unless_late(3, report), done
    assert report["sessions"]["completed"] == 0
    if asked:
        assert report["slos"][0]["outcome"] == "not_enough_samples"
        assert "was completed: the target answered mint http_5xx" in done.out
        assert "not enough samples: first audio (turn.time_to_first_audio.p95): 0 turns, it takes 20" in done.out


def long_clip(cwd: Path, length_s: int) -> str:
    """A scenario of one turn that is spoken for so long."""
    with wave.open(str(cwd / "long.wav"), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", "not compressed"))
        file.writeframes((b"\x00\x10" * 12 + b"\x00\xf0" * 12) * 1000 * length_s)
    (cwd / "long.toml").write_text('name = "long"\n[[conversation.turns]]\nkind = "say"\nclip = "long.wav"\n')
    return "long.toml"


def test_a_clip_that_lasts_longer_than_the_run_is_heard_out_by_default(tmp_path: Path) -> None:
    with running_twin() as twin:
        words = (long_clip(tmp_path, 45), "--users", 2, "--ramp", "0s", "--duration", "1s")
        done, report = ran(tmp_path, *words, environ=reaching(twin))
    assert (report["sessions"]["completed"], report["sessions"]["censored"]) == (2, 0)
    assert done.code == unless_late(0, report), done


def test_a_run_that_cuts_off_all_of_its_sessions_shows_nothing(tmp_path: Path) -> None:
    with running_twin() as twin:
        words = (long_clip(tmp_path, 60), "--users", 2, "--ramp", "0s", "--duration", "1s", "--graceful-stop", "2s")
        done, report = ran(tmp_path, *words, environ=reaching(twin))
    sessions = report["sessions"]
    assert (sessions["started"], sessions["completed"], sessions["censored"]) == (2, 0, 2)
    assert done.code == 4, done
    assert "none of 2 sessions was completed, and the target refused nothing: nothing is proved (2 cut off" in done.out
    (case,) = [case for case in junit(tmp_path) if case.get("name") == "the run shows what it was to show"]
    assert "none of 2 sessions was completed" in str(case.findtext("failure"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--openai-base-url", "http://nobody.invalid/v1", "--avaturn-base-url", "http://localhost:9"), "openai"),
        (("--openai-base-url", "http://localhost:9/v1", "--avaturn-base-url", "http://nobody.invalid"), "avaturn"),
    ],
)
def test_a_host_that_nobody_can_find_is_said_before_the_start(
    options: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    keys = {"OPENAI_API_KEY": "sk-test", "AVATURN_API_KEY": "key"}
    more = ("--live", "--max-sessions", 1, "--users", 1)
    done = call("run", *options, *more, cwd=tmp_path, environ=keys, within_s=60)
    assert done.code == 2, done
    assert done.err_lines[-1].startswith(f"avaload: --{named}-base-url: nobody.invalid: this name d")
    assert not (tmp_path / "run").exists()


def test_with_a_proxy_the_proxy_finds_the_target_and_must_be_found_itself(tmp_path: Path) -> None:
    keys = {"OPENAI_API_KEY": "sk-test", "AVATURN_API_KEY": "key"}
    target = ("--openai-base-url", "http://nobody.invalid/v1", "--avaturn-base-url", "http://nobody.invalid")
    more = ("--live", "--max-sessions", 1, "--users", 1, "--duration", "1s", "--ramp", "0s")
    lost = call("run", *target, *more, "--proxy", "http://proxy.invalid:3128", cwd=tmp_path, environ=keys, within_s=60)
    assert (lost.code, [line.split(": ")[1:3] for line in lost.err_lines if "invalid" in line]) == (
        2, [["--proxy", "proxy.invalid"]],
    )  # fmt: skip
    done = call(
        "run", *target, *more, "--proxy", f"http://127.0.0.1:{free_port()}", cwd=tmp_path, environ=keys, within_s=90
    )
    assert done.code == 4, done  # started; the proxy is not there
    assert "the target was never reached, so nothing is known of it" in done.out


def test_a_target_where_nobody_listens_is_not_said_to_have_failed(tmp_path: Path) -> None:
    port = free_port()
    keys = {"OPENAI_API_KEY": "sk-test", "AVATURN_API_KEY": "key"}
    target = ("--openai-base-url", f"http://127.0.0.1:{port}/v1", "--avaturn-base-url", f"http://127.0.0.1:{port}")
    done, report = ran(tmp_path, *target, "--users", 2, "--duration", "2s", "--ramp", "0s", environ=keys)
    assert (done.code, report["verdict"]["outcome"]) == (4, "invalid"), done
    assert report["sessions"]["failed"] == report["sessions"]["started"] > 0
    assert any(reason.startswith("the target was never reached") for reason in report["verdict"]["reasons"])


def test_a_target_that_takes_connections_and_never_answers_failed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        port = mute.getsockname()[1]
        environ = {"OPENAI_API_KEY": "sk-test", "AVATURN_API_KEY": "key", "AVALOAD_TARGET__MINT_TIMEOUT_S": "0.5"}
        target = ("--openai-base-url", f"http://127.0.0.1:{port}/v1", "--avaturn-base-url", f"http://127.0.0.1:{port}")
        done, report = ran(tmp_path, *target, "--users", 1, "--duration", "2s", "--ramp", "0s", environ=environ)
    assert done.code == unless_late(3, report), done


def test_arrivals_that_our_own_pool_let_go_are_ours(tmp_path: Path) -> None:
    with running_twin("--set", "latency.create=fixed:3") as twin:
        words = ("--rate", 1, "--max-users", 1, "--ramp", "0s", "--duration", "8s", *NO_TALK)
        done, report = ran(tmp_path, *words, environ=reaching(twin))
    assert report["sessions"]["dropped"] > 0
    assert report["sessions"]["completed"] > 0
    assert done.code == 4, done
    assert "objectives were met" not in done.out
    assert "never became sessions: our own pool of users was too small (--max-users)" in done.out


def test_who_asks_for_a_bound_on_dropped_arrivals_is_judged_by_his_own(tmp_path: Path) -> None:
    (tmp_path / "slo.toml").write_text('[[slo]]\nindicator = "session.dropped_rate"\nmax = 0.9\n')
    with running_twin("--set", "latency.create=fixed:3") as twin:
        words = ("--rate", 1, "--max-users", 1, "--ramp", "0s", "--duration", "8s", "--slo", "slo.toml", *NO_TALK)
        done, report = ran(tmp_path, *words, environ=reaching(twin))
    assert report["sessions"]["dropped"] > 0
    assert done.code == unless_late(0, report), done


def test_a_short_clean_run_passes_and_says_in_every_output_what_it_could_not_have_seen(tmp_path: Path) -> None:
    with running_twin("--set", "latency.create=fixed:1.5") as twin:
        words = ("--users", 6, "--ramp", "0s", "--duration", "1s", *NO_TALK)
        done, report = ran(tmp_path, *words, environ=reaching(twin))
    started = report["sessions"]["started"]
    assert done.code == unless_late(0, report), done
    (row,) = report["slos"]
    bound = 1 - 0.05 ** (1 / started)
    assert (row["outcome"], row["count"], row["upper_bound"]) == ("pass", started, pytest.approx(bound, abs=1e-6))
    assert len([case for case in junit(tmp_path) if "could be up to" in str(case.findtext("system-out"))]) == 1
    for name in ("report.md", "report.html"):
        assert "could be up to" in (tmp_path / "run" / name).read_text(), name
    assert "could be up to" in done.out
    assert "none failed: up to " in done.out


def test_a_quantile_that_was_asked_for_and_had_too_few_samples_is_said_before_and_after(tmp_path: Path) -> None:
    (tmp_path / "slo.toml").write_text('[[slo]]\nname = "creates"\nindicator = "create.p95"\nmax = 60\n')
    with running_twin("--set", "latency.create=fixed:1.5") as twin:
        words = ("--users", 4, "--ramp", "0s", "--duration", "1s", "--slo", "slo.toml", *NO_TALK)
        done, report = ran(tmp_path, *words, environ=reaching(twin))
    assert "avaload: warning: creates (create.p95): p95 needs 20 sessions, about 4 are planned" in done.err_lines
    assert done.code == 4, done
    started = report["sessions"]["started"]
    assert (report["slos"][0]["outcome"], report["slos"][0]["count"]) == ("not_enough_samples", started)
    assert f"not enough samples: creates (create.p95): {started} create" in done.out
    for name in ("report.md", "report.html"):
        text = (tmp_path / "run" / name).read_text()
        assert "not enough samples" in text, name
        assert f"{started} of 20" in text, name
    (case,) = [case for case in junit(tmp_path) if case.get("classname") == "avaload.slo"]
    assert "it takes 20" in str(case.findtext("error"))
    assert f"{started} of 20" in done.out
