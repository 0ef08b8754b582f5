"""What a scenario's sessions cost: as expected, and at the very most."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.config.keys.session_object import completed
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.forecast.costing import check_budget, expected, longest_answer_s, talk_of, worst
from loadtest.prices.talk import Talk, bill
from tests.loadtest.sound.test_speech import tone, wav

AVATAR = {"avatar": {"per_minute": 0.1}}
SAY = {"kind": "say", "clip": "corpus:en"}


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"cost": {"prices": AVATAR}} | changes)


def talked(made: Settings, *, answer_s: float, around_s: float) -> Talk:
    """The one session that a caller has."""
    ((begins_s, talk),) = expected(made, made.scenarios[0], answer_s=answer_s, around_s=around_s)
    assert begins_s == 0
    return talk


def test_an_expected_session_has_its_answered_turns_and_lasts_as_long_as_they_do() -> None:
    made = settings(conversation={"turns": [SAY, {"kind": "pause", "for_s": 3}], "think_min_s": 1, "think_max_s": 1})
    talk = talked(made, answer_s=2, around_s=0.5)
    (turn,) = talk.turns
    assert turn[1] == 2
    assert talk.lived_s == pytest.approx(0.5 + 1 + turn[0] + 0.5 + 2 + 3)
    assert (talk.model, talk.transcriber) == (made.realtime["model"], "gpt-transcribe")


def test_turns_that_repeat_for_a_time_are_counted_as_often_as_they_fit() -> None:
    once = settings(conversation={"turns": [SAY]})
    round_s = talked(once, answer_s=2, around_s=0).lived_s
    made = settings(conversation={"turns": [SAY], "repeat_for": 3.5 * round_s})
    talk = talked(made, answer_s=2, around_s=0)
    assert len(talk.turns) == 4
    assert talk.lived_s == pytest.approx(4 * round_s)


def test_an_answer_that_is_interrupted_is_heard_shortly_and_paid_for_wholly() -> None:
    made = settings(conversation={"turns": [SAY, {"kind": "barge_in", "after_s": 0.5}]})
    talk = talked(made, answer_s=6, around_s=0)
    assert [avatar_s for _, avatar_s in talk.turns] == [6, 6]
    alone = settings(conversation={"turns": [SAY, SAY]})
    assert talk.lived_s < talked(alone, answer_s=6, around_s=0).lived_s - 5


def test_without_a_room_nothing_is_said() -> None:
    made = settings(target={"room": "none"})
    talk = talked(made, answer_s=2, around_s=0.1)
    assert (list(talk.turns), talk.lived_s) == ([], 0.1)


def test_the_worst_session_lives_for_max_duration_and_its_answers_take_all_their_tokens() -> None:
    made = settings(session={"max_duration": 120}, conversation={"turns": [SAY]})
    found = worst(made, made.scenarios[0], made.cost.table)
    assert found.avatar.value == pytest.approx(0.2)
    price = made.cost.table.model(made.realtime["model"])
    assert price is not None
    assert found.model.high > price.longest_answer_tokens * price.audio.output / 1e6
    realtime = made.realtime | {"max_output_tokens": 100}
    shorter = settings(session={"max_duration": 120}, conversation={"turns": [SAY]}, realtime=realtime)
    assert worst(shorter, shorter.scenarios[0], shorter.cost.table).model.high < found.model.high / 100


@pytest.mark.parametrize("most", [None, 400])
def test_how_long_a_user_listens_makes_no_answer_cheaper(most: int | None) -> None:
    realtime = Settings().realtime | ({} if most is None else {"max_output_tokens": most})
    turns = {"turns": [SAY]}
    patient, hasty = (settings(conversation=turns | {"answer_max_s": each}, realtime=realtime) for each in (60, 5))
    table = patient.cost.table
    assert worst(hasty, hasty.scenarios[0], table) == worst(patient, patient.scenarios[0], table)
    assert longest_answer_s(hasty, hasty.scenarios[0], table) == (1600 if most is None else 20)


def test_timers_that_run_faster_or_slower_bound_a_session_earlier_or_later() -> None:
    for scale, minutes in ((10, 6), (0.5, 120)):
        made = settings(conversation={"turns": [SAY]}, target={"clock_scale": scale})
        assert worst(made, made.scenarios[0], made.cost.table).avatar.value == pytest.approx(minutes * 0.1)
    made = settings(conversation={"turns": [SAY], "repeat_for": 300}, target={"clock_scale": 100})
    talk = talked(made, answer_s=2, around_s=0.1)
    assert talk.lived_s == 36
    assert len(talk.turns) < 10


def test_slow_checks_are_held_to_no_budget() -> None:
    made = settings(cost={"budget": 1000, "prices": AVATAR}, probes={"share": 0.1, "slow": True})
    with pytest.raises(ConfigError, match=r"cost\.budget: slow active checks can't be held to it"):
        check_budget(made, made.cost.table)
    for probes in ({"share": 0.1}, {"slow": True}):
        made = settings(cost={"budget": 1000, "prices": AVATAR}, probes=probes)
        assert list(check_budget(made, made.cost.table)) == [made.scenarios[0].name]


def test_a_budget_needs_a_price_for_everything() -> None:
    realtime = {"model": "mine", "audio": {"input": {"transcription": {"model": "ours"}}}}
    made = Settings.model_validate({"cost": {"budget": 5}, "realtime": realtime})
    with pytest.raises(ConfigError, match="no price for model mine, the avatar's minutes, transcription by ours"):
        check_budget(made, made.cost.table)


def test_a_budget_below_one_session_is_refused_and_says_what_bounds_one() -> None:
    made = settings(cost={"budget": 0.01, "prices": AVATAR})
    with pytest.raises(ConfigError, match=r"0\.01 USD is less than the \d+\.\d\d USD .* max_duration in \[session\]"):
        check_budget(made, made.cost.table)


def test_a_masters_budget_is_shared_by_its_load_processes_and_each_share_has_to_pay_for_a_session() -> None:
    target = {"openai_base_url": "http://127.0.0.1:1/v1", "avaturn_base_url": "http://127.0.0.1:2"}
    one = settings().scenarios[0]
    dearest = worst(settings(), one, settings().cost.table).total.high

    def bounded(usd: float, *, master: bool) -> Settings:
        cost = {"budget": usd, "prices": AVATAR}
        return settings(cost=cost, target=target, load={"processes": 4}, distribution={"master": master})

    for made in (bounded(4.1 * dearest, master=True), bounded(1.1 * dearest, master=False)):
        assert check_budget(made, made.cost.table)[one.name].total.high == pytest.approx(dearest)
    made = bounded(3.9 * dearest, master=True)
    with pytest.raises(ConfigError, match=r"USD, shared by 4 load processes, is less than the \d+\.\d\d USD that one"):
        check_budget(made, made.cost.table)


def test_the_model_of_ones_own_endpoint_is_known_where_it_is_told() -> None:
    target = {"backend": {"url": "http://127.0.0.1:1/x"}, "avaturn_base_url": "http://127.0.0.1:2"}
    silent = settings(target=target)
    assert talked(silent, answer_s=2, around_s=0).model is None
    told = settings(target=target, cost={"model": "gpt-realtime-2.1", "transcription": "whisper-1"})
    talk = talked(told, answer_s=2, around_s=0)
    assert (talk.model, talk.transcriber) == ("gpt-realtime-2.1", "whisper-1")


OWN = {"backend": {"url": "http://127.0.0.1:1/x"}, "avaturn_base_url": "http://127.0.0.1:2"}


def test_what_only_our_own_calls_send_bounds_no_session_of_ones_own_endpoint() -> None:
    """Nor is anything that it doesn't send what its model reads."""
    turns = {"conversation": {"turns": [SAY]}, "target": OWN}
    cost = {"prices": AVATAR, "model": "gpt-realtime-2.1", "transcription": "whisper-1"}
    plain = settings(**turns, cost=cost)
    realtime = Settings().realtime | {"max_output_tokens": 100, "instructions": "x" * 8000}
    bounded = settings(**turns, cost=cost, session={"max_duration": 60}, realtime=realtime)
    table = plain.cost.table
    assert worst(bounded, bounded.scenarios[0], table) == worst(plain, plain.scenarios[0], table)
    assert worst(bounded, bounded.scenarios[0], table).avatar.value == pytest.approx(6)
    assert longest_answer_s(bounded, bounded.scenarios[0], table) == 1600
    assert talk_of(bounded, bounded.scenarios[0], [], 1).instructions == 0
    longer = settings(**turns, cost=cost, session={"max_duration": 7200})
    assert worst(longer, longer.scenarios[0], table).avatar.value == pytest.approx(12)
    small = settings(**turns, cost=cost | {"budget": 0.01})
    with pytest.raises(
        ConfigError, match="at most; your endpoint makes the sessions, and nothing that avaload is told"
    ):
        check_budget(small, table)


