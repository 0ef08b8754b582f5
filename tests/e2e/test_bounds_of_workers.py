"""A worker has bounds of its own, whatever its master says, and a master has one for what each of them ships; values of
a back end's headers reach the processes that send them, and nobody else."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from loadtest import journal
from loadtest.events.kinds import RemainsChanged
from tests.e2e.target import alive, events, leftovers, not_deleted, unless_late
from tests.e2e.test_backend import TOKEN, Shop, shop_on
from tests.e2e.test_distributed import Parts, assert_explained, parts
from tests.loadtest.twin.process import running_twin
from tests.support import Done, call, eventually

SCENARIO = """
name = "far-shop"
[target.backend]
url = "{url}/start"
headers = {{ Authorization = "env:SHOP_TOKEN", X-Own = "an-own-header-0815" }}
body = {{ visitor = "{{user}}", key = "key/in?a=body" }}
session_id = "data.id"
token = "data.grants.0.token"
[target.backend.delete]
url = "{url}/stop/{{session_id}}"
method = "POST"
"""
LITERALS = ("an-own-header-0815", "key/in?a=body")
ALLOWED = ("--allow-env", "SHOP_TOKEN")


def written(directory: Path) -> str:
    """All that the run's commands have left, and said."""
    return "\n".join(path.read_text(errors="replace") for path in directory.rglob("*") if path.is_file())


def known(run_dir: Path) -> dict[str, str]:
    """Sessions that are left, as far as that directory has them now."""
    return leftovers(run_dir).leaked if journal.paths(run_dir) else {}


def told(shop: Shop) -> set[tuple[str, str]]:
    """Own header and key of the body, as they came with every start."""
    return {(own, str(body.get("key"))) for own, body in shop.started}


def test_hidden_values_reach_the_workers_and_stand_nowhere(tmp_path: Path) -> None:
    with running_twin() as twin, shop_on(twin) as (shop, url):
        (tmp_path / "far.toml").write_text(SCENARIO.format(url=url))
        options = (tmp_path / "far.toml", "--users", 4, "--ramp", "0s", "--duration", "4s")
        given, variables = (ALLOWED, ALLOWED), {"SHOP_TOKEN": TOKEN}
        runs = tmp_path / "runs"
        with parts(runs, *options, commands=(1, 1), twin=twin, given=given, variables=variables) as run:
            done = run.master.finish(within_s=90)
            assert done.code != 2, done
            assert done.code == unless_late(0, report := run.master.report()), done
            assert [worker.finish(within_s=20).code for worker in run.workers] == [0, 0]
        assert report["sessions"]["completed"] == report["sessions"]["started"] == sum(shop.created.values()) >= 4
        assert {line.process for line in run.master.writers("engine")} == {0, 1}
        assert told(shop) == {LITERALS}
        assert shop.unauthorised == 0
        assert not_deleted(twin) == []
        everything = written(runs)
        assert not [secret for secret in (*LITERALS, TOKEN, TOKEN.split()[1]) if secret in everything]
        for of in (run.master, *run.workers):
            backend = json.loads((of.run_dir / "settings.json").read_text())["settings"]["target"]["backend"]
            assert backend["headers"] == {"Authorization": "env:SHOP_TOKEN", "X-Own": "(18 characters)"}
            assert backend["body"]["key"] == "(13 characters)"


def test_what_killed_workers_left_is_swept_with_the_scenario_and_not_without(tmp_path: Path) -> None:
    with running_twin("--set", "latency.sdk_session=fixed:2") as twin, shop_on(twin) as (shop, url):
        (tmp_path / "far.toml").write_text(SCENARIO.format(url=url))
        options = (tmp_path / "far.toml", "--users", 4, "--ramp", "0s", "--duration", "5m")
        given, variables = (ALLOWED, ALLOWED), {"SHOP_TOKEN": TOKEN}
        with parts(tmp_path, *options, commands=(1, 1), twin=twin, given=given, variables=variables) as run:
            eventually(lambda: len(known(run.master.run_dir)) >= 2, within_s=60, what="sessions", during=run.master)
            for of in (*run.workers, run.master):
                for pid in of.processes():
                    os.kill(pid, signal.SIGKILL)
        left = leftovers(run.master.run_dir).leaked
        assert len(left) >= 2
        calls = len(shop.stopped)

        def sweep(*words: object, **environ: str) -> Done:
            return call("sweep", run.master.run_dir, *words, cwd=tmp_path, environ=environ)

        alone = sweep(SHOP_TOKEN=TOKEN)
        assert alone.code == 2
        assert "target.backend.headers.X-Own: its value is in no run directory: --scenario FILE" in alone.err
        assert any(session in alone.err for session in left)
        assert len(shop.stopped) == calls
        unset = sweep("--scenario", tmp_path / "far.toml")
        assert (unset.code, "SHOP_TOKEN is not set in the environment" in unset.err) == (2, True)
        assert len(shop.stopped) == calls
        done = sweep("--scenario", tmp_path / "far.toml", SHOP_TOKEN=TOKEN)
        assert done.code == 0, done
        assert f"{len(left)} deletes at {url.removeprefix('http://')}" in done.err
        assert {session for session, _ in shop.stopped} >= set(left.values())
        assert shop.unauthorised == 0
        swept = {e.session for e in events(run.master.run_dir) if isinstance(e, RemainsChanged) and e.reason == "swept"}
        assert swept == set(left)
        assert not set(left.values()) & {session["session_id"] for session in alive(twin)}


