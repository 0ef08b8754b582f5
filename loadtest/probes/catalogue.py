"""All probes, and which of them to run for which rules."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from loadtest.config.settings import Probes
from loadtest.criteria.statements import RULES
from loadtest.errors.exceptions import ConfigError
from loadtest.probes.active_checks import (
    expiry,
    faults,
    interruption,
    lifetimes,
    shapes,
    sound,
    termination,
    timers,
    transcripts,
)
from loadtest.probes.bench.bench import Probe
from loadtest.text.mistyped import did_you_mean

PURPOSE: Final = "probe:"

PROBES: Final[tuple[Probe, ...]] = (
    # The long ones first: all start at once, and the first few are all that a short run may come to.
    *timers.PROBES,
    *expiry.PROBES,
    *lifetimes.PROBES,
    *transcripts.PROBES,
    *interruption.PROBES,
    *termination.PROBES,
    *sound.PROBES,
    *shapes.PROBES,
    *faults.PROBES,
)

BY_LEAD: Final[Mapping[str, Probe]] = MappingProxyType({probe.lead: probe for probe in PROBES})


def chosen(rules: Sequence[str]) -> tuple[Probe, ...]:
    """The probes for these rules; for none: all. Raises ConfigError with a sentence for each that has none."""
    if not rules:
        return PROBES
    checked = {rule for probe in PROBES for rule in probe.rules}
    problems = [
        f"{rule}: has no active check: every session of a run is judged by it"
        if rule in RULES
        else f"{rule}: no such rule{did_you_mean(rule, RULES)}"
        for rule in rules
        if rule not in checked
    ]
    if problems:
        raise ConfigError(problems)
    return tuple(probe for probe in PROBES if set(probe.rules) & set(rules))


def dealt(settings: Probes, *, user: int, users: int) -> Iterator[str]:
    """What one of `users` users runs: the leading rules of its probes. In a load run again and again, the short ones
    first and each time round from another one on; those that want to be alone are left out."""
    probes = chosen(settings.rules)
    if settings.once:
        return (probe.lead for probe in probes[user::users])
    company = sorted((probe for probe in probes if not probe.alone), key=lambda probe: probe.lasts_s)
    mine = company[user % len(company) :: users] or company
    return itertools.chain.from_iterable(itertools.repeat([probe.lead for probe in mine]))
