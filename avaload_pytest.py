"""pytest's plugin of avaload: a twin of both services and load runs in your own tests. docs/pytest.md shows it in use.

It stands beside the packages, and imports none of them before a fixture is used: it costs nothing where it isn't, and
a project may have a folder `loadtest` or `reports` of its own.
"""

import importlib
import importlib.util
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from loadtest.api import Twin
    from reports.figures import Report

_HERE = Path(__file__).resolve().parent
_SCOPES = ("function", "class", "module", "package", "session")
_PACKAGES = ("loadtest", "reports")
"""Those that a fixture imports into the process of the tests."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's one option."""
    group = parser.getgroup("avaload")
    group.addoption(
        "--avaload-twin-scope",
        default="function",
        choices=_SCOPES,
        help="how long a twin lives that avaload_twin gives (default function)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The plugin's markers."""
    config.addinivalue_line("markers", "avaload_twin(**knobs): knobs of the test's twin, which avaload_run loads, too")
    config.addinivalue_line(
        "markers", "avaload_slo(**bounds): bounds that each report of avaload_run must hold, by indicator"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What a marker says and nobody hears fails the test: it would pass without it."""
    fixtures = getattr(item, "fixturenames", ())
    if "avaload_run" not in fixtures and any(mark.name == "avaload_slo" for mark in item.own_markers):
        pytest.fail(f"avaload_slo(...) of {item.name} judges nothing: the test doesn't use avaload_run", pytrace=False)
    scope = item.config.getoption("--avaload-twin-scope")
    if scope == "function" or not {"avaload_twin", "avaload_run"}.intersection(fixtures):
        return
    kinds: dict[str, type[pytest.Collector]] = {"class": pytest.Class, "module": pytest.Module}
    heard = (item.getparent(kinds.get(scope, pytest.Session)) or item).listchain()
    for node, _ in item.iter_markers_with_node("avaload_twin"):
        if node not in heard:
            pytest.fail(
                f"avaload_twin(...) of {node.name} is not heard with --avaload-twin-scope {scope}: that twin serves"
                " more tests than these",
                pytrace=False,
            )


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    return config.getoption("--avaload-twin-scope")


@pytest.fixture(scope=_scope)
def avaload_twin(request: pytest.FixtureRequest) -> "Iterator[Twin]":
    """A twin of OpenAI Realtime and Avaturn Live on loopback: URLs, keys, `state()` as ground truth.

    Its knobs are those of `@pytest.mark.avaload_twin(latency__create="fixed:0.2")`; with a scope above `function` they
    are read from the class or module.
    """
    with _api().start_twin(**_said(request.node, "avaload_twin")) as twin:
        yield twin


@pytest.fixture
def avaload_run(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "Callable[..., Report]":
    """Runs a scenario in a process of its own and returns its report: `avaload_run(users=2, duration="12s")`.

    Arguments as of `loadtest.run_scenario`. Where the test has the fixture or the marker `avaload_twin`, too, that
    twin is the target.
    Its files are in `tmp_path` unless `run_dir` says otherwise. The bounds of
    `@pytest.mark.avaload_slo(...)` are judged with every run: one that is broken fails the test and says what was seen.
    """
    bounds = _said(request.node, "avaload_slo")
    has_twin = "avaload_twin" in request.fixturenames or request.node.get_closest_marker("avaload_twin") is not None
    twin: Twin | None = request.getfixturevalue("avaload_twin") if has_twin else None
    runs = 0

    def run(scenario: Path | str | None = None, **settings: Any) -> "Report":
        nonlocal runs
        runs += 1
        settings.setdefault("run_dir", tmp_path / f"avaload-{runs}")
        settings.setdefault("metrics_port", "off")
        if twin is not None:
            settings.setdefault("openai_base_url", twin.openai_base_url)
            settings.setdefault("avaturn_base_url", twin.avaturn_base_url)
            for name, key in twin.environment.items():
                if name.endswith("_API_KEY"):
                    monkeypatch.setenv(name, key)
        if bounds:
            if settings.get("slo"):
                pytest.fail("avaload_slo and slo= both say what the run must hold: give one of them", pytrace=False)
            settings["slo"] = _slo_file(bounds, scenario, tmp_path / f"avaload-{runs}.toml")
        try:
            report: Report = _api().run_scenario(scenario, **settings)
        except ValueError as error:  # bad input, a line a problem
            pytest.fail(str(error), pytrace=False)
        if bounds:
            hold(report)
        return report

    return run


def hold(report: "Report") -> None:
    """Fails the test, in a few lines, unless the report's verdict is a pass."""
    __tracebackhide__ = True
    if report.verdict.outcome == "pass":
        return
    lines = [f"avaload's verdict is {report.verdict.outcome}: {report.run_dir}/report.html", *report.verdict.reasons]
    lines += [
        f"  {each.indicator}: {each.observed} in {each.count} samples, bound {each.objective:.12g}: {each.outcome}"
        for each in report.slos
        if each.outcome != "pass"
    ]
    pytest.fail("\n".join(lines), pytrace=False)


def _said(node: Any, name: str) -> dict[str, Any]:
    """What all markers of that name say of it; the nearest has the last word, of one node's that which was put on last.
    In keywords `__` stands for a dot: `avaload_slo(session__failed_rate=0.01)`."""
    said: dict[str, Any] = {}
    for mark in (mark for each in node.listchain() for mark in each.own_markers if mark.name == name):
        for given in mark.args:
            if not isinstance(given, Mapping):
                pytest.fail(f"{name}({given!r}): names with their values are needed, or a dict of them", pytrace=False)
            said |= given
        said |= {key.replace("__", "."): value for key, value in mark.kwargs.items()}
    return said


def _slo_file(bounds: Mapping[str, Any], scenario: Path | str | None, path: Path) -> Path:
    """A file of objectives: those of the scenario, and below them the bounds."""
    own = _objectives(scenario)
    taken = [each.get("name", each.get("indicator")) for each in own]
    tables = ["".join(f"{_json(key)} = {_json(value)}\n" for key, value in each.items()) for each in own]
    for name, bound in bounds.items():
        called = f"{name} of the marker" if name in taken else name
        limit = bound if isinstance(bound, str) else f"max = {bound}"
        tables.append(f'name = "{called}"\nindicator = "{name}"\n{limit}\n')
    path.write_text("\n".join(f"[[slo]]\n{each}" for each in tables), encoding="utf-8")
    return path


def _objectives(scenario: Path | str | None) -> list[dict[str, Any]]:
    """A scenario's own tables; none of one that can't be read, which the run refuses."""
    try:
        tree = {} if scenario is None else tomllib.loads(Path(scenario).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return []
    own = tree.get("slo", [])
    if not isinstance(own, list) or not all(isinstance(each, dict) for each in own):
        pytest.fail(f"{scenario}: slo: must be a list of tables ([[slo]])", pytrace=False)
    return own


def _json(value: Any) -> str:
    """Which TOML reads alike, of what an objective is made."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _api() -> Any:
    """avaload's own package, which a folder of the same name in a project would hide, as it would the reports."""
    for name in _PACKAGES:
        found = importlib.util.find_spec(name)
        places = [] if found is None else list(found.submodule_search_locations or [])
        if not any(Path(place).resolve() == _HERE / name for place in places):
            other = places[0] if places else "nowhere"
            pytest.fail(
                f"avaload needs its package {_HERE / name}, but `{name}` is {other}: rename that, or run pytest"
                " with --import-mode=importlib, without -m and without that folder in `pythonpath`",
                pytrace=False,
            )
    return importlib.import_module("loadtest.api")
