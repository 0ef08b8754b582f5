"""The master's port is for its workers alone: what a stranger can do to a run there, with and without the token."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.distribution.port.callers import MOST_LINGERING, MOST_SILENT
from loadtest.distribution.port.keys import MAX_MESSAGE_BYTES, Keys
from tests.e2e.eavesdropping import line, replay
from tests.e2e.stranger import LINE, hoards, lingers, pours, stranger, tries_all
from tests.e2e.target import reaching, unless_late
from tests.e2e.test_distributed import assert_explained, parts
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, Done, avaload, call, eventually, free_port, get

TOKEN = "the token of this cluster"
PLAN = ("--users", 4, "--ramp", "0.5s", "--duration", "12s")
GROWTH_KB = 50 << 10


@dataclass(frozen=True)
class Visited:
    """A run that strangers came to, ended. `answers`: what they got; `poured`: bytes that one got rid of."""

    twin: RunningTwin
    run: Avaload
    done: Done
    answers: list[object]
    poured: int
    growth_kb: int
    has_leaked: bool
    refused: dict[str, float]


def high_water_kb(pid: int) -> int:
    """Of the process's memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def refused(port: int) -> dict[str, float]:
    """By reason, as /metrics shows it."""
    text = get(f"http://127.0.0.1:{port}/metrics")[1].decode()
    found = re.findall(r'avaload_master_refused_total\{reason="(\w+)"\} ([\d.]+)', text)
    return {reason: float(value) for reason, value in found}


def visited(stack: ExitStack, twin: RunningTwin, run: Avaload, port: int, metrics: int, *keys: Keys | None) -> Visited:
    """Strangers with these keys come while the run is at work; then it is left to end."""
    eventually(lambda: twin.state()["sessions"], within_s=60, what="a run at work", during=run)
    master = run.locust_pid()
    before_kb = high_water_kb(master)
    stack.enter_context(lingers(port))
    poured = pours(port)
    came = [stack.enter_context(stranger(port, name=f"stranger-{n}", keys=its)) for n, its in enumerate(keys)]
    for each in came:
        tries_all(each)
    answers = [answer for each in came for answer in each.answers(within_s=2)]
    eventually(lambda: sum(refused(metrics).values()), within_s=10, what="refusals in /metrics", during=run)
    growth_kb, counted = high_water_kb(master) - before_kb, refused(metrics)
    return Visited(twin, run, run.finish(within_s=90), answers, poured, growth_kb, len(keys) > 2, counted)


@pytest.fixture(scope="module", params=["hosts", "processes"])
def outsiders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    """A run over hosts, and one of two processes here: strangers without a token, with one that they guessed, and
    with the master's public key alone."""
    directory, metrics = tmp_path_factory.mktemp(request.param), free_port()
    other = Keys.of("a token of somebody else")
    watched = (*PLAN, "--room", "none", "--metrics-port", metrics)
    with ExitStack() as stack:
        if request.param == "hosts":
            run = stack.enter_context(parts(directory, *watched, commands=(1, 1), token=TOKEN))
            leaked = Keys(master=Keys.of(TOKEN).master, worker=other.worker)
            yield visited(stack, run.twin, run.master, run.port, metrics, None, other, leaked)
            return
        twin = stack.enter_context(running_twin())
        words = ("run", *watched, "--processes", 2)
        alone = stack.enter_context(avaload(*words, cwd=directory, environ=reaching(twin)))
        command = eventually(
            lambda: next(iter(alone.processes("--master-port").values()), ""), within_s=30, what="Locust", during=alone
        )
        port = int(command.split("--master-port ")[1].split()[0])
        yield visited(stack, twin, alone, port, metrics, None, other)


def assert_unharmed(it: Visited) -> None:
    """Nothing forged, and nothing written but by the run itself."""
    report = it.run.report()
    assert it.done.code == unless_late(0, report), it.done
    sessions = report["sessions"]
    assert sessions["started"] == sessions["completed"] == len(it.twin.state()["sessions"]) > 0
    assert (sessions["failed"], sessions["leaked"], sessions["unknown"]) == (0, 0, 0)
    assert report["generator"]["faults"] == {}
    assert_explained(it.twin, it.run.run_dir)
    assert not [path for path in it.run.run_dir.rglob("*") if "strange" in path.name]
    lines = it.run.log().splitlines()
    assert not [line for line in lines if line.startswith(LINE) or "Traceback" in line]
    assert it.growth_kb < GROWTH_KB


