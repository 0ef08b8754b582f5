"""What a run cost, by what its sessions did."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.config.settings import Settings
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import DropReason, Event, Gone, IterationDropped, Mark, Observed, Outcome, Remains, Step
from loadtest.prices.talk import Talk, Usd, bill
from reports.data import run_settings
from reports.sections.costs import spending
from reports.sections.costs.planning import measured, prices_of
from tests.reports import journals as j

PRICES = {"avatar": {"per_minute": 0.6}}
CREATED = 6
"""So many of a good session's first events end with its answered create."""
LIVED_S = 0.5 + 10 + 0.05
"""Of a good one, from the create's answer to the confirmed delete."""


def cost(run_dir: Path, *events: Event, finish: str | None = "completed", **more: Any) -> dict[str, Any]:
    scenario = {"name": "support-call", "cost": {"prices": PRICES} | more}
    (run_dir / "settings.json").write_text(json.dumps({"scenario": scenario}))
    j.write_file(run_dir, events, finish=finish)
    found: dict[str, Any] = j.reported(run_dir)["cost"]
    return found


def written(run_dir: Path) -> Settings:
    found = run_settings.read(run_dir).settings
    assert found is not None
    return found


def talking(number: int, *turns: Event | tuple[Mark, float, int]) -> list[Event]:
    """A good session from 1 s on in which that was said: marks with their times and turns."""
    marks = [
        turn
        if not isinstance(turn, tuple)
        else Observed(t_ns=j.at(turn[1]), session=j.sid(number), mark=turn[0], turn=turn[2])
        for turn in turns
    ]
    whole = [event for event in j.good_session(number, 1) if getattr(event, "step", None) is not Step.TURN]
    return [*whole[:-5], *marks, *whole[-5:]]


def turn(number: int, index: int, begin_s: float, end_s: float, kind: str, **more: Any) -> Event:
    return j.step(number, Step.TURN, begin_s, end_s, turn=index, turn_kind=kind, **more)


START, END, FIRST, LAST = Mark.SPEECH_START, Mark.SPEECH_END, Mark.FIRST_AUDIO, Mark.LAST_AUDIO


def say(number: int, index: int, begin_s: float, *, answer_s: float = 3) -> list[Any]:
    """A second of the user's, half a second later an answer, and a second until it is taken to be over."""
    over_s = begin_s + 1.5 + answer_s
    return [
        (START, begin_s, index), (END, begin_s + 1, index), (FIRST, begin_s + 1.5, index), (LAST, over_s, index),
        turn(number, index, begin_s, over_s + 1, "say", first_audio_ns=j.ns(0.5)),
    ]  # fmt: skip


def never_created(number: int) -> list[Event]:
    """Half a minute in vain: its mint times out, or its create is refused."""
    if number % 2:
        failed: list[Event] = [j.failed_step(number, Step.MINT, 1, 31)]
    else:
        failed = [
            j.remains(number, 1, Remains.DOUBTFUL, "create_sent"),
            j.failed_step(number, Step.CREATE, 1, 31, Kind.REJECTED, Code.HTTP_4XX),
            j.remains(number, 31, Remains.NOTHING, "create_refused"),
        ]
    return [j.started(number, 1), *failed, j.finished(number, 1, 31, outcome=Outcome.FAILED)]


def test_the_avatars_minutes_are_from_the_creates_answer_to_the_confirmed_delete(run_dir: Path) -> None:
    found = cost(run_dir, *j.good_session(1, 1), *j.good_session(2, 1, mint_s=8, gone_s=9))
    assert found["avatar_minutes"] == pytest.approx(2 * LIVED_S / 60, abs=1e-3)
    assert found["estimate"]["avatar"]["usd"] == pytest.approx(2 * LIVED_S / 60 * 0.6)
    assert found["without_end"] == 0


def test_a_session_that_never_was_costs_no_minutes(run_dir: Path) -> None:
    found = cost(run_dir, *(event for number in range(1, 9) for event in never_created(number)))
    assert (found["avatar_minutes"], found["without_end"]) == (0, 0)
    assert found["estimate"]["total"]["usd"] == 0


