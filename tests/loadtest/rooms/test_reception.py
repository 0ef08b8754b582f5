"""What packets say by their numbers and their sender's clock."""

import pytest

pytest.importorskip("av", reason="needs the extra webrtc")

from loadtest.events.kinds import Mark
from loadtest.rooms import opus
from loadtest.rooms.reception import Reception
from loadtest.session.hearing import conversation
from loadtest.session.hearing.conversation import Conversation
from loadtest.sound.speech import SILENCE
from tests.loadtest.fakes import LOUD_FRAME

MS = 1_000_000
TICKS = 960
"""Of 20 ms."""
LOUD = opus.encode((LOUD_FRAME,) * 3)[1]
SILENT = opus.encode((SILENCE,))[0]

Packet = tuple[int, int, int]
"""When it comes, in ms, its number, and its timestamp in ms."""


def rests_ms(*packets: Packet) -> list[float]:
    reception, found = Reception(), []
    for at_ms, number, stamp_ms in packets:
        taken = reception.take(at_ms * MS, number, stamp_ms * 48 & 0xFFFFFFFF, SILENT)
        assert taken is not None
        found.append(taken[2] / MS)
    return found


@pytest.mark.parametrize(
    ("packets", "rested_ms"),
    [
        (((0, 7, 0), (20, 8, 20), (40, 9, 40)), 0),
        (((0, 7, 0), (20, 8, 20), (420, 9, 420)), 380),
        (((0, 7, 0), (20, 8, 20), (900, 9, 420)), 380),  # and was late besides
        (((0, 7, 0), (20, 8, 20), (120, 9, 420)), 80),  # by a clock that jumped: no longer than it took
        (((0, 7, 0), (20, 8, 20), (40, 9, 90_000_000)), 0),
        (((0, 7, 0), (20, 8, 20), (420, 9, 0)), 0),  # by a clock that was set back
        (((0, 7, 0), (20, 8, 20), (420, 10, 420)), 0),  # what was lost may have been sound
        (((0, 65534, 2**32 // 48 - 20), (20, 65535, 2**32 // 48), (420, 0, 2**32 // 48 + 400)), 380),
    ],
    ids=["goes on", "rests", "late", "no time", "a day ahead", "set back", "lost", "around the end of both"],
)
def test_a_sender_rests_where_its_numbers_go_on_and_its_clock_jumps(
    packets: tuple[Packet, ...], rested_ms: float
) -> None:
    first, second, third = rests_ms(*packets)
    assert (first, second) == (0, pytest.approx(0, abs=0.03))
    assert third == pytest.approx(rested_ms, abs=0.03)


def test_a_clock_that_is_a_tick_off_makes_no_rest() -> None:
    reception = Reception()
    taken = [reception.take(number * 21 * MS, number, number * (TICKS + 1), LOUD) for number in range(50)]
    assert [rest_ns for _, _, rest_ns in filter(None, taken)] == [0] * 50


def test_a_sender_that_rests_while_the_avatar_is_silent_has_no_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 ms of silence are sent, and then a packet every 400 ms (libopus, DTX)."""
    talk, reception = Conversation(observe=lambda *_, **__: None), Reception()
    rest_ms = [420 * number for number in range(3)]
    sent = [(at_ms, SILENT) for at_ms in rest_ms]
    sent += [(1_000 + 20 * number, LOUD if number < 100 else SILENT) for number in range(110)]
    sent += [(3_600 + 420 * number, SILENT) for number in range(4)]
    sent += [(5_000 + 20 * number, LOUD) for number in range(50)]
    base_ns = 10**12
    monkeypatch.setattr(conversation, "now_ns", lambda: base_ns)
    talk.on_mark(base_ns, Mark.FIRST_FRAME)
    talk.watch_line()
    ends: list[int | None] = []
    for number, (at_ms, payload) in enumerate(sent):
        taken = reception.take(base_ns + at_ms * MS, number, at_ms * 48, payload)
        assert taken is not None
        talk.on_audio(base_ns + at_ms * MS, *taken)
        ends.append(talk.last_audio_ns)
    assert (talk.playout.underruns, talk.playout.stalled_ns, talk.playout.jitter_ns) == (0, 0, 0)
    assert talk.playout.longest_gap_ns == 20 * MS
    assert talk.hole_ns == 20 * MS
    assert talk.playout.frames == len(sent)
    assert ends[-1] == base_ns + 2_980 * MS
    assert talk.onsets == 2
    assert not talk.line_broke(reception.lost)


def test_a_hole_after_a_rest_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Conversation(observe=lambda *_, **__: None)
    monkeypatch.setattr(conversation, "now_ns", lambda: 10**12)
    talk.on_mark(10**12, Mark.FIRST_FRAME)
    talk.watch_line()
    talk.on_audio(10**12, SILENCE)
    talk.on_audio(10**12 + 900 * MS, SILENCE, 0, 380 * MS)
    assert talk.hole_ns == 520 * MS


@pytest.mark.parametrize(
    ("came", "lost"),
    [
        ([(0, 7), (20, 9), (21, 8), (40, 10)], 0),
        ([(0, 7), (20, 9), (120, 8)], 0),
        ([(0, 7), (20, 9), (121, 8)], 1),  # later than a player waits
        ([(0, 7), (20, 10), (21, 9), (22, 8)], 0),
        ([(0, 7), (20, 9), (21, 8), (22, 8)], 0),  # and once more: it was received once
        ([(0, 7), (20, 9), (40, 11), (41, 8), (60, 12)], 1),
        ([(0, 65534), (20, 0), (21, 65535)], 0),
        ([(0, 7), (20, 107), (21, 106), (22, 8)], 98),
    ],
)
def test_a_packet_that_was_overtaken_is_not_lost_where_a_player_would_have_waited_for_it(
    came: list[tuple[int, int]], lost: int
) -> None:
    reception = Reception()
    for at_ms, number in came:
        reception.take(at_ms * MS, number, number * TICKS, SILENT)
    assert reception.lost == lost


def test_the_sound_of_one_that_was_overtaken_is_not_heard_in_the_wrong_place() -> None:
    reception = Reception()
    taken = [reception.take(number * MS, number, number * TICKS, SILENT) for number in (7, 9, 8, 10)]
    assert [each is None for each in taken] == [False, False, True, False]
