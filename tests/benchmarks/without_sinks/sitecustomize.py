"""First on PYTHONPATH, this leaves a run those sinks alone that BENCH_SINKS names, to compare runs with: without it,
events end in the journal."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest.config import environment
from loadtest.events.fanout import Fanout
from loadtest.events.kinds import Sink

KEPT = os.environ.get("BENCH_SINKS", "").split(",")
_make = Fanout.__init__


def _with_few(self: Fanout, sinks: Mapping[str, Sink]) -> None:
    _make(self, {name: sink for name, sink in sinks.items() if name in KEPT})


_of_child = environment.of_child


def _with_this(*args: Any, **kwargs: Any) -> dict[str, str]:
    """Processes of the run take this along, which no operator's PYTHONPATH does."""
    here = {"PYTHONPATH": str(Path(__file__).parent), "BENCH_SINKS": os.environ.get("BENCH_SINKS", "")}
    return _of_child(*args, **kwargs) | here


environment.of_child = _with_this  # type: ignore[assignment]
Fanout.__init__ = _with_few  # type: ignore[method-assign]
