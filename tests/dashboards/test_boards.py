"""The boards, offline: generated, readable by Grafana's own model, and free of what makes a board lie or break."""

import json
import re
from typing import Any

import promql_parser as p
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards import BOARDS, GENERATED, generated
from exporters.metrics import catalogue as c
from tests.dashboards.promql import nodes, parsed, selectors

UNITS = {"short", "ops", "s", "percentunit", "bytes", "dateTimeAsIso"}
"""The ids of Grafana's units that are used; a misspelt one would be shown as text."""

NAMES = [board.name for board in BOARDS]


def board(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GENERATED / f"{name}.json").read_text())
    return found


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


def queries(name: str) -> list[tuple[str, str]]:
    """Title of the panel and expression, of every query."""
    return [(panel["title"], target["expr"]) for panel in panels(name) for target in panel["targets"]]


def metric_of(series: str) -> c.Metric | None:
    return c.BY_NAME.get(series) or c.BY_NAME.get(re.sub(r"_(bucket|count|sum)$", "", series))


def test_the_boards_are_as_generated() -> None:
    assert {path.name for path in GENERATED.glob("*.json")} == {path.name for path in generated()}
    for path, text in generated().items():
        assert path.read_text() == text, f"{path.name}: run `make generated`"


@pytest.mark.parametrize("name", NAMES)
def test_a_board_survives_the_way_through_grafanas_model(name: str) -> None:
    there = Dashboard.from_json(board(name))
    assert json.loads(json.dumps(there, cls=JSONEncoder)) == board(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_board_has_its_variables_can_not_be_edited_and_numbers_its_panels(name: str) -> None:
    found = board(name)
    variables = {each["name"]: each for each in found["templating"]["list"]}
    wanted = ["run", "baseline"] if name == "release" else ["scenario"]
    assert list(variables) == ["datasource", "job", "instance", *wanted]
    assert variables["datasource"]["query"] == "prometheus"
    for each in ("job", "instance"):
        assert variables[each]["multi"]
        assert variables[each]["allValue"] == ".+"
    assert all(each["refresh"] == 2 for name, each in variables.items() if name != "datasource")
    assert found["editable"] is False
    assert found["uid"] == f"avaload-{name}"
    numbers = [panel["id"] for panel in found["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_has_a_title_a_description_a_unit_a_datasource_and_queries(name: str) -> None:
    titles = [panel["title"] for panel in panels(name)]
    assert len(set(titles)) == len(titles)
    for panel in panels(name):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("name", NAMES)
def test_panels_lie_on_the_grid_and_not_on_each_other(name: str) -> None:
    taken = set()
    for panel in board(name)["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", NAMES)
def test_queries_read_metrics_and_labels_of_the_catalogue_and_obey_the_variables(name: str) -> None:
    for title, expr in queries(name):
        for series, matchers in selectors(expr):
            metric = metric_of(series)
            assert metric is not None, (title, series)
            labels = {label.name for label in metric.labels}
            assert {"job", "instance"} <= matchers.keys() <= labels | {"job", "instance", "le"}, (title, series)
            if name != "release" and "scenario" in labels and metric is not c.RUN_INFO:
                assert "scenario" in matchers, (title, series)
            for label in metric.labels:
                if label.values is not None and label.name in matchers:
                    assert set(matchers[label.name].split("|")) <= set(label.values), (title, label.name)


@pytest.mark.parametrize("name", NAMES)
def test_queries_group_by_labels_that_exist(name: str) -> None:
    for title, expr in queries(name):
        for node in nodes(parsed(expr)):
            if isinstance(node, p.AggregateExpr) and node.modifier is not None:
                read = [metric_of(series) for series, _ in selectors(str(node.expr))]
                labels = {label.name for metric in read if metric for label in metric.labels}
                assert set(node.modifier.labels) <= labels | {"job", "instance", "le"}, title


@pytest.mark.parametrize("name", NAMES)
def test_counters_are_read_as_rates_or_as_what_the_run_counted(name: str) -> None:
    for title, expr in queries(name):
        for series, _ in selectors(expr):
            if series.endswith(("_total", "_bucket", "_count", "_sum")):
                inside = [node.func.name for node in nodes(parsed(expr)) if isinstance(node, p.Call)]
                assert {"rate", "increase", "max_over_time"} & set(inside), (title, series)
        assert "[$__rate_interval]" in expr or "$__range" in expr or "rate(" not in expr, title


def test_every_metric_is_on_a_board() -> None:
    shown = {metric_of(series) for name in NAMES for _, expr in queries(name) for series, _ in selectors(expr)}
    assert [metric.name for metric in c.METRICS if metric not in shown] == []
