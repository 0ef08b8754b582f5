"""The store of client secrets: what it knows of each, for how long, and what that costs."""

import gc

from loadtest.twin.openai_side.minting.client_secrets import ClientSecrets
from loadtest.twin.truth import Truth
from tests.loadtest.twin.hand_clock import HandClock

MANY = 2_000


def store() -> tuple[ClientSecrets, HandClock, Truth]:
    clock, truth = HandClock(), Truth()
    return ClientSecrets(timers=clock, truth=truth), clock, truth


def test_a_secret_is_known_with_its_session_and_its_uses_until_it_expires() -> None:
    secrets, clock, _ = store()
    value = secrets.mint("{}", ttl_s=10, trace_id="ab")
    secrets.used(value)
    clock.advance(9.9)

    found = secrets.find(value)

    assert found is not None
    assert (found.session, found.trace_id, found.uses, found.expires_s) == ("{}", "ab", 1, 10)
    clock.advance(0.1)
    assert secrets.find(value) is None


def test_what_has_expired_is_forgotten_whatever_its_ttl() -> None:
    secrets, clock, truth = store()
    for ttl_s in (10, 20, 10, 7200):
        secrets.used(secrets.mint("{}", ttl_s=ttl_s, trace_id="ab"))
    clock.advance(20)

    alive = secrets.mint("{}", ttl_s=10, trace_id=None)

    assert truth.secrets_alive == 2
    assert secrets.kept(alive).trace_id is None
    kept = (secrets._expires_s, secrets._session, secrets._trace_id, secrets._uses)
    assert [len(each) for each in kept] == [2, 2, 1, 1]


def test_the_garbage_collector_visits_none_of_the_secrets() -> None:
    secrets, _, truth = store()
    secrets.mint("{}", ttl_s=600, trace_id="ab")
    gc.collect()
    before = len(gc.get_objects())
    for number in range(MANY):
        secrets.used(secrets.mint("{}", ttl_s=600, trace_id=f"{number:032x}"))
    gc.collect()

    assert truth.secrets_alive == MANY + 1
    assert len(gc.get_objects()) - before < MANY / 100
    assert not any(map(gc.is_tracked, (secrets._expires_s, secrets._session, secrets._trace_id, secrets._uses)))
