"""The Locust user: take a ticket, have the engine run one session, count it, go on until the plan is over."""

import random
from typing import TYPE_CHECKING, cast

from locust import User, task
from locust.exception import StopUser

if TYPE_CHECKING:
    from loadtest.conductor import LoadProcess


class VirtualUser(User):  # type: ignore[misc]  # locust's base is untyped
    """One member of a closed population."""

    def on_start(self) -> None:
        self._process = cast("LoadProcess", self.environment.avaload)
        self._user = self._process.next_user()

    @task  # type: ignore[untyped-decorator]
    def sessions(self) -> None:
        """All sessions of this user, one after the other."""
        process, plan = self._process, self._process.population
        due_s = plan.first_s(self._user, random.Random(f"{process.settings.load.seed}:{self._user}").random())
        iteration = 0
        while not plan.is_over(due_s) and not process.stopping:
            outcome = process.run_session(user=self._user, iteration=iteration, due_s=due_s)
            if outcome in ("dropped", "refused"):
                break
            iteration += 1
            due_s = plan.next_s(due_s, process.elapsed_s())
        raise StopUser
