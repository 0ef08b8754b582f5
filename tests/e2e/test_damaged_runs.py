"""What disks, copies and other programs do to a run directory costs what was damaged, and neither report nor sweep."""

from collections.abc import Iterator

import pytest

from tests.e2e.target import reaching, started
from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Avaload, avaload, call

Ran = tuple[RunningTwin, Avaload]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A run whose deleted sessions go on, with damage of every kind in its journals."""
    cwd = tmp_path_factory.mktemp("damaged")
    with running_twin("--set", "mutant=TD-1-keeps-running") as twin:
        options = ("--room", "none", "--users", "3", "--duration", "2s", "--ramp", "0s", "--pacing", "1s")
        environ = {**reaching(twin), "AVALOAD_TARGET__GONE_TIMEOUT_S": "0.8"}
        environ["AVALOAD_SESSION__USER_ABSENT_TIMEOUT"] = "60"
        with avaload("run", *options, cwd=cwd, environ=environ) as run:
            run.finish(within_s=60)
            engine = next((run.run_dir / "journal").glob("*-engine-0-0.jsonl"))
            lines = engine.read_bytes().splitlines(keepends=True)
            lines[3:3] = [bytes(300) + b"\n", b'{"event":"observed","t_ns":12\n', b'{"event":"unheard_of"}\n']
            engine.write_bytes(b"".join(lines))
            (engine.parent / f"._{engine.name}").write_bytes(bytes(5000) + b"\n")
            (engine.parent / "copy.jsonl").write_bytes(engine.read_bytes())
            (engine.parent / "old.jsonl").mkdir()
            yield twin, run


def test_the_report_is_written_counts_every_session_and_names_what_was_passed_over(damaged: Ran) -> None:
    _, run = damaged
    done = call("report", run.run_dir, cwd=run.run_dir.parent)
    report = run.report()
    assert "Traceback" not in done.err
    assert report["sessions"]["started"] == report["sessions"]["leaked"] >= 3
    assert done.code == 5  # what is proved to be left behind stays so, whatever can't be read
    where = [told.partition(": ")[0] for told in report["passed_over"]["first"]]
    copied, lines = where[2], [place.rpartition(":") for place in where[3:]]
    assert sorted(where[:2]) == [next((run.run_dir / "journal").glob("._*")).name, "old.jsonl"]
    assert [(name != copied, number) for name, _, number in lines] == [(True, "4"), (True, "5"), (True, "6")]
    assert report["generator"]["outcome"] == "invalid"


def test_the_sweep_deletes_everything_and_tells_what_it_could_not_read(damaged: Ran) -> None:
    twin, run = damaged
    count = len(started(run.run_dir))
    (run.run_dir / "journal" / "swept-before.jsonl").mkdir()
    done = call("sweep", run.run_dir, cwd=run.run_dir.parent, environ=reaching(twin))
    where = twin.avaturn_url.removeprefix("http://")
    assert (done.code, done.err) == (0, f"sweep: {count} deletes at {where}\n")
    assert done.out.splitlines()[0] == f"{count} deleted or already gone, 0 failed"
    assert "passed over in the journals" in done.out
    assert "swept-before.jsonl: not a file" in done.out
    assert sum(twin.state()["counters"]["requests"]["delete"].values()) >= 2 * count
