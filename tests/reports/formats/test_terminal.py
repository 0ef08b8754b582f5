"""What a command prints at its end, as values; and the same failures, steps and words in Markdown and JUnit."""

import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from loadtest.criteria.slo import Slo
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import STEPS, Event, Outcome, Remains, Step
from reports.build import build
from reports.formats import terminal
from reports.verdict import tables
from tests.reports import journals as j

SLOW = Slo(
    name="first audio, quick enough for a conversation that flows", indicator="turn.time_to_first_audio.p95", max=1
)


def failing(number: int, code: Code, detail: str) -> list[Event]:
    """A session whose create was refused."""
    why = j.failure(Step.CREATE, Kind.REJECTED, code, detail)
    return [
        *j.good_session(number, number)[:3],
        j.step(number, Step.CREATE, number, number + 0.2, outcome=Outcome.FAILED, failure=why),
        j.finished(number, number, number + 1, outcome=Outcome.FAILED, failure=why),
    ]


def troubled() -> list[Event]:
    codes = [Code.HTTP_5XX] * 4 + [Code.RATE_LIMITED] * 3 + [Code.QUOTA] * 2 + [Code.OTHER]
    events = [event for number, code in enumerate(codes, 1) for event in failing(number, code, f"it said {code}")]
    for number in range(21, 51):
        events += j.good_session(number, number - 20)
    left = j.good_session(60, 1)
    cut = j.step(60, Step.TURN, 5, 6, turn=1, barge_in_ns=j.ns(0.4), first_audio_ns=j.ns(0.9))
    return [*events, *left[:-4], cut, j.remains(60, 12, Remains.LEAKED, "delete_failed"), *ended(60)]


def ended(number: int) -> list[Event]:
    why = j.failure(Step.DELETE, Kind.TIMEOUT, Code.TIMEOUT, "no answer within 10 s")
    return [
        j.failed_step(number, Step.DELETE, 11, 12, kind=Kind.TIMEOUT, code=Code.TIMEOUT),
        j.finished(number, 1, 12, outcome=Outcome.FAILED, failure=why, remains=Remains.LEAKED),
    ]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "checkout 7"
    path.mkdir()
    j.write_file(path, troubled())
    build(path, slos=[SLOW])
    return path


@pytest.fixture(scope="module")
def report(run_dir: Path) -> dict[str, Any]:
    return build(run_dir, slos=[SLOW])


@pytest.fixture
def here(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run_dir.parent)


def on(width: int) -> Console:
    return Console(width=width)


