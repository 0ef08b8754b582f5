import itertools

import pytest

from loadtest.config.settings import Probes
from loadtest.criteria.statements import RULES, Prod, Source
from loadtest.errors.exceptions import ConfigError
from loadtest.probes.catalogue import BY_LEAD, PROBES, chosen, dealt


def test_every_rule_that_only_a_probe_can_judge_has_one() -> None:
    checked = {rule for probe in PROBES for rule in probe.rules}

    assert {rule.id for rule in RULES.values() if rule.reads == (Source.PROBE,)} - checked == set()
    assert checked - RULES.keys() == set()


def test_no_probe_that_needs_a_fault_is_for_production() -> None:
    for probe in PROBES:
        if any(RULES[rule].prod is Prod.MOCK for rule in probe.rules[:1]):
            assert not probe.is_for_production, probe.rules


def test_those_for_a_rule_are_chosen_by_any_of_their_rules() -> None:
    assert [probe.lead for probe in chosen(["EXP-1b", "TD-9"])] == ["TD-7", "EXP-1"]
    assert chosen([]) == PROBES


def test_all_wrong_names_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        chosen(["EXP-99", "EXP-1", "TR-3"])

    assert error.value.problems == [
        "EXP-99: no such rule (did you mean EXP-8?)",
        "TR-3: has no active check: every session of a run is judged by it",
    ]


def test_a_probe_run_deals_each_probe_once() -> None:
    dealt_out = [lead for user in range(3) for lead in dealt(Probes(once=True), user=user, users=3)]

    assert sorted(dealt_out) == sorted(BY_LEAD)


def test_in_a_load_run_the_users_share_the_probes_the_short_ones_first_and_begin_again() -> None:
    company = [probe.lead for probe in PROBES if not probe.alone]
    first, second = (list(itertools.islice(dealt(Probes(share=0.1), user=user, users=2), 60)) for user in (0, 1))

    assert set(first) | set(second) == set(company)
    assert set(first) & set(second) == set()
    assert first[0] == first[len(set(first))]
    assert [BY_LEAD[lead].lasts_s for lead in first[: len(set(first))]] == sorted(
        BY_LEAD[lead].lasts_s for lead in set(first)
    )
