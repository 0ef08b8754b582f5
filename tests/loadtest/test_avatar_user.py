"""What is looked at before a Locust file's run, in a process of its own: Locust patches whoever imports it."""

import json
import subprocess
import sys
from pathlib import Path

from loadtest.config.resolve import resolve
from tests.reports import journals as j
from tests.support import ROOT

PREPARE = """
from types import SimpleNamespace
import loadtest.avatar_user as own

class Caller(own.AvatarUser):
    scenario = "mine.toml"

own._Tests = lambda environment, settings: print("prepared", settings.load.users)
options = SimpleNamespace(num_users=50, run_time=None)
own._prepare(SimpleNamespace(user_classes=[Caller], runner=None, parsed_options=options))
"""


def test_a_baseline_is_not_held_against_a_load_that_only_locust_knows(tmp_path: Path) -> None:
    scenario = tmp_path / "mine.toml"
    scenario.write_text('[target]\nroom = "none"\n[output]\nbaseline = "before"\n')
    plan = resolve(scenario, {"load.users": 10}, {}).model_dump(mode="json")
    j.write_file(tmp_path / "before", [])
    (tmp_path / "before" / "settings.json").write_text(json.dumps({"settings": plan}))
    done = subprocess.run(
        [sys.executable, "-c", PREPARE], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout.split(), done.returncode) == (["prepared", "500"], 0), done.stderr
