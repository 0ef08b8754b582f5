"""OpenAI's limits per minute, kept over minutes (docs/contract.md#latency-and-faults)."""

from loadtest.twin.openai_side.rate_limits import Bucket, RateLimits
from tests.loadtest.twin.hand_clock import HandClock


def test_what_is_used_of_a_limit_in_many_minutes_is_the_limit_times_the_minutes() -> None:
    clock = HandClock()
    limits = RateLimits(requests_per_minute=None, tokens_per_minute=6000, timers=clock)
    used, failed = 0, 0
    for _ in range(2400):  # 20 sessions with a response of 500 tokens every 5 s, for 10 minutes
        if limits.tokens.wait_s():
            failed += 1
        else:
            limits.tokens.use(500)
            used += 500
        clock.advance(0.25)

    assert used == 66_000  # what the bucket held, and ten times what it gets
    assert failed == 2400 - 132


def test_a_debt_is_waited_for_and_told_as_nothing_left() -> None:
    clock = HandClock()
    bucket = Bucket("tokens", 600, enforced=True, timers=clock)
    bucket.use(900)

    assert (bucket.remaining, bucket.reset_s) == (0, 90)
    assert bucket.wait_s() == 30.1
    clock.advance(30)
    assert (bucket.remaining, bucket.wait_s()) == (0, 0.1)
    clock.advance(0.5)
    assert (bucket.remaining, bucket.wait_s(), bucket.reset_s) == (5, 0, 59.5)


def test_asking_whether_there_is_enough_takes_nothing() -> None:
    bucket = Bucket("tokens", 600, enforced=True, timers=HandClock())

    assert [bucket.wait_s() for _ in range(700)] == [0] * 700
    assert bucket.remaining == 600
    assert (bucket.take(601), bucket.remaining) == (0.1, 600)
    assert (bucket.take(600), bucket.remaining) == (0, 0)


def test_a_limit_that_is_only_told_is_never_used_up() -> None:
    limits = RateLimits(requests_per_minute=None, tokens_per_minute=None, timers=HandClock())
    before = limits.tokens.remaining
    limits.tokens.use(10**9)

    assert (limits.tokens.wait_s(10**9), limits.tokens.remaining, limits.tokens.reset_s) == (0, before, 0)
