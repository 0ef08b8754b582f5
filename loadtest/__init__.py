"""avaload: load tests of whole real-time avatar sessions.

From Python: `run_scenario`, `start_twin`, `read_run`, `compare_runs`; for a Locust file: `AvatarUser`. Nothing else is
promised. They are imported when they are first asked for. Start reading at `session/lifecycle.py` and
`events/kinds.py`.
"""

from typing import TYPE_CHECKING, Any

from loadtest.system.version import __version__ as __version__

if TYPE_CHECKING:
    from loadtest.api import compare_runs, read_run, run_scenario, start_twin
    from loadtest.avatar_user import AvatarUser

__all__ = ["AvatarUser", "__version__", "compare_runs", "read_run", "run_scenario", "start_twin"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "AvatarUser":  # brings Locust, which changes the whole process
        from loadtest.avatar_user import AvatarUser

        return AvatarUser
    from loadtest import api

    return getattr(api, name)
