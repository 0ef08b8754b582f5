"""`make corpus`: the clips that are shipped anew, and what is said in them, from the table. Needs espeak-ng."""

import csv
import io
import sys
from itertools import groupby
from pathlib import Path

from loadtest.sound.recordings import CORPUS
from tests.corpus.synthesis import Clip, flac, spoken, table


def files(clips: list[Clip]) -> dict[Path, bytes]:
    """By path below the corpus: the clips that are made, and a manifest for each folder."""
    found: dict[Path, bytes] = {}
    for folder, of_folder in groupby(
        sorted(clips, key=lambda clip: (clip.folder, clip.file)), lambda clip: clip.folder
    ):
        rows = list(of_folder)
        found[folder / "manifest.csv"] = manifest(rows)
        found |= {folder / clip.file: flac(spoken(clip)) for clip in rows if not clip.as_recorded}
    return found


def manifest(rows: list[Clip]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "text", "language"))
    writer.writerows((clip.file, clip.said, clip.language) for clip in rows)
    return text.getvalue().encode()


def main() -> int:
    clips = table()
    made = files(clips)
    kept = {clip.folder / clip.file for clip in clips if clip.as_recorded}
    for path in CORPUS.rglob("*"):
        below = path.relative_to(CORPUS)
        if path.is_file() and below not in made.keys() | kept | {Path("README.md")}:
            path.unlink()
    for below, content in made.items():
        (CORPUS / below).parent.mkdir(parents=True, exist_ok=True)
        (CORPUS / below).write_bytes(content)
    print(f"{len(made):,} files, {sum(map(len, made.values())) / 1e6:.2f} MB, in {CORPUS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
