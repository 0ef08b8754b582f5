"""What all Realtime sessions of the twin share, and what each is given."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.twin.knobs.profiles import Chance, Profile
from loadtest.twin.openai_side.rate_limits import RateLimits
from loadtest.twin.timers import Timers

Emit = Callable[[dict[str, Any]], None]
"""Sends a server event; its `event_id` is added."""

NewId = Callable[[str], str]
"""A new id, beginning with the kind of thing it names: `item`, `resp`, `call` …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the model decides about one response; None leaves it to the twin."""

    items: tuple[str, ...] | None = None
    """Each a `message`, a `commentary` or a `call`."""
    status: str | None = None
    """How it ends."""
    reason: str | None = None
    """Why it ends `incomplete` or `failed`."""


Script = Iterator[Decision]
"""For each response of a socket in turn; after its end all is left to the twin."""

SCRIPTED = "x-twin-script"
"""The header by which a socket asks for the script of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The surroundings of a session."""

    profile: Profile
    chance: Chance
    timers: Timers
    limits: RateLimits
    scripts: Mapping[str, Script] = field(default_factory=dict)
