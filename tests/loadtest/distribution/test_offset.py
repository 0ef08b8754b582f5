"""The offset of two hosts' clocks, from pings whose two ways take differently long."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.distribution.offset import FIRST_AFTER, SECOND_NS, TELL_NS, Offset

MS = 1_000_000


@given(st.integers(-(10**15), 10**15), st.lists(st.tuples(st.integers(0, MS), st.integers(0, MS)), min_size=5))
def test_the_error_is_never_more_than_half_the_round_trip(true_ns: int, ways: list[tuple[int, int]]) -> None:
    offset, now_ns = Offset(), 0
    for there_ns, back_ns in ways:
        offset.answered(sent_ns=now_ns, master_ns=now_ns + there_ns + true_ns, heard_ns=now_ns + there_ns + back_ns)
        now_ns += 10 * MS
    told = offset.tell(now_ns)
    assert told is not None
    assert told[1] == min(there_ns + back_ns for there_ns, back_ns in ways)
    assert abs(told[0] - true_ns) <= told[1] / 2 + 1


def test_it_is_told_soon_then_again_then_each_minute() -> None:
    offset, told_ns = Offset(), []
    for now_ns in range(0, 120_000 * MS, 500 * MS):
        assert offset.sampling == (not told_ns)
        offset.answered(sent_ns=now_ns, master_ns=now_ns, heard_ns=now_ns + MS)
        if offset.tell(now_ns) is not None:
            told_ns.append(now_ns)
    first_ns = (FIRST_AFTER - 1) * 500 * MS
    assert told_ns == [first_ns, first_ns + SECOND_NS, first_ns + SECOND_NS + TELL_NS]
