"""A built root, run as an orchestrator would: another user, a read-only root, no rights, a bound on memory.

The network is a namespace that has loopback alone, so nothing outside is reached, and no port of this machine is used.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.image.building import Stage

ISOLATED: Final = """
mount --make-rprivate /
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount -t tmpfs -o mode=755 dev "$0/dev"
for name in null zero full random urandom; do touch "$0/dev/$name"; mount --bind "/dev/$name" "$0/dev/$name"; done
ln -s /proc/self/fd "$0/dev/fd"; mkdir "$0/dev/shm"; mount -t tmpfs -o size=64m,mode=1777 shm "$0/dev/shm"
mount --bind "$1" "$0$2"; shift 2
mount -o remount,bind,ro "$0"
exec chroot "$0" "$@"
"""
GROUPS: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryGroup:
    """A control group with a bound on memory, of the kernel's version 2 or 1."""

    path: Path
    version: int

    @property
    def peak(self) -> int:
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        return int((self.path / name).read_text())

    @property
    def kills(self) -> int:
        """How often the kernel killed a process for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        told = dict(line.split() for line in (self.path / name).read_text().splitlines())
        return int(told["oom_kill"])

    def join(self) -> None:
        (self.path / "cgroup.procs").write_text(str(os.getpid()))


@contextmanager
def memory_group(limit: int) -> Iterator[MemoryGroup]:
    """Raises OSError where this machine lets nobody bound memory."""
    version = 1 if (GROUPS / "memory" / "memory.limit_in_bytes").exists() else 2
    path = (GROUPS / "memory" if version == 1 else GROUPS) / f"avaload-image-{os.getpid()}"
    path.mkdir()
    try:
        (path / ("memory.max" if version == 2 else "memory.limit_in_bytes")).write_text(str(limit))
        yield MemoryGroup(path, version)
    finally:
        path.rmdir()


@contextmanager
def network() -> Iterator[list[str]]:
    """The words that run a command in a network of its own."""
    shell = "ip link set lo up; echo up; exec cat"
    holder = subprocess.Popen(
        ["unshare", "--net", "--", "sh", "-euc", shell], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        yield ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--"]
    finally:
        assert holder.stdin is not None
        holder.stdin.close()
        holder.wait(10)
        if holder.stdout is not None:
            holder.stdout.close()


class Container:
    """A command in the image; its process 1 gets the signals, as from an engine."""

    def __init__(
        self,
        stage: Stage,
        words: Sequence[str],
        *,
        volume: Path,
        memory: MemoryGroup,
        network: Sequence[str],
        environ: dict[str, str],
        output: Path,
        entrypoint: Sequence[str] | None = None,
    ) -> None:
        user, group = stage.user.split(":")
        (mounted,) = stage.volumes
        program = [*(stage.entrypoint if entrypoint is None else entrypoint), *(words or stage.command)]
        without = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        without += ["--inh-caps=-all", "--bounding-set=-all", "--", "env", "-C", stage.directory]
        command = [
            *network, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--",
            "bash", "-euc", ISOLATED, str(stage.root), str(volume), mounted, *without, *program,
        ]  # fmt: skip
        self.output = output
        with output.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                env=stage.env | environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=memory.join,
            )

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self) -> None:
        """SIGTERM to process 1."""
        self._signal(signal.SIGTERM)

    def finish(self, *, within_s: float) -> int:
        """The exit code. Raises TimeoutExpired."""
        return self.process.wait(within_s)

    def end(self) -> None:
        """With all that runs in it: who changed its user outlives the parent that started it, whatever was asked."""
        if self.process.poll() is None:
            self._signal(signal.SIGKILL)
        self.process.wait(30)

    def _signal(self, number: signal.Signals) -> None:
        (first,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(first), number)
