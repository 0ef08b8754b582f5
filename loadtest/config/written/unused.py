"""Keys that were given and of which nothing in this run makes use: passed over, they would be missed in the report."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from loadtest.config.settings import Settings


class _Key(NamedTuple):
    """`why` it may be of no use; `choosers`: settings that decide that."""

    section: str
    name: str
    is_used: Callable[[Settings], bool]
    why: str
    choosers: frozenset[str]


def _by_arrivals(settings: Settings) -> bool:
    """Sessions start when they are due: those of the run, or of the search for the limit."""
    return settings.load.open or (settings.capacity is not None and settings.capacity.by == "arrivals")


_OF_LOAD: Final = frozenset(f"load.{name}" for name in ("users", "rate", "arrivals", "trace", "stages"))
_RISES: Final = "has no effect: stages, a trace, and arrivals = ramp, steps or spike say themselves how the load rises"
_OPEN: Final = "only for open arrivals, which have a rate"
_NO_CHECKS: Final = "without a share no user runs active checks; give share"
_KEYS: Final = (
    _Key("load", "ramp", lambda settings: settings.load.rises_by_ramp, _RISES, _OF_LOAD),
    _Key("load", "max_users", _by_arrivals, _OPEN, _OF_LOAD),
    _Key("load", "max_lateness", _by_arrivals, _OPEN, _OF_LOAD),
    _Key(
        "load", "step_count", lambda settings: settings.load.arrivals == "steps", "only for arrivals = steps", _OF_LOAD
    ),
    *(
        _Key("probes", name, lambda settings: settings.probes.share > 0, _NO_CHECKS, frozenset({"probes.share"}))
        for name in ("rules", "slow")
    ),
)


def unused(tree: Mapping[str, Any], settings: Settings, elsewhere: Collection[str]) -> list[dict[str, Any]]:
    """Each key of `tree`, which came to these `settings`, as pydantic tells an error. What says no asks for nothing.
    Where an option or a variable (`elsewhere`) chooses another load, what the file says of its own gives way."""
    return [
        {"type": "value_error", "loc": (key.section, key.name), "msg": key.why}
        for key in _KEYS
        if key.name in tree.get(key.section, {})
        and getattr(getattr(settings, key.section), key.name)
        and not key.is_used(settings)
        and (f"{key.section}.{key.name}" in elsewhere or key.choosers.isdisjoint(elsewhere))
    ]
