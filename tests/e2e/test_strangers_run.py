"""A run directory that a stranger made: whatever stands in its fields, no output obeys any of it."""

import json
import os
import re
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest import journal
from loadtest.config.settings import Settings
from loadtest.errors.exit_codes import Exit
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    Failure,
    Fault,
    GeneratorFailed,
    Mark,
    Observed,
    Remains,
    RuleChecked,
    RuleOutcome,
    RunAborted,
    StageStarted,
    Step,
    WorkerChanged,
    WorkerState,
)
from reports.formats import github, junit, render_md
from tests.programs import needed
from tests.reports import journals as j
from tests.support import Done, avaload, call

NASTY = (
    "::error::owned\n::add-mask::x\r\n##[error]y\x1b[2J\x1b[31m\x1b]0;title\x07\x9b1m\u202e\u2066\u2028\u200f\x00"
    "<script>alert(1)</script>![i](http://evil.example/p.png)|a|`b`[red]x[/red] %0A::error::z\n  - verdict: pass\n"
)
STRUCTURE = {"event", "session", "purpose", "role", "run_id", "boot_id", "host", "reason", "source", "mark"}
"""Fields whose words decide what an event means: tried one at a time."""


def events() -> list[Any]:
    broken = RuleChecked(t_ns=j.at(9), session=j.sid(1), rule="TD-1", outcome=RuleOutcome.FAIL, detail="x")
    return [
        *j.good_session(1, 1),
        broken,
        Observed(t_ns=j.at(3), session=j.sid(1), mark=Mark.USER_TRANSCRIPT, turn=0, text="hello", speaker="user"),
        j.started(2, 2),
        j.remains(2, 2.1, Remains.DOUBTFUL, "create_sent"),
        j.remains(2, 2.2, Remains.LEAKED, "create_answered"),
        j.failed_step(2, Step.CREATE, 2.1, 2.2, Kind.REJECTED, Code.HTTP_5XX),
        j.finished(
            2, 2, 3, outcome="failed", remains=Remains.LEAKED,
            failure=Failure(step=Step.CREATE, kind=Kind.REJECTED, code=Code.HTTP_5XX, detail="it said"),
        ),
        StageStarted(t_ns=j.at(0), stage="1 up", users=2, steady=True),
        GeneratorFailed(t_ns=j.at(4), fault=Fault.BUG, process=0, detail="bug"),
        RunAborted(t_ns=j.at(20), slo="first", indicator="mint.p95_s", count=10, beyond=5),
        WorkerChanged(t_ns=j.at(1), worker="w", host="other", state=WorkerState.LOST, numbers=(1,), directory="/d"),
        j.health(5),
    ]  # fmt: skip


def free_fields(tree: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in an event's line a stranger may write any text."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from free_fields(value, (*prefix, key))
        elif isinstance(value, str):
            yield (*prefix, key)


def poisoned(line: bytes, fields: set[str]) -> bytes:
    """The line with NASTY in these of its fields that take any text."""
    tree = json.loads(line)
    for path in list(free_fields(tree)):
        if path[-1] not in fields:
            continue
        *way, last = path
        table = tree
        for step in way:
            table = table[step]
        before, table[last] = table[last], NASTY
        try:
            journal.decode(json.dumps(tree))
        except journal.JournalError:
            table[last] = before
    return json.dumps(tree, separators=(",", ":")).encode() + b"\n"


def write_run(run_dir: Path, fields: set[str], settings: dict[str, Any]) -> Path:
    path = j.write_file(run_dir, events())
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(poisoned(line, fields) for line in lines))
    (run_dir / "settings.json").write_text(json.dumps(settings))
    return run_dir


def nasty_settings() -> dict[str, Any]:
    scenario = Settings().model_dump(mode="json")
    scenario["name"] = NASTY + "\ud800"
    return {
        "run_id": NASTY,
        "started_at": NASTY,
        "scenario": scenario,
        "tags": {NASTY: NASTY},
        "host": {"name": NASTY},
        "git_revision": NASTY + "\udfff",
        "versions": {NASTY: NASTY},
    }


