import asyncio
import dataclasses
from typing import Any

import pytest

from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    STEPS,
    EndedBy,
    Event,
    Gone,
    GoneChecked,
    Mark,
    MediaMeasured,
    Observed,
    Outcome,
    Remains,
    RemainsChanged,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)
from loadtest.rooms.app_messages import translated
from loadtest.session import lifecycle as lifecycle_module
from loadtest.session import owned
from loadtest.session.converse import Place
from loadtest.session.lifecycle import CENSORED, Lifecycle
from loadtest.session.ports import Call, ClientSecret, Grant, Listener
from loadtest.session.ticket import Ticket
from loadtest.sound.speech import FRAME_NS, SILENCE
from loadtest.system.clock import now_ns
from tests.loadtest.fakes import FakeControl, FakeRoom, around, forever, lifecycle, refused

QUICK = {"target": {"create_timeout_s": 0.05, "delete_timeout_s": 0.05, "gone_timeout_s": 0.2, "mint_timeout_s": 0.05}}


def run(control: FakeControl, **settings: Any) -> list[Event]:
    events: list[Event] = []
    asyncio.run(lifecycle(control, events, **settings).run())
    return events


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def finished(events: list[Event]) -> SessionFinished:
    (event,) = of(events, SessionFinished)
    assert events[-1] is event
    return event


def remains(events: list[Event]) -> list[tuple[Remains, str]]:
    return [(event.remains, event.reason) for event in of(events, RemainsChanged)]


def steps(events: list[Event]) -> list[tuple[Step, Outcome]]:
    return [(event.step, event.outcome) for event in of(events, StepFinished)]


def test_a_good_session_is_minted_created_connected_deleted_and_proved_gone() -> None:
    control = FakeControl()
    events = run(control)
    assert control.calls == ["mint", "create", "grant", "delete", "look"]
    assert steps(events) == [(step, Outcome.OK) for step in STEPS if step is not Step.CONVERSE]
    assert remains(events) == [
        (Remains.DOUBTFUL, "create_sent"),
        (Remains.LEAKED, "create_answered"),
        (Remains.NOTHING, "deleted"),
    ]
    last = finished(events)
    assert (last.outcome, last.remains, last.gone, last.ended_by, last.failure) == (
        Outcome.OK,
        Remains.NOTHING,
        Gone.CONFIRMED,
        EndedBy.DELETE,
        None,
    )


def test_all_ids_of_a_session_hang_together() -> None:
    control = FakeControl()
    events = run(control)
    (started,) = of(events, SessionStarted)
    assert {event.session for event in events} == {started.session}  # type: ignore[union-attr]
    assert {event.parent_id for event in of(events, StepFinished)} == {started.span_id}
    assert len({event.span_id for event in of(events, StepFinished)}) == len(STEPS) - 1
    (mint_span,) = [event.span_id for event in of(events, StepFinished) if event.step is Step.MINT]
    assert control.traceparents == [f"00-{started.session}-{mint_span}-01"]


def test_the_fingerprint_is_equal_for_equal_secrets_and_hides_them() -> None:
    first, second = (of(run(FakeControl(mint=[value])), SecretMinted)[0] for value in ("ek_one", "ek_one"))
    other = of(run(FakeControl(mint=["ek_two"])), SecretMinted)[0]
    assert first.fingerprint == second.fingerprint != other.fingerprint
    assert "ek_one" not in first.fingerprint
    assert (first.ttl_s, first.expires_at_s) == (600, 1_600)


def test_two_sessions_behind_one_address_that_have_tokens_of_their_own_are_in_two_rooms() -> None:
    def room_of(token: str) -> str | None:
        control = FakeControl(grant=[Grant(room_url="wss://rt.example/", token=token)])
        return next(event.digest for event in of(run(control), Observed) if event.mark is Mark.SDK_SESSION)

    first, second, again = room_of("token-1"), room_of("token-2"), room_of("token-1")
    assert first == again != second


