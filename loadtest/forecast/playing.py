"""A schedule played through on paper: when its sessions begin, and how long they live until the run ends.

The arrivals are those that the run would have, from the same seed. How long a session takes is given.
"""

import heapq
import math
import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from loadtest.arrivals.schedule import ClosedPopulation
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError

MOST_PLAYED: Final = 300_000
"""Sessions that are played through one by one; of more users a share is, and counts for all."""
_ROUNDING_S: Final = 1e-6
"""What is due a minute later may seem so much earlier."""
_SHORTEST_S: Final = 0.05
"""No caller is done sooner, on paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The schedule on paper. `per_minute`: sessions begun in the busiest minute,
    whenever that begins; `busy_s`: of all sessions together."""

    sessions: float
    peak: float
    per_minute: float
    busy_s: float
    dropped: float


class Again(NamedTuple):
    """Callers who need a second session: their share of all, how long after the end of the first one it begins, and how
    long it lives."""

    share: float = 0.0
    after_s: float = 0.0
    length_s: float = 0.0

    def times(self, factor: float) -> "Again":
        """Of longer sessions."""
        return Again(self.share, self.after_s * factor, self.length_s * factor)


NEVER: Final = Again()


def play(settings: Settings, length_s: float, again: Again = NEVER) -> Played:
    """The schedule, with sessions of that length."""
    load = settings.load
    users = settings.pool - settings.probe_users
    took_s = max(length_s + again.share * (again.after_s + again.length_s), _SHORTEST_S)
    stride = 1
    if not load.open:
        each = load.duration / max(took_s, load.pacing or 0.0) + 1
        stride = max(1, math.ceil(users * each / MOST_PLAYED))
    places = range(0, users, stride)
    factor = users / len(places) if places else 1.0
    most = math.inf if settings.target.max_sessions is None else settings.target.max_sessions / factor
    tally = _Tally(length_s, again, until_s=load.duration + settings.graceful_stop_s, most=most)
    dropped = 0
    if load.open:
        dropped = _play_open(settings, tally, users=users, took_s=took_s)
    else:
        _play_closed(settings, tally, places=places, took_s=took_s)
    tally.pass_to(math.inf)
    return Played(
        sessions=tally.sessions * factor,
        peak=tally.peak * factor,
        per_minute=tally.per_minute * factor,
        busy_s=tally.busy_s * factor,
        dropped=dropped,
    )


class _Tally:
    """Sessions as they begin, in the order of time. `most`: there are no more of them; `until_s`: all are over then."""

    def __init__(self, length_s: float, again: Again, *, until_s: float, most: float) -> None:
        self._length_s, self._again, self._until_s, self._most = length_s, again, until_s, most
        self.sessions = self.peak = self.busy_s = self.per_minute = self._now = self._begun = 0.0
        self._last_minute: deque[tuple[float, float]] = deque()
        """What began within it, and when."""
        self._ends: list[tuple[float, float]] = []
        self._due: deque[float] = deque()
        """When those begin who call again."""

    def call(self, at_s: float) -> bool:
        """A caller's first session. False: no more of them can begin."""
        self.pass_to(at_s)
        if not self._begin(at_s, 1.0, self._length_s):
            return False
        if self._again.share:
            self._due.append(at_s + self._length_s + self._again.after_s)
        return True

    def pass_to(self, at_s: float) -> None:
        """Who calls again until then has done so."""
        while self._due and self._due[0] <= at_s:
            self._begin(self._due.popleft(), self._again.share, self._again.length_s)

    def _begin(self, at_s: float, count: float, length_s: float) -> bool:
        count, left_s = min(count, self._most - self.sessions), self._until_s - at_s
        if count <= 0 or left_s <= 0:
            return False
        while self._ends and self._ends[0][0] <= at_s:
            self._now -= heapq.heappop(self._ends)[1]
        heapq.heappush(self._ends, (at_s + length_s, count))
        self._now += count
        self.peak = max(self.peak, self._now)
        self.sessions += count
        self.busy_s += count * min(length_s, left_s)
        while self._last_minute and self._last_minute[0][0] <= at_s - 60 + _ROUNDING_S:
            self._begun -= self._last_minute.popleft()[1]
        self._last_minute.append((at_s, count))
        self._begun += count
        self.per_minute = max(self.per_minute, self._begun)
        return True


def _play_open(settings: Settings, tally: _Tally, *, users: int, took_s: float) -> int:
    """A caller per arrival, while somebody is free for it in time. How many found nobody."""
    busy: list[float] = []
    dropped = 0
    for at_s in _bounded(settings.load.schedule()):
        while busy and busy[0] <= at_s:
            heapq.heappop(busy)
        start_s = at_s
        if len(busy) >= users:
            start_s = busy[0]
            if start_s - at_s > settings.load.max_lateness:
                dropped += 1
                continue
            heapq.heappop(busy)
        heapq.heappush(busy, start_s + took_s)
        if not tally.call(start_s):
            break
    return dropped


def _bounded(offsets_s: Iterable[float]) -> Iterator[float]:
    """Raises ConfigError where there are more than can be played on paper."""
    for count, at_s in enumerate(offsets_s):
        if count >= 10 * MOST_PLAYED:
            raise ConfigError(f"load: more than {10 * MOST_PLAYED:,} arrivals: too many to look at one by one")
        yield at_s


def _play_closed(settings: Settings, tally: _Tally, *, places: range, took_s: float) -> None:
    """Users with one session after the other each."""
    load = settings.load
    population = ClosedPopulation(shape=load.shape(), pacing_s=load.pacing)
    due: list[tuple[float, float]] = []
    for user in places:
        place = user + random.Random(f"{load.seed}:{user}").random()
        if (first_s := population.first_s(place)) is not None:
            due.append((first_s, place))
    heapq.heapify(due)
    while due:
        due_s, place = due[0]
        if not tally.call(due_s):
            break
        next_s = population.next_s(place, due_s, due_s + took_s)
        if next_s is None:
            heapq.heappop(due)
        else:
            heapq.heapreplace(due, (next_s, place))
