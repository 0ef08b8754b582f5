import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from loadtest.config.promise import promise
from loadtest.config.resolve import resolve
from loadtest.criteria.statements import RULES, Standing
from loadtest.errors.kinds import Code
from loadtest.events.kinds import Event, Mark, RuleChecked, RuleOutcome, SecretGivenBack, SecretKind, Step
from loadtest.rules.rulebook import Rulebook
from loadtest.rules.tally import Tally
from tests.loadtest.rules.session import PROMISE, WALL_S, Session, counts, judged, judged_events

IDS_IN_ORDER = ["EXP-1", "EXP-1b", "EXP-2"]


def interleaved(*sessions: Session) -> list[Event]:
    return sorted((event for session in sessions for event in session.events), key=lambda event: event.t_ns)


def checked(rule: str, outcome: RuleOutcome, *, session: str = "a" * 32, detail: str = "seen") -> RuleChecked:
    return RuleChecked(t_ns=1, session=session, rule=rule, outcome=outcome, detail=detail, purpose=f"probe:{rule}")


def rows(*events: Event) -> dict[str, dict[str, object]]:
    book = Rulebook({"s": PROMISE})
    for event in events:
        book.add(event)
    return {str(row["id"]): row for row in book.rows()}


def test_every_rule_has_a_row_and_without_a_case_it_says_so() -> None:
    empty = rows()

    assert list(empty) == list(RULES)
    assert list(empty)[:3] == IDS_IN_ORDER
    assert {row["outcome"] for row in empty.values()} == {"not_tested"}
    assert empty["EXP-1"]["summary"] == "only a probe can try it"
    assert empty["TR-1"]["summary"] == "nothing of it was seen"


def test_a_breach_fails_a_binding_rule_and_is_only_told_of_an_assumed_one() -> None:
    assert (RULES["TD-1"].standing, RULES["TD-6"].standing) == (Standing.BINDING, Standing.ASSUMED)

    seen = rows(checked("TD-1", RuleOutcome.FAIL), checked("TD-6", RuleOutcome.FAIL, detail="answered 500"))

    assert (seen["TD-1"]["outcome"], seen["TD-1"]["violations"]) == ("fail", 1)
    assert (seen["TD-6"]["outcome"], seen["TD-6"]["violations"]) == ("characterised", 1)
    assert seen["TD-6"]["summary"] == "not so in 1 of 1 case (assumed: fails no run): answered 500"


@pytest.mark.parametrize("rule", ["SEC-1", "SEC-2", "SEC-3", "TD-11", "TR-7"])
def test_rules_of_security_bind_whoever_wrote_them_down(rule: str) -> None:
    assert rows(checked(rule, RuleOutcome.FAIL))[rule]["outcome"] == "fail"


def test_what_a_check_was_given_back_is_counted_though_it_is_of_no_session() -> None:
    found = SecretGivenBack(
        t_ns=1, session="", secret=SecretKind.API_KEY, place="check: DELETE: HTTP 401, body", purpose="probe:SEC-2"
    )

    seen = rows(found)["SEC-2"]

    assert (seen["outcome"], seen["violations"], seen["evidence"]) == ("fail", 1, [])
    assert seen["summary"] == "not so in 1 of 1 case: check: DELETE: HTTP 401, body holds the api key"


def test_an_open_rule_tells_what_was_seen_whatever_it_was() -> None:
    seen = rows(checked("EXP-6", RuleOutcome.CHARACTERISED, detail="a second session opened"))

    assert seen["EXP-6"]["outcome"] == "characterised"
    assert seen["EXP-6"]["summary"] == "seen in 1 case: a second session opened"
    assert seen["EXP-6"]["evidence"] == ["a" * 32]


def test_a_probe_may_say_why_it_could_not_try() -> None:
    seen = rows(checked("TD-8", RuleOutcome.NOT_TESTED, detail="takes six minutes: --slow"))

    assert (seen["TD-8"]["outcome"], seen["TD-8"]["summary"]) == ("not_tested", "takes six minutes: --slow")


