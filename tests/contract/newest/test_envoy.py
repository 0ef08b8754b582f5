"""Envoy before the twin, with TLS, delays and aborts of its own: its counters and ours are the same numbers."""

import json
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from tests.loadtest.twin.process import RunningTwin, running_twin
from tests.support import Done, call, free_port, get

STARTED_WITHIN_S = 30
DELAY_S = 0.2
_FILTERS = "type.googleapis.com/envoy.extensions.filters"


def _listener(name: str, port: int, upstream: str, certificate: Path, routes: list[dict[str, Any]]) -> dict[str, Any]:
    """TLS outside, the twin inside; WebSockets pass."""
    timeouts = {"timeout": "0s", "cluster": upstream}
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": name,
                    "domains": ["*"],
                    "routes": [
                        *({**route, "route": timeouts} for route in routes),
                        {"match": {"prefix": "/"}, "route": timeouts},
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.fault",
                "typed_config": {"@type": f"{_FILTERS}.http.fault.v3.HTTPFault"},
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
            },
        ],
    }
    files = {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(certificate)}}
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [files]},
    }
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
            }
        ],
    }


def _fault(path: str, method: str, **fault: Any) -> dict[str, Any]:
    kind = f"{_FILTERS}.http.fault.v3.HTTPFault"
    of_that = [{"name": ":method", "string_match": {"exact": method}}]
    return {
        "match": {"prefix": path, "headers": of_that},
        "typed_per_filter_config": {"envoy.filters.http.fault": {"@type": kind, **fault}},
    }


def _abort(percent: int) -> dict[str, Any]:
    return {"http_status": 503, "percentage": {"numerator": percent, "denominator": "HUNDRED"}}


def _delay(percent: int) -> dict[str, Any]:
    return {"fixed_delay": f"{DELAY_S}s", "percentage": {"numerator": percent, "denominator": "HUNDRED"}}


def _cluster(name: str, url: str) -> dict[str, Any]:
    where = {"socket_address": {"address": "127.0.0.1", "port_value": urlsplit(url).port}}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": where}}]}
    load = {"cluster_name": name, "endpoints": [endpoint]}
    return {"name": name, "type": "STATIC", "connect_timeout": "5s", "load_assignment": load}


class Envoy:
    """One that runs, by its ports."""

    def __init__(self, folder: Path, twin: RunningTwin) -> None:
        authority = trustme.CA()
        self.ca_file, certificate = folder / "ca.pem", folder / "envoy.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        openai, avaturn, admin = free_port(), free_port(), free_port()
        self.openai_url, self.avaturn_url = f"https://127.0.0.1:{openai}/v1", f"https://127.0.0.1:{avaturn}"
        self._admin = f"http://127.0.0.1:{admin}"
        mint = _fault("/v1/realtime/client_secrets", "POST", abort=_abort(40))
        create = _fault("/api/v1/sessions", "POST", abort=_abort(40), delay=_delay(100))
        config = {
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
            "static_resources": {
                "listeners": [
                    _listener("openai", openai, "twin-openai", certificate, [mint]),
                    _listener("avaturn", avaturn, "twin-avaturn", certificate, [create]),
                ],
                "clusters": [
                    _cluster("twin-openai", twin.openai_url),
                    _cluster("twin-avaturn", twin.avaturn_url),
                ],
            },
        }
        path = folder / "envoy.json"
        path.write_text(json.dumps(config))
        program = Path(sysconfig.get_path("scripts")) / "envoy"
        options = ("--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning")
        self._process = subprocess.Popen([program, "-c", path, *options])

    def __enter__(self) -> "Envoy":
        deadline_s = time.monotonic() + STARTED_WITHIN_S
        while True:
            try:
                get(f"{self._admin}/ready")
                return self
            except OSError:
                assert self._process.poll() is None, "envoy has ended"
                assert time.monotonic() < deadline_s, "envoy isn't ready"
                time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def counters(self) -> dict[str, int]:
        _, body = get(f"{self._admin}/stats?format=json")
        return {stat["name"]: stat["value"] for stat in json.loads(body)["stats"] if "value" in stat}


@pytest.fixture(scope="module")
def seen(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Done, dict[str, Any], dict[str, int], RunningTwin]]:
    """A run through Envoy: the command, its report, Envoy's counters, and the twin that was behind it."""
    folder = tmp_path_factory.mktemp("envoy")
    with running_twin("--set", "answer_s=0.4") as twin, Envoy(folder, twin) as envoy:
        ends = ("--openai-base-url", envoy.openai_url, "--avaturn-base-url", envoy.avaturn_url)
        plan = (
            "--no-check",
            "--users",
            "4",
            "--duration",
            "20s",
            "--ramp",
            "0s",
            "--run-dir",
            "run",
            "--metrics-port",
            "off",
        )
        keys = {"OPENAI_API_KEY": twin.openai_key, "AVATURN_API_KEY": twin.avaturn_key}
        done = call("run", *ends, *plan, "--ca-file", str(envoy.ca_file), cwd=folder, environ=keys)
        assert done.code in (3, 4), done.err  # 4: this machine was busy; what was counted is true all the same
        report = json.loads((folder / "run" / "report.json").read_text())
        yield done, report, envoy.counters(), twin


def test_every_mint_is_a_request_of_envoy_s_and_every_abort_a_failure_of_ours(seen: Any) -> None:
    done, report, envoy, _ = seen
    mint = report["steps"]["mint"]
    assert mint["count"] == envoy["http.openai.downstream_rq_total"], done.err
    assert mint["failed"] == envoy["http.openai.fault.aborts_injected"] == envoy["http.openai.downstream_rq_5xx"] > 0


def test_every_create_that_envoy_aborted_is_one_that_failed_here(seen: Any) -> None:
    _, report, envoy, twin = seen
    create = report["steps"]["create"]
    assert (
        create["failed"] == envoy["http.avaturn.fault.aborts_injected"] == envoy["http.avaturn.downstream_rq_5xx"] > 0
    )
    assert create["count"] - create["failed"] == len(twin.state()["sessions"])
    assert create["count"] == envoy["http.avaturn.fault.delays_injected"]


def test_envoy_s_delay_is_in_every_create(seen: Any) -> None:
    done, report, _, _ = seen
    p50_s = report["steps"]["create"]["p50_s"]
    assert p50_s >= DELAY_S
    if done.code != 4:  # of a machine that was too busy, the run itself says that its times are not true
        assert p50_s < DELAY_S + 0.1


def test_nothing_is_left_behind_and_the_verdict_says_who_failed(seen: Any) -> None:
    _, report, envoy, twin = seen
    assert any(reason.startswith("objective missed: sessions that fail") for reason in report["verdict"]["reasons"])
    assert report["sessions"]["leaked"] == 0
    assert report["sessions"]["doubtful"] == report["steps"]["create"]["failed"]  # a 503 doesn't say that none was made
    assert report["sessions"]["failed"] == report["steps"]["mint"]["failed"] + report["steps"]["create"]["failed"]
    assert twin.state(alive=True)["sessions"] == []
    assert envoy["cluster.twin-avaturn.upstream_cx_connect_fail"] == 0
