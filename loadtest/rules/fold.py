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


class AtOneMoment(Fold):
    """A room must not end for one reason, and that reason has its moment. Rooms that end for another one (their server
    is started again) may do so then, too: ends at that moment count where most ends that nothing explains came at it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._then = Tally()
        self._elsewhere = 0

    def ended(self, life: Life, note: str | None) -> None:
        """A room ended, and nothing explains it. `note`: what to say of it, if that was at the moment."""
        if note is None:
            self._elsewhere += 1
        elif life.once(self.rule):
            self._then.broken(life.session, note)

    def value(self) -> Tally:
        return self.tally.plus(self._then) if self._then.violations > self._elsewhere else self.tally