def test_a_stored_prompt_and_the_tools_of_a_server_have_a_length_that_nobody_here_knows() -> None:
    realtime = completed({"prompt": {"id": "pmpt_1"}, "tools": [{"type": "mcp", "server_label": "x"}]})
    made = settings(realtime=realtime, cost={"budget": 1000, "prices": AVATAR})
    talk = talked(made, answer_s=2, around_s=0)
    assert bill(talk, made.cost.table).total.unknown == {"the stored prompt", "the tools of an MCP server"}
    with pytest.raises(ConfigError, match="how much every answer reads of the stored prompt, the tools of an MCP serv"):
        check_budget(made, made.cost.table)
    silent = settings(realtime=realtime, cost={"budget": 1000, "prices": AVATAR}, target={"room": "none"})
    assert check_budget(silent, silent.cost.table)


def test_instructions_and_tools_are_read_as_they_are_written() -> None:
    tools = [{"type": "function", "name": "f", "description": "ы" * 100}]
    made = settings(realtime=Settings().realtime | {"instructions": "你好 a", "tools": tools})
    talk = talk_of(made, made.scenarios[0], [], 1)
    assert talk.dense == 102
    assert 104 < talk.instructions < 200


@pytest.mark.parametrize(("per_minute", "told"), [(0.0703, "0.0703"), (0.07031, "0.0704"), (12.341, "12.35")])
def test_what_a_session_may_cost_is_said_with_digits_enough_to_be_more_than_the_budget(
    per_minute: float, told: str
) -> None:
    prices = {"avatar": {"per_minute": per_minute}}
    cost = {"prices": prices, "budget": round(per_minute, 2) - (per_minute > 1)}
    made = settings(cost=cost, session={"max_duration": 60}, target={"room": "none"})
    with pytest.raises(ConfigError, match=rf"is less than the {told} USD that one session"):
        check_budget(made, made.cost.table)


