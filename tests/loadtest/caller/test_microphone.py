"""What a virtual user's microphone hands out, frame by frame."""

from loadtest.caller.microphone import Microphone
from loadtest.events.kinds import Mark


def test_between_clips_its_frames_come_in_turn_and_a_clip_cuts_in_at_once() -> None:
    microphone = Microphone((b"a", b"b"))
    before = [microphone.take()[0] for _ in range(3)]
    microphone.speak((b"1", b"2"), first_voiced=0, last_voiced=1)
    after = [microphone.take()[0] for _ in range(4)]
    assert (before, after) == ([b"a", b"b", b"a"], [b"1", b"2", b"b", b"a"])


def test_the_first_and_the_last_voiced_frame_are_marked_and_no_other() -> None:
    microphone = Microphone(())
    microphone.speak((b"1", b"2", b"3", b"4", b"5"), first_voiced=1, last_voiced=3)
    marks = [microphone.take()[1] for _ in range(6)]
    assert marks == [(), (Mark.SPEECH_START,), (), (Mark.SPEECH_END,), (), ()]


def test_a_single_voiced_frame_is_both_start_and_end() -> None:
    microphone = Microphone(())
    microphone.speak((b"1",), first_voiced=0, last_voiced=0)
    assert microphone.take() == (b"1", (Mark.SPEECH_START, Mark.SPEECH_END))


def test_with_nothing_between_clips_nothing_is_to_be_sent() -> None:
    microphone = Microphone(())
    assert microphone.take() == (None, ())


def test_a_second_clip_cuts_off_the_first() -> None:
    microphone = Microphone(())
    microphone.speak((b"1", b"2"), first_voiced=0, last_voiced=1)
    microphone.take()
    microphone.speak((b"x", b"y"), first_voiced=0, last_voiced=1)
    assert [microphone.take()[0] for _ in range(3)] == [b"x", b"y", None]
