"""Phoenix receives a run's spans over OTLP: it has each of them, with its parent, its times and its attributes."""

import json
import os
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.loadtest.twin.process import running_twin
from tests.support import call, free_port, get

STARTED_WITHIN_S, ARRIVED_WITHIN_S = 60, 30
PAGE = 1000


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    port, grpc = free_port(), free_port()
    own = {
        "PHOENIX_WORKING_DIR": str(tmp_path_factory.mktemp("phoenix")),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
    }
    program = Path(sysconfig.get_path("scripts")) / "phoenix"
    with subprocess.Popen([program, "serve"], env={**os.environ, **own}, stdout=subprocess.DEVNULL) as process:
        try:
            deadline_s = time.monotonic() + STARTED_WITHIN_S
            url = f"http://127.0.0.1:{port}"
            while True:
                try:
                    get(f"{url}/healthz")
                    break
                except OSError:
                    assert process.poll() is None, "phoenix has ended"
                    assert time.monotonic() < deadline_s, "phoenix isn't ready"
                    time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def spans_at(url: str, *, at_least: int) -> list[dict[str, Any]]:
    """Those that it has, once it has that many."""
    deadline_s = time.monotonic() + ARRIVED_WITHIN_S
    found: list[dict[str, Any]] = []
    while len(found) < at_least:
        assert time.monotonic() < deadline_s, f"{len(found)} of {at_least} spans"
        try:
            found = json.loads(get(f"{url}/v1/projects/default/spans?limit={PAGE}")[1])["data"]
        except HTTPError:  # no span, no project
            found = []
        time.sleep(0.2)
    return found


def test_it_has_every_span_of_a_run_below_its_session(phoenix: str, tmp_path: Path) -> None:
    with running_twin("--set", "answer_s=0.4") as twin:
        ends = ("--openai-base-url", twin.openai_url, "--avaturn-base-url", twin.avaturn_url)
        plan = ("--users", "2", "--duration", "8s", "--ramp", "0s", "--run-dir", "run", "--metrics-port", "off")
        keys = {"OPENAI_API_KEY": twin.openai_key, "AVATURN_API_KEY": twin.avaturn_key}
        done = call("run", *ends, *plan, "--otlp-endpoint", phoenix, cwd=tmp_path, environ=keys)
    assert done.code in (0, 4), done.err
    report = json.loads((tmp_path / "run" / "report.json").read_text())

    sent = report["traces"]["spans"]
    found = spans_at(phoenix, at_least=sent + 1)
    (of_run,) = (span for span in found if span["name"] == "avaload.run")  # the run's own, beside those of its sessions
    spans = [span for span in found if span is not of_run]
    assert len(spans) == sent > 0
    assert set(report["traces"]["dropped_by"].values()) == {0}
    ids = {span["context"]["span_id"] for span in spans}
    roots = [span for span in spans if span["parent_id"] is None]
    assert len(roots) == report["traces"]["sessions"] == report["sessions"]["started"]
    assert {span["context"]["trace_id"] for span in spans} == {span["context"]["trace_id"] for span in roots}
    assert all(span["parent_id"] in ids for span in spans if span["parent_id"] is not None)
    assert all(span["start_time"] <= span["end_time"] for span in spans)
    assert all(span["status_code"] != "ERROR" for span in spans)
