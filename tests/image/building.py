"""The steps of a Dockerfile, done in roots of Debian by chroot: what a container engine would do with them.

A step that isn't known here is an error: no line of the Dockerfile goes untested.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import dockerfile

BASE: Final = re.compile(r"python:(?P<version>3\.\d+)-slim-(?P<suite>[a-z]+)(@sha256:[0-9a-f]{64})?")
PATH_OF_BASE: Final = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
OF_HOST: Final = ("/etc/pip.conf", "/root/.config/pip/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
"""How this machine reaches a package index: its settings, which the image doesn't have."""
STEP_LIMIT_S: Final = 900

MOUNTED: Final = """
mount --make-rprivate /
mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"
cd "$0"; exec chroot "$0" "$@"
"""


@dataclass
class Stage:
    """A root, and what the Dockerfile says of the processes in it."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH_OF_BASE})
    user: str = "0:0"
    directory: str = "/"
    volumes: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)

    def inside(self, path: str) -> Path:
        return self.root / Path(self.directory, path).relative_to("/")


def steps(path: Path) -> list[dockerfile.Command]:
    """Each instruction, as Docker's own parser reads it."""
    return list(dockerfile.parse_file(str(path)))


def substituted(text: str, names: Mapping[str, str]) -> str:
    """With $NAME, ${NAME}, ${NAME:+word} and ${NAME:-word} as a builder replaces them."""

    def one(match: re.Match[str]) -> str:
        value = names.get(match["plain"] or match["name"], "")
        if match["sign"] == "+":
            return substituted(match["word"], names) if value else ""
        return value or substituted(match["word"] or "", names)

    pattern = r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::(?P<sign>[+-])(?P<word>[^}]*))?\})"
    return re.sub(pattern, one, text).strip("\"'")