def test_of_a_session_without_a_confirmed_end_what_is_known_is_counted_and_it_is_told(run_dir: Path) -> None:
    refused = [
        *j.good_session(1, 1)[:CREATED],  # created at 1.3 s
        j.failed_step(1, Step.DELETE, 11.9, 12.3, Kind.REJECTED, Code.HTTP_5XX),
        j.remains(1, 12.3, Remains.LEAKED, "delete_failed"),
        j.finished(1, 1, 15, outcome=Outcome.FAILED, remains=Remains.LEAKED),
    ]
    alive = [
        *j.good_session(2, 1)[:-2],
        j.look(2, 12, 17.3, Gone.STILL_ALIVE),
        j.remains(2, 17.3, Remains.LEAKED, "still_alive"),
        j.finished(2, 1, 20, outcome=Outcome.FAILED, gone=Gone.STILL_ALIVE, remains=Remains.LEAKED),
    ]
    killed = j.good_session(3, 1)[:CREATED]  # the last word of its engine is at 20 s
    unanswered = j.good_session(4, 1)[:4]  # nobody knows whether there was one
    found = cost(run_dir, *refused, *killed, *unanswered, *alive, finish=None)
    assert found["avatar_minutes"] == pytest.approx((11 + 16 + 18.7) / 60, abs=1e-3)
    assert found["without_end"] == 4


def test_a_plan_is_made_with_the_same_minutes(run_dir: Path) -> None:
    sessions = [j.good_session(number, 1, mint_s=8, gone_s=9) for number in (1, 2)]
    cost(run_dir, *(event for events in sessions for event in events), *(j.health(t_s) for t_s in range(30)))
    ((share, talk),) = measured(run_dir).talks
    assert share == 1
    assert talk.lived_s == pytest.approx(LIVED_S)


def told(found: dict[str, Any]) -> tuple[int, float, float]:
    return found["answered_turns"], found["user_speech_s"], found["avatar_speech_s"]


def test_an_answer_is_as_long_as_it_was_heard_and_a_user_speaks_as_long_as_was_sent(run_dir: Path) -> None:
    """What is waited for after it, to be sure that it is over, is nobody's speech."""
    assert told(cost(run_dir, *talking(1, *say(1, 0, 2), *say(1, 1, 7, answer_s=2)))) == (2, 2.0, 5.0)


@pytest.mark.parametrize("kind", ["ignore", "backchannel"])
def test_an_answer_into_which_a_sound_is_made_is_heard_to_its_end(run_dir: Path, kind: str) -> None:
    """Its end is marked in the turn of the sound, which asks for nothing."""
    events = talking(
        1,
        (START, 2, 0), (END, 3, 0), (FIRST, 3.5, 0), turn(1, 0, 2, 3.5, "say", first_audio_ns=j.ns(0.5)),
        (START, 4, 1), (END, 4.8, 1), (LAST, 9.5, 1), turn(1, 1, 3.5, 10.5, kind),
    )  # fmt: skip
    assert told(cost(run_dir, *events)) == (1, 1.0, 6.0)


def test_an_answer_that_a_sound_stops_ends_there_and_what_answers_the_sound_is_no_answer(run_dir: Path) -> None:
    events = talking(
        1,
        (START, 2, 0), (END, 3, 0), (FIRST, 3.5, 0), turn(1, 0, 2, 3.5, "say", first_audio_ns=j.ns(0.5)),
        # Both are told once the second answer is over: in the order of time the silence comes first.
        (START, 4, 1), (END, 4.8, 1), (LAST, 9, 1), (Mark.SILENCED, 5.5, 1), turn(1, 1, 3.5, 10, "ignore"),
    )  # fmt: skip
    assert told(cost(run_dir, *events)) == (1, 1.0, 2.0)