def test_load_sessions_and_probes_are_counted_together_and_what_load_showed_comes_first() -> None:
    bad = Session(7).minted(lives_s=60)
    seen = rows(checked("EXP-3", RuleOutcome.FAIL), checked("EXP-3", RuleOutcome.PASS), *bad.events)

    assert (seen["EXP-3"]["cases"], seen["EXP-3"]["violations"]) == (3, 2)
    assert seen["EXP-3"]["evidence"] == [bad.id, "a" * 32]


def test_what_a_probes_session_does_on_purpose_is_no_evidence_by_itself() -> None:
    mess = Session(1, purpose="probe:EXP-3").minted(lives_s=60)

    assert counts(judged("EXP-3", mess)) == (0, 0)


def test_five_sessions_are_evidence_enough() -> None:
    tally = judged("EXP-3", *(Session(number).minted(lives_s=60) for number in range(8)))

    assert counts(tally) == (8, 8)
    assert tally.evidence == [Session(number).id for number in range(5)]


def test_a_finished_session_is_forgotten() -> None:
    book = Rulebook({"s": PROMISE})
    for number in range(3):
        for event in Session(number).up().over(9).events:
            book.add(event)

    assert book._lives == {}


def test_a_transcript_of_another_sessions_avatar_is_a_leak() -> None:
    own = Session(1).up().say(1, digest="of 1").talked(9)
    leaked = Session(2).up().say(1, said=0)
    leaked.transcript(2.81, Mark.AVATAR_TRANSCRIPT, digest="of 2").transcript(
        2.82, Mark.AVATAR_TRANSCRIPT, digest="of 1"
    )

    events = interleaved(own, leaked.talked(9))

    assert counts(judged_events("TR-7", events)) == (2, 1)
    assert judged_events("TR-7", events).evidence == [leaked.id]
    assert counts(judged_events("TR-2", events)) == (2, 0)


@pytest.mark.parametrize("of", [Mark.AVATAR_TRANSCRIPT, Mark.USER_TRANSCRIPT])
@pytest.mark.parametrize("instead", [True, False])
def test_a_transcript_with_the_code_word_of_another_session_is_a_leak_and_nothing_else(of: Mark, instead: bool) -> None:
    """Also much later, also with a stamp of before, and also in the place of its own."""
    owner, guest = Session(1).up().say(1, speaker="of 1").talked(9), Session(2, begins_s=30).up()
    guest.say(1, speaker="of 2").say(11, speaker="of 2", said=0 if instead and of is Mark.AVATAR_TRANSCRIPT else 1)
    guest.transcript(13.85, of, digest="x", speaker="of 1", skew_s=-40).talked(19)

    events = interleaved(owner, guest.over(20))

    assert judged_events("TR-7", events).violations == 1
    assert judged_events("TR-7", events).evidence == [guest.id]
    assert "words of one session were told in another" in judged_events("TR-7", events).notes[0]
    assert [judged_events(rule, events).violations for rule in ("TR-1", "TR-2", "TR-5")] == [0, 0, 0]


def test_a_transcript_that_equals_anothers_to_the_microsecond_is_a_leak_and_in_whole_seconds_it_is_none() -> None:
    def told(stamp_s: float) -> Tally:
        own = Session(1).up().say(1, said=0).transcript(2.5, Mark.AVATAR_TRANSCRIPT, digest="hello", stamped_s=stamp_s)
        other = Session(2, begins_s=20).up().say(1, said=0)
        other.transcript(2.5, Mark.AVATAR_TRANSCRIPT, digest="hello", stamped_s=stamp_s)
        return judged_events("TR-7", interleaved(own.talked(9), other.talked(9)))

    assert told(WALL_S + 2.512345).violations == 1
    assert told(WALL_S + 2.0).violations == 0
    assert told(WALL_S + 2.512).violations == 0


def test_the_same_words_at_the_same_moment_in_two_sessions_are_no_leak() -> None:
    sessions = [Session(number).up().say(1, digest="the same").talked(9) for number in (1, 2)]

    assert counts(judged_events("TR-7", interleaved(*sessions))) == (2, 0)


