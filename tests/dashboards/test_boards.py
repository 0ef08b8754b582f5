"""The boards, offline: generated, readable by Grafana's own model, and free of what makes a board lie or break."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import promql_parser as p
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import generate
from dashboards.alerting import alerts, rules
from dashboards.boards.all import BOARDS
from dashboards.boards.overview import INDICATORS_BY_UNIT
from dashboards.generate import GENERATED, main, texts
from dashboards.places import Places
from exporters.metrics import catalogue as c
from loadtest.criteria.slo import INDICATORS, Unit
from tests.dashboards.promql import grounded, nodes, parsed, selectors
from tests.programs import needed

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
    assert {path.name for path in GENERATED.iterdir()} == texts(Places()).keys()
    for name, text in texts(Places()).items():
        assert (GENERATED / name).read_text() == text, f"{name}: run `make generated`"


@pytest.mark.parametrize("name", [*NAMES, "runbook"])
def test_a_board_survives_the_way_through_grafanas_model(name: str) -> None:
    there = Dashboard.from_json(board(name))
    assert json.loads(json.dumps(there, cls=JSONEncoder)) == board(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_board_has_its_variables_can_not_be_edited_and_numbers_its_panels(name: str) -> None:
    found = board(name)
    variables = {each["name"]: each for each in found["templating"]["list"]}
    wanted = ["run", "baseline"] if name == "release" else ["scenario"]
    wanted += ["traces", "reports"] if name == "overview" else []
    assert list(variables) == ["datasource", "job", "instance", *wanted]
    assert variables["datasource"]["query"] == "prometheus"
    for each in ("job", "instance"):
        assert variables[each]["multi"]
        assert variables[each]["allValue"] == ".+"
    assert all(each["refresh"] == 2 for each in variables.values() if each["type"] == "query")
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
            if series == "ALERTS" or series in rules.RECORDED:
                assert {"job", "instance"} <= matchers.keys() <= {"job", "instance", "alertstate"}
                continue
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
                read = [series for series, _ in selectors(str(node.expr))]
                labels = {label.name for series in read if (metric := metric_of(series)) for label in metric.labels}
                labels |= {"alertname", "severity"} if "ALERTS" in read else set()
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
    marks = [("", each["expr"]) for name in NAMES for each in board(name)["annotations"]["list"]]
    shown = {
        metric_of(series)
        for name in NAMES
        for _, expr in (*queries(name), *marks)
        for series, _ in selectors(expr)
    }  # fmt: skip
    assert [metric.name for metric in c.METRICS if metric not in shown] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_number_changes_its_colour_somewhere(name: str) -> None:
    for panel in panels(name):
        if panel["type"] == "stat":
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert len(steps) == 2, panel["title"]
            assert (steps[0]["value"], type(steps[1]["value"])) in ((None, int), (None, float)), panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_steps_of_milliseconds_and_of_seconds_share_no_linear_axis(name: str) -> None:
    for panel in panels(name):
        grouped = {label for target in panel["targets"] for label in ("step", "phase") if by(target["expr"], label)}
        if grouped and panel["fieldConfig"]["defaults"]["unit"] == "s":
            log = panel["fieldConfig"]["defaults"].get("custom", {}).get("scaleDistribution", {}).get("type") == "log"
            assert log or panel["type"] == "table", panel["title"]
            assert not (log and "min" in panel["fieldConfig"]["defaults"]), "0 is not on a logarithmic axis"


def by(expr: str, label: str) -> bool:
    """Whether a value for each of the label's comes out."""
    found = [node.modifier for node in nodes(parsed(expr)) if isinstance(node, p.AggregateExpr)]
    return any(modifier is not None and label in modifier.labels for modifier in found)


def test_objectives_stand_beside_their_bounds_and_each_indicator_in_its_unit() -> None:
    tables = {panel["title"]: panel for panel in panels("overview") if panel["type"] == "table"}
    assert tables.keys() == {f"Objectives: {what}" for what in INDICATORS_BY_UNIT}
    units = {Unit.SECONDS: "s", Unit.SHARE: "percentunit"}
    shown = dict.fromkeys(INDICATORS, "")
    for panel in tables.values():
        columns = [each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]]
        renamed = panel["transformations"][1]["options"]["renameByName"]
        assert list(renamed.values()) == columns == ["observed", "bound", "so far"]
        assert [name.partition("#")[2] for name in renamed] == [target["refId"] for target in panel["targets"]]
        assert {target["format"] for target in panel["targets"]} == {"table"}
        unit = panel["fieldConfig"]["overrides"][0]["properties"][0]
        for indicator in INDICATORS:
            if are_shown(indicator, panel["targets"][0]["expr"]):
                shown[indicator] += unit["value"]
    assert shown == {indicator: units.get(unit, "short") for indicator, unit in INDICATORS.items()}


def are_shown(indicator: str, expr: str) -> bool:
    """Whether the expression's series may have that indicator."""
    series = [node for node in nodes(parsed(expr)) if isinstance(node, p.VectorSelector)]
    (matcher,) = [each for node in series for each in node.matchers.matchers if each.name == "indicator"]
    return (re.fullmatch(matcher.value, indicator) is not None) == (matcher.op == p.MatchOp.Re)


@pytest.mark.parametrize("name", NAMES)
def test_each_stage_is_a_mark_where_it_began(name: str) -> None:
    (mark,) = board(name)["annotations"]["list"]
    assert mark["expr"] == mark["target"]["expr"]
    assert mark["expr"].startswith("1000 * max by (job, instance, stage) (avaload_stage_start_time_seconds{")
    assert (mark["useValueForTime"], mark["titleFormat"], mark["enable"]) == (True, "{{stage}}", True)


