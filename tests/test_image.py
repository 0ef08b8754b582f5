"""The Dockerfile and what is said of its image elsewhere. `make image-test` does its steps and runs the outcome."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.image.building import context, steps, substituted
from tests.support import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
STEPS = steps(ROOT / "Dockerfile")
EXTRAS = sorted(PROJECT["project"]["optional-dependencies"].keys() - {"build", "dev"})


def values(name: str) -> list[tuple[str, ...]]:
    return [step.value for step in STEPS if step.cmd == name]


def pins(name: str) -> dict[str, set[str]]:
    """Package → its versions; more than one where a marker chooses."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_slim_and_its_digest_is_the_builders_to_give() -> None:
    assert STEPS[0].value == ("BASE_DIGEST",)  # no default
    base = values("FROM")[0][0]
    assert substituted(base, {}) == "python:3.13-slim-trixie"
    digest = "sha256:" + "0" * 64
    assert substituted(base, {"BASE_DIGEST": digest}) == f"python:3.13-slim-trixie@{digest}"


def test_the_image_runs_as_nobody_under_an_init_that_passes_signals_on() -> None:
    assert values("USER") == [("10001:10001",)]
    assert values("ENTRYPOINT") == [("tini", "--", "avaload")]
    assert values("VOLUME") == [("/runs",)]
    assert len(values("FROM")) == 3
    assert values("HEALTHCHECK") == []  # a run ends by itself; nobody restarts it


def test_no_package_is_installed_without_its_hash_and_no_host_is_named() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"https?://|--(?:extra-)?index-url|--trusted-host", text) == []
    installs = re.findall(r"pip install (.*)", text)
    assert [each.split()[0] for each in installs] == ["--require-hashes", "--no-deps"]


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_has_a_lock_of_what_it_adds_in_the_same_versions(extra: str) -> None:
    adds, everything = pins(f"requirements-{extra}.lock"), pins("requirements-dev.lock")
    named = {re.split(r"[=<>~]", each)[0] for each in PROJECT["project"]["optional-dependencies"][extra]}
    assert named <= adds.keys()
    assert adds.keys() & pins("requirements.lock").keys() == set()
    assert all(everything[package] == versions for package, versions in adds.items())
    text = (ROOT / f"requirements-{extra}.lock").read_text().replace("\\\n", " ")
    assert all("--hash=sha256:" in line for line in text.splitlines())


def test_the_build_sees_what_the_wheel_is_made_of_and_nothing_else() -> None:
    seen = {str(path.relative_to(ROOT)) for path in context(ROOT)}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    tops = {name.partition("/")[0] for name in seen}
    locks = {path.name for path in ROOT.glob("requirements*.lock")}
    assert tops == {*wheel, *locks, "pyproject.toml", "README.md", "LICENSE"}
    assert not any("__pycache__" in name for name in seen)


def test_whoever_names_the_image_names_this_version_and_user() -> None:
    named = set()
    for path in sorted((ROOT / "dashboards").rglob("*.y*ml")):
        named |= set(re.findall(r"image: (avaload:\S+)", path.read_text()))
    assert named == {f"avaload:{PROJECT['project']['version']}"}
    user, group = values("USER")[0][0].split(":")
    for path in (ROOT / "dashboards" / "k8s" / "load.yaml", ROOT / "dashboards" / "k8s" / "reports" / "pod.yaml"):
        for each in yaml.safe_load_all(path.read_text()):
            if each["kind"] in ("Pod", "Job"):
                pod = each["spec"] if each["kind"] == "Pod" else each["spec"]["template"]["spec"]
                security = pod["securityContext"]
                assert (security["runAsUser"], security["runAsGroup"]) == (int(user), int(group))
    service = yaml.safe_load((ROOT / "dashboards" / "compose.yaml").read_text())["services"]["avaload"]
    assert substituted(service["user"], {}) == f"{user}:{group}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A/b", "1/b"),
        ("${A}b", "1b"),
        ("${B}", ""),
        ("${B:-2}", "2"),
        ("${A:+@$A}", "@1"),
        ("${B:+@$A}", ""),
        ('""', ""),
    ],
)
def test_names_are_replaced_as_a_builder_does(text: str, expected: str) -> None:
    assert substituted(text, {"A": "1"}) == expected