def test_an_answer_that_is_interrupted_is_heard_until_it_falls_silent(run_dir: Path) -> None:
    events = talking(
        1,
        (START, 2, 0), (END, 3, 0), (FIRST, 3.5, 0), turn(1, 0, 2, 3.5, "say", first_audio_ns=j.ns(0.5)),
        (START, 5, 1), (Mark.BARGE_IN, 5, 1), (END, 6, 1), (Mark.SILENCED, 5.5, 1), (FIRST, 6.5, 1), (LAST, 8.5, 1),
        turn(1, 1, 3.5, 9.5, "barge_in", first_audio_ns=j.ns(0.5)),
    )  # fmt: skip
    assert told(cost(run_dir, *events)) == (2, 2.0, 4.0)


def test_an_answer_whose_end_nobody_marked_is_heard_until_the_turn_that_waited_for_it_ended(run_dir: Path) -> None:
    over = talking(
        1,
        (START, 2, 0), (END, 3, 0), (FIRST, 3.5, 0), turn(1, 0, 2, 3.5, "say", first_audio_ns=j.ns(0.5)),
        turn(1, 1, 3.5, 4.5, "barge_in", outcome=Outcome.CANCELLED), *say(1, 2, 6),
    )  # fmt: skip
    cut = talking(
        2, (START, 2, 0), (END, 3, 0), (FIRST, 3.5, 0), (Mark.LINE_CUT, 6, 0),
        turn(2, 0, 2, 6.1, "say", outcome=Outcome.CANCELLED), *say(2, 1, 7),
    )  # fmt: skip
    assert told(cost(run_dir, *over, *cut)) == (4, 4.0, 1.0 + 3.0 + 2.5 + 3.0)


def test_a_killed_engines_session_is_billed_for_what_it_had_said(run_dir: Path) -> None:
    events = talking(1, *say(1, 0, 2))[:-5]
    assert told(cost(run_dir, *events, finish=None)) == (1, 1.0, 3.0)


def test_sessions_of_different_length_are_billed_each_by_its_own(run_dir: Path) -> None:
    """Each answer reads all before it: half of them silent and half with twenty answers cost as much as those with
    twenty do, and not as ten each."""
    sessions = [talking(number, *(event for index in range(20) for event in say(number, index, 2 + 6 * index)))
                for number in (1, 2)]  # fmt: skip
    found = cost(run_dir, *(event for events in sessions for event in events), *talking(3), *talking(4))
    settings = written(run_dir)
    talk = Talk(
        model=settings.realtime["model"], transcriber="gpt-transcribe", turns=[(1.0, 3.0)] * 20, lived_s=LIVED_S,
        instructions=len(settings.realtime["instructions"]),
    )  # fmt: skip
    one = bill(talk, settings.cost.table)
    assert told(found) == (40, 40.0, 120.0)
    assert found["estimate"]["model"]["usd"] == pytest.approx(2 * one.model.value, rel=1e-6)
    assert found["estimate"]["model"]["high_usd"] == pytest.approx(2 * one.model.high, rel=1e-6)
    assert found["estimate"]["transcription"]["usd"] == pytest.approx(2 * one.transcription.value, rel=1e-6)
    assert found["estimate"]["avatar"]["usd"] == pytest.approx(4 * LIVED_S / 60 * 0.6, rel=1e-6)


def test_what_a_user_said_to_nobody_is_written_down_and_paid_for(run_dir: Path) -> None:
    """Two sessions in which nobody answered three seconds of speech: the model made nothing of it."""
    unheard = [(START, 2, 0), (END, 5, 0), turn(1, 0, 2, 11, "say", outcome=Outcome.FAILED)]
    found = cost(run_dir, *talking(1, *unheard), *talking(2, *unheard[:2]))
    per_minute = written(run_dir).cost.table.transcriber("gpt-transcribe")
    assert per_minute is not None
    assert told(found) == (0, 6.0, 0.0)
    assert found["estimate"]["transcription"]["usd"] == pytest.approx(6 / 60 * per_minute.per_minute, abs=1e-6)
    assert found["estimate"]["model"]["usd"] == 0


