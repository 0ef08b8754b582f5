"""What every rule's fold has: a tally, and the events that it wants to see."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from loadtest.rules.life import Life
from loadtest.rules.tally import Tally

Key = type | str
"""Of an event: the mark of an Observed, the step of a StepFinished, the class of any other."""
Handler = Callable[[Any, Life], None]


class Fold(ABC):
    """One rule's evidence from load sessions. A case counts only where it really could be observed."""

    rule: ClassVar[str]
    counts_messages: ClassVar[bool] = False
    """It concludes something from app-messages that didn't come, or from how many did."""

    def __init__(self) -> None:
        self.tally = Tally()

    @abstractmethod
    def handlers(self) -> Mapping[Key, Handler]:
        """What it wants to see; each is called with the event and its session."""

    def handlers_after_cut(self) -> Mapping[Key, Handler]:
        """The same from where so many app-messages had come that further ones are not in the journal."""
        return {} if self.counts_messages else self.handlers()

    def value(self) -> Tally:
        """Its evidence so far."""
        return self.tally
