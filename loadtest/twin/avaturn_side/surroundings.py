"""What all Avaturn sessions of a twin share."""

from dataclasses import dataclass

from loadtest.twin.knobs.avaturn import AvaturnKnobs
from loadtest.twin.knobs.profiles import Chance
from loadtest.twin.parts import Make
from loadtest.twin.sockets.event_socket import Dial
from loadtest.twin.ticker import Ticker
from loadtest.twin.timers import Timers
from loadtest.twin.truth import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The services that a session uses."""

    timers: Timers
    chance: Chance
    ticker: Ticker
    truth: Truth
    dial: Dial
    """To OpenAI."""
    knobs: AvaturnKnobs
    make: Make
