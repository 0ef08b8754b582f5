"""Keys of which nothing in a run makes use: refused, where the same place chose the run."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.config.keys.workload import Load
from loadtest.config.settings import Settings
from tests.loadtest.config.test_settings import file, problems, resolved

RISES = "has no effect: stages, a trace, and arrivals = ramp, steps or spike say themselves how the load rises"
OPEN = "only for open arrivals, which have a rate"
NO_CHECKS = "without a share no user runs active checks; give share"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[load]\nramp = '3s'\nstages = [{users = 5, duration = 20}]", [f"2: load.ramp: {RISES}"]),
        ("[load]\nrate = 5\narrivals = 'spike'\nramp = '3s'", [f"4: load.ramp: {RISES}"]),
        ("[load]\nmax_users = 3\nmax_lateness = 2", [f"2: load.max_users: {OPEN}", f"3: load.max_lateness: {OPEN}"]),
        ("[load]\nrate = 5\nstep_count = 7", ["3: load.step_count: only for arrivals = steps"]),
        ("[probes]\nrules = ['TD-1']\nslow = true", [f"2: probes.rules: {NO_CHECKS}", f"3: probes.slow: {NO_CHECKS}"]),
        ("[caller]\ncut_for_s = 9", ["1: caller: cut_for_s: the line is never cut; give cut_after_s"]),
        (
            "[caller]\ndown = {stall_every_s = 3}",
            ["1: caller: down.stall_every_s: the line never stands still; give stall_s"],
        ),
    ],
)
def test_a_key_that_nothing_uses_is_refused_with_its_line(text: str, told: list[str], tmp_path: Path) -> None:
    toml = file(tmp_path, text)
    assert problems(toml=toml) == [f"{toml}:{line}" for line in told]


def test_a_trace_says_itself_how_the_load_rises(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("0\n1\n2\n")
    toml = file(tmp_path, "[load]\ntrace = 'trace.csv'")
    assert problems({"load.ramp": "1s"}, toml=toml) == [f"load.ramp: {RISES}"]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("[load]\nrate = 5\narrivals = 'steps'\nstep_count = 7\nmax_users = 9\nmax_lateness = 2", {"load.users": 5}),
        ("[load]\nusers = 5\nramp = '3s'", {"load.rate": 5, "load.arrivals": "spike"}),
        ("[probes]\nshare = 0.1\nrules = ['TD-1']", {"probes.share": 0}),
        ("[load]\nmax_users = 9\n[capacity]\nby = 'arrivals'", {}),
        ("[load]\nramp = 0\nstages = [{users = 5, duration = 20}]\n[probes]\nslow = false", {}),
        ("[caller]\nprofile = 'train'\nup = {stall_s = 0}", {}),
    ],
)
def test_what_another_place_chose_what_a_search_uses_and_what_says_no_is_not_refused(
    text: str, options: dict[str, Any], tmp_path: Path
) -> None:
    resolved(options, toml=file(tmp_path, text))


@pytest.mark.parametrize(
    "load", [{"rate": 5, "arrivals": "spike", "duration": 3}, {"stages": [{"users": 2, "duration": 3}], "duration": 3}]
)
def test_no_shape_that_has_no_use_for_a_ramp_gets_one_and_it_is_read_back_as_it_was(load: dict[str, Any]) -> None:
    settings = Settings(load=Load.model_validate(load))
    assert settings.load.ramp == 5
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings
