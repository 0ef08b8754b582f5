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
    """One member of a closed population, or one of those that wait for open arrivals."""

    def on_start(self) -> None:
        self._process = cast("LoadProcess", self.environment.avaload)
        self._user = self._process.next_user()
        self._process.await_beginning()

    @task  # type: ignore[untyped-decorator]
    def sessions(self) -> None:
        """All sessions of this user, one after the other."""
        if self._process.settings.load.open:
            self._take_arrivals()
        else:
            self._keep_own_pace()
        raise StopUser

    def _take_arrivals(self) -> None:
        process = self._process
        while not process.stopping and (arrival := process.tickets.take()) is not None:
            process.run_arrival(arrival)

    def _keep_own_pace(self) -> None:
        process, tickets = self._process, self._process.tickets
        place = self._user + random.Random(f"{process.settings.load.seed}:{self._user}").random()
        due_s, iteration = tickets.first_s(place, 0.0), 0
        while due_s is not None and not process.stopping:
            outcome = process.run_session(user=self._user, iteration=iteration, due_s=due_s)
            if outcome in ("dropped", "refused"):
                break
            iteration += 1
            now_s = process.elapsed_s() + (AFTER_FAILURE_S if outcome == "failed" else 0.0)
            due_s = tickets.next_s(place, due_s, now_s)


class ProbeUser(User):  # type: ignore[misc]  # locust's base is untyped
    """Runs active checks of the contract, one after the other. `fixed_count` is set from the run's settings."""

    def on_start(self) -> None:
        self._process = cast("LoadProcess", self.environment.avaload)
        self._user = self._process.next_probe_user()
        self._process.await_beginning()

    @task  # type: ignore[untyped-decorator]
    def probes(self) -> None:
        """This user's share of the checks."""
        process = self._process
        for iteration, rule in enumerate(process.probes_of(self._user)):
            if process.stopping:
                break
            if process.run_probe(user=self._user, iteration=iteration, rule=rule) not in ("done", "failed"):
                break
        raise StopUser
