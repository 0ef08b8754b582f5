"""`make image-test`: the image's steps are done in a root of Debian, and what comes of it runs as a container would.

As root, with mmdebstrap, and with a package index in reach; some minutes. EXTRAS are those of the build.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.image.building import Builder, Stage, chroot
from tests.image.container import Container, MemoryGroup, memory_group, network
from tests.support import ROOT, eventually

pytestmark = pytest.mark.timeout(1800)
EXTRAS = os.environ.get("EXTRAS", "")
ASK = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"


def memory_limit() -> int:
    """Bytes that the manifest gives to the process that conducts a run."""
    jobs = yaml.safe_load_all((ROOT / "dashboards" / "k8s" / "load.yaml").read_text())
    master = next(job for job in jobs if job["kind"] == "Job" and job["metadata"]["name"] == "avaload-master")
    told = master["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    found = re.fullmatch(r"(\d+)(Mi|Gi)", told)
    assert found is not None
    return int(found[1]) << {"Mi": 20, "Gi": 30}[found[2]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    work = tmp_path_factory.mktemp("image")
    work.chmod(0o755)
    try:
        yield Builder(ROOT, work, {"EXTRAS": EXTRAS}).build()
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", work], check=True)


@pytest.fixture
def memory() -> Iterator[MemoryGroup]:
    with memory_group(memory_limit()) as group:
        yield group


class Host:
    """Starts containers that share a network and a bound on memory."""

    def __init__(self, stack: ExitStack, image: Stage, memory: MemoryGroup, tmp_path: Path) -> None:
        self._stack, self._image, self._memory, self._tmp_path = stack, image, memory, tmp_path
        self.network = stack.enter_context(network())
        self._started = 0

    def start(
        self, *words: str, volume: Path | None = None, entrypoint: list[str] | None = None, **environ: str
    ) -> Container:
        self._started += 1
        volume = volume or self.volume()
        run = Container(
            self._image, words, volume=volume, memory=self._memory, network=self.network, environ=environ,
            output=self._tmp_path / f"output-{self._started}", entrypoint=entrypoint,
        )  # fmt: skip
        self._stack.callback(run.end)
        return run

    def volume(self) -> Path:
        folder = self._tmp_path / f"volume-{self._started}"
        folder.mkdir()
        user, group = self._image.user.split(":")
        os.chown(folder, int(user), int(group))
        return folder

    def ask(self, url: str) -> Any:
        words = [*self.network, *chroot(self._image.root, ["/opt/avaload/bin/python", "-c", ASK, url])]
        return json.loads(subprocess.run(words, env={}, capture_output=True, check=True, timeout=20).stdout)


@pytest.fixture
def host(image: Stage, memory: MemoryGroup, tmp_path: Path) -> Iterator[Host]:
    with ExitStack() as stack:
        yield Host(stack, image, memory, tmp_path)


@contextmanager
def twin_of(host: Host) -> Iterator[dict[str, Any]]:
    """A twin in a container of its own: it is asked after the run has ended."""
    running = host.start("twin")
    eventually(lambda: running.said().endswith("\n"), within_s=30, what="the twin")
    yield json.loads(running.said())


def test_what_the_build_leaves(image: Stage) -> None:
    assert image.user == "10001:10001"
    assert image.volumes == ["/runs"]
    assert not (image.root / "source").exists()


def test_without_words_it_runs_against_its_twin_and_passes(host: Host, memory: MemoryGroup) -> None:
    volume = host.volume()
    run = host.start("run", "--users", "2", "--duration", "10s", "--ramp", "1s", volume=volume)
    code = run.finish(within_s=120)
    assert code == 0, run.said()
    (directory,) = volume.iterdir()
    report = json.loads((directory / "report.json").read_text())
    assert report["verdict"]["outcome"] == "pass"
    assert report["sessions"]["completed"] > 0
    assert (directory / "report.html").stat().st_uid == 10001
    assert memory.kills == 0
    print(
        f"\n{memory.peak / 2**20:.0f} MiB of {memory_limit() / 2**20:.0f} MiB (control group, version {memory.version})"
    )


def test_sigterm_to_process_1_deletes_the_sessions_and_writes_the_report(host: Host, memory: MemoryGroup) -> None:
    volume = host.volume()
    with twin_of(host) as twin:
        run = host.start(
            "run", "--users", "6", "--duration", "10m", "--ramp", "1s", volume=volume,
            AVALOAD_TARGET__OPENAI_BASE_URL=twin["openai_base_url"], OPENAI_API_KEY=twin["openai_api_key"],
            AVALOAD_TARGET__AVATURN_BASE_URL=twin["avaturn_base_url"], AVATURN_API_KEY=twin["avaturn_api_key"],
        )  # fmt: skip
        counted = lambda: host.ask(twin["state_url"])["counters"]["sessions_created"]  # noqa: E731
        eventually(lambda: run.process.poll() is not None or counted() >= 6, within_s=60, what="six sessions")
        run.stop()
        code = run.finish(within_s=60)
        sessions = host.ask(twin["state_url"])["sessions"]
    assert code == 130, run.said()
    assert len(sessions) >= 6
    assert {session["end_reason"] for session in sessions} == {"termination_command_received"}
    (directory,) = volume.iterdir()
    report = json.loads((directory / "report.json").read_text())
    assert (report["sessions"]["leaked"], report["sessions"]["doubtful"]) == (0, 0)
    assert memory.kills == 0


@pytest.mark.parametrize(
    ("script", "fails_with"),
    [
        ("import os; os.open('/runs/mine', os.O_CREAT)", None),
        ("import os; assert os.getuid() == os.getgid() == 10001 and not os.getgroups()", None),
        ("import os; os.open('/mine', os.O_CREAT)", "Read-only file system"),
        ("import os; os.open('/tmp/mine', os.O_CREAT)", "Read-only file system"),
        ("import os; os.setuid(0)", "Operation not permitted"),
        ("import urllib.request as u; u.urlopen('http://192.0.2.1', timeout=3)", "Network is unreachable"),
    ],
)
def test_the_confinement_holds(host: Host, script: str, fails_with: str | None) -> None:
    run = host.start("-c", script, entrypoint=["/opt/avaload/bin/python"])
    code = run.finish(within_s=30)
    assert (code == 0) == (fails_with is None), run.said()
    assert (fails_with or "") in run.said()


def test_the_bound_on_memory_holds(host: Host, memory: MemoryGroup) -> None:
    run = host.start("-c", "bytearray(b'x') * (3 << 30)", entrypoint=["/opt/avaload/bin/python"])
    run.finish(within_s=60)
    assert memory.kills == 1