NAMES = {path[-1] for event in events() for path in free_fields(json.loads(journal.encode(event)))} | {"host", "run_id"}


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("strange") / "run", NAMES - STRUCTURE, nasty_settings())


def shown_safely(text: str) -> None:
    bidi = {"\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
    odd = {sign for sign in text if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in bidi}
    assert odd <= {"\n", "\t"}


def no_commands(text: str, *, but: str = "::(error|warning) title=avaload") -> None:
    for line in text.splitlines():
        assert not line.lstrip().startswith("::") or re.match(but, line), line
        assert "##[" not in line


def markdown_is_text(text: str) -> None:
    shown_safely(text)
    assert "<script" not in text.lower()
    assert re.search(r"(?<!\\)!\[|(?<!\\)\]\(", text) is None
    assert "http://" not in text
    columns = 0
    for line in text.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", re.sub(r"\\\\", "", line)))
            assert columns in (0, cells), line
            columns = cells
        else:
            columns = 0
    assert set(re.findall(r"<[^>]*>", text)) <= {"<details>", "</details>", "<summary>", "</summary>", "<!-- -->"}


def whole(done: Done) -> None:
    assert "Traceback" not in done.err + done.out
    assert "mistake of avaload" not in done.err
    for text in (done.out, done.err):
        shown_safely(text)
        no_commands(text)
        assert "\n  - verdict: pass" not in text


def test_a_report_of_it_obeys_nothing(strange: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    for options in ((), ("--json",)):
        done = call("report", strange, *options, cwd=tmp_path, environ=environ)
        whole(done)
        assert done.code == 5
    markdown_is_text(summary.read_text())
    for name in ("report.md", "report.html", "junit.xml", "report.json"):
        shown_safely((strange / name).read_text())
    markdown_is_text((strange / "report.md").read_text())
    page = (strange / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert 'src="http' not in page
    ElementTree.parse(strange / "junit.xml")
    texts: list[str] = []
    json.loads((strange / "report.json").read_text(), object_pairs_hook=lambda pairs: texts.extend(map(str, pairs)))
    shown_safely("".join(texts).replace("\\n", ""))


def test_its_sessions_comparison_and_sweep_obey_nothing(strange: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        done = call("session", strange, j.sid(number), cwd=tmp_path)
        whole(done)
        assert done.code == 0
    out, other = tmp_path / "compared", write_run(tmp_path / "run", NAMES - STRUCTURE, nasty_settings())
    for options in ((), ("--json",)):
        whole(
            call(
                *("compare", strange, "--to", other, "--out", out, *options),
                cwd=tmp_path,
                environ={"GITHUB_ACTIONS": "true"},
            )
        )
    markdown_is_text((out / "compare.md").read_text())
    shown_safely((out / "compare.html").read_text())
    assert "<script>alert" not in (out / "compare.html").read_text()
    shown_safely((out / "compare.json").read_text())
    for command in (("sweep",), ("plan", "--users", "10"), ("sweep", "--json")):
        whole(call(command[0], strange, *command[1:], cwd=tmp_path))


def test_a_directory_s_own_name_is_text_too(tmp_path: Path) -> None:
    name = "run\n::error::x\x1b[31m\u202e##[error]"
    run_dir = write_run(tmp_path / name, set(), {})
    for command in ("report", "session", "sweep"):
        whole(call(command, run_dir, *(["no-such"] if command == "session" else []), cwd=tmp_path))
    whole(call("report", tmp_path / "not\n::error::there\x1b[1m", cwd=tmp_path))


@pytest.mark.parametrize("field", sorted(NAMES - {"event"}))
def test_each_field_by_itself_is_text_on_every_page(field: str, tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", {field}, {})
    report = j.reported(run_dir)
    markdown_is_text(render_md.render(report))
    text = junit.render(report)
    shown_safely(text)
    ElementTree.fromstring(text)
    for line in github.run(report):
        shown_safely(line)
        no_commands(line)
        assert "\n" not in line


ELSEWHERE = "of somebody else: 4711-0815"
WRITTEN = (
    *("report.json", "report.md", "report.html", "junit.xml", "metrics.txt", "compare.json", "compare.md"),
    *("compare.html", "traces.json", "log.jsonl", "locust.log", "sessions.reserved", "audio"),
    *("journal/zz-engine-9-0.jsonl", "journal/host-a-sweep-0.jsonl"),
)


def plant(thing: str, path: Path, victim: Path) -> None:
    path.unlink(missing_ok=True)
    match thing:
        case "link":
            path.symlink_to(victim)
        case "hard link":
            path.hardlink_to(victim)
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()


def commands(run_dir: Path, other: Path) -> Iterator[tuple[object, ...]]:
    yield "report", run_dir
    yield "report", run_dir, "--json", "--baseline", other
    yield "session", run_dir, j.sid(1)
    yield "compare", other, "--to", run_dir
    yield "compare", run_dir, "--to", other, "--out", run_dir
    yield "plan", run_dir, "--users", 5
    yield "export", run_dir, "--otlp-endpoint", "http://127.0.0.1:9"
    yield "sweep", run_dir


@pytest.mark.parametrize("names", [WRITTEN, ("settings.json",)], ids=["all but its settings", "its settings"])
@pytest.mark.parametrize("thing", ["link", "hard link", "pipe", "device", "folder"])
def test_no_command_follows_what_is_no_file_of_it(thing: str, names: tuple[str, ...], tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text(ELSEWHERE)
    run_dir, other = (write_run(tmp_path / name, set(), nasty_settings()) for name in ("run", "other"))
    for name in names:
        plant(thing, run_dir / name, victim)
    with ThreadPoolExecutor(2) as two:
        ended = list(two.map(lambda words: call(*words, cwd=tmp_path, within_s=60), commands(run_dir, other)))
    for done in ended:
        whole(done)
        assert done.code in list(map(int, Exit))
        assert ELSEWHERE not in done.out + done.err
    assert victim.read_text() == ELSEWHERE
    for path in run_dir.rglob("*"):
        if path.is_file() and not path.is_symlink() and not path.samefile(victim):
            assert ELSEWHERE not in path.read_text()


def test_a_line_of_a_gigabyte_costs_neither_memory_nor_the_run(tmp_path: Path) -> None:
    """A sparse file, as an archive of some kB unpacks to, that claims to be of another host."""
    run_dir, other = (write_run(tmp_path / name, set(), {}) for name in ("run", "other"))
    huge = j.write_file(run_dir, [], host="host-z", boot_id="boot-z", finish=None)
    with huge.open("r+b") as file:
        file.truncate(1 << 30)
    alone = j.write_file(run_dir, [], host="host-y", finish=None)
    alone.write_bytes(b"")
    with alone.open("r+b") as file:
        file.truncate(1 << 30)
    through = (needed("prlimit"), f"--data={800 << 20}")
    for words in commands(run_dir, other):
        with avaload(*words, cwd=tmp_path, through=through) as command:
            done = command.finish(within_s=120)
        whole(done)
        assert done.code in list(map(int, Exit)), done
        if words[0] == "session":
            assert done.code == 0, done
    report = json.loads((run_dir / "report.json").read_text())
    assert report["sessions"]["started"] == 2
    assert "longer than 4 MiB" in str(report["passed_over"]["first"])
    with (run_dir / "settings.json").open("r+b") as file:
        file.truncate(1 << 30)
    with avaload("report", run_dir, cwd=tmp_path, through=through) as command:
        done = command.finish(within_s=60)
    assert (done.code, done.err_lines) == (2, [f"avaload: {run_dir}/settings.json: larger than 64 MiB"])
