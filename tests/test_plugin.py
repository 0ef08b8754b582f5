"""The pytest plugin's fixtures and markers, without a run and without a twin. tests/test_python.py has both."""

import contextlib
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import avaload_pytest


class Api:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.knobs: list[dict[str, Any]] = []
        self.settings: dict[str, Any] = {}

    @contextlib.contextmanager
    def start_twin(self, **knobs: Any) -> Iterator[SimpleNamespace]:
        self.knobs.append(knobs)
        yield SimpleNamespace(openai_base_url="http://o", avaturn_base_url="http://a", environment={})

    def run_scenario(self, _scenario: object, **settings: Any) -> SimpleNamespace:
        self.settings = settings
        return SimpleNamespace(verdict=SimpleNamespace(outcome="pass"))

    @property
    def objectives(self) -> Any:
        return tomllib.loads(self.settings["slo"].read_text())["slo"]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    noted = Api()
    monkeypatch.setattr(avaload_pytest, "_api", lambda: noted)
    return noted


Run = Callable[..., Any]


@pytest.mark.avaload_twin({"latency.create": "fixed:2"}, latency__mint="fixed:1")
def test_a_run_loads_the_twin_that_the_marker_alone_asks_for(api: Api, avaload_run: Run) -> None:
    avaload_run(users=1)
    assert api.knobs == [{"latency.create": "fixed:2", "latency.mint": "fixed:1"}]
    assert (api.settings["openai_base_url"], api.settings["avaturn_base_url"]) == ("http://o", "http://a")


def test_a_run_without_fixture_and_marker_has_a_twin_of_its_own(api: Api, avaload_run: Run) -> None:
    avaload_run(users=1)
    assert (api.knobs, "openai_base_url" in api.settings) == ([], False)


@pytest.mark.avaload_twin(seed=1, port=1)
class OfTheBase:
    """Not collected: its name begins otherwise."""


@pytest.mark.avaload_twin(seed=2)
class TestTheNearestMarkerHasTheLastWord(OfTheBase):
    def test_a_class_before_its_base(self, request: pytest.FixtureRequest) -> None:
        assert avaload_pytest._said(request.node, "avaload_twin") == {"seed": 2, "port": 1}

    @pytest.mark.avaload_twin(seed=4)
    @pytest.mark.avaload_twin(seed=3)
    def test_one_that_is_put_on_over_another(self, request: pytest.FixtureRequest) -> None:
        assert avaload_pytest._said(request.node, "avaload_twin")["seed"] == 4

    @pytest.mark.avaload_twin(seed=5)
    @pytest.mark.parametrize("seed", [5, pytest.param(6, marks=pytest.mark.avaload_twin(seed=6))])
    def test_a_parameter_s_before_its_test_s(self, seed: int, request: pytest.FixtureRequest) -> None:
        assert avaload_pytest._said(request.node, "avaload_twin")["seed"] == seed


@pytest.mark.avaload_twin("seed=1")
def test_a_marker_with_a_word_that_is_no_dict_is_one_line(request: pytest.FixtureRequest) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"^avaload_twin\('seed=1'\): names with their values are needed"):
        avaload_pytest._said(request.node, "avaload_twin")


OWN = """
slo = [
  { name = "quick \\"enough\\"", indicator = "create.p95", max = 1.5, abort = true },
  { indicator = "mint.p50", max = 2 },
]
"""


@pytest.mark.avaload_slo({"mint.p50": 0.5, "turn.yield_rate": "min = 0.9"}, session__failed_rate=0)
def test_bounds_of_the_marker_stand_below_the_objectives_of_the_scenario(
    api: Api, avaload_run: Run, tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text(OWN)
    avaload_run(tmp_path / "s.toml")
    of_marker = [
        {"name": "mint.p50 of the marker", "indicator": "mint.p50", "max": 0.5},
        {"name": "turn.yield_rate", "indicator": "turn.yield_rate", "min": 0.9},
        {"name": "session.failed_rate", "indicator": "session.failed_rate", "max": 0},
    ]
    assert api.objectives == tomllib.loads(OWN)["slo"] + of_marker
    avaload_run(tmp_path / "nowhere.toml")  # which the run refuses
    assert [each["name"] for each in api.objectives] == ["mint.p50", "turn.yield_rate", "session.failed_rate"]


@pytest.mark.avaload_slo({"mint.p50": 0.5})
def test_objectives_of_a_scenario_that_are_none_are_not_passed_over(api: Api, avaload_run: Run, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[slo]\nindicator = "create.p95"\nmax = 1')
    with pytest.raises(pytest.fail.Exception, match=r"s\.toml: slo: must be a list of tables \(\[\[slo\]\]\)$"):
        avaload_run(tmp_path / "s.toml")
    assert api.settings == {}