def test_strangers_read_nothing_forge_nothing_and_are_in_the_log(outsiders: Visited) -> None:
    assert outsiders.answers == []
    assert outsiders.poured < 16 << 20
    assert_unharmed(outsiders)
    assert outsiders.refused["handshake"] >= 3
    assert {reason for reason, count in outsiders.refused.items() if count} == {"handshake"}
    assert "refused (handshake, 1 so far): " in outsiders.run.log()
    assert ("127.0.0.1: not a key of this cluster" in outsiders.run.log()) == outsiders.has_leaked


@pytest.fixture(scope="module")
def insider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    """A run that somebody comes to who has the token and is no worker of it."""
    directory, metrics = tmp_path_factory.mktemp("insider"), free_port()
    with ExitStack() as stack:
        more = ("--room", "none", "--metrics-port", metrics)
        run = stack.enter_context(parts(directory, *PLAN, *more, commands=(1, 1), token=TOKEN))
        yield visited(stack, run.twin, run.master, run.port, metrics, Keys.of(TOKEN))


def test_who_has_the_token_and_is_no_worker_of_the_run_changes_nothing_and_is_counted(insider: Visited) -> None:
    assert [answer[1]["reason"] for answer in insider.answers] == ["the run has begun without it"]
    assert_unharmed(insider)
    counted = insider.refused
    assert (counted["unreadable"], counted["stranger"] > 200, counted["quota"]) == (4, True, 0)


def test_a_message_that_is_too_large_is_not_taken_from_anybody(tmp_path: Path) -> None:
    metrics = free_port()
    with (
        parts(tmp_path, *PLAN, "--room", "none", "--metrics-port", metrics, commands=(1,), token=TOKEN) as run,
        stranger(run.port, keys=Keys.of(TOKEN)) as it,
    ):
        eventually(lambda: run.twin.state()["sessions"], within_s=60, what="a run at work", during=run.master)
        before_kb = high_water_kb(run.master.locust_pid())
        it.send(bytes(100 << 20))
        assert it.answers(within_s=2) == []
        assert high_water_kb(run.master.locust_pid()) - before_kb < GROWTH_KB
        done = run.master.finish(within_s=60)
        assert done.code == unless_late(0, run.master.report()), done


def files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_a_crowd_at_the_port_keeps_neither_files_nor_memory_and_costs_no_session(tmp_path: Path) -> None:
    options = ("--users", 4, "--ramp", "0.5s", "--duration", "15s", "--room", "none")
    with parts(tmp_path, *options, commands=(1, 1), token=TOKEN) as run, ExitStack() as stack:
        eventually(lambda: run.twin.state()["sessions"], within_s=60, what="a run at work", during=run.master)
        master = run.master.locust_pid()
        before, before_kb = files(master), high_water_kb(master)
        for _ in range(MOST_LINGERING):
            stack.enter_context(hoards(run.port, MAX_MESSAGE_BYTES))
        for _ in range(3 * MOST_SILENT):
            stack.enter_context(lingers(run.port))
        eventually(
            lambda: files(master) <= before + MOST_SILENT, within_s=10, what="no more than may wait", during=run.master
        )

        def few_are_left() -> bool:
            stack.enter_context(lingers(run.port))  # with each that comes, those are cut off that have lingered
            return files(master) <= before + 4 * MOST_LINGERING

        eventually(few_are_left, within_s=15, what="few left", every_s=0.5, during=run.master)
        assert high_water_kb(master) - before_kb < GROWTH_KB
        done = run.master.finish(within_s=90)
        report = run.master.report()
        assert done.code == unless_late(0, report), done
        assert report["sessions"]["completed"] == len(run.twin.state()["sessions"]) > 0
        assert [worker["state"] for worker in report["hosts"]["workers"]] == ["home", "home"]
        assert report["generator"]["faults"] == {}
        assert_explained(run.twin, run.master.run_dir)


def test_who_hears_every_byte_learns_nothing_and_a_line_that_is_cut_costs_no_session(tmp_path: Path) -> None:
    scenario, prompt, metrics = tmp_path / "far.toml", "Nobody but us may read this prompt.", free_port()
    scenario.write_text(f'name = "far"\n[realtime]\ninstructions = "{prompt}"\n')
    with line(port := free_port()) as (workers_port, listener):
        options = (scenario, *PLAN, "--room", "none", "--metrics-port", metrics)
        with parts(tmp_path, *options, commands=(1, 1), token=TOKEN, port=port, workers_port=workers_port) as run:
            eventually(lambda: run.twin.state()["sessions"], within_s=60, what="a run at work", during=run.master)
            before, cut = len(listener.heard), listener.cut()
            eventually(lambda: len(listener.heard) >= before + cut, within_s=20, what="all are back", during=run.master)
            answers = [replay(port, bytes(said), within_s=3) for said, _ in listener.heard[:before]]
            assert max(map(len, answers)) < 400  # a greeting, and the beginning of a handshake
            eventually(lambda: refused(metrics).get("handshake"), within_s=15, what="a refusal", during=run.master)
            assert {reason for reason, count in refused(metrics).items() if count} == {"handshake"}
            done = run.master.finish(within_s=90)
            report = run.master.report()
            assert done.code == unless_late(0, report), done
            assert report["sessions"]["completed"] == len(run.twin.state()["sessions"]) > 0
            assert [worker["state"] for worker in report["hosts"]["workers"]] == ["home", "home"]
            assert [worker.finish(within_s=20).code for worker in run.workers] == [0, 0]
    heard = [bytes(part) for pair in listener.heard for part in pair]
    assert sum(map(len, heard)) > 10_000
    for word in (prompt, TOKEN, "avaload", "instructions", "run_started", "journal", "client_ready"):
        assert not [part for part in heard if word.encode() in part]


@pytest.mark.parametrize("token", [None, "a token of somebody else"])
def test_a_worker_without_the_token_or_with_another_is_told_so_in_a_line(tmp_path: Path, token: str | None) -> None:
    environ = {"OPENAI_API_KEY": "sk-something-1234", "AVATURN_API_KEY": "something"}
    port = free_port()
    with running_twin() as twin:
        words = ("run", "--master", "--expect-workers", 1, "--master-bind-port", port, "--max-wait", "30s")
        with avaload(*words, cwd=tmp_path, environ={**reaching(twin), "AVALOAD_CLUSTER_TOKEN": TOKEN}) as master:
            eventually(lambda: "waiting for workers" in master.said(), within_s=30, what="a master", during=master)
            given = {} if token is None else {"AVALOAD_CLUSTER_TOKEN": token}
            worker = ("run", "--worker", "--master-host", "127.0.0.1", "--master-port", port)
            (tmp_path / "w").mkdir()
            done = call(*worker, cwd=tmp_path / "w", environ={**environ, **given}, within_s=10)
            assert done.code == 2
            assert done.err_lines == [
                f"avaload: what listens at 127.0.0.1:{port} does not know this worker's cluster token: set"
                " AVALOAD_CLUSTER_TOKEN, or give --token-file FILE (`openssl rand -hex 32` makes a token), the same as"
                " its master's"
            ]
            assert not (tmp_path / "w" / "run").exists()
            eventually(lambda: "refused (handshake" in master.log(), within_s=10, what="the refusal in the log")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--master", "--master-bind-host", "0.0.0.0"), "a port that other machines reach needs the cluster token: "),
        (("--worker", "--master-host", "192.0.2.1"), "a master on another machine needs the cluster token: "),
    ],
)
def test_beyond_loopback_nothing_is_started_without_a_token(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    with running_twin() as twin:
        port = ("--master-bind-port", free_port()) if "--master" in words else ()
        done = call("run", *words, *port, cwd=tmp_path, environ=reaching(twin), within_s=20)
        assert done.code == 2
        assert done.err_lines[-1].startswith(f"avaload: {says}")
        assert not (tmp_path / "run").exists()