def plain(report: dict[str, Any], run_dir: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As a terminal without colours has it."""
    monkeypatch.setenv("TERM", "dumb")
    return terminal.render(report, run_dir, shown_on=on(width)).splitlines()


@pytest.mark.usefixtures("here")
def test_the_three_most_frequent_failures_have_an_example_and_the_command_that_shows_it(
    report: dict[str, Any], run_dir: Path
) -> None:
    lines = terminal.render(report, run_dir).splitlines()
    begin = lines.index("failures (the 3 most frequent of 5)")
    assert lines[begin + 1 : begin + 10] == [
        "  create · rejected · http_5xx: 4 sessions",
        "    it said http_5xx",
        f"    avaload session 'checkout 7' {j.sid(1)[:12]}",
        "  create · rejected · rate_limited: 3 sessions",
        "    it said rate_limited",
        f"    avaload session 'checkout 7' {j.sid(5)[:12]}",
        "  create · rejected · quota: 2 sessions",
        "    it said quota",
        f"    avaload session 'checkout 7' {j.sid(8)[:12]}",
    ]


@pytest.mark.usefixtures("here")
def test_on_80_columns_nothing_is_wider_and_no_word_is_lost(
    report: dict[str, Any], run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = plain(report, run_dir, 80, monkeypatch)
    assert max(map(len, found)) <= 80
    wide = " ".join(terminal.render(report, run_dir).split())
    assert sorted(" ".join(found).replace(" ", "")) == sorted(wide.replace(" ", ""))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("width", [0, 1, 19])
def test_a_terminal_that_says_it_has_no_room_is_written_on_as_on_80_columns(
    width: int, report: dict[str, Any], run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plain(report, run_dir, width, monkeypatch) == plain(report, run_dir, 80, monkeypatch)


@pytest.mark.parametrize(("width", "outcome"), [(60, "not"), (80, "not"), (120, "not enough samples")])
def test_objectives_have_their_words_whole_on_80_columns_and_every_mark_on_fewer(
    width: int, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    j.write_file(tmp_path, [event for number in range(1, 9) for event in j.good_session(number, number)])
    slos = [
        Slo(name="first audio", indicator="turn.time_to_first_audio.p95", max=9),
        Slo(name="sessions work", indicator="session.failed_rate", max=0.01),
    ]
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.setenv(name, str(width))
    monkeypatch.setenv("TERM", "xterm")
    text = terminal.render(build(tmp_path, slos=slos), tmp_path, shown_on=on(width))
    lines = re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("   objective"))
    rows = lines[begin + 1 : lines.index("", begin)]
    assert [row[0] for row in rows if row[0] != " "] == ["·", "✓"]
    assert max(map(len, rows)) <= width
    whole = " ".join(" ".join(rows).split())
    if width >= 80:
        assert "(turn.time_to_first_audio.p95)" in whole
        assert "(session.failed_rate)" in whole
    assert outcome in rows[0]


@pytest.mark.usefixtures("here")
def test_steps_and_turns_have_their_set_up_and_barge_in_rows(report: dict[str, Any], run_dir: Path) -> None:
    lines = terminal.render(report, run_dir).splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("step "))
    steps = begin + 1 + len(STEPS)
    assert [line.split("  ")[0] for line in lines[begin : steps + 4]] == [
        "step", *STEPS, "set-up (mint to connected)", "turns", "turn: time to first audio", "turn: barge-in to silence",
    ]  # fmt: skip
    turns, first_audio, barge_in = (line.split() for line in lines[steps + 1 : steps + 4])
    assert turns == ["turns", str(report["turns"]["count"]), str(report["turns"]["failed"]), *"––––"]
    samples = report["turns"]["time_to_first_audio"]["count"]
    assert first_audio[:7] == ["turn:", "time", "to", "first", "audio", str(samples), "–"]
    assert barge_in == ["turn:", "barge-in", "to", "silence", "1", "0", *["400", "ms"] * 4]


@pytest.mark.usefixtures("here")
def test_what_was_left_behind_has_the_command_that_deletes_it_and_the_page_comes_last(
    report: dict[str, Any], run_dir: Path
) -> None:
    lines = terminal.render(report, run_dir).splitlines()
    assert "next:    avaload sweep 'checkout 7' deletes what was left behind (1 session)" in lines
    assert lines[-1] == f"report:  {run_dir / 'report.html'}"


def test_quiet_is_the_verdict_and_why(report: dict[str, Any], run_dir: Path) -> None:
    reasons = report["verdict"]["reasons"]
    assert terminal.render(report, run_dir, quiet=True).splitlines() == [
        "verdict: fail",
        *(f"  - {r}" for r in reasons),
    ]


def test_links_can_be_followed_and_colours_are_for_terminals_alone(
    report: dict[str, Any], run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert f";{(run_dir / 'report.html').as_uri()}\x1b\\" in terminal.render(report, run_dir, shown_on=on(100))
    assert "\x1b[1;31mfail" in terminal.render(report, run_dir, shown_on=on(100))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in terminal.render(report, run_dir, shown_on=on(100))
    assert "\x1b" not in terminal.render(report, run_dir)


def test_text_of_a_run_is_text(run_dir: Path, report: dict[str, Any]) -> None:
    evil = "\x1b[2J\x07::error::x"
    row = report["failures"][0] | {"detail": evil, "step": evil}
    text = terminal.render(report | {"failures": [row]}, run_dir)
    assert "\x1b" not in text
    assert "\n::" not in text


def test_markdown_and_junit_carry_the_same_failures_and_rows(report: dict[str, Any], run_dir: Path) -> None:
    markdown = (run_dir / "report.md").read_text()
    example = f"avaload session checkout 7 {j.sid(1)[:12]}"
    assert f"| create | rejected | http_5xx | 4 | 4 | it said http_5xx: {example} |" in markdown
    assert "| turn: barge-in to silence | 1 | 0 | 400 ms | 400 ms | 400 ms | 400 ms |" in markdown
    assert "| set-up (mint to connected) | 31 | – | 800 ms |" in markdown
    suite = ElementTree.parse(run_dir / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    told = str(suite.findtext("system-out")).splitlines()
    first = tables.failures(report, run_name=run_dir.name)[0]
    assert f"failed: create · rejected · http_5xx: 4 sessions: {first.typed}" in told
    assert any(line.split()[:5] == ["turn:", "barge-in", "to", "silence", "1"] for line in told)


def test_the_command_of_an_example_is_one_that_a_shell_takes(report: dict[str, Any]) -> None:
    found = tables.failures(report, run_name="it's; rm -rf")[0]
    assert shlex.split(found.typed) == ["avaload", "session", "it's; rm -rf", j.sid(1)[:12]]


def test_a_run_has_its_pages_where_somebody_has_deleted_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, run = tmp_path / "here", tmp_path / "run-7"
    here.mkdir()
    j.write_file(run, j.good_session(1, 1))
    monkeypatch.chdir(here)
    here.rmdir()
    report = build(run)
    assert (report["verdict"]["exit_code"], (run / "report.md").exists()) == (0, True)
    assert f"report:  {run}/report.html" in terminal.render(report, run)
