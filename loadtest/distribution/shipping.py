"""The files of a run on their way from a worker's host to its master: the command's end of `receiving`.

One chunk is on its way at a time, and a file is read no further than it was acknowledged: memory is bounded, and after
any interruption it goes on from the master's last word.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from loadtest import journal
from loadtest.distribution.channel import CHUNK_BYTES, pack
from loadtest.system import disk

EVERY_NS: Final = 1_000_000_000
"""How often a file that grows slowly is shipped; one with a full chunk goes at once."""
AGAIN_NS: Final = 5_000_000_000
"""A chunk without an answer for so long was lost."""

Say = Callable[..., bool]


class Shipper:
    """`say(op, **fields)` sends to the master; its acknowledgements come back through `acknowledged`."""

    def __init__(self, run_dir: Path, say: Say) -> None:
        self._run_dir, self._say = run_dir, say
        self._home: dict[str, int] = {}  # bytes that the master has
        self._closed: set[str] = set()
        self._shipped_ns: dict[str, int] = {}
        self._waiting_for: tuple[str, int] | None = None  # name, sent at
        self.heard_ns = 0
        """When the master last took something."""

    def files(self) -> dict[str, int]:
        """Name, as the master knows it, → bytes here."""
        found = [
            *disk.files_in(self._run_dir / "audio", "*.wav"),
            *journal.paths(self._run_dir),
        ]
        return {path.relative_to(self._run_dir).as_posix(): path.stat().st_size for path in found}

    def missing(self) -> dict[str, int]:
        """Name → bytes that the master has not acknowledged."""
        left = {name: size - self._home.get(name, 0) for name, size in self.files().items()}
        return {name: size for name, size in left.items() if size > 0}

    def step(self, now_ns: int, *, written: bool) -> None:
        """Send what is due. `written`: nothing grows any more, so that cut lines and recordings go too."""
        if self._waiting_for is not None:
            if now_ns - self._waiting_for[1] < AGAIN_NS:
                return
            self._waiting_for = None
        for name, size in self.files().items():
            if name.startswith(f"{disk.JOURNAL}/") and name not in self._closed and self._home.get(name) == size:
                path = self._run_dir / name
                ended = journal.is_free(path) and path.stat().st_size == size  # in this order: no last word is missed
                if ended and self._say("closed", name=name, size=size):
                    self._waiting_for = (name, now_ns)
                    return
        for name, left in sorted(self.missing().items(), key=lambda item: -item[1]):
            if not written and not name.startswith(f"{disk.JOURNAL}/"):
                continue
            if not written and left < CHUNK_BYTES and now_ns - self._shipped_ns.get(name, 0) < EVERY_NS:
                continue
            if (piece := self._next(name, whole_lines=not written)) and self._send(name, piece):
                self._waiting_for = (name, now_ns)
                self._shipped_ns[name] = now_ns
            if self._waiting_for is not None:
                return

    def acknowledged(self, name: str, size: int, now_ns: int, *, closed: bool) -> None:
        """The master has the first `size` bytes of that file; `closed`: and knows that these are all."""
        self._home[name] = size
        if closed:
            self._closed.add(name)
        self.heard_ns = now_ns
        if self._waiting_for is not None and self._waiting_for[0] == name:
            self._waiting_for = None

    def _next(self, name: str, *, whole_lines: bool) -> bytes:
        with disk.open_read(self._run_dir / name) as file:
            file.seek(self._home.get(name, 0))
            piece = file.read(CHUNK_BYTES)
        if whole_lines and len(piece) < CHUNK_BYTES:
            return piece[: piece.rfind(b"\n") + 1]  # the last line may be half written
        return piece

    def _send(self, name: str, piece: bytes) -> bool:
        return self._say("chunk", name=name, offset=self._home.get(name, 0), packed=pack(piece), crc=zlib.crc32(piece))