def test_a_plan_takes_sessions_of_different_length_apart(run_dir: Path) -> None:
    events = [*talking(1, *say(1, 0, 2), *say(1, 1, 7)), *talking(2), *talking(3, *say(3, 0, 2)), *talking(4)]
    cost(run_dir, *events, *(j.health(t_s) for t_s in range(30)))
    found = [(share, list(talk.turns)) for share, talk in measured(run_dir).talks]
    assert found == [(0.5, []), (0.25, [(1.0, 3.0)]), (0.25, [(1.0, 3.0)] * 2)]


def test_what_lived_on_is_told_with_its_price_however_small_and_its_time_however_long() -> None:
    cost = {"estimate": {"total": Usd().as_dict()}, "charged": True, "budget_usd": None, "without_end": 0}
    small = {"count": 1, "seconds": 2.4, "price": {"usd": 0.004}}
    long = {"count": 9, "seconds": 1_234_567.0, "price": {"usd": 2057.61}}
    assert spending.lines(cost, small)[-1] == "lived on after their end: 2.4 s, about 0.004 USD"
    assert spending.lines(cost, long)[-1] == "lived on after their end: 1,234,567 s, about 2,057.61 USD"


def refused(at_s: float, reason: DropReason = DropReason.BUDGET) -> Event:
    return IterationDropped(t_ns=j.at(at_s), due_ns=j.at(at_s), scenario="support-call", reason=reason)


def test_a_budget_that_stops_a_run_says_for_how_many_sessions_it_kept_the_worst_then(run_dir: Path) -> None:
    """A good session from 1 s on is over at 13 s. What was dropped for another reason, or later, is not counted."""
    events = [
        *j.good_session(1, 1),
        *j.good_session(2, 14),
        *j.good_session(3, 15),
        *j.good_session(4, 15)[:CREATED],
        refused(13.5, DropReason.LATE),
        refused(20),
        refused(40),
    ]
    found = cost(run_dir, *events, budget=5)
    assert (found["stopped"], found["reserved_beside"]) == (True, 3)
    assert "budget 5 USD, spent or reserved for 3 sessions at once" in spending.lines(found, {"count": 0})
    (note,) = [reason for reason in j.reported(run_dir)["verdict"]["reasons"] if reason.startswith("stopped: budget")]
    assert note == (
        "stopped: budget: 5 USD would not have covered the worst of one session more beside 3 reserved at once;"
        " 4 sessions had begun"
    )


@pytest.mark.parametrize(
    ("reason", "stopped", "beside", "words"),
    [(DropReason.BUDGET, True, 0, "budget 5 USD, used up"), (DropReason.MAX_SESSIONS, False, None, "budget 5 USD")],
)
def test_a_budget_that_is_spent_is_used_up_and_one_that_refused_nobody_is_not(
    run_dir: Path, reason: DropReason, stopped: bool, beside: int | None, words: str
) -> None:
    found = cost(run_dir, *j.good_session(1, 1), refused(20, reason), budget=5)
    assert (found["stopped"], found["reserved_beside"]) == (stopped, beside)
    assert spending.lines(found, {"count": 0})[1] == words


def test_what_is_on_this_machine_is_told_by_the_services_prices(run_dir: Path) -> None:
    assert cost(run_dir, *j.good_session(1, 1))["charged"] is False
    told = spending.words({"estimate": {"total": Usd(1.0, 1.0, 1.0).as_dict()}, "charged": False})
    assert told == "1.00 USD by the services' prices; a twin charges nothing"


def test_a_plan_with_prices_of_its_own_keeps_those_that_the_run_was_told(run_dir: Path) -> None:
    cost(run_dir, *j.good_session(1, 1))
    table = prices_of(run_dir, {"transcription": {"whisper-1": {"per_minute": 0.5}}})
    whisper = table.transcriber("whisper-1")
    assert whisper is not None
    assert (table.avatar.per_minute, whisper.per_minute) == (0.6, 0.5)
    assert prices_of(run_dir, {}) == written(run_dir).cost.table
