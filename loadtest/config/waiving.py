"""What a scenario's `[[waive]]` tables may say."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from loadtest.config.scenario import Waive
from loadtest.judging.statements import RULES, Group
from loadtest.language.mistyped import did_you_mean

_LEAVES: Final = frozenset({"TD-1", "TD-1b", "TD-3", "TD-7", "TD-9", "TD-10"})
"""Rules whose breach leaves something behind that goes on, and costs."""
_SECURITY: Final = frozenset({"TD-11", "TR-7"})


def problems(waives: Sequence[Waive]) -> list[str]:
    """A sentence for each that can't be."""
    found = [problem for each in waives if (problem := _problem(each.rule))]
    twice = [rule for rule, count in Counter(each.rule for each in waives).items() if count > 1]
    return [*found, *(f"waive: {rule} is waived twice" for rule in twice)]


def _problem(rule: str) -> str | None:
    if rule not in RULES:
        return f"waive: unknown rule {rule!r}{did_you_mean(rule, RULES)}"
    if RULES[rule].group is Group.SECURITY or rule in _SECURITY:
        return f"waive: {rule} can't be waived: it keeps secrets and sessions from strangers"
    if rule in _LEAVES:
        return f"waive: {rule} can't be waived: its breach leaves something behind"
    return None
