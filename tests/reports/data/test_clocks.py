"""Clocks of several hosts: measured by the master, else through their wall clocks, and one shift for each."""

from loadtest.events.kinds import ClockCompared, HealthSampled, RunStarted
from reports.data.clocks import Anchors

MS = 1_000_000


def started(host: str, *, t_ns: int, wall_ns: int, role: str = "engine") -> RunStarted:
    return RunStarted(
        t_ns=t_ns,
        wall_ns=wall_ns,
        run_id="r",
        scenario="s",
        role=role,
        host=host,
        process=0,
        incarnation=0,
        pid=1,
        boot_id=f"boot-{host}",
    )


def compared(host: str, offset_ns: int, rtt_ns: int) -> ClockCompared:
    return ClockCompared(t_ns=0, host=host, boot_id=f"boot-{host}", offset_ns=offset_ns, rtt_ns=rtt_ns)


def base(host: str) -> tuple[str, str]:
    return host, f"boot-{host}"


def test_a_measured_offset_counts_and_a_wrong_wall_clock_does_not() -> None:
    anchors = Anchors()
    anchors.add(started("far", t_ns=1000 * MS, wall_ns=9_000_000 * MS))  # its wall clock is wrong by far
    anchors.add(
        started("master", t_ns=5000 * MS, wall_ns=70_000 * MS, role="master"), [compared("far", 4123 * MS, 2 * MS)]
    )
    assert anchors.shift_ns(base("far")) == 0
    assert anchors.shift_ns(base("master")) == -4123 * MS
    assert anchors.measured(base("far")) == (4123 * MS, 2 * MS)
    assert anchors.measured(base("master")) is None


def test_two_measured_hosts_meet_on_one_base_whatever_file_comes_first() -> None:
    anchors = Anchors()
    anchors.add(started("a", t_ns=0, wall_ns=0))
    anchors.add(started("b", t_ns=0, wall_ns=0))
    samples = [compared("a", 100 * MS, MS), compared("b", 350 * MS, MS)]
    anchors.add(started("master", t_ns=0, wall_ns=0, role="master"), samples)
    # One instant: 400 ms at the master, so 300 ms at a and 50 ms at b.
    assert 300 * MS + anchors.shift_ns(base("a")) == 50 * MS + anchors.shift_ns(base("b"))
    assert 300 * MS + anchors.shift_ns(base("a")) == 400 * MS + anchors.shift_ns(base("master"))


def test_an_answer_that_took_long_does_not_count_and_drift_is_halved() -> None:
    anchors = Anchors()
    anchors.add(started("far", t_ns=0, wall_ns=0))
    samples = [
        compared("far", 999 * MS, 400 * MS),
        compared("far", 10 * MS, 2 * MS),
        compared("far", 11 * MS, 3 * MS),
        compared("far", 12 * MS, 2 * MS),
    ]
    anchors.add(started("master", t_ns=0, wall_ns=0, role="master"), samples)
    assert anchors.measured(base("far")) == (11 * MS, 2 * MS)


def test_a_host_that_was_not_measured_is_put_on_the_base_by_its_wall_clock() -> None:
    anchors = Anchors()
    health = HealthSampled(
        t_ns=20, wall_ns=1020, source="engine", process=0, lag_p99_ns=0, lag_max_ns=0, cpu_percent=0, rss_bytes=0
    )
    anchors.add(started("lost", t_ns=10, wall_ns=1010), [health])
    anchors.add(started("far", t_ns=0, wall_ns=0))
    anchors.add(started("master", t_ns=500, wall_ns=1100, role="master"), [compared("far", 7, 2)])
    assert anchors.shift_ns(base("lost")) == 0
    # The master's 500 is 1100 on the wall, which is 100 at the lost host.
    assert 500 + anchors.shift_ns(base("master")) == 100
