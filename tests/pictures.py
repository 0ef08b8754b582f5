"""`make pictures`: the README's pictures anew, of a run that goes on, of what it said in the end, and of its report.

All are of one real run against the embedded twin, which is told to refuse some of the
secrets: so there is something to see.
"""

import asyncio
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import uuid
from io import BytesIO, StringIO
from pathlib import Path
from typing import Final

from PIL import Image
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.browser import browser
from tests.support import ROOT, end_all, environment, free_port

PICTURES: Final = ROOT / "docs/pictures"
COLUMNS, ROWS = 110, 34
WIDTH, HEIGHT, SCROLLBAR = 1280, 860, 16
COLOURS: Final = 64
RUN: Final = (
    "run", "support-call.toml", "--users", "8", "--duration", "30s", "--ramp", "2s", "--run-dir", "runs/first",
    "--twin-set", "fault.mint=503:0.2",
)  # fmt: skip
WITHIN_S: Final = 150.0
HOME: Final = "~/load-tests"
"""What the pictures call the directory that the run was in."""
_FRAME_BEGINS: Final = re.compile(r"(?:\r?\x1b\[2K(?:\x1b\[1A)?)+")
_THEME: Final = TerminalTheme(
    (22, 27, 34), (230, 237, 243),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207),
     (177, 186, 196)],
)  # fmt: skip


class Terminal:
    """One of our own, of a fixed size; `text`: all that was written to it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._read: list[bytes] = []
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # the other end is closed
                return
            self._read.append(data)

    def close(self) -> str:
        os.close(self.theirs)
        self._reader.join(10)
        os.close(self._ours)
        return b"".join(self._read).decode(errors="replace")


def ran(directory: Path) -> tuple[str, str]:
    """A run there: what it wrote on stdout and on stderr, each a terminal."""
    mark = uuid.uuid4().hex
    environ = environment(
        mark,
        TERM="xterm-256color",
        COLORTERM="truecolor",
        LANG="C.UTF-8",
        AVALOAD_OUTPUT__METRICS_PORT=str(free_port()),
    )
    command = [sys.executable, "-m", "avaload"]
    subprocess.run([*command, "init", "support-call"], cwd=directory, env=environ, check=True, timeout=WITHIN_S)
    out, err = Terminal(), Terminal()
    try:
        done = subprocess.run(
            [*command, *RUN], cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=out.theirs,
            stderr=err.theirs, timeout=WITHIN_S, check=False,
        )  # fmt: skip
    finally:
        end_all(mark)
        said = out.close(), err.close()
    assert done.returncode == 3, said
    return said


def in_the_middle(written: str) -> str:
    """Of a live table's frames one of the middle of its run: the last but a third."""
    frames = [frame for frame in _FRAME_BEGINS.split(written) if "p95" in frame]
    return frames[len(frames) * 2 // 3]


def as_svg(written: str, typed: str) -> str:
    """A terminal's text as a picture that asks nobody for a font."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, legacy_windows=False)
    text = Text.from_ansi(re.sub(r"\x1b\[\?25[hl]|\r", "", written).strip("\n"))
    if typed:
        console.print(Text(f"$ {typed}", style="bold"))
    console.print(text)
    svg = console.export_svg(title="avaload", theme=_THEME, unique_id="avaload")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


async def photograph(report: Path, there: Path) -> None:
    """The first screen of a report, in few colours: small."""
    with tempfile.TemporaryDirectory(prefix="avaload-browser-") as profile:
        async with browser(Path(profile)) as page:
            await page.size(WIDTH, HEIGHT)
            await page.ask("Page.navigate", url=report.as_uri())
            await page.until("document.readyState === 'complete' && document.querySelector('h1') !== null", within_s=30)
            shot = Path(profile) / "shot.png"
            await page.screenshot(shot)
            image = Image.open(BytesIO(await asyncio.to_thread(shot.read_bytes))).convert("RGB")
    image.crop((0, 0, WIDTH - SCROLLBAR, min(HEIGHT, image.height))).quantize(COLOURS).save(there, optimize=True)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="avaload-pictures-") as name:
        out, err = (said.replace(name, HOME) for said in ran(Path(name)))
        (PICTURES / "running.svg").write_text(as_svg(in_the_middle(err), ""), encoding="utf-8")
        (PICTURES / "verdict.svg").write_text(as_svg(out, f"avaload {' '.join(RUN)}"), encoding="utf-8")
        asyncio.run(photograph(Path(name) / "runs/first/report.html", PICTURES / "report.png"))


if __name__ == "__main__":
    main()