def test_a_transcript_that_comes_twice_is_no_leak() -> None:
    sessions = [Session(number).up().say(1, said=2, digest="the same").talked(9) for number in (1, 2)]

    assert counts(judged_events("TR-7", interleaved(*sessions))) == (2, 0)
    assert counts(judged_events("TR-2", interleaved(*sessions))) == (2, 2)


def test_who_is_told_everything_twice_is_not_told_what_others_hear() -> None:
    """Also where another session is told the same, twice, at the same moment."""
    sessions = [Session(number).up().say(1, said=0) for number in (1, 2)] + [
        Session(3, begins_s=20).up().say(1, said=0)
    ]
    for session in sessions:
        for t_s in (2.5, 2.9):
            session.transcript(t_s, Mark.AVATAR_TRANSCRIPT, digest="the same")
        session.talked(9)

    assert counts(judged_events("TR-7", interleaved(*sessions))) == (1, 0)
    assert counts(judged_events("TR-2", interleaved(*sessions))) == (3, 1)


def test_pieces_of_answers_that_are_equal_in_two_sessions_are_no_leak() -> None:
    pieces = [Session(number).up().say(1, said=0) for number in (1, 2)]
    for session in pieces:
        for piece in range(6):
            session.transcript(2.5 + piece / 5, Mark.AVATAR_TRANSCRIPT, digest=f"piece {piece}")
        session.talked(9)

    assert counts(judged_events("TR-7", interleaved(*pieces))) == (2, 0)
    assert counts(judged_events("TR-2", interleaved(*pieces))) == (2, 2)


def refused(number: int, begins_s: float = 4) -> Session:
    mint = Session(number, begins_s=begins_s).minted()
    return mint.step(Step.CREATE, 0.1, 1.0, code=Code.RATE_LIMITED, http_status=429)


def test_a_room_that_two_sessions_are_given_at_a_time_is_a_leak_and_one_after_the_other_it_is_none() -> None:
    def guest(number: int, begins_s: float) -> Session:
        return Session(number, begins_s=begins_s).minted().mark(0.3, Mark.SDK_SESSION, digest="room").talked(9).over(10)

    together = sorted(guest(1, 0).events + guest(2, 5).events, key=lambda event: event.t_ns)

    assert counts(judged_events("TR-7", together)) == (1, 1)
    assert counts(judged("TR-7", guest(1, 0), guest(2, 20))) == (0, 0)


