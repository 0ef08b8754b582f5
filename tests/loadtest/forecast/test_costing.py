"""What a scenario's sessions cost: as expected, and at the very most."""

from typing import Any

import pytest

from loadtest.config.settings import Settings
from loadtest.forecast.costing import check_budget, expected, worst
from loadtest.language.errors import ConfigError

AVATAR = {"avatar": {"per_minute": 0.1}}
SAY = {"kind": "say", "clip": "corpus:en"}


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"cost": {"prices": AVATAR}} | changes)


def test_an_expected_session_has_its_answered_turns_and_lasts_as_long_as_they_do() -> None:
    made = settings(conversation={"turns": [SAY, {"kind": "pause", "for_s": 3}], "think_min_s": 1, "think_max_s": 1})
    talk = expected(made, made.scenarios[0], answer_s=2, around_s=0.5)
    (turn,) = talk.turns
    assert turn[1] == 2
    assert talk.lived_s == pytest.approx(0.5 + 1 + turn[0] + 0.5 + 2 + 3)
    assert (talk.model, talk.transcriber) == (made.realtime["model"], "gpt-transcribe")


def test_turns_that_repeat_for_a_time_are_counted_as_often_as_they_fit() -> None:
    once = settings(conversation={"turns": [SAY]})
    round_s = expected(once, once.scenarios[0], answer_s=2, around_s=0).lived_s
    made = settings(conversation={"turns": [SAY], "repeat_for": 3.5 * round_s})
    talk = expected(made, made.scenarios[0], answer_s=2, around_s=0)
    assert len(talk.turns) == 4
    assert talk.lived_s == pytest.approx(4 * round_s)


def test_an_answer_that_is_interrupted_is_heard_shortly_and_paid_for_wholly() -> None:
    made = settings(conversation={"turns": [SAY, {"kind": "barge_in", "after_s": 0.5}]})
    talk = expected(made, made.scenarios[0], answer_s=6, around_s=0)
    assert [avatar_s for _, avatar_s in talk.turns] == [6, 6]
    alone = settings(conversation={"turns": [SAY, SAY]})
    assert talk.lived_s < expected(alone, alone.scenarios[0], answer_s=6, around_s=0).lived_s - 5


def test_without_a_room_nothing_is_said() -> None:
    made = settings(target={"room": "none"})
    talk = expected(made, made.scenarios[0], answer_s=2, around_s=0.1)
    assert (list(talk.turns), talk.lived_s) == ([], 0.1)


def test_the_worst_session_lives_for_max_duration_and_hears_the_longest_answers() -> None:
    made = settings(session={"max_duration": 120}, conversation={"turns": [SAY], "answer_max_s": 30})
    found = worst(made, made.scenarios[0], made.cost.table)
    assert found.avatar.value == pytest.approx(0.2)
    price = made.cost.table.model(made.realtime["model"])
    assert price is not None
    assert found.model.high > 30 * 20 * price.audio.output / 1e6
    shorter = settings(
        session={"max_duration": 120},
        conversation={"turns": [SAY], "answer_max_s": 30},
        realtime=made.realtime | {"max_output_tokens": 100},
    )
    assert worst(shorter, shorter.scenarios[0], shorter.cost.table).model.high < found.model.high / 4


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
    assert expected(silent, silent.scenarios[0], answer_s=2, around_s=0).model is None
    told = settings(target=target, cost={"model": "gpt-realtime-2.1", "transcription": "whisper-1"})
    talk = expected(told, told.scenarios[0], answer_s=2, around_s=0)
    assert (talk.model, talk.transcriber) == ("gpt-realtime-2.1", "whisper-1")
