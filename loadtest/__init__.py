"""avaload: load tests of whole real-time avatar sessions.

From Python: `run_scenario`, `start_twin`, `read_run`, `compare_runs`. Nothing else is promised. They are imported when
they are first asked for. Start reading at `session/lifecycle.py` and `language/events.py`.
"""

from typing import TYPE_CHECKING, Any

from loadtest.language.version import __version__ as __version__

if TYPE_CHECKING:
    from loadtest.api import compare_runs, read_run, run_scenario, start_twin

__all__ = ["__version__", "compare_runs", "read_run", "run_scenario", "start_twin"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from loadtest import api

    return getattr(api, name)
