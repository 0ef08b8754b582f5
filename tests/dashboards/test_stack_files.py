"""The files of the stack, offline: well-formed, consistent with each other, and on loopback or fenced in."""

import argparse
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from dashboards import stack
from dashboards.alerting.alerts import ALERTS
from dashboards.boards.all import BOARDS
from dashboards.places import Places
from loadtest import cli
from loadtest.commands import run
from loadtest.config.access.guard import KEYS, LIVE_AVATURN, LIVE_OPENAI
from loadtest.config.keys.output import Output
from loadtest.config.settings import Distribution
from loadtest.processes.supervisor import SETTLE_S
from loadtest.text.durations import parse_s
from tests.programs import needed
from tests.support import ROOT

HERE = ROOT / "dashboards"
REQUIRED = {
    ("v1", "ConfigMap"): {"data"},
    ("v1", "Service"): {"spec.selector", "spec.ports"},
    ("v1", "PersistentVolumeClaim"): {"spec.accessModes", "spec.resources.requests.storage"},
    ("batch/v1", "Job"): {"spec.template.metadata.labels", "spec.template.spec.restartPolicy"},
    ("networking.k8s.io/v1", "NetworkPolicy"): {"spec.podSelector", "spec.policyTypes", "spec.ingress"},
    ("monitoring.coreos.com/v1", "ServiceMonitor"): {"spec.selector", "spec.endpoints"},
    ("monitoring.coreos.com/v1", "PrometheusRule"): {"spec.groups"},
    ("kustomize.config.k8s.io/v1beta1", "Kustomization"): {"resources", "configMapGenerator"},
}
"""What the API server refuses an object without."""