@pytest.mark.parametrize(("ended", "breaches"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_a_refusal_may_not_end_the_sessions_that_run(ended: int, breaches: int) -> None:
    running = [Session(number).up() for number in range(4)]
    for session in running[:ended]:
        session.mark(5.1, Mark.ROOM_ENDED)

    assert counts(judged_events("LIM-1", interleaved(*running, refused(9)))) == (1, breaches)


def test_sessions_that_are_gone_before_their_room_was_opened_are_victims_of_a_refusal_too() -> None:
    starting = [Session(number, begins_s=4).minted().created(0.2) for number in (1, 2)]
    for session in starting:
        session.step(Step.CONNECT, 0.2, 1.1, code=Code.NOT_FOUND, http_status=404)

    assert counts(judged_events("LIM-1", interleaved(*starting, refused(9)))) == (1, 1)


def test_rooms_that_close_because_they_were_refused_are_no_victims_of_each_other() -> None:
    shut = [
        Session(number, begins_s=4).minted().created(0.2).mark(1, Mark.ROOM_ENDED).step(
            Step.CONNECT, 0.2, 1, code=Code.LIMITS_EXCEEDED)
        for number in range(4)
    ]  # fmt: skip

    assert counts(judged_events("LIM-1", interleaved(*shut))) == (4, 0)


def test_sessions_that_end_long_before_a_refusal_are_not_its_victims() -> None:
    running = [Session(number).up().mark(2, Mark.ROOM_ENDED) for number in range(4)]

    assert counts(judged_events("LIM-1", interleaved(*running, refused(9)))) == (1, 0)


def test_sessions_that_end_at_their_max_duration_as_another_is_refused_are_not_its_victims() -> None:
    running = [Session(number).up().mark(100.4, Mark.ROOM_ENDED) for number in range(4)]

    assert counts(judged_events("LIM-1", interleaved(*running, refused(9, begins_s=99.5)))) == (1, 0)


@pytest.mark.parametrize(("told_s", "breaches"), [(2, 0), (5, 1)])
def test_sessions_that_are_told_of_their_end_were_lost_when_they_were_told(told_s: float, breaches: int) -> None:
    running = [
        Session(number).up().mark(told_s, Mark.SESSION_ERROR, well_formed=True).mark(5.1, Mark.ROOM_ENDED)
        for number in range(4)
    ]

    assert counts(judged_events("LIM-1", interleaved(*running, refused(9)))) == (1, breaches)


def test_a_scenario_promises_what_its_settings_say(tmp_path: Path) -> None:
    toml = tmp_path / "s.toml"
    toml.write_text(
        'name = "s"\n[session]\nuser_absent_timeout = 20\nmax_duration = 7200\n[realtime]\ntool_choice = "required"\n'
        'tools = [{type = "function", name = "f"}]\naudio = {input = {transcription = "null"}}\n'
        '[[conversation.turns]]\nkind = "say"\n[[conversation.turns]]\nkind = "ignore"\nclip = "noise:-30"\n'
    )

    promised = promise(resolve(toml, {}, {}).scenarios[0], today=date(2026, 11, 1))

    assert promised == replace(
        PROMISE,
        transcribes=False,
        forces_tool=True,
        has_tools=True,
        announces_calls=True,
        quiet_noise=False,
        absence_s=20,
        max_duration_s=7200,
        lint={
            "TOOL-3": "function tools are not executed: such a turn ends without an answer",
            "DUR-2": "max_duration is 7200 s, but OpenAI ends a session after 3600 s",
        },
    )


def test_what_will_stop_working_one_day_is_no_breach_today() -> None:
    scenario = resolve(None, {"realtime.model": "gpt-realtime"}, {}).scenarios[0]

    assert promise(scenario, today=date(2027, 1, 19)).lint == {}
    assert re.match("model gpt-realtime was shut down", promise(scenario, today=date(2027, 1, 21)).lint["AUD-2"])


@pytest.mark.parametrize(("rule", "then_s", "lives_s"), [("EXP-2", 10.3, 10), ("TD-3b", 30.3, 600)])
def test_a_room_that_ends_when_it_must_not_is_no_breach_where_most_rooms_end_at_any_time(
    rule: str, then_s: float, lives_s: int
) -> None:
    """Their server is started again: whose time it happens to be is no finding."""

    def ended(number: int, t_s: float) -> Session:
        return Session(number).up(lives_s=lives_s, ttl_s=lives_s).mark(t_s, Mark.ROOM_ENDED).over(t_s + 1)

    then, others = [ended(n, then_s) for n in (1, 2)], [ended(n, 14.0 + n) for n in (3, 4)]
    assert counts(judged(rule, *then, others[0])) == (2, 2)
    assert judged(rule, *then, others[0]).evidence == [each.id for each in then]
    assert counts(judged(rule, *then, *others)) == (0, 0)


def test_timers_that_run_faster_are_no_broken_word_where_the_settings_say_so() -> None:
    """A twin with --clock-scale 60: ten seconds of absence are a sixth of one, and OpenAI's hour is a minute."""
    settings = resolve(None, {"session.user_absent_timeout": 10, "target.clock_scale": 60}, {})
    (real,), scale = settings.scenarios, settings.target.clock_scale or 0
    promised = {each: replace(promise(real, today=date(2026, 11, 1), clock_scale=each), lint={}) for each in (1, scale)}
    left = Session().up().say(1).talked(4).deleted(5, status=404).over(6)
    mute = Session().up().turn(70, 80, code=Code.NO_ANSWER)

    assert scale == 60
    assert [counts(judged("TD-2", left, promise=promised[each])) for each in (1, 60)] == [(1, 1), (0, 0)]
    assert [counts(judged("DUR-1", mute, promise=promised[each])) for each in (1, 60)] == [(0, 0), (1, 1)]