def test_a_failed_mint_creates_and_deletes_nothing() -> None:
    control = FakeControl(mint=[refused(429)])
    events = run(control)
    assert control.calls == ["mint"]
    assert remains(events) == []
    assert finished(events).outcome is Outcome.FAILED
    assert finished(events).failure.step is Step.MINT


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (refused(422), Remains.NOTHING),
        (refused(429), Remains.NOTHING),
        (refused(307), Remains.NOTHING),
        (refused(408), Remains.DOUBTFUL),
        (refused(499), Remains.DOUBTFUL),
        (refused(308), Remains.NOTHING),
        (refused(301), Remains.DOUBTFUL),
        (refused(303), Remains.DOUBTFUL),
        (refused(500), Remains.DOUBTFUL),
        (StepError(Kind.TRANSPORT, Code.CONNECTION_LOST), Remains.DOUBTFUL),
        (StepError(Kind.TRANSPORT, Code.CONNECT_FAILED, sent=False), Remains.NOTHING),
        (StepError(Kind.PROTOCOL, Code.BAD_JSON), Remains.DOUBTFUL),
    ],
)
def test_a_failed_create_leaves_nothing_only_where_that_is_certain(error: StepError, left: Remains) -> None:
    events = run(FakeControl(create=[error]))
    assert remains(events)[0] == (Remains.DOUBTFUL, "create_sent")
    assert finished(events).remains is left


def test_a_session_whose_create_told_no_token_is_a_failed_one_and_deleted() -> None:
    control = FakeControl(create=[""])
    events = run(control)
    assert control.calls[:3] == ["mint", "create", "delete"]
    assert control.alive == set()
    assert (finished(events).failure.step, finished(events).failure.code) == (Step.CREATE, Code.BAD_SHAPE)
    assert finished(events).remains is Remains.NOTHING


def test_a_create_that_answers_after_its_deadline_is_adopted_and_deleted() -> None:
    events: list[Event] = []

    async def late() -> None:
        while (Step.CREATE, Outcome.FAILED) not in steps(events):
            await asyncio.sleep(0.001)

    control = FakeControl(create=[late])
    target = QUICK["target"] | {"create_timeout_s": 0.5}
    asyncio.run(lifecycle(control, events, target=target).run())
    assert control.alive == set()
    assert finished(events).remains is Remains.NOTHING
    assert finished(events).failure.code is Code.TIMEOUT
    assert (Step.CREATE, Outcome.FAILED) in steps(events)


def test_a_create_that_is_answered_in_the_very_turn_of_the_tear_down_is_deleted_too() -> None:
    control, events = FakeControl(), []

    async def scene() -> None:
        session = lifecycle(control, events)
        answered = asyncio.ensure_future(
            control.create(Call(), secret=ClientSecret(value="ek", expires_at_s=1), fields={}, traceparent="")
        )
        await answered
        session._owned._creating = answered
        answered.add_done_callback(session._owned._on_created)  # runs in the next turn of the loop, not now
        await session._teardown()

    asyncio.run(scene())
    assert control.calls == ["create", "delete"]
    assert control.alive == set()


def test_a_create_that_never_answers_is_doubtful_not_nothing() -> None:
    events = run(FakeControl(create=[forever]), **QUICK)
    assert finished(events).remains is Remains.DOUBTFUL
    assert remains(events) == [(Remains.DOUBTFUL, "create_sent")]


@pytest.mark.parametrize("step", ["mint", "create", "grant", "delete", "look"])
def test_a_cancellation_in_any_step_still_deletes(step: str) -> None:
    entered = asyncio.Event()

    async def slow() -> Any:
        entered.set()
        await asyncio.sleep(0.02)
        return {"mint": "ek_one", "delete": 200, "look": 404}.get(step)

    control, events = FakeControl(**{step: [slow]}), []

    async def cut() -> None:
        task = asyncio.ensure_future(lifecycle(control, events).run())
        await asyncio.wait_for(entered.wait(), 5)
        task.cancel(CENSORED)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cut())
    assert control.alive == set()
    last = finished(events)
    assert last.remains is Remains.NOTHING
    if step in ("mint", "create", "grant"):
        assert (last.outcome, last.censored) == (Outcome.CANCELLED, True)
        assert ("delete" in control.calls) is (step != "mint")