def test_the_first_screen_leads_to_the_report_and_to_the_traces_of_the_run() -> None:
    found = board("overview")
    (run,) = [panel for panel in panels("overview") if panel["title"] == "Run"]
    links = {link["title"]: link["url"] for link in run["fieldConfig"]["defaults"]["links"]}
    assert links["Report"] == "${reports}/${__field.labels.run_id}/report.html"
    page, _, asked = links["Traces"].partition("?")
    panes = json.loads(parse_qs(asked)["panes"][0])
    assert page == "/explore"
    assert panes["a"]["queries"][0]["query"] == '{resource.avaload.run.id="${__field.labels.run_id}"}'
    assert panes["a"]["datasource"] == panes["a"]["queries"][0]["datasource"]["uid"] == "${traces}"
    variables = {each["name"]: each for each in found["templating"]["list"]}
    assert (variables["traces"]["type"], variables["traces"]["query"]) == ("datasource", "tempo")
    assert (variables["reports"]["type"], variables["reports"]["query"]) == ("textbox", Places().reports)


def test_the_runbook_is_a_board_with_a_panel_where_each_alert_leads() -> None:
    sections = {panel["id"]: panel for panel in board("runbook")["panels"]}
    for number, alert in enumerate(alerts.ALERTS, start=1):
        assert sections[number]["title"] == alert.name
        assert len(sections[number]["options"]["content"]) > 100
        assert (
            Places()
            .of_alert(alert.name, number)
            .startswith(f"http://127.0.0.1:3000/d/{board('runbook')['uid']}?viewPanel={number}#")
        )
    led = re.findall(r"\]\(([^)]+)\)", "".join(panel["options"]["content"] for panel in sections.values()))
    assert led
    for link in led:
        assert int(link.removeprefix("/d/avaload-runbook?viewPanel=")) in sections


def test_boards_and_alerts_lead_where_one_says(tmp_path: Path) -> None:
    places = ["--grafana-url", "https://g.example/", "--reports-url", "https://r.example/runs"]
    assert main(["--out", str(tmp_path / "new"), *places]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == texts(Places()).keys()
    written = (tmp_path / "new" / "rules.yaml").read_text()
    assert "runbook_url: https://g.example/d/avaload-runbook?viewPanel=1#sessionsleftbehind\n" in written
    assert '"https://r.example/runs"' in (tmp_path / "new" / "overview.json").read_text()
    assert "127.0.0.1" not in written
    assert main(["--out", str(tmp_path), "--runbook-url", "https://wiki.example/load"]) == 0
    assert "runbook_url: https://wiki.example/load#openafterrun\n" in (tmp_path / "rules.yaml").read_text()


def test_what_is_written_into_the_own_folder_leads_where_kubectl_lets_it_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own, kustomization = tmp_path / "generated", tmp_path / "kustomization.yaml"
    shutil.copy(GENERATED.parent / "kustomization.yaml", kustomization)
    before = kustomization.read_text()
    monkeypatch.setattr(generate, "GENERATED", own)
    assert main([]) == 0
    assert kustomization.read_text() == before
    assert main(["--grafana-url", "https://g.example/load"]) == 0
    assert kustomization.read_text() == before.replace(
        "grafana=http://127.0.0.1:3000", "grafana=https://g.example/load"
    )
    assert "runbook_url: https://g.example/load/d/avaload-runbook?" in (own / "prometheusrule.yaml").read_text()
    with pytest.raises(SystemExit):
        main(["--runbook-url", "https://wiki.example/load"])
    assert "--runbook-url: only with --out" in capsys.readouterr().err
    assert "https://g.example" in (own / "rules.yaml").read_text()


def test_a_run_is_found_by_its_id_whatever_signs_it_has(tmp_path: Path) -> None:
    """By Prometheus' own tool: our parser takes no backslash in a raw text."""
    ids = {"run": "soak+1(a).[b", "baseline": "2026-01-02"}
    asked = dict(queries("release"))
    series = [
        {"series": f'avaload_run_info{{job="j",instance="{number}",run_id="{run}"}}', "values": "1x40"}
        for number, run in enumerate((*ids.values(), "soak1a.b"))
    ]
    bucket = 'avaload_step_duration_seconds_bucket{job="j",instance="%d",step="mint",outcome="ok",le="%s"}'
    series += [
        {"series": bucket % (number, edge), "values": "4x40"}
        for number in range(3)
        for edge in (0.1 * (1 + number), "+Inf")
    ]
    tests = [
        ("Step p95", [{"labels": "{}", "value": 2}], "count(count by (run_id) (@))"),
        ("Step p95, run ÷ baseline", [{"labels": '{step="mint"}', "value": 0.5}], "round(@, 0.01)"),
    ]
    document = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": series,
                "promql_expr_test": [
                    {
                        "expr": around.replace("@", grounded(asked[title], **ids)),
                        "eval_time": "5m",
                        "exp_samples": samples,
                    }
                    for title, samples, around in tests
                ],
            }
        ],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run([needed("promtool"), "test", "rules", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("url", ["RUNBOOK.md", "//g.example", "https://", "file:///x", "https://g.example/?a=1"])
def test_a_place_that_is_no_page_is_one_line_and_exit_2(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path / "new"), "--grafana-url", url])
    assert ended.value.code == 2
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("must be like https://grafana.example, without query or fragment")
    )
    assert not (tmp_path / "new").exists()
