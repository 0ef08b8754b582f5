"""What a rule has seen so far, and what that amounts to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.criteria.statements import RULES, Rule, Source, Standing
from loadtest.criteria.words import plural
from loadtest.events.kinds import RuleOutcome

MOST_EVIDENCE: Final = 5


@dataclass(slots=True)
class Tally:
    """Cases and breaches of one rule. `excused`: no cases, since the line may have done it. `evidence`: the first
    sessions that broke it; `notes`: what was seen of them, or what a characterisation says."""

    cases: int = 0
    violations: int = 0
    excused: int = 0
    evidence: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def held(self) -> None:
        """One more case, as the rule says."""
        self.cases += 1

    def broken(self, session: str, note: str) -> None:
        """One more case, and not as the rule says."""
        self.cases += 1
        self.violations += 1
        self.tell(session, note)

    def tell(self, session: str, note: str) -> None:
        """Something to show for it."""
        if len(self.evidence) < MOST_EVIDENCE:
            if session and session not in self.evidence:
                self.evidence.append(session)
            self.notes.append(note)

    def plus(self, other: "Tally") -> "Tally":
        """Both together; the evidence of `other` comes last."""
        both = Tally(
            cases=self.cases + other.cases,
            violations=self.violations + other.violations,
            excused=self.excused + other.excused,
            evidence=[*self.evidence],
            notes=[*self.notes],
        )
        both.evidence += [session for session in other.evidence if session not in both.evidence]
        both.notes += other.notes
        del both.evidence[MOST_EVIDENCE:], both.notes[MOST_EVIDENCE:]
        return both


def outcome(rule: Rule, tally: Tally) -> RuleOutcome:
    """Only a binding rule can fail; a breach of an assumed one is told and blamed on nobody (DECISIONS.md)."""
    if not tally.cases:
        return RuleOutcome.NOT_TESTED
    if rule.standing is Standing.OPEN:
        return RuleOutcome.CHARACTERISED
    if not tally.violations:
        return RuleOutcome.PASS
    return RuleOutcome.FAIL if rule.standing is Standing.BINDING else RuleOutcome.CHARACTERISED


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """What sessions have shown whose scenarios waive the rule, and why those do."""

    reason: str
    scenarios: tuple[str, ...]
    tally: Tally


def row(
    rule_id: str, tally: Tally, *, why_not: str | None = None, seen: Iterable[str] = (), took_s: float | None = None
) -> dict[str, Any]:
    """A row of `rules` in report.json. `why_not`: a probe's word on why it could not be tested; `seen`: what probes
    saw; `took_s`: how long they tried, all together."""
    rule = RULES[rule_id]
    return {
        "id": rule.id,
        "group": rule.group.value,
        "statement": rule.statement,
        "standing": rule.standing.value,
        "prod": rule.prod.value,
        "outcome": outcome(rule, tally).value,
        "cases": tally.cases,
        "violations": tally.violations,
        "summary": _summary(rule, tally, why_not),
        "evidence": tally.evidence,
        "seen": list(seen),
        "took_s": took_s,
        "waived": None,
    }


def waived_row(
    rule_id: str, others: Tally, waiver: Waiver, *, why_not: str | None = None, **tried: Any
) -> dict[str, Any]:
    """The row of a rule that a scenario waives, with the counts of all. Sessions of others may still break it; kept or
    not, it is never `pass`. `tried`: as in `row`."""
    both, of_others = others.plus(waiver.tally), row(rule_id, others)
    is_broken = of_others["outcome"] == RuleOutcome.FAIL
    accepted = RuleOutcome.WAIVED if both.cases else RuleOutcome.NOT_TESTED
    summary = f"waived ({waiver.reason}): {_summary(RULES[rule_id], waiver.tally, why_not)}"
    if others.cases:
        summary = f"of {', '.join(waiver.scenarios)} {summary}; of others {of_others['summary']}"
    return row(rule_id, both, **tried) | {
        "outcome": (RuleOutcome.FAIL if is_broken else accepted).value,
        "summary": summary,
        "evidence": (others if is_broken else both).evidence,
        "waived": {
            "reason": waiver.reason,
            "scenarios": list(waiver.scenarios),
            "cases": waiver.tally.cases,
            "violations": waiver.tally.violations,
        },
    }


_NOT_SAID: Final = "the line lost or held up what was said, or more was heard: an echo, noise, a pause as an end"


def _summary(rule: Rule, tally: Tally, why_not: str | None) -> str:
    cases = plural(tally.cases, "case")
    note = f": {tally.notes[0]}" if tally.notes else ""
    line = f"{tally.excused:,} not judged: {_NOT_SAID}" if tally.excused else ""
    if not tally.cases:
        return why_not or line or ("nothing of it was seen" if Source.LOAD in rule.reads else "only a probe can try it")
    note += f"; {line}" if line else ""
    if tally.violations:
        assumed = " (assumed: fails no run)" if rule.standing is Standing.ASSUMED else ""
        return f"not so in {tally.violations:,} of {cases}{assumed}{note}"
    return (
        f"seen in {cases}{note}" if rule.standing is Standing.OPEN else f"held in {cases}{f'; {line}' if line else ''}"
    )
