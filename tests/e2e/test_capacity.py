"""`avaload capacity` on a target with a quota. Knees, and all seeds: tests/benchmarks."""

import itertools
import json
import os
from pathlib import Path

import pytest

from loadtest.criteria.words import plural
from tests.e2e.target import alive, reaching
from tests.loadtest.twin.process import running_twin
from tests.support import avaload, call

pytestmark = pytest.mark.alone


def test_a_search_names_the_quota_proves_the_limit_and_plans_with_it(tmp_path: Path) -> None:
    plan = ("--start", 8, "--most", 16, "--precision", 0.5, "--stage", "1s", "--settle", "0.5s", "--sustain", "1s")
    run_dir = tmp_path / "run"
    with running_twin("--set", "limit.sessions=8", "--set", "latency.sdk_session=fixed:0.2") as twin:
        options = ("--room", "none", "--metrics-port", "off", "--run-dir", run_dir)
        # Without the look after the delete a session is alive all the time: sixteen users can't take turns at eight.
        environ = {**reaching(twin), "AVALOAD_TARGET__PROVE_GONE": "false"}
        with avaload("capacity", *plan, *options, cwd=tmp_path, environ=environ) as search:
            done = search.finish(within_s=110)
        assert alive(twin) == []
    report = json.loads((run_dir / "report.json").read_text())
    capacity = report["capacity"]
    if capacity["kind"] == "generator":
        pytest.skip("this machine was too busy to judge: " + capacity["sentence"])
    assert done.code == report["verdict"]["exit_code"] == 0, done
    # A level that fails narrowly, as one may in so short a stage, is tried once more.
    found = [(row["level"], row["found"] == "passed") for row in capacity["stages"] if row["found"] != "invalid"]
    assert [each for each, _ in itertools.groupby(found)] == [(8, True), (16, False), (8, True)]
    assert (capacity["kind"], capacity["sustained"], capacity["monotonic"]) == ("quota", True, True)
    assert (capacity["quota"]["number"], capacity["quota"]["exact"]) == (8, True)
    assert capacity["quota"]["refusals"].keys() == {"create limits_exceeded"}
    assert (capacity["max_passing"]["level"], capacity["first_failing"]["level"]) == (8, 16)
    assert "a quota of exactly 8 sessions at once" in done.out.splitlines()[0]
    assert not capacity["usl"]["trusted"]
    assert all(slo["outcome"] == "pass" and slo["name"].endswith("at 8 users") for slo in report["slos"])
    page = (run_dir / "report.html").read_text()
    assert "How much does it carry?" in page
    assert "a quota of exactly 8 sessions at once" in page
    # The same from the journals alone; and what a hundred times as many users would need.
    again = call("report", run_dir, "--json", cwd=tmp_path)
    assert json.loads(again.out)["capacity"]["stages"] == capacity["stages"]
    planned = call("plan", run_dir, "--users", 800, "--think", "0s", "--json", cwd=tmp_path)
    needed = json.loads(planned.out)
    assert needed["sessions_at_once"]["value"] == 800
    assert any("the target does not carry it: 800 users are wanted, 8 were held" in note for note in needed["notes"])
    assert any("quota of 8 sessions at once is below the 800" in note for note in needed["notes"])


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("quota", [1, 6, 10])
def test_a_small_quota_is_found_exactly(quota: int, seed: int, tmp_path: Path) -> None:
    plan = ("--start", 4, "--most", 12, "--stage", "1s", "--settle", "500ms", "--sustain", "1s", "--seed", seed)
    run_dir = tmp_path / "run"
    with running_twin("--set", f"limit.sessions={quota}", "--seed", str(seed)) as twin:
        options = ("--room", "none", "--metrics-port", "off", "--run-dir", run_dir)
        done = call("capacity", *plan, *options, cwd=tmp_path, environ=reaching(twin), within_s=110)
        assert alive(twin) == []
    capacity = json.loads((run_dir / "report.json").read_text())["capacity"]
    assert (capacity["kind"], capacity["quota"]["what"]) == ("quota", "sessions at once"), capacity["sentence"]
    assert (capacity["quota"]["number"], capacity["quota"]["exact"]) == (quota, True)
    assert f"a quota of exactly {plural(quota)} at once" in done.out.splitlines()[0]


SHORT = """
name = "short"
[conversation]
[[conversation.turns]]
kind = "silence"
for_s = "300ms"
"""
WAYS = {
    "429 at create": (),
    "in the room": ("--set", "quota_status=200"),
    "a room that closes": ("--set", "quota_status=200", "--set", "quota_room=close"),
}


QUOTAS = [(3, 2, 8), *([(20, 8, 32)] if "AVALOAD_SOAK" in os.environ else [])]
"""With where the search starts and where it ends. The larger one takes two minutes: `make soak`."""


@pytest.mark.parametrize(("quota", "start", "most"), QUOTAS)
def test_the_same_quota_is_the_same_answer_however_it_is_told(
    quota: int, start: int, most: int, tmp_path: Path
) -> None:
    (tmp_path / "short.toml").write_text(SHORT)
    plan = ("--start", start, "--most", most, "--stage", "1s", "--settle", "1s", "--sustain", "1s")
    said = {}
    for number, (way, knobs) in enumerate(WAYS.items()):
        run_dir = tmp_path / str(number)
        with running_twin("--set", f"limit.sessions={quota}", *knobs) as twin:
            options = ("--metrics-port", "off", "--run-dir", run_dir)
            call(
                "capacity", tmp_path / "short.toml", *plan, *options, cwd=tmp_path, environ=reaching(twin), within_s=110
            )
            assert alive(twin) == []
        report = json.loads((run_dir / "report.json").read_text())
        capacity, (failure,) = report["capacity"], report["failures"]
        rule = next(rule for rule in report["rules"] if rule["id"] == "LIM-1")
        cap = next(cap for cap in report["teardown"]["caps"] if cap["cap"] == "concurrency")
        found = {name: value for name, value in capacity["quota"].items() if name != "refusals"}
        said[way] = (
            capacity["sentence"], capacity["kind"], found, capacity["max_passing"]["level"],
            capacity["first_failing"]["level"], failure["kind"], failure["code"], rule["outcome"], cap["cases"] > 0,
        )  # fmt: skip
    answer = said["429 at create"]
    assert answer[0].startswith(f"a quota of exactly {quota} sessions at once; above it sessions are refused")
    assert answer[3] <= quota < answer[4]
    assert answer[5:] == ("rejected", "limits_exceeded", "pass", True)
    assert said == dict.fromkeys(WAYS, answer)


def test_a_search_in_which_no_level_holds_has_failed(tmp_path: Path) -> None:
    plan = ("--start", 2, "--most", 4, "--stage", "1s", "--settle", "500ms", "--sustain", "1s", "--run-dir", "run")
    with running_twin("--set", "fault.create=503:1") as twin:
        options = ("--room", "none", "--metrics-port", "off")
        done = call("capacity", *plan, *options, cwd=tmp_path, environ=reaching(twin), within_s=110)
        assert alive(twin) == []
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (done.code, report["verdict"]["outcome"], report["capacity"]["max_passing"]) == (3, "fail", None), done
    assert report["verdict"]["reasons"][0].startswith(f"no level held its objectives: {report['capacity']['sentence']}")