def context(folder: Path) -> list[Path]:
    """The files that a build sees: what .dockerignore leaves of a folder. Those of its patterns that it uses."""
    lines = [line for line in (folder / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    first, *rest = lines
    assert first == "*", "a list of what is let in begins with *"
    let_in = [line[1:] for line in rest if line[0] == "!"]
    anywhere = [line.removeprefix("**/") for line in rest if line.startswith("**/")]
    assert len(let_in) + len(anywhere) == len(rest), rest
    found: list[Path] = []
    for name in sorted(os.listdir(folder)):
        if any(fnmatchcase(name, pattern) for pattern in let_in):
            top = folder / name
            found += [top] if top.is_file() else [path for path in sorted(top.rglob("*")) if path.is_file()]
    return [
        path
        for path in found
        if not any(fnmatchcase(part, name) for part in path.relative_to(folder).parts for name in anywhere)
    ]


class Builder:
    """Builds the last stage of a Dockerfile below a working directory."""

    def __init__(self, folder: Path, work: Path, arguments: Mapping[str, str]) -> None:
        self._folder, self._work, self._given = folder, work, arguments
        self._global: dict[str, str] = {}
        self._stages: list[Stage] = []
        self._names: dict[str, Stage] = {}

    def build(self) -> Stage:
        done: Mapping[str, Callable[[Stage, dockerfile.Command], None]] = {
            "ARG": self._arg, "ENV": self._env, "WORKDIR": self._workdir, "COPY": self._copy, "RUN": self._run,
            "USER": self._user, "VOLUME": self._volume, "ENTRYPOINT": self._entrypoint, "CMD": self._cmd,
        }  # fmt: skip
        for step in steps(self._folder / "Dockerfile"):
            print(f"== {step.original}", flush=True)
            if step.cmd == "FROM":
                self._from(step)
            elif not self._stages:
                assert step.cmd == "ARG", step.original
                name, _, default = step.value[0].partition("=")
                self._global[name] = self._given.get(name, default)
            else:
                done[step.cmd](self._stages[-1], step)
        return self._stages[-1]

    def _from(self, step: dockerfile.Command) -> None:
        name, *named = (substituted(word, self._global) for word in step.value)
        assert not named or named[0] == "AS", named
        root = self._work / f"stage-{len(self._stages)}"
        before = self._names.get(name)
        if before is None:
            make_base(name, root)
            stage = Stage(root)
        else:
            subprocess.run(["cp", "--archive", "--reflink=auto", before.root, root], check=True)
            stage = Stage(root, dict(before.env), before.user, before.directory, list(before.volumes))
        self._stages.append(stage)
        if named:
            self._names[named[1]] = stage

    def _arg(self, stage: Stage, step: dockerfile.Command) -> None:
        name, _, default = step.value[0].partition("=")
        stage.arguments[name] = self._given.get(name, self._global.get(name, substituted(default, stage.env)))

    def _env(self, stage: Stage, step: dockerfile.Command) -> None:
        names = stage.arguments | stage.env
        pairs = zip(step.value[::2], step.value[1::2], strict=True)
        stage.env |= {name: substituted(value, names) for name, value in pairs}

    def _workdir(self, stage: Stage, step: dockerfile.Command) -> None:
        stage.directory = str(Path(stage.directory, substituted(step.value[0], stage.arguments | stage.env)))
        stage.inside(".").mkdir(parents=True, exist_ok=True)

    def _copy(self, stage: Stage, step: dockerfile.Command) -> None:
        *sources, target = step.value
        into = stage.inside(target)
        if step.flags:
            (flag,) = step.flags
            (source,) = sources
            other = self._names[flag.removeprefix("--from=")].inside(source)
            into.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "--archive", "--no-target-directory", other, into], check=True)
            return
        seen = {path.relative_to(self._folder): path for path in context(self._folder)}
        for source in sources:
            taken = seen if source == "." else {name: seen[name] for name in seen if fnmatchcase(str(name), source)}
            assert taken, f"{step.original}: nothing is copied"
            for name, path in taken.items():
                goal = into / name
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, goal)

    def _run(self, stage: Stage, step: dockerfile.Command) -> None:
        assert not step.json
        assert stage.user == "0:0", "as another user: not known here"
        env = stage.arguments | stage.env
        words = chroot(stage.root, ["/bin/sh", "-c", f'cd "{stage.directory}"; {step.value[0]}'])
        done = subprocess.run(
            words, env={"HOME": "/root", **env}, stdin=subprocess.DEVNULL, timeout=STEP_LIMIT_S, check=False
        )
        assert done.returncode == 0, f"exit {done.returncode}: {step.original}"

    def _user(self, stage: Stage, step: dockerfile.Command) -> None:
        stage.user = step.value[0]

    def _volume(self, stage: Stage, step: dockerfile.Command) -> None:
        stage.volumes += step.value

    def _entrypoint(self, stage: Stage, step: dockerfile.Command) -> None:
        assert step.json, "in a shell the program would not get the signals"
        stage.entrypoint = list(step.value)

    def _cmd(self, stage: Stage, step: dockerfile.Command) -> None:
        assert step.json
        stage.command = list(step.value)


def chroot(root: Path, words: Iterable[str]) -> list[str]:
    """The command line that runs these in a root, with /proc and /dev, in namespaces of their own."""
    unshared = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]
    return [*unshared, "bash", "-euc", MOUNTED, str(root), *words]


def make_base(image: str, root: Path) -> None:
    """What stands in for the slim image of Python: Debian's own Python of that version, under the image's paths."""
    named = BASE.fullmatch(image)
    assert named is not None, f"{image}: not a slim base by its tag"
    packages = "--include=ca-certificates,python3,python3-venv"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", packages, named["suite"], root], check=True, timeout=STEP_LIMIT_S
    )
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    asked = chroot(root, ["/usr/local/bin/python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    version = subprocess.run(asked, env={}, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    assert version == named["version"], f"{named['suite']} has Python {version}"
    for file in filter(os.path.exists, OF_HOST):
        goal = root / file.lstrip("/")
        goal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, goal)