def started_by(run: Parts, number: int) -> int:
    """Sessions whose create that worker sent, as its own journals have it."""
    return sum(isinstance(e, RemainsChanged) and e.reason == "create_sent" for e in events(run.workers[number].run_dir))


def test_a_workers_own_number_of_sessions_holds_whatever_its_master_allows(tmp_path: Path) -> None:
    options = ("--users", 6, "--ramp", "0s", "--duration", "6s", "--max-sessions", 40)
    with parts(tmp_path, *options, commands=(1, 1), given=(("--max-sessions", 3), ())) as run:
        done = run.master.finish(within_s=90)
        [worker.finish(within_s=20) for worker in run.workers]
        report: dict[str, Any] = run.master.report()
        assert done.code == unless_late(0, report), done
        assert started_by(run, 0) == 3
        assert 3 < started_by(run, 1) <= 20
        assert len(run.twin.state()["sessions"]) == started_by(run, 0) + started_by(run, 1)
        assert report["sessions"]["dropped_by"]["max_sessions"] > 0
        assert_explained(run.twin, run.master.run_dir)


def test_a_worker_that_was_not_told_so_reads_no_variable_for_its_master(tmp_path: Path) -> None:
    with running_twin() as twin, shop_on(twin) as (shop, url):
        (tmp_path / "far.toml").write_text(SCENARIO.format(url=url))
        options = (tmp_path / "far.toml", "--users", 2, "--ramp", "0s", "--duration", "2s")
        given = (("--allow-env", "OTHER_TOKEN"),)
        variables = {"SHOP_TOKEN": TOKEN, "OTHER_TOKEN": "x"}
        with parts(tmp_path, *options, commands=(1,), twin=twin, given=given, variables=variables) as run:
            ended = run.workers[0].finish(within_s=40)
        assert ended.code == 2
        assert ended.err_lines[-1] == (
            "avaload: the master's scenario reads SHOP_TOKEN here: this worker needs --allow-env SHOP_TOKEN"
        )
        assert not run.workers[0].run_dir.exists()
        assert (shop.started, shop.unauthorised) == ([], 0)
        assert not [word for word in (*LITERALS, TOKEN) if word in written(tmp_path / "worker-0")]


def test_a_worker_that_ships_more_than_it_may_fills_no_disk_and_the_run_says_whose_journals_are_missing(
    tmp_path: Path,
) -> None:
    options = ("--rate", 60, "--ramp", "0s", "--duration", "9s", "--worker-disk-mib", 1)
    with parts(tmp_path, *options, commands=(1,), knobs=()) as run:
        done = run.master.finish(within_s=120)
        ended = run.workers[0].finish(within_s=30)
        report = run.master.report()
        sizes = {path.name: path.stat().st_size for path in (run.workers[0].run_dir / "journal").iterdir()}
        assert sum(sizes.values()) > 1 << 20, sizes
        shipped = sum(path.stat().st_size for path in run.master.run_dir.glob("*/*") if path.name in sizes)
        assert 0 < shipped <= 1 << 20
        assert done.code == 4, done
        assert report["generator"]["faults"]["journal_missing"] == 1
        assert "refused (quota, 1 so far): " in run.master.log()
        assert ended.code == 4
        assert str(run.workers[0].run_dir) in ended.err_lines[-1]
        assert not_deleted(run.twin) == []
