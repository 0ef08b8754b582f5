"""pytest's plugin of avaload: a twin of both services and load runs in your own tests. docs/pytest.md shows it in use.

It stands beside the packages, and imports none of them before a fixture is used: it costs nothing where it isn't, and
a project may have a folder `loadtest` or `reports` of its own.
"""

import importlib
import importlib.util
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
    config.addinivalue_line("markers", "avaload_twin(**knobs): knobs of the twin that avaload_twin starts")
    config.addinivalue_line(
        "markers", "avaload_slo(**bounds): bounds that each report of avaload_run must hold, by indicator"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Knobs that the twin was not started with fail the test: it would pass against another one than it asks for."""
    scope = item.config.getoption("--avaload-twin-scope")
    if scope == "function" or "avaload_twin" not in getattr(item, "fixturenames", ()):
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
    knobs: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("avaload_twin"))):
        knobs |= mark.kwargs
    with _api().start_twin(**knobs) as twin:
        yield twin


@pytest.fixture
def avaload_run(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "Callable[..., Report]":
    """Runs a scenario in a process of its own and returns its report: `avaload_run(users=2, duration="12s")`.

    Arguments as of `loadtest.run_scenario`. Where the test has `avaload_twin`, too, that is the target.
    Its files are in `tmp_path` unless `run_dir` says otherwise. The bounds of
    `@pytest.mark.avaload_slo(...)` are judged with every run: one that is broken fails the test and says what was seen.
    """
    bounds: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("avaload_slo"))):
        bounds |= _bounds(mark)
    twin: Twin | None = request.getfixturevalue("avaload_twin") if "avaload_twin" in request.fixturenames else None
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
            settings["slo"] = _slo_file(bounds, tmp_path / f"avaload-{runs}.toml")
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


def _bounds(mark: pytest.Mark) -> Mapping[str, Any]:
    """By indicator; in keywords `__` stands for a dot: `avaload_slo(session__failed_rate=0.01)`."""
    named = {name.replace("__", "."): bound for name, bound in mark.kwargs.items()}
    for each in mark.args:
        named |= each
    return named


def _slo_file(bounds: Mapping[str, Any], path: Path) -> Path:
    tables = (
        f'[[slo]]\nname = "{name}"\nindicator = "{name}"\n{bound if isinstance(bound, str) else f"max = {bound}"}\n'
        for name, bound in bounds.items()
    )
    path.write_text("\n".join(tables), encoding="utf-8")
    return path


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
