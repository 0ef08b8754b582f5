import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import HOLES

ROOT = Path(__file__).parents[1]


def _suite(folder: Path, body: str, **more: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    (folder / "test_one.py").write_text(f"import pytest\n\ndef test_one():\n    {body}\n\ndef test_two():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    clean = {name: value for name, value in os.environ.items() if name != "CI"}
    environment = {**clean, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_with_ci_set_a_skipped_test_fails_the_suite_and_is_named(tmp_path: Path) -> None:
    done = _suite(tmp_path, "pytest.skip('chromium is not installed')", CI="true")
    assert done.returncode == HOLES
    assert "test_one.py::test_one: Skipped: chromium is not installed" in done.stdout


def test_a_test_that_fails_beside_a_skipped_one_is_not_all_that_was_wrong(tmp_path: Path) -> None:
    body = "pytest.skip('chromium is not installed')\n\ndef test_three():\n    assert False"
    assert _suite(tmp_path, body, CI="true").returncode == HOLES
    assert _suite(tmp_path, body).returncode == pytest.ExitCode.TESTS_FAILED


def test_without_ci_a_skipped_test_is_no_failure(tmp_path: Path) -> None:
    assert _suite(tmp_path, "pytest.skip('chromium is not installed')").returncode == pytest.ExitCode.OK


def test_what_the_kernel_does_not_permit_is_no_failure_in_ci_either(tmp_path: Path) -> None:
    done = _suite(tmp_path, "pytest.skip('not permitted here: a namespace')", CI="true")
    assert done.returncode == pytest.ExitCode.OK


APT = """#!/bin/sh
echo "$@" >> "$ASKED"
for package; do :; done
[ "$package" = broken ] && exit 100
printf '#!/bin/sh\\n' > "$PROGRAMS/$package"; chmod +x "$PROGRAMS/$package"
"""


def test_a_package_that_cannot_be_had_costs_no_other_and_what_is_there_is_not_touched(tmp_path: Path) -> None:
    programs, asked, script = tmp_path / "bin", tmp_path / "asked", tmp_path / "install_programs.sh"
    programs.mkdir()
    for name, text in (("apt-get", APT), ("id", "#!/bin/sh\necho 0\n"), ("here", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    script.write_text((ROOT / "tests" / "install_programs.sh").read_text())
    (tmp_path / "programs.txt").write_text("# a comment\nhere here\nno-such broken\nlater later\n")
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "ASKED": str(asked), "PROGRAMS": str(programs)}
    done = subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "no-such can't be had here (Debian: broken): tests that need it are skipped, with CI set they fail"
    ]
    installed = [line.split()[-1] for line in asked.read_text().splitlines() if line.startswith("install")]
    assert installed == ["broken", "later"]