def clips(folder: Path, *lengths_s: float) -> str:
    folder.mkdir(exist_ok=True)
    for length_s in lengths_s:
        wav(folder / f"{length_s:g}.wav", tone(5_000, round(24_000 * length_s)))
    return str(folder)


def repeating(clip: str, *more: dict[str, Any], **changes: Any) -> Settings:
    """A quarter of an hour, with short answers and long instructions."""
    realtime = {"model": "gpt-realtime-1.5", "instructions": "x" * 8000, "max_output_tokens": 150}
    talk = {"turns": [{"kind": "say", "clip": clip}, *more], "repeat_for": 900, "think_min_s": 0.3, "think_max_s": 0.3}
    return settings(session={"max_duration": 900}, realtime=Settings().realtime | realtime, conversation=talk | changes)


def cost(made: Settings, turns: list[tuple[float, float]]) -> float:
    """Of a session that lived for its `max_duration`."""
    return bill(talk_of(made, made.scenarios[0], turns, 900), made.cost.table).total.high


def test_a_session_of_many_short_clips_costs_no_more_than_what_is_reserved(tmp_path: Path) -> None:
    made = repeating(clips(tmp_path / "clips", 1, 20))
    reserved = worst(made, made.scenarios[0], made.cost.table).total.high
    answer_s = longest_answer_s(made, made.scenarios[0], made.cost.table)
    for short, long in ((187, 0), (692, 0), (300, 25), (0, 45)):
        assert short * 1.3 + long * 20.3 < 915
        assert cost(made, [(1.0, answer_s)] * short + [(20.0, answer_s)] * long) < reserved
    assert reserved == pytest.approx(cost(made, [(20.0, answer_s)] * 694))  # one in 1.3 s, and one more


@pytest.mark.parametrize("kind", ["ignore", "backchannel", "barge_in"])
def test_a_turn_that_finds_no_answer_any_more_makes_no_round_longer(tmp_path: Path, kind: str) -> None:
    """It says nothing then, and the next round begins as soon as without it."""
    into = {"kind": kind, "clip": clips(tmp_path / "long", 20)}
    made = repeating(clips(tmp_path / "short", 1), into)
    answer_s = longest_answer_s(made, made.scenarios[0], made.cost.table)
    reserved = worst(made, made.scenarios[0], made.cost.table).total.high
    assert reserved == pytest.approx(cost(made, [(1.0, answer_s), (20.0, answer_s)] * 694))