def test_repeated_cancellations_do_not_stop_a_delete() -> None:
    async def slow() -> int:
        await asyncio.sleep(0.05)
        return 200

    control, events = FakeControl(grant=[forever], delete=[slow]), []

    async def cut() -> None:
        task = asyncio.ensure_future(lifecycle(control, events).run())
        while not task.done():
            await asyncio.sleep(0.005)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cut())
    assert control.alive == set()
    assert finished(events).remains is Remains.NOTHING
    assert finished(events).censored is False


def test_only_the_delete_is_retried_and_each_attempt_is_told() -> None:
    control = FakeControl(delete=[refused(502), refused(500), 200])
    events = run(control)
    deletes = [event for event in of(events, StepFinished) if event.step is Step.DELETE]
    assert [(event.attempt, event.outcome) for event in deletes] == [
        (1, Outcome.FAILED),
        (2, Outcome.FAILED),
        (3, Outcome.OK),
    ]
    assert finished(events).outcome is Outcome.OK


def test_a_delete_that_keeps_failing_leaves_a_leaked_session_and_a_failed_one() -> None:
    control = FakeControl(delete=[refused(500)])
    last = finished(run(control))
    assert control.calls.count("delete") == 3
    assert (last.outcome, last.remains, last.failure.step) == (Outcome.FAILED, Remains.LEAKED, Step.DELETE)


def test_a_delete_refused_for_its_key_is_not_tried_again() -> None:
    control = FakeControl(delete=[refused(403)])
    assert finished(run(control)).remains is Remains.LEAKED
    assert control.calls.count("delete") == 1


def test_a_session_that_was_gone_before_its_delete_was_ended_by_somebody_else() -> None:
    last = finished(run(FakeControl(delete=[404])))
    assert (last.outcome, last.remains, last.ended_by) == (Outcome.OK, Remains.NOTHING, EndedBy.UNEXPECTED)


def test_a_delete_that_finds_nothing_at_its_second_attempt_had_done_it_at_the_first() -> None:
    last = finished(run(FakeControl(delete=[refused(502), 404])))
    assert (last.outcome, last.remains, last.ended_by) == (Outcome.OK, Remains.NOTHING, EndedBy.DELETE)


@pytest.mark.parametrize("answer", [503, 429, StepError(Kind.TRANSPORT, Code.CONNECT_FAILED)])
def test_errors_after_the_delete_prove_nothing(answer: Any) -> None:
    events = run(FakeControl(look=[answer]), **QUICK)
    assert of(events, GoneChecked)[0].gone is Gone.UNCONFIRMED
    last = finished(events)
    assert (last.outcome, last.remains, last.gone) == (Outcome.OK, Remains.NOTHING, Gone.UNCONFIRMED)


def test_a_session_that_answers_200_then_503_is_unconfirmed() -> None:
    assert finished(run(FakeControl(look=[200, 503]), **QUICK)).gone is Gone.UNCONFIRMED


def test_a_session_that_still_answers_after_its_delete_is_leaked() -> None:
    events = run(FakeControl(look=[200]), **QUICK)
    last = finished(events)
    assert (last.outcome, last.remains, last.gone) == (Outcome.FAILED, Remains.LEAKED, Gone.STILL_ALIVE)
    assert (last.failure.step, last.failure.code) == (Step.DELETE, Code.STILL_ALIVE)
    assert remains(events)[-1] == (Remains.LEAKED, "still_alive")


