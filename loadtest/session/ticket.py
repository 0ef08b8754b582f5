"""What the load and a session know of each other: leave to run it."""

from dataclasses import dataclass

from loadtest.events.kinds import LOAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Leave to run one session: `due_ns` is when it should start."""

    number: int
    user: int
    iteration: int
    due_ns: int
    purpose: str = LOAD
