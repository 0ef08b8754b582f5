"""What travels from the master to the workers: the resolved settings, the clips that are spoken, the certificates.

Keys never do: they are in no setting, and each worker's command has its own. In the settings that travel, a path of the
master's machine is the name of an item here; the worker makes a path of its own machine of it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.config.settings import Settings
from loadtest.distribution.channel import CHUNK_BYTES
from loadtest.errors.exceptions import ConfigError
from loadtest.sound.manifest import Recording
from loadtest.sound.recordings import recordings
from loadtest.system import disk

MAX_BYTES: Final = 64 << 20
MAX_ITEMS: Final = 1000
SETTINGS: Final = "parcel/settings.json"
CA_FILE: Final = "parcel/ca.pem"
_NAME: Final = re.compile(
    r"parcel/(settings\.json|ca\.pem|clips-\d{1,4}/(\d{4}\.wav|manifest\.jsonl)|noise-\d{1,4}\.wav)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file of the parcel. `digest`: SHA-256 in hex."""

    name: str
    size: int
    digest: str


class Parcel:
    """The master's side: what there is, and pieces of it. Files are read again for each piece, not held."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError for files that can't be read and for more than MAX_BYTES."""
        self._paths: dict[str, Path] = {}
        tree = settings.model_dump(mode="json")
        folders: dict[str, str] = {}
        self._made: dict[str, bytes] = {}
        for turn in _spoken(tree):
            source = turn["clip"]
            if source not in folders and (found := recordings(source)):
                folder = folders[source] = f"parcel/clips-{len(folders)}"
                self._paths |= {f"{folder}/{number:04}.wav": each.path for number, each in enumerate(found)}
                self._made[f"{folder}/manifest.jsonl"] = _manifest(found)
            turn["clip"] = folders.get(source, source)
        noises: dict[str, str] = {}
        for caller in _noisy(tree):
            file = caller["noise"]
            if Path(file).is_file():
                name = noises.setdefault(file, f"parcel/noise-{len(noises)}.wav")
                self._paths[name], caller["noise"] = Path(file), name
        if settings.target.ca_file is not None:
            self._paths[CA_FILE] = settings.target.ca_file
            tree["target"]["ca_file"] = CA_FILE
        self._made[SETTINGS] = json.dumps(tree).encode()
        self.items = [_item(name, data) for name, data in self._made.items()]
        self.items += [_item(name, path.read_bytes()) for name, path in self._paths.items()]
        _check_size(self.items)

    def piece(self, name: str, offset: int) -> bytes:
        """At most CHUNK_BYTES of an item. Raises KeyError for one that isn't there, ValueError for a place beyond its
        end, and for one that can't be read any more."""
        if name in self._made:
            return self._made[name][offset : offset + CHUNK_BYTES]
        path = self._paths[name]
        if offset > MAX_BYTES:
            raise ValueError(f"{name}: has no place {offset}")
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(CHUNK_BYTES)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from error


def fetch(items: list[Mapping[str, Any]], piece: Callable[[str, int], bytes], run_dir: Path) -> dict[str, Any]:
    """The worker's side: write the items into `run_dir`; the settings as a tree with the paths of this machine.

    Raises ConfigError for a parcel that is too large, has names that don't belong there, or did not arrive as it left.
    """
    wanted = [Item(name=str(item["name"]), size=int(item["size"]), digest=str(item["digest"])) for item in items]
    _check_size(wanted)
    for item in wanted:
        if not _NAME.fullmatch(item.name):
            raise ConfigError(f"the master sends a file {item.name[:80]!r}: not taken")
        path = run_dir / item.name
        disk.make_folder(run_dir / "parcel")
        disk.make_folder(path.parent)
        disk.replace(path, _whole(item, piece))
    tree = disk.read_object(run_dir / SETTINGS)
    for turn in _spoken(tree):
        if turn["clip"].startswith("parcel/"):
            turn["clip"] = str(run_dir / turn["clip"])
    for caller in _noisy(tree):
        if caller["noise"].startswith("parcel/"):
            caller["noise"] = str(run_dir / caller["noise"])
    if tree["target"].get("ca_file") is not None:
        tree["target"]["ca_file"] = str(run_dir / CA_FILE)
    return tree


def _whole(item: Item, piece: Callable[[str, int], bytes]) -> bytes:
    got = bytearray()
    while len(got) < item.size and (more := piece(item.name, len(got))):
        got += more
    if _item(item.name, bytes(got)) != item:
        raise ConfigError(f"{item.name}: did not arrive as it left the master (was it changed meanwhile?)")
    return bytes(got)


def _manifest(found: list[Recording]) -> bytes:
    """What the clips are called and what is said in them: their files have other names on the way."""
    rows = (
        {"file": f"{number:04}.wav", "id": each.name, "text": each.text, "language": each.language}
        for number, each in enumerate(found)
    )
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _item(name: str, data: bytes) -> Item:
    return Item(name=name, size=len(data), digest=hashlib.sha256(data).hexdigest())


def as_rows(items: list[Item]) -> list[dict[str, Any]]:
    """For the wire."""
    return [asdict(item) for item in items]


def _check_size(items: list[Item]) -> None:
    size = sum(item.size for item in items)
    if size > MAX_BYTES or len(items) > MAX_ITEMS:
        raise ConfigError(
            f"settings and clips are {size / 2**20:.0f} MiB in {len(items)} files; at most {MAX_BYTES >> 20} MiB in"
            f" {MAX_ITEMS} files travel to workers"
        )


def _noisy(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The callers with a noise of some name, or of a file, likewise."""
    for scenario in (tree, *tree.get("mix", ())):
        if scenario.get("caller", {}).get("noise") is not None:
            yield scenario["caller"]


def _spoken(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All turns with a clip, of the run's own scenario and of its mix."""
    for scenario in (tree, *tree.get("mix", ())):
        yield from (turn for turn in scenario["conversation"]["turns"] if "clip" in turn)
