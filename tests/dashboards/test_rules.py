"""The rules against Debian's promtool: valid, and each alert is raised by the runs that should and by no other."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.alerting import alerts, rules
from dashboards.boards.runbook import RUNBOOK
from dashboards.places import Places
from exporters.metrics import catalogue as c
from loadtest.criteria import stage_health
from loadtest.events.vocabulary import Fault
from reports.sections import generator
from tests.dashboards.promql import metric_names, parsed, selectors
from tests.dashboards.runbook import anchors
from tests.dashboards.scenes import FIXTURES, SCENES, Scene
from tests.programs import needed
from tests.support import ROOT

RULES = ROOT / "dashboards" / "generated" / "rules.yaml"


def test_promtool_accepts_the_rules() -> None:
    promtool = needed("promtool")
    checked = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(rules.RECORDED) + len(alerts.ALERTS)} rules found" in checked.stdout


def test_rules_read_only_what_the_catalogue_exposes_or_a_rule_before_them_records() -> None:
    known = {metric.name for metric in c.METRICS if not metric.buckets} | {"up"}
    known |= {metric.name + part for metric in c.METRICS if metric.buckets for part in ("_bucket", "_count", "_sum")}
    for rule in rules.groups(Places())[0]["rules"]:
        assert metric_names(rule["expr"]) <= known, rule
        known |= {rule["record"]} if "record" in rule else set()


def test_rules_match_only_labels_that_their_metrics_have() -> None:
    for rule in rules.groups(Places())[0]["rules"]:
        for name, matchers in selectors(rule["expr"]):
            metric = c.BY_NAME.get(re.sub(r"_(bucket|count|sum)$", "", name)) or c.BY_NAME.get(name)
            own = {label.name for label in metric.labels} if metric else {"job"}
            assert matchers.keys() <= own | {"le"}, (name, matchers)


def test_every_alert_says_how_grave_it_is_what_it_means_and_where_to_read_on() -> None:
    headings = anchors(RUNBOOK.read_text())
    for alert in alerts.ALERTS:
        rule = alert.rule("https://here#there")
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert parsed(rule["expr"])
        assert len(rule["annotations"]["summary"]) < 120
        assert rule["annotations"]["description"].endswith(".")
        assert rule["annotations"]["runbook_url"] == "https://here#there"
        assert alert.name.lower() in headings
    assert len({alert.name for alert in alerts.ALERTS}) == len(alerts.ALERTS)


def test_every_fault_of_the_generator_but_a_sinks_is_alerted_and_in_the_runbook() -> None:
    rules = {alert.name: alert.expr for alert in alerts.ALERTS}
    matched = re.search(r'fault=~"([^"]+)"', rules["GeneratorFault"])
    assert matched is not None
    assert {*matched[1].split("|"), Fault.WORKER_LOST} == {*Fault} - {Fault.SINK_FAILED}
    runbook = RUNBOOK.read_text()
    assert [fault for fault in matched[1].split("|") if f"| `{fault}` |" not in runbook] == []


def test_bounds_are_edges_of_buckets_and_agree_with_the_report() -> None:
    assert alerts.SETUP_S in c.SESSION_SETUP.buckets
    assert alerts.FIRST_AUDIO_S in c.FIRST_AUDIO.buckets
    assert alerts.SECRET_MARGIN_S in c.SECRET_MARGIN.buckets
    assert generator.INVALID_ENGINE_LAG_S == alerts.LAG_S
    assert pytest.approx(stage_health.SUSPECT_CPU_PERCENT / 100) == alerts.CPU_RATIO


def test_every_alert_is_raised_by_a_scene_and_left_in_peace_by_another() -> None:
    raised = {name for scene in SCENES for name in scene.fires}
    assert raised == {alert.name for alert in alerts.ALERTS}
    assert next(scene for scene in SCENES if scene.name == "clean").fires == set()


def minutes(scene: Scene, series: dict[str, str]) -> float:
    """How long the fixture is when it is played."""
    up = next(values for name, values in series.items() if name.startswith("up"))
    samples = sum(int(word.partition("x")[2] or 0) + 1 for word in up.split())
    number, unit = int(scene.interval[:-1]), scene.interval[-1]
    return samples * number * {"s": 1, "m": 60}[unit] / 60


def played(scene: Scene) -> dict[str, str]:
    series: dict[str, str] = yaml.safe_load((FIXTURES / f"{scene.recorded_as or scene.name}.yaml").read_text())
    return {**series, **scene.altered}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_run_raises_its_alerts_and_no_others(scene: Scene, tmp_path: Path) -> None:
    series = played(scene)
    end = int(minutes(scene, series))
    fired = f'count by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{end}m]))'
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(scene.fires)]
    check(
        tmp_path,
        scene,
        # More than one label set of an alert may fire: a session's failure is also its step's.
        {"promql_expr_test": [{"expr": f"{fired} > bool 0", "eval_time": f"{end}m", "exp_samples": samples}]},
    )


def test_the_text_of_an_alert_is_what_the_operator_needs(tmp_path: Path) -> None:
    scene = next(scene for scene in SCENES if scene.name == "left_behind")
    alert = next(alert for alert in alerts.ALERTS if alert.name == "SessionsLeftBehind")
    expected = {
        "exp_labels": {
            "severity": "critical",
            "job": "avaload",
            "instance": "127.0.0.1:9646",
            "reason": "still_alive",
        },
        "exp_annotations": {
            "summary": "12 sessions left behind by 127.0.0.1:9646 (still_alive)",
            "description": alert.description,
            "runbook_url": "http://127.0.0.1:3000/d/avaload-runbook?viewPanel=1#sessionsleftbehind",
        },
    }
    test = {"alertname": alert.name, "eval_time": "25m", "exp_alerts": [expected]}
    check(tmp_path, scene, {"alert_rule_test": [test]})


def check(directory: Path, scene: Scene, tests: dict[str, Any]) -> None:
    """Have promtool play the scene's series and make its tests."""
    series = [{"series": name, "values": values} for name, values in played(scene).items()]
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "15s",
        "tests": [{"interval": scene.interval, "input_series": series, **tests}],
    }
    path = directory / "test.yaml"
    path.write_text(yaml.safe_dump(document))
    promtool = needed("promtool")
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
