"""A whole run as somebody sees it who sits before a terminal: a real pseudo-terminal, of a size that is known."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.e2e.target import unless_late
from tests.support import avaload, eventually

SHORT = ("--room", "none", "--users", "2", "--duration", "3s", "--ramp", "0s", "--pacing", "500ms")
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|\][^\x07\x1b]*(\x07|\x1b\\))")
_SPAWN = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def on_terminal(columns: int = 80, rows: int = 24, before: str = "") -> tuple[str, ...]:
    """A command through which another one runs on a pseudo-terminal of that size."""
    # Who runs tests in several processes sets the size of a terminal that they don't have.
    size = f"unset COLUMNS LINES; stty cols {columns} rows {rows}"
    return ("python3", "-c", _SPAWN, "sh", "-c", f'{size}; {before} exec "$@"', "sh")


def screens(text: str) -> list[str]:
    """What was shown, without what moves the cursor and colours."""
    return _ESCAPES.sub("", text).replace("\r", "").splitlines()


def widest(lines: list[str]) -> int:
    return max(map(len, lines))


def test_a_run_shows_its_figures_while_it_goes_on_and_its_tables_in_the_end(tmp_path: Path) -> None:
    longer, environ = (*SHORT, "--duration", "6s"), {"TERM": "xterm-256color"}  # a busy machine shows figures late
    with avaload("run", *longer, cwd=tmp_path, through=on_terminal(), environ=environ) as run:
        done = run.finish(within_s=60)
        report = run.report()
    assert done.code == unless_late(0, report), done
    lines = screens(done.out)
    live = lines[: lines.index("writing the reports")]
    assert any(re.search(r"[━─]{24}  . s of 6 s, . s left", line) for line in live)
    assert any(re.fullmatch(r"sessions      \d active of 2 · \d+ done · 0 failed · .* ended/s", line) for line in live)
    assert any(re.fullmatch(r"set-up +[≈<] .* m?s +[≈<] .* m?s +\d+", line) for line in live)
    assert any(re.search(r"✓ sessions that fail ≤ 1 % +0 of \d+ bad  met so far", line) for line in live)
    assert widest([line for line in live if str(tmp_path) not in line]) <= 80
    end = lines[lines.index("writing the reports") :]
    assert end[1] == f"verdict: {report['verdict']['outcome']}"
    assert any(line.startswith("✓  sessions that fail") for line in end)
    assert any(line.startswith("mint ") for line in end)
    assert f"{(run.run_dir / 'report.html').as_uri()}\x1b\\" in done.out
    assert done.out.count("\x1b[?25l") == done.out.count("\x1b[?25h") == 1  # the cursor is there again


@pytest.mark.parametrize(
    ("environ", "moves", "coloured"),
    [({"TERM": "dumb"}, False, False), ({"TERM": "xterm", "NO_COLOR": "1"}, True, False)],
    ids=["dumb", "NO_COLOR"],
)
def test_a_terminal_gets_no_more_than_it_can_and_wants(
    environ: dict[str, str], moves: bool, coloured: bool, tmp_path: Path
) -> None:
    with avaload("run", *SHORT, cwd=tmp_path, through=on_terminal(), environ=environ) as run:
        done = run.finish(within_s=60)
    assert ("\x1b[1A" in done.out) is moves
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", done.out)) is coloured
    assert "verdict: " in _ESCAPES.sub("", done.out)


def test_a_terminal_that_is_resized_shows_the_lines_again_that_are_to_be_kept(tmp_path: Path) -> None:
    smaller = "(until [ -e shown ]; do sleep 0.1; done; stty cols 60 rows 12) </dev/tty >/dev/null 2>&1 &"
    environ = {"TERM": "xterm"}
    longer, through = (*SHORT, "--duration", "6s"), on_terminal(120, 40, smaller)
    with avaload("run", *longer, cwd=tmp_path, through=through, environ=environ) as run:
        eventually(lambda: "active of" in run.printed(), within_s=60, what="the live table", during=run)
        (tmp_path / "shown").touch()
        done = run.finish(within_s=60)
        report = run.report()
    assert done.code == unless_late(0, report), done
    _, cleared, after = done.out.partition("\x1b[2J")
    assert cleared
    assert f"writing {run.run_dir}" in screens(after)[0:3]
    live = screens(after.partition("writing the reports")[0])[3:]
    assert widest(live) <= 60


def test_quiet_says_nothing_before_the_verdict(tmp_path: Path) -> None:
    with avaload("run", "--quiet", *SHORT, cwd=tmp_path) as run:
        done = run.finish(within_s=60)
        report = run.report()
    assert done.err == ""
    assert done.out.splitlines() == [
        f"verdict: {report['verdict']['outcome']}",
        *(f"  - {reason}" for reason in report["verdict"]["reasons"]),
    ]


def test_where_a_run_can_be_watched_is_said_at_its_begin(tmp_path: Path) -> None:
    with avaload("run", *SHORT, "--web-port", "0", cwd=tmp_path) as run:
        done = run.finish(within_s=60)
    (page,) = [line for line in done.err_lines if line.startswith("live page: ")]
    assert re.fullmatch(r"live page: http://127\.0\.0\.1:\d{4,5}/sessions", page)
    assert not page.endswith(":0/sessions")


FIRST = "Ending: open sessions are deleted. Ctrl-C once more: no report."


@pytest.mark.parametrize(("times", "last"), [(1, "writing the reports"), (2, "interrupted twice: ")], ids=["1", "2"])
def test_ctrl_c_is_answered(times: int, last: str, tmp_path: Path, brief: Path) -> None:
    with avaload("run", brief, "--users", "2", "--duration", "60s", "--ramp", "0s", cwd=tmp_path) as run:
        eventually(lambda: "active" in run.said(), within_s=30, what="the run's beginning", during=run)
        os.kill(run.pid, signal.SIGINT)
        if times == 2:
            eventually(lambda: FIRST in run.said(), within_s=20, what="its answer", during=run, every_s=0.001)
            os.kill(run.pid, signal.SIGINT)
        done = run.finish(within_s=60)
    assert done.code == 130
    assert FIRST in done.err_lines
    assert done.err_lines[-1].startswith(last)
    assert (run.run_dir / "report.html").exists() is (times == 1)
