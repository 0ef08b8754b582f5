"""What a page shows of settings.json.

Keys are named one by one: a page is passed around more freely than a run directory.
"""

from pathlib import Path
from typing import Any, Final

from loadtest.config.keys.scenario import Scenario
from loadtest.config.run_dir import Written

_SHOWN: Final = ("settings", "tags", "embedded_twin", "versions", "git_revision", "seed", "host", "calibration")
_OF_A_SCENARIO: Final = frozenset(Scenario.model_fields) - {"name"}
_PRIVATE: Final = (".instructions", ".prompt", ".trace")
"""Of a prompt the page tells the length alone."""
_ELSEWHERE: Final = "settings.output.baseline"
"""Where it is on the machine of the run is nobody's business; its last two parts say which it is."""


def rows(written: Written) -> list[tuple[str, str]]:
    """Dotted names and values, without the run's own sections where a mix has taken their place: no session was made of
    those."""
    told = written.as_dict()
    if written.settings is not None and written.settings.mix:
        told["settings"] = {key: value for key, value in told["settings"].items() if key not in _OF_A_SCENARIO}
    return _flat({key: told[key] for key in _SHOWN})


def _flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names, what is empty left out."""
    if isinstance(tree, dict):
        return [row for key, value in tree.items() for row in _flat(value, f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(tree, list) and any(isinstance(item, dict | list) for item in tree):
        return [row for number, item in enumerate(tree, 1) for row in _flat(item, f"{prefix}[{number}]")]
    if tree in (None, "", []):
        return []
    if prefix.endswith(_PRIVATE):
        return [(prefix, f"({len(str(tree)):,} characters)")]
    if prefix == _ELSEWHERE:
        return [(prefix, "/".join(Path(tree).parts[-2:]))]
    return [(prefix, ", ".join(map(_plain, tree)) if isinstance(tree, list) else _plain(tree))]


def _plain(value: Any) -> str:
    return (
        f"{value:.15g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    )
