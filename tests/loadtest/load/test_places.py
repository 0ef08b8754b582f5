"""Which users of a run do what doesn't depend on how Locust deals them to its workers."""

import itertools

import pytest

from loadtest.config.settings import Settings
from loadtest.load.tickets import Place, places
from loadtest.probes.catalogue import PROBES, dealt


def dealt_places(*, users: int, processes: int, share: float) -> tuple[Settings, list[list[Place]]]:
    """By process, as many of them as Locust gives it users: each the same number."""
    settings = Settings.model_validate(
        {"name": "x", "load": {"users": users, "processes": processes}, "probes": {"share": share}}
    )
    most = -(-settings.pool // processes)
    return settings, [list(itertools.islice(places(settings, process=n), most)) for n in range(processes)]


@pytest.mark.parametrize(
    ("users", "processes", "share", "checking"),
    [(10, 1, 0.1, 1), (10, 3, 0.1, 1), (20, 3, 0.1, 2), (7, 4, 0.5, 4), (3, 3, 1.0, 3), (5, 2, 0.0, 0)],
)
def test_each_place_of_the_pool_is_given_to_one_process_whatever_their_number(
    users: int, processes: int, share: float, checking: int
) -> None:
    _, found = dealt_places(users=users, processes=processes, share=share)
    everybody = list(itertools.chain(*found))
    assert sorted(place.number for place in everybody if place.checks) == list(range(checking))
    assert sorted(place.number for place in everybody if not place.checks) == list(range(users - checking))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_with_fewer_users_that_check_than_processes_every_check_is_run_by_one_of_them() -> None:
    settings, found = dealt_places(users=20, processes=3, share=0.1)
    of_users = [
        set(itertools.islice(dealt(settings.probes, user=place.number, users=2), 60))
        for place in itertools.chain(*found)
        if place.checks
    ]
    assert len(of_users) == 2
    assert set.union(*of_users) == {probe.lead for probe in PROBES if not probe.alone}
    assert set.intersection(*of_users) == set()


def test_open_arrivals_find_no_more_users_waiting_than_the_run_may_have() -> None:
    """Locust starts as many in each process."""
    settings = Settings.model_validate(
        {"name": "x", "load": {"rate": 1, "max_users": 5, "processes": 3}, "target": {"max_active": 5}}
    )
    waiting = [list(itertools.islice(places(settings, process=n), 2)) for n in range(3)]
    assert [len(each) for each in waiting] == [2, 2, 1]