class HandClock:
    """The time of tear-downs, which passes as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(owned, "now_ns", lambda: round(self.now_s * 1e9))
        monkeypatch.setattr(owned, "sleep_until", self._sleep_until)

    async def _sleep_until(self, due_ns: int) -> None:
        self.now_s = max(self.now_s, due_ns / 1e9)


def test_the_time_in_which_a_token_may_still_be_good_begins_with_the_deletes_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, looked_s = HandClock(monkeypatch), list[float]()

    async def slow() -> int:
        clock.now_s += 6
        return 200

    async def look() -> int:
        looked_s.append(round(clock.now_s - 106, 3))
        return 200 if clock.now_s < 106.5 else 404

    events = run(FakeControl(delete=[slow], look=[look]))
    (checked,) = of(events, GoneChecked)
    assert looked_s == [0.0, 0.05, 0.15, 0.35, 0.75]
    assert (finished(events).remains, checked.gone) == (Remains.NOTHING, Gone.CONFIRMED)
    assert (checked.t_ns - checked.deleted_ns) / 1e9 == pytest.approx(6.75)  # since it was sent


def test_a_session_is_still_alive_only_by_a_look_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looked_s = HandClock(monkeypatch), list[float]()

    async def look() -> int:
        looked_s.append(round(clock.now_s - 100, 3))
        clock.now_s += 0.3
        return 200

    events = run(FakeControl(look=[look]))
    (checked,) = of(events, GoneChecked)
    assert (looked_s[-2:], checked.gone) == ([4.35, 5.0], Gone.STILL_ALIVE)
    assert (checked.t_ns - checked.deleted_ns) / 1e9 == pytest.approx(5.3)  # when that look was answered


def test_a_mistake_of_our_own_in_a_delete_is_no_good_one() -> None:
    async def broken() -> int:
        raise ValueError("a URL too long")

    events: list[Event] = []
    with pytest.raises(ValueError, match="a URL too long"):
        asyncio.run(lifecycle(FakeControl(delete=[broken]), events).run())
    deleted = next(event for event in of(events, StepFinished) if event.step is Step.DELETE)
    assert (deleted.outcome, deleted.failure.kind) == (Outcome.FAILED, Kind.BUG)
    assert finished(events).remains is Remains.LEAKED


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_every_refusal_of_a_once_good_token_proves_the_end(status: int) -> None:
    events = run(FakeControl(look=[200, status]), **QUICK)
    (checked,) = of(events, GoneChecked)
    assert (checked.gone, checked.looks, checked.http_status) == (Gone.CONFIRMED, 2, status)
    assert checked.t_ns > checked.deleted_ns


def test_a_token_that_was_never_good_can_prove_nothing() -> None:
    control = FakeControl(grant=[refused(401)])
    last = finished(run(control))
    assert "look" not in control.calls
    assert (last.gone, last.remains) == (None, Remains.NOTHING)


def test_a_whole_session_takes_every_step_there_is_in_its_order() -> None:
    """A step that stands among the words and that no session takes would be a row of nothing in every report."""
    events = run(FakeControl(), room=FakeRoom(), conversation={"turns": [{"kind": "pause", "for_s": 0}]})
    assert steps(events) == [(step, Outcome.OK) for step in STEPS]


def test_a_failed_connect_still_closes_the_room_and_deletes() -> None:
    class Broken(FakeRoom):
        async def connect(self) -> None:
            raise StepError(Kind.TRANSPORT, Code.WS_CLOSED)

    room, control = Broken(), FakeControl()
    last = finished(run(control, room=room))
    assert (room.closed, control.alive) == (1, set())
    assert (last.outcome, last.failure.step, last.failure.code) == (Outcome.FAILED, Step.CONNECT, Code.WS_CLOSED)


def test_a_bug_of_ours_still_deletes_and_is_not_blamed_on_the_target() -> None:
    class Buggy(FakeRoom):
        async def connect(self) -> None:
            raise ZeroDivisionError

    control, events = FakeControl(), []
    with pytest.raises(ZeroDivisionError):
        asyncio.run(lifecycle(control, events, room=Buggy()).run())
    assert control.alive == set()
    assert finished(events).failure.kind is Kind.BUG


class TellingRoom(FakeRoom):
    """Says `told` at once, before anybody is in it or after; `then`: what becomes of its connect."""

    def __init__(self, *told: dict[str, Any], joined: bool = False, then: StepError | None = None) -> None:
        super().__init__()
        self._told, self._joined, self._then = told, joined, then
        self.cancelled = False

    async def connect(self) -> None:
        assert self.listener is not None
        if self._joined:
            await super().connect()
        for message in self._told:
            self.listener.on_message(2, translated(message))
        if self._then is not None:
            self.listener.on_closed(3, self._then)
            raise self._then
        try:
            await forever()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


LIMIT = {"type": "error", "error": {"type": "session_lifecycle_error", "code": "limits_exceeded", "message": "20"}}
FLAT = {"type": "session_lifecycle_error", "code": "limits_exceeded", "message": "20"}


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("message", [LIMIT, FLAT])
def test_what_a_room_says_before_its_first_frame_ends_the_connect_at_once(
    message: dict[str, Any], *, joined: bool
) -> None:
    control, room = FakeControl(), TellingRoom(message, joined=joined)
    events = run(control, room=room)
    connect = next(event for event in of(events, StepFinished) if event.step is Step.CONNECT)
    assert (connect.failure.kind, connect.failure.code) == (Kind.REJECTED, Code.LIMITS_EXCEEDED)
    assert connect.failure.detail == "limits_exceeded: 20"
    assert finished(events).failure == connect.failure
    assert (room.cancelled, room.closed, control.alive) == (True, 1, set())


def test_a_message_that_is_no_error_leaves_the_connect_to_its_deadline() -> None:
    room = TellingRoom({"type": "avatar_ended_speaking"})
    events = run(FakeControl(), room=room, target={"connect_timeout_s": 0.05})
    failure = finished(events).failure
    assert failure is not None
    assert (failure.kind, failure.code, room.cancelled) == (Kind.TIMEOUT, Code.TIMEOUT, True)


def test_what_a_room_says_goes_before_the_close_that_follows_it() -> None:
    closed = StepError(Kind.TRANSPORT, Code.WS_CLOSED, "the room closed: 1000")
    failure = finished(run(FakeControl(), room=TellingRoom(LIMIT, then=closed))).failure
    assert failure is not None
    assert (failure.kind, failure.code) == (Kind.REJECTED, Code.LIMITS_EXCEEDED)


def test_the_first_error_of_a_room_is_the_sessions() -> None:
    later = {"type": "error", "error": {"code": "internal_error"}}
    failure = finished(run(FakeControl(), room=TellingRoom(LIMIT, later))).failure
    assert failure is not None
    assert failure.code is Code.LIMITS_EXCEEDED


def test_a_cancellation_while_a_room_is_silent_reaches_its_connect() -> None:
    control, room = FakeControl(), TellingRoom()

    async def script() -> list[Event]:
        events: list[Event] = []
        session = asyncio.ensure_future(lifecycle(control, events, room=room).run())
        while not of(events, RemainsChanged) or "grant" not in control.calls:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        session.cancel()
        await asyncio.wait({session})
        return events

    events = asyncio.run(script())
    assert finished(events).outcome is Outcome.CANCELLED
    assert (room.cancelled, room.closed, control.alive) == (True, 1, set())


class SoundingRoom(FakeRoom):
    """Sends that many frames at once, stamped from `in_s` from now on; `lost` more had a number and never came."""

    def __init__(self, in_s: float, frames: int, lost: int | None) -> None:
        super().__init__()
        self.lost, self._in_s, self._frames = lost, in_s, frames

    async def connect(self) -> None:
        await super().connect()
        assert self.listener is not None
        from_ns = now_ns() + int(self._in_s * 1e9)
        for number in range(self._frames):
            self.listener.on_audio(from_ns + number * FRAME_NS, SILENCE)


@pytest.mark.parametrize(("lost", "in_all"), [((100, 0), 100), ((100, 3), 103), ((None, 3), 3), ((None, None), None)])
def test_after_a_cut_what_both_rooms_lost_is_told_of_what_both_sent(
    lost: tuple[int | None, int | None], in_all: int | None
) -> None:
    rooms = [SoundingRoom(0, 1900, lost[0]), SoundingRoom(3600, 2000, lost[1])]
    opened = iter(rooms)

    def open_room(_grant: Grant, listener: Listener, *_: Any) -> SoundingRoom:
        room = next(opened)
        room.listener = listener
        return room

    events: list[Event] = []
    surroundings = around(
        FakeControl(),
        events,
        room=rooms[0],
        caller={"cut_after_s": 0.02, "cut_for_s": 0.01},
        conversation={"turns": [{"kind": "pause", "for_s": 0.5}]},
    )
    ticket = Ticket(number=0, user=0, iteration=0, due_ns=0)
    asyncio.run(Lifecycle(dataclasses.replace(surroundings, open_room=open_room), ticket).run())
    (media,) = of(events, MediaMeasured)
    assert finished(events).failure is None
    assert (media.frames, media.packets_lost) == (3900, in_all)
    assert media.heard_ns == 3900 * FRAME_NS


def test_only_a_session_that_goes_on_from_another_is_told_as_a_second_one() -> None:
    for goes_on in (None, Place()):
        events: list[Event] = []
        ticket = Ticket(number=0, user=0, iteration=0, due_ns=0)
        asyncio.run(Lifecycle(around(FakeControl(), events), ticket, goes_on=goes_on).run())
        assert [event.again for event in of(events, SessionStarted)] == [goes_on is not None]


def test_a_room_that_was_cut_and_not_entered_again_is_counted_once() -> None:
    room = SoundingRoom(0, 1900, 100)
    control = FakeControl(grant=[None, refused(500)])
    caller = {"cut_after_s": 0.02, "cut_for_s": 0.01}
    events = run(control, room=room, caller=caller, conversation={"turns": [{"kind": "pause", "for_s": 0.5}]})
    (media,) = of(events, MediaMeasured)
    assert finished(events).outcome is Outcome.FAILED
    assert (media.frames, media.packets_lost, media.heard_ns) == (1900, 100, 1900 * FRAME_NS)


@pytest.mark.parametrize(("again", "ended_by"), [(None, EndedBy.DELETE), (404, EndedBy.USER_ABSENT_TIMEOUT)])
def test_a_turn_that_failed_before_a_cut_of_the_line_fails_its_session_and_no_other(
    again: int | None, ended_by: EndedBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    talks: list[Place] = []

    async def talk(*_: Any, place: Place, **__: Any) -> None:
        talks.append(place)
        if len(talks) == 1:
            place.failed = StepError(Kind.NO_RESPONSE, Code.NO_ANSWER)
            await forever()
        elif place.failed is not None:
            raise place.failed

    monkeypatch.setattr(lifecycle_module, "converse", talk)
    control = FakeControl(grant=[None, None if again is None else refused(again)])
    caller = {"cut_after_s": 0.01, "cut_for_s": 0.05}
    events: list[Event] = []
    session = lifecycle(control, events, room=FakeRoom(), caller=caller, target={"clock_scale": 1000})
    asyncio.run(session.run())
    failure = finished(events).failure
    assert failure is not None
    assert (failure.code, finished(events).ended_by) == (Code.NO_ANSWER, ended_by)
    assert len(talks) == (2 if again is None else 1)
    assert (session.cut_off is None) is (again is None)
    assert session.cut_off is None or session.cut_off.failed is None