KUBECTL = Path(sys.executable).with_name("kubectl")
YAML_FILES = sorted(path for path in HERE.rglob("*.y*ml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def rendered(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What `kubectl apply -k` would send: kind and name → object."""
    command = [KUBECTL, "kustomize", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = [document for document in yaml.safe_load_all(done.stdout) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


@cache
def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    return rendered(HERE)


def at(document: dict[str, Any], path: str) -> Any:
    for key in path.split("."):
        document = document[key]
    return document


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_a_file_is_yaml_and_names_no_registry_host(path: Path) -> None:
    assert documents(path)
    for image in re.findall(r"^\s*image: (\S+)$", path.read_text(), flags=re.MULTILINE):
        assert re.fullmatch(r"([a-z0-9-]+/)?[a-z0-9-]+:v?\d+\.\d+\.\d+", image), image


def test_manifests_have_what_the_api_server_insists_on() -> None:
    objects = [*manifests().values(), documents(HERE / "kustomization.yaml")[0]]
    for each in objects:
        for path in REQUIRED[each["apiVersion"], each["kind"]]:
            assert at(each, path), (each["kind"], path)


def command(job: dict[str, Any]) -> argparse.Namespace:
    """What `avaload` makes of a job's command line."""
    container = at(job, "spec.template.spec.containers")[0]
    assert "command" not in container, "the image's own entrypoint passes the signals on"
    words = container["args"]
    found: argparse.Namespace = cli.parser(words).parse_args(words)
    return found


def test_the_master_and_the_workers_fit_together() -> None:
    found = manifests()
    master, worker = found["Job", "avaload-master"], found["Job", "avaload-worker"]
    for job in (master, worker):
        assert at(job, "spec.backoffLimit") == 0
        assert at(job, "spec.template.spec.restartPolicy") == "Never"
        volumes = {volume["name"] for volume in at(job, "spec.template.spec.volumes")}
        container = at(job, "spec.template.spec.containers")[0]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts.keys() <= volumes
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["envFrom"] == [{"secretRef": {"name": "avaload-keys"}}]
        assert "output.run_dir" not in vars(command(job)), "each run has a directory of its own"
        assert mounts["runs"] == "/runs"  # the image's volume, the only place where it writes
        assert mounts.keys() <= {"runs", "scenario"}
    service = found["Service", "avaload"]
    assert service["spec"]["selector"] == at(master, "spec.template.metadata.labels")
    assert service["spec"]["selector"] != at(worker, "spec.template.metadata.labels")
    told = command(worker)
    assert told.worker
    assert told.master_host == service["metadata"]["name"]
    assert set(told.allow_host) == {urlsplit(url).hostname for url in (LIVE_OPENAI, LIVE_AVATURN)}
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    assert ports == {"metrics": Output().metrics_port, "locust": Distribution().bind_port}
    assert ports == {
        port["name"]: port["containerPort"] for port in at(master, "spec.template.spec.containers")[0]["ports"]
    }
    monitor = found["ServiceMonitor", "avaload"]["spec"]
    assert monitor["endpoints"][0]["port"] in ports
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_a_pod_that_is_stopped_has_the_time_to_delete_its_sessions() -> None:
    least_s = SETTLE_S + 60  # sessions end or are given up, then the report is written
    for name in ("avaload-master", "avaload-worker"):
        assert at(manifests()["Job", name], "spec.template.spec.terminationGracePeriodSeconds") >= least_s
    compose = documents(HERE / "compose.yaml")[0]["services"]["avaload"]
    assert parse_s(compose["stop_grace_period"]) >= least_s
    told = re.findall(r"--stop-timeout (\d+)", (ROOT / "docs" / "image.md").read_text())
    assert min(map(int, told)) >= least_s


def test_the_label_that_the_operator_selects_by_is_one_value() -> None:
    labelled = {kind for (kind, _), each in manifests().items() if each["metadata"]["labels"].get("release")}
    assert labelled == {"ServiceMonitor", "PrometheusRule"}
    value, _ = documents(HERE / "kustomization.yaml")[0]["configMapGenerator"][0]["literals"]
    for kind in labelled:
        assert f"release={manifests()[kind, 'avaload']['metadata']['labels']['release']}" == value
    assert ("ConfigMap", "avaload-values") not in manifests()


def test_the_grafana_that_alerts_lead_to_is_one_value(tmp_path: Path) -> None:
    shutil.copytree(HERE, tmp_path / "dashboards")
    file = tmp_path / "dashboards" / "kustomization.yaml"
    file.write_text(file.read_text().replace("grafana=http://127.0.0.1:3000", "grafana=https://g.example/load"))
    rules = rendered(file.parent)["PrometheusRule", "avaload"]["spec"]["groups"][0]["rules"]
    assert [rule["annotations"]["runbook_url"] for rule in rules if "alert" in rule] == [
        f"https://g.example/load/d/avaload-runbook?viewPanel={number}#{alert.name.lower()}"
        for number, alert in enumerate(ALERTS, start=1)
    ]
    unchanged = manifests()["PrometheusRule", "avaload"]["spec"]["groups"]
    assert unchanged == documents(HERE / "generated" / "prometheusrule.yaml")[0]["spec"]["groups"]


def test_the_master_is_fenced_in() -> None:
    assert ("NetworkPolicy", "avaload-master") in manifests()


def shown_kustomizations() -> list[str]:
    """Of docs/image.md: of the run, and of what gives it out."""
    return re.findall(r"```yaml\n(resources:.*?)```", (ROOT / "docs" / "image.md").read_text(), re.DOTALL)


def test_the_kustomization_that_the_page_shows_renders(tmp_path: Path) -> None:
    shown, _ = shown_kustomizations()
    shutil.copytree(HERE, tmp_path / "avaload" / "dashboards")
    (tmp_path / "kustomization.yaml").write_text(shown)
    found = rendered(tmp_path)
    assert found.keys() == manifests().keys()
    assert found["PrometheusRule", "avaload"]["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    alert = found["PrometheusRule", "avaload"]["spec"]["groups"][0]["rules"][-1]
    number = len(ALERTS)
    led = f"https://grafana.example/d/avaload-runbook?viewPanel={number}#{ALERTS[-1].name.lower()}"
    assert alert["annotations"]["runbook_url"] == led
    for name in ("avaload-master", "avaload-worker"):
        container = at(found["Job", name], "spec.template.spec.containers")[0]
        assert container["image"] == "registry.example/load/avaload:0.1.0"


def test_what_gives_the_reports_out_takes_the_image_and_the_namespace_of_the_run(tmp_path: Path) -> None:
    run, reports = shown_kustomizations()
    shutil.copytree(HERE, tmp_path / "avaload" / "dashboards")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "kustomization.yaml").write_text(reports)
    (tmp_path / "kustomization.yaml").write_text(f"namespace: load\n{run}")
    ours = rendered(tmp_path)
    ((kind, pod),) = rendered(tmp_path / "reports").items()
    (plain,) = rendered(HERE / "k8s" / "reports").values()
    master = at(ours["Job", "avaload-master"], "spec.template.spec.containers")[0]
    claim = ours["PersistentVolumeClaim", pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]]
    assert kind == ("Pod", "avaload-reports")
    assert pod["spec"]["containers"][0]["image"] == master["image"] == "registry.example/load/avaload:0.1.0"
    assert pod["metadata"]["namespace"] == claim["metadata"]["namespace"] == "load"
    assert ("namespace" in plain["metadata"], plain["spec"]["containers"][0]["image"]) == (False, "avaload:0.1.0")


def test_the_scenario_of_the_manifests_is_valid_and_has_a_process_per_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in KEYS:
        monkeypatch.setenv(key, "k" * 20)
    found = manifests()
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(found["ConfigMap", "avaload-scenario"]["data"]["scenario.toml"])
    arguments = command(found["Job", "avaload-master"])
    assert arguments.scenario == Path("/etc/avaload/scenario.toml")
    arguments.scenario = scenario
    resolved = run.settings_of(arguments)
    assert resolved.distribution.master
    assert (resolved.distribution.bind_host, resolved.output.metrics_host) == ("0.0.0.0", "0.0.0.0")
    worker = found["Job", "avaload-worker"]["spec"]
    assert resolved.load.processes == worker["completions"] == worker["parallelism"]
    load = resolved.load
    assert load.pacing is not None
    assert load.users * load.duration / load.pacing == 400
    assert resolved.target.max_sessions == 500


def test_every_board_reaches_the_cluster_and_compose_mounts_files_that_exist() -> None:
    boards = documents(HERE / "kustomization.yaml")[0]["configMapGenerator"][1]["files"]
    assert boards == [f"generated/{name}.json" for name in (*(board.name for board in BOARDS), "runbook")]
    assert sum((HERE / file).stat().st_size for file in boards) < 900_000  # a ConfigMap holds a MiB
    compose = documents(HERE / "compose.yaml")[0]
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in compose["volumes"] or (HERE / source).exists() or source == "../runs", mount


def test_compose_keeps_native_histograms_beside_the_classic_ones_and_is_else_the_same_prometheus() -> None:
    (plain,), (native,) = documents(HERE / "prometheus.yml"), documents(HERE / "prometheus-native.yml")
    (job,) = native["scrape_configs"]
    keys = ("scrape_native_histograms", "convert_classic_histograms_to_nhcb", "always_scrape_classic_histograms")
    assert [job.pop(key) for key in keys] == [True, True, True]
    assert native == plain  # Prometheus 2, which `make stack` may find, refuses these keys
    image = documents(HERE / "compose.yaml")[0]["services"]["prometheus"]["image"]
    version = tuple(map(int, image.partition(":v")[2].split(".")))
    assert version >= (3, 8, 0)


def test_a_span_and_a_report_are_found_where_the_boards_lead() -> None:
    compose, tempo = documents(HERE / "compose.yaml")[0]["services"], documents(HERE / "tempo.yaml")[0]
    outside = {inner: outer for _, outer, inner in (port.split(":") for port in compose["tempo"]["ports"])}
    receiver = tempo["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    (exporter,) = documents(HERE / "otel-collector.yaml")[0]["exporters"].values()
    assert exporter["endpoint"] == f"http://127.0.0.1:{outside[receiver]}"
    sources = {
        each["type"]: each for each in documents(HERE / "grafana" / "datasources" / "avaload.yaml")[0]["datasources"]
    }
    assert sources["tempo"]["url"] == f"http://127.0.0.1:{outside[str(tempo['server']['http_listen_port'])]}"
    (exemplars,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplars == {"name": "trace_id", "datasourceUid": sources["tempo"]["uid"]}
    kept = tempo["storage"]["trace"]
    assert {kept["wal"]["path"], kept["local"]["path"]} == {"/var/tempo/wal", "/var/tempo/blocks"}
    assert "tempo:/var/tempo" in compose["tempo"]["volumes"]
    served = compose["reports"]["command"]
    assert f"http://{served[served.index('-p') + 1]}" == Places().reports
    assert compose["reports"]["volumes"] == [f"../runs:{served[served.index('-h') + 1]}:ro"]
    assert compose["reports"]["user"] == compose["avaload"]["user"]  # whom the runs belong to
    assert Places().grafana == f"http://{compose['grafana']['environment']['GF_SERVER_HTTP_ADDR']}:3000"


def test_what_compose_starts_listens_on_loopback_alone() -> None:
    compose = documents(HERE / "compose.yaml")[0]["services"]
    addresses = re.findall(r"\d+\.\d+\.\d+\.\d+", str(compose) + (HERE / "otel-collector.yaml").read_text())
    assert set(addresses) == {"127.0.0.1"}
    for name, service in compose.items():
        assert service["network_mode"] == ("bridge" if name == "tempo" else "host"), name
    assert all(port.startswith("127.0.0.1:") for port in compose["tempo"]["ports"])
    assert "--web.listen-address=127.0.0.1:9090" in compose["prometheus"]["command"]
    assert compose["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"


def test_prometheus_and_alertmanager_accept_their_configurations(tmp_path: Path) -> None:
    promtool, amtool = needed("promtool"), needed("amtool")
    for command in (
        [promtool, "check", "config", HERE / "prometheus.yml"],
        [amtool, "check-config", HERE / "alertmanager.yml"],
    ):
        checked = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_stack_writes_the_ports_that_it_was_given(tmp_path: Path) -> None:
    ports = stack.Ports(metrics=1, prometheus=2, alertmanager=3, webhook=4)
    config = yaml.safe_load(stack._written(ports, tmp_path, "1s").read_text())
    assert config["scrape_configs"][0]["static_configs"] == [{"targets": ["127.0.0.1:1"]}]
    assert config["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["127.0.0.1:3"]}]
    assert config["global"] == {"scrape_interval": "1s", "evaluation_interval": "1s"}
    written = yaml.safe_load(Path(config["rule_files"][0]).read_text())
    own = yaml.safe_load((HERE / "generated" / "rules.yaml").read_text())
    assert [each["expr"] for each in written["groups"][0]["rules"]] == [
        each["expr"] for each in own["groups"][0]["rules"]
    ]
    leads = [each["annotations"]["runbook_url"] for each in written["groups"][0]["rules"] if "alert" in each]
    assert leads == [f"{(ROOT / 'RUNBOOK.md').as_uri()}#{alert.name.lower()}" for alert in ALERTS]
    assert "127.0.0.1:4" in (tmp_path / "alertmanager.yml").read_text()
