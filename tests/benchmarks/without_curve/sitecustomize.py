"""First on PYTHONPATH, this leaves the port of a run's master open, as Locust makes it, to compare runs with."""

from pathlib import Path
from typing import Any

from loadtest.config import environment
from loadtest.distribution.port.keys import Keys

_of_child = environment.of_child


def _with_this(*args: Any, **kwargs: Any) -> dict[str, str]:
    """Processes of the run take this along, which no operator's PYTHONPATH does."""
    return _of_child(*args, **kwargs) | {"PYTHONPATH": str(Path(__file__).parent)}


environment.of_child = _with_this  # type: ignore[assignment]
Keys.guard_master = Keys.guard_worker = lambda *_: None  # type: ignore[assignment,method-assign]
