"""One event to all sinks. A sink that raises is counted and reported, and never stops the load or the other sinks."""

import logging
from collections.abc import Mapping

from loadtest.events.kinds import Event, Sink

_log = logging.getLogger(__name__)


class Fanout:
    """`errors` counts what each named sink lost."""

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self._sinks = dict(sinks)
        self.errors = dict.fromkeys(sinks, 0)

    def __call__(self, event: Event) -> None:
        for name, sink in self._sinks.items():
            try:
                sink(event)
            except Exception:
                if self.errors[name] == 0:
                    _log.exception("sink %s failed; further failures are only counted", name)
                self.errors[name] += 1
