"""Sessions that a rule can't be judged by, and those whose scenario accepts its breach."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.config.promise import Promise
from loadtest.config.resolve import resolve
from loadtest.criteria.rules_by_engine import unjudged
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import Event, Mark, RuleChecked, RuleOutcome
from loadtest.rules.rulebook import Rulebook
from tests.loadtest.rules.session import PROMISE, Session

BEHIND = {"target.backend": {"url": "http://127.0.0.1:1/"}, "target.avaturn_base_url": "http://127.0.0.1:2"}
KEYS = {"AVATURN_API_KEY": "a-key-of-avaturn"}
WAIVED = replace(PROMISE, waived={"TR-2": "known: ticket 7"})


def rows(promises: dict[str, Promise], *events: Event) -> dict[str, dict[str, Any]]:
    book = Rulebook(promises)
    for event in events:
        book.add(event)
    return {row["id"]: row for row in book.rows()}


def untold(number: int = 1, *, said: int = 0, heard: int = 0) -> list[Event]:
    """Two answers, each without a transcript unless `said`."""
    session = Session(number).up()
    for t_s in (1, 6):
        session.say(t_s, said=said, heard=heard)
    return session.talked(30).over(31).events


def of(scenario: str, events: list[Event]) -> list[Event]:
    return [_renamed(event, scenario) for event in events]


def _renamed(event: Event, scenario: str) -> Event:
    return msgspec.structs.replace(event, scenario=scenario) if hasattr(event, "scenario") else event


def behind(engine: str | None) -> Promise:
    return replace(PROMISE, engine=engine, by_backend=True, unjudged=unjudged(engine, by_backend=True))


@pytest.mark.parametrize("engine", ["external", "cartesia"])
def test_an_engine_that_forwards_no_transcripts_is_not_judged_by_them(engine: str) -> None:
    seen = rows({"s": behind(engine)}, *untold())

    for rule in ("TR-1", "TR-2", "TR-3", "TR-4", "TR-5", "TR-6", "TR-7"):
        assert (seen[rule]["outcome"], seen[rule]["summary"]) == (
            "not_tested",
            f"engine {engine} forwards no transcripts",
        )
    assert seen["EXP-7"]["summary"] == f"engine {engine} has no OpenAI session of its own"
    assert seen["SDK-1"]["outcome"] == "pass"


def test_two_sessions_in_one_room_are_a_leak_whatever_the_engine() -> None:
    guests = [
        event for number in (1, 2) for event in Session(number).mark(0.3, Mark.SDK_SESSION, digest="one room").events
    ]

    assert rows({"s": behind("external")}, *guests)["TR-7"]["outcome"] == "fail"


def test_text_echo_is_not_judged_by_speech() -> None:
    assert rows({"s": behind("text-echo")})["INT-1"]["summary"] == "engine text-echo hears nothing and answers nobody"


def test_silence_behind_an_endpoint_breaks_nothing_until_one_word_came() -> None:
    silent, told = (
        rows({"s": behind(None)}, *untold()),
        rows({"s": behind(None)}, *untold(), *untold(2, said=1, heard=1)),
    )

    assert [silent[rule]["outcome"] for rule in ("TR-1", "TR-2")] == ["not_tested", "not_tested"]
    assert silent["TR-2"]["summary"].startswith("not one transcript came")
    assert [told[rule]["outcome"] for rule in ("TR-1", "TR-2")] == ["fail", "fail"]


def test_an_endpoint_that_is_said_to_be_of_openai_owes_the_avatars_transcripts() -> None:
    assert rows({"s": behind("openai-realtime")}, *untold())["TR-2"]["outcome"] == "fail"


@pytest.mark.parametrize("kept", [True, False])
def test_a_waived_rule_is_judged_counted_and_never_passes(kept: bool) -> None:
    seen = rows({"s": WAIVED}, *untold(said=int(kept)))["TR-2"]

    assert seen["outcome"] == "waived"
    assert seen["violations"] == seen["waived"]["violations"] == (0 if kept else 1)
    assert seen["summary"] == (
        "waived (known: ticket 7): held in 2 cases"
        if kept
        else "waived (known: ticket 7): not so in 1 of 1 case: 2 phrases of its answers without a transcript"
    )


def test_a_waived_rule_without_a_case_is_not_tested() -> None:
    seen = rows({"s": WAIVED})["TR-2"]

    assert (seen["outcome"], seen["summary"]) == ("not_tested", "waived (known: ticket 7): nothing of it was seen")


def test_a_waive_counts_for_the_sessions_of_its_scenario_alone() -> None:
    promises = {"s": PROMISE, "w": WAIVED}

    accepted = rows(promises, *of("w", untold()), *untold(2, said=1))["TR-2"]
    broken = rows(promises, *of("w", untold()), *untold(2))["TR-2"]

    assert (accepted["outcome"], accepted["violations"]) == ("waived", 1)
    assert accepted["summary"].startswith("of w waived (known: ticket 7): not so in 1 of 1 case")
    assert accepted["summary"].endswith("of others held in 2 cases")
    assert (broken["outcome"], broken["violations"], broken["evidence"]) == ("fail", 2, [f"{2:032x}"])


def test_metrics_count_what_is_waived_apart() -> None:
    book = Rulebook({"s": WAIVED})
    for event in untold():
        book.add(event)

    assert (book.violations()["TR-2"], book.waived_violations()) == (0, {"TR-2": 1})


def test_what_a_check_finds_is_waived_where_every_scenario_waives_it() -> None:
    promise = replace(PROMISE, waived={"TD-6": "they know"})
    found = RuleChecked(t_ns=1, session="a", rule="TD-6", outcome=RuleOutcome.FAIL, detail="500", purpose="probe:TD-6")

    assert rows({"s": promise}, found)["TD-6"]["outcome"] == "waived"
    assert rows({"s": promise, "t": PROMISE}, found)["TD-6"]["waived"]["violations"] == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('rule = "SEC-2"\nreason = "x"', "SEC-2 can't be waived"),
        ('rule = "TD-11"\nreason = "x"', "TD-11 can't be waived"),
        ('rule = "TR-7"\nreason = "x"', "TR-7 can't be waived"),
        ('rule = "TD-1"\nreason = "x"', "TD-1 can't be waived: its breach leaves something behind"),
        ('rule = "TR2"\nreason = "x"', "unknown rule 'TR2' (did you mean TR-2?)"),
        ('rule = "tr-2"\nreason = "x"', "unknown rule 'tr-2' (did you mean TR-2?)"),
        ('rule = "TR-2"', "waive[1].reason"),
        ('rule = "TR-2"\nreason = " "', "waive[1].reason"),
        ('rule = "TR-2"\nreason = "x"\n[[waive]]\nrule = "TR-2"\nreason = "y"', "TR-2 is waived twice"),
        ('rule = "TR-2"\nreason = "x"\nuntil = "May"', "waive[1].until: unknown key"),
    ],
)
def test_what_cannot_be_waived_is_said_in_a_line(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f"[[waive]]\n{text}\n")

    with pytest.raises(ConfigError) as refused:
        resolve(path, {}, {})

    assert len(refused.value.problems) == 1
    assert problem in refused.value.problems[0]


def test_scenarios_of_a_mix_waive_for_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[[waive]]\nrule = "TR-2"\nreason = "known"\n')
    (tmp_path / "b.toml").write_text("name = 'b'")
    mix = '[[mix]]\nscenario = "a.toml"\n[[mix]]\nscenario = "b.toml"\n'
    (tmp_path / "mix.toml").write_text(mix)
    (tmp_path / "wrong.toml").write_text(f'{mix}[[waive]]\nrule = "TR-2"\nreason = "known"\n')

    assert [len(each.waive) for each in resolve(tmp_path / "mix.toml", {}, {}).scenarios] == [1, 0]
    with pytest.raises(ConfigError, match="waive: belongs to a scenario of the mix"):
        resolve(tmp_path / "wrong.toml", {}, {})


def test_other_engines_are_made_by_an_endpoint_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[session]\nengine = "external"\n')

    with pytest.raises(ConfigError, match=r"external sessions are made by an endpoint of your own: give --backend-url"):
        resolve(path, {}, {})
    assert resolve(path, BEHIND, KEYS).session.engine == "external"


def test_nobody_speaks_to_text_echo_and_who_wants_to_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[session]\nengine = "text-echo"\n')
    assert [turn.kind for turn in resolve(path, BEHIND, KEYS).conversation.turns] == ["pause"]

    path.write_text('[session]\nengine = "text-echo"\n[[conversation.turns]]\nkind = "say"\n')
    with pytest.raises(ConfigError, match="text-echo hears nothing"):
        resolve(path, BEHIND, KEYS)
