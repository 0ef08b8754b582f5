"""How much a room may send: far more than any conversation, far less than what would keep other sessions waiting."""

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind

MOST_A_SECOND = 20_000
"""Short messages, or fragments of them. A conversation has some a second."""
SOUND, PING, DATAGRAM = 10, 20, 10
"""What weighs as much as so many messages. 2,000 frames of sound are forty times what a second has room for; as many
datagrams for aiortc are the longest message, twice."""


def of_text(size: int) -> int:
    """What a message of so many bytes weighs: the more it says, the longer it is read. 2.5 MB a second are too much."""
    return 1 + (size >> 7)


def of_sound(size: int) -> int:
    """The same of PCM: a frame of 20 ms has 960 bytes."""
    return SOUND * (1 + (size >> 10))


class FloodGate:
    """Of one room, which is entered at `t_ns`."""

    __slots__ = ("_since_ns", "_weight")

    def __init__(self, t_ns: int) -> None:
        self._since_ns, self._weight = t_ns, 0

    def take(self, t_ns: int, weight: int = 1) -> None:
        """Something of that weight arrived at `t_ns`. Raises StepError where it is too much for a second."""
        self._weight += weight
        if self._weight > MOST_A_SECOND:
            if t_ns - self._since_ns < 1_000_000_000:
                told = "the room sent more in a second than anybody could hear"
                raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, told)
            self._since_ns, self._weight = t_ns, 0