def test_what_a_round_takes_beside_its_clips_bounds_how_many_there_are(tmp_path: Path) -> None:
    clip = clips(tmp_path / "clips", 2)
    hesitating = {"turns": [{"kind": "hesitate", "clip": clip, "pause_s": 1.7}, {"kind": "pause", "for_s": 5}]}
    made = repeating(clip, **hesitating)
    answer_s = longest_answer_s(made, made.scenarios[0], made.cost.table)
    reserved = worst(made, made.scenarios[0], made.cost.table).total.high
    assert reserved == pytest.approx(cost(made, [(3.7, answer_s)] * 101))  # 0.3 + 2 + 1.7 + 5 s: a hundred, and one


def test_nobody_talks_for_longer_than_the_session_lives(tmp_path: Path) -> None:
    bounded = repeating(clips(tmp_path / "clips", 2))
    longer = repeating(clips(tmp_path / "clips", 2), repeat_for=3600)
    for bill_of in (worst, lambda made, _, table: bill(talked(made, answer_s=2, around_s=1), table)):
        costs = [bill_of(made, made.scenarios[0], made.cost.table).total.high for made in (bounded, longer)]
        assert costs[0] == costs[1] > 0


# --- a line that is cut


def cut(clip: str, caller: dict[str, Any], *, turns: int = 6, **changes: Any) -> list[tuple[float, int, float]]:
    """Of each session: when it begins, how many answers it has, how long it lives. A turn takes 0.3 + 4.5 s."""
    talk = {"turns": [{"kind": "say", "clip": clip}] * turns, "think_min_s": 0.3, "think_max_s": 0.3}
    repeat = {} if (repeat_s := changes.pop("repeat_for", None)) is None else {"repeat_for": repeat_s}
    made = settings(conversation=talk | repeat, caller=caller, **changes)
    found = expected(made, made.scenarios[0], answer_s=2, around_s=0.1)
    return [(round(begins_s, 6), len(talk.turns), round(talk.lived_s, 6)) for begins_s, talk in found]


def test_who_is_away_for_too_long_has_a_second_session_and_the_first_lives_until_it_gives_him_up(
    tmp_path: Path,
) -> None:
    clip = clips(tmp_path / "clips", 2)
    assert cut(clip, {"cut_after_s": 10, "cut_for_s": 12}) == [(0, 3, 20.1), (22.1, 3, 14.5)]
    assert cut(clip, {"cut_after_s": 10, "cut_for_s": 12}, session={"user_absent_timeout": 12}) == [
        (0, 3, 22.1),
        (22.1, 3, 14.5),
    ]
    scaled = cut(clip, {"cut_after_s": 10, "cut_for_s": 1.5}, target={"clock_scale": 10})
    assert scaled == [(0, 3, 11.1), (11.6, 3, 14.5)]


def test_who_is_back_in_time_goes_on_in_the_same_session_without_the_turn_that_was_cut(tmp_path: Path) -> None:
    clip = clips(tmp_path / "clips", 2)
    assert cut(clip, {"cut_after_s": 10, "cut_for_s": 5}) == [(0, 6, 29.5)]
    assert cut(clip, {"cut_after_s": 9.7, "cut_for_s": 5}) == [(0, 6, 33.7)]  # he was thinking: nothing was cut
    assert cut(clip, {"cut_after_s": 10, "cut_for_s": 5}, turns=1, repeat_for=20) == [(0, 5, 24.7)]


def test_a_line_that_would_be_cut_after_the_talk_is_not_cut(tmp_path: Path) -> None:
    assert cut(clips(tmp_path / "clips", 2), {"cut_after_s": 30, "cut_for_s": 60}) == [(0, 6, 28.9)]


def test_a_second_session_that_would_begin_after_the_run_is_none(tmp_path: Path) -> None:
    load = {"duration": 20, "ramp": 0, "graceful_stop": 1}
    found = cut(clips(tmp_path / "clips", 2), {"cut_after_s": 10, "cut_for_s": 12}, load=load)
    assert found == [(0, 3, 20.1)]
