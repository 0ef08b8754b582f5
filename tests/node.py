"""A script in Node with packages of npm's registry: installed by the test, never committed."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.loadtest.twin.process import RunningTwin
from tests.programs import needed, npm_install


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with packages and one script."""

    folder: Path
    script: str

    def run(self, *arguments: str, twin: RunningTwin, timeout_s: float) -> dict[str, Any]:
        """What the script prints, as JSON. It trusts the certificate of that twin."""
        done = subprocess.run(
            ["node", self.script, *arguments],
            cwd=self.folder,
            env={**os.environ, "NODE_EXTRA_CA_CERTS": twin.announcement["ca_file"]},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen


def project(folder: Path, script: Path, *packages: str, timeout_s: float) -> Project:
    """Packages as name@version. Skips the test where Node or the registry isn't there."""
    needed("node")
    (folder / "package.json").write_text('{"private": true}')
    npm_install(folder, *packages, timeout_s=timeout_s)
    shutil.copy(script, folder)
    return Project(folder, script.name)
