"""The User-Agent by which a target's people tell the load from their users, on every HTTP call and WebSocket."""

import re
from typing import Final

from loadtest.system.version import __version__

MAX_RUN_ID: Final = 100
_UNSENDABLE: Final = re.compile(r"[^!#-'*-\[\]-~]")
"""What a comment in a header can't hold: blanks, parentheses, and what is not ASCII."""

_run: str | None = None  # a process belongs to one run


def introduce(run_id: str) -> None:
    """From now on this process's calls say that they are of that run."""
    global _run  # like what the process knows of secrets: every way to a target needs it
    _run = _UNSENDABLE.sub("_", run_id)[:MAX_RUN_ID]


def user_agent(client: str = "") -> str:
    """`avaload/VERSION (load test; run RUN_ID)`, after what the `client` in use says of itself."""
    ours = f"avaload/{__version__} (load test{'' if _run is None else f'; run {_run}'})"
    return f"{client} {ours}".lstrip()
