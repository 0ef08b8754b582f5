"""The Locust user: take a ticket, have the engine run one session, go on until the plan is over."""

import random
from typing import TYPE_CHECKING, cast

from locust import User, task
from locust.exception import StopUser

if TYPE_CHECKING:
    from loadtest.load.conductor import LoadProcess

AFTER_FAILURE_S = 1.0
"""A user of a closed population whose session failed waits so long before his next one, as people do: without it, a
target that refuses at once would be asked 900 times a second by whoever has no place in it."""


class VirtualUser(User):  # type: ignore[misc]  # locust's base is untyped
    """One member of a closed population, one of those that wait for open arrivals, or one that runs active checks. The
    plan says which: Locust deals several classes of users to its workers by chance."""

    def on_start(self) -> None:
        self._process = cast("LoadProcess", self.environment.avaload)
        self._place = self._process.next_place()
        self._process.await_beginning()

    @task  # type: ignore[untyped-decorator]
    def work(self) -> None:
        """All that this user ever does."""
        if self._place is None:
            pass
        elif self._place.checks:
            self._run_probes(self._place.number)
        elif self._process.settings.load.open:
            self._take_arrivals()
        else:
            self._keep_own_pace(self._place.number)
        raise StopUser

    def _take_arrivals(self) -> None:
        process = self._process
        while not process.stopping and (arrival := process.tickets.take()) is not None:
            process.run_arrival(arrival)

    def _keep_own_pace(self, user: int) -> None:
        process, tickets = self._process, self._process.tickets
        place = user + random.Random(f"{process.settings.load.seed}:{user}").random()
        due_s, iteration = tickets.first_s(place, 0.0), 0
        while due_s is not None and not process.stopping:
            outcome = process.run_session(user=user, iteration=iteration, due_s=due_s)
            if outcome in ("dropped", "refused"):
                break
            iteration += 1
            now_s = process.elapsed_s() + (AFTER_FAILURE_S if outcome == "failed" else 0.0)
            due_s = tickets.next_s(place, due_s, now_s)

    def _run_probes(self, user: int) -> None:
        """This user's share of the checks, one after the other."""
        process = self._process
        for iteration, rule in enumerate(process.probes_of(user)):
            if process.stopping:
                break
            if process.run_probe(user=user, iteration=iteration, rule=rule) not in ("done", "failed"):
                break
