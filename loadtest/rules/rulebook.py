"""All rules at once: a sink for events while the load runs, and the same again over the journals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from loadtest.config.promise import Promise
from loadtest.criteria.rules_by_engine import ALWAYS_JUDGED
from loadtest.criteria.statements import RULES
from loadtest.events.kinds import (
    LOAD,
    Event,
    Mark,
    Observed,
    RuleChecked,
    RuleOutcome,
    SecretGivenBack,
    SessionFinished,
    SessionStarted,
    StepFinished,
)
from loadtest.rules import expiry, interruption, refusals, termination, transcripts
from loadtest.rules.fold import Fold, Handler
from loadtest.rules.life import Life
from loadtest.rules.living import AFTER, OWN
from loadtest.rules.tally import Tally, Waiver, row, waived_row

FOLDS: Final[tuple[type[Fold], ...]] = (
    *expiry.FOLDS,
    *termination.FOLDS,
    *transcripts.FOLDS,
    *interruption.FOLDS,
    *refusals.FOLDS,
)
_WORST: Final = (RuleOutcome.FAIL, RuleOutcome.CHARACTERISED, RuleOutcome.NOT_TESTED, RuleOutcome.PASS)
_MOST_SEEN: Final = 20
"""Of what the probes of a rule saw, where they saw different things."""


class Rulebook:
    """The fold. `add` is a `Sink`. `promises`: by name of the scenario; a session of any other has none.

    Passive evidence is read from load sessions alone: what a probe does on purpose is judged by the probe, which says
    RuleChecked.
    """

    def __init__(self, promises: Mapping[str, Promise]) -> None:
        self._promises = promises
        self._lives: dict[str, Life] = {}
        self._folds = {kind.rule: kind() for kind in FOLDS}
        self._probed = {rule: Tally() for rule in RULES}
        self._of_no_probe = set(RULES).intersection(*(each.waived for each in promises.values())) if promises else set()
        """Rules that all scenarios waive: a probe's session is of no scenario."""
        self._waived: dict[str, Fold] = {}
        """What sessions have shown whose scenarios waive the rule."""
        self._why_not = {rule: why for each in promises.values() for rule, why in each.unjudged.items()}
        self._unsaid = _unsaid(promises.values())
        """Rules that silence breaks, but not where an endpoint may not have asked for a word: by the mark that ends
        the doubt."""
        self._seen: dict[str, dict[str, RuleOutcome]] = {}  # by rule, what its probes saw
        self._probed_s: dict[str, float] = {}  # by purpose, how long its sessions went on
        self._probed_by: dict[str, set[str]] = {}  # by rule, purposes
        own = {**OWN}
        after = {**AFTER}
        if (user := self._unsaid.get("TR-1")) is not None:
            after[Mark.USER_TRANSCRIPT] = after[Mark.TRANSCRIPT_FAILED] = _both(user.hear, AFTER[Mark.USER_TRANSCRIPT])
        if (avatar := self._unsaid.get("TR-2")) is not None:
            own[Mark.AVATAR_TRANSCRIPT] = _both(avatar.hear, OWN[Mark.AVATAR_TRANSCRIPT])
        self._own, self._after = own, after
        self._handlers = self._table(None)
        self._tables = {name: self._table(each) for name, each in promises.items() if each.unjudged or each.waived}

    def _table(self, promise: Promise | None) -> dict[Any, list[Handler]]:
        """What is done about which event of a session with that promise: rules that it says nothing about see none of
        it, and what it waives is counted apart."""
        after_cut = self._handlers_of(promise, after_cut=True)

        def cut(_event: Observed, life: Life) -> None:
            life.handlers = after_cut

        return {**self._handlers_of(promise), Mark.MESSAGES_CUT: [cut]}

    def _handlers_of(self, promise: Promise | None, *, after_cut: bool = False) -> dict[Any, list[Handler]]:
        table: dict[Any, list[Handler]] = {key: [handler] for key, handler in self._own.items()}
        for rule, fold in self._folds.items():
            if promise is not None and rule in promise.unjudged and rule not in ALWAYS_JUDGED:
                continue
            if promise is not None and rule in promise.waived:
                fold = self._waived.setdefault(rule, type(fold)())
            for key, handler in (fold.handlers_after_cut() if after_cut else fold.handlers()).items():
                table.setdefault(key, []).append(handler)
        for key, handler in self._after.items():
            table.setdefault(key, []).append(handler)
        return table

    def add(self, event: Event) -> None:
        """Fold one event in."""
        kind: Any = type(event)
        if kind is Observed:
            kind = event.mark  # type: ignore[union-attr]
        elif kind is StepFinished:
            kind = event.step  # type: ignore[union-attr]
        elif kind is SessionStarted:
            self._session_started(event)  # type: ignore[arg-type]
            return
        elif kind is RuleChecked:
            self._checked(event)  # type: ignore[arg-type]
            return
        elif kind is SecretGivenBack:  # also of a check
            self._probed["SEC-2"].broken(event.session, refusals.given_back(event))  # type: ignore
            return
        if kind not in self._handlers:
            return
        life = self._lives.get(event.session)  # type: ignore[union-attr]
        if life is None:
            if kind is SessionFinished and event.purpose != LOAD:  # type: ignore[union-attr]
                self._probe_ended(event)  # type: ignore[arg-type]
            return
        for handler in life.handlers.get(kind, ()):
            handler(event, life)
        if kind is SessionFinished:
            self._lives.pop(life.session, None)

    def tally(self, rule: str) -> Tally:
        """What load sessions and probes have shown of a rule."""
        fold = self._folds.get(rule)
        probed = Tally() if rule in self._of_no_probe else self._probed[rule]
        return probed if fold is None or self._is_unsaid(rule) else fold.value().plus(probed)

    def waiver(self, rule: str) -> Waiver | None:
        """What sessions have shown whose scenarios waive it; of a probe, where all of them do."""
        reasons = {name: each.waived[rule] for name, each in self._promises.items() if rule in each.waived}
        if not reasons:
            return None
        fold = self._waived.get(rule)
        tally = Tally() if fold is None or self._is_unsaid(rule) else fold.value()
        if rule in self._of_no_probe:
            tally = tally.plus(self._probed[rule])
        return Waiver(reason="; ".join(dict.fromkeys(reasons.values())), scenarios=tuple(reasons), tally=tally)

    def _is_unsaid(self, rule: str) -> bool:
        return rule in self._unsaid and not self._unsaid[rule].came

    def violations(self) -> dict[str, int]:
        """By rule, of all rules, but what is waived. Asked after every session (exporters/traces/tail.py): nothing is
        built but the numbers."""
        counts = {rule: 0 if rule in self._of_no_probe else each.violations for rule, each in self._probed.items()}
        for rule, fold in self._folds.items():
            if not self._is_unsaid(rule):
                counts[rule] += fold.value().violations
        return counts

    def waived_violations(self) -> dict[str, int]:
        """By rule, of those that a scenario waives."""
        waivers = {rule: self.waiver(rule) for rule in {*(r for each in self._promises.values() for r in each.waived)}}
        return {rule: waiver.tally.violations for rule, waiver in waivers.items() if waiver is not None}

    def rows(self, beside: Mapping[str, Tally] | None = None) -> list[dict[str, Any]]:
        """`rules` of report.json: every rule, in the order of docs/contract.md. `beside`: by rule, what was found
        elsewhere than in events."""
        tallies = {rule: self.tally(rule) for rule in RULES}
        for rule, tally in (beside or {}).items():
            tallies[rule] = tallies[rule].plus(tally)
        return [
            self._row(rule, tally, seen=self._worst(rule), took_s=self._took_s(rule)) for rule, tally in tallies.items()
        ]

    def _row(self, rule: str, tally: Tally, **tried: Any) -> dict[str, Any]:
        why_not = self._why_not.get(rule) or (self._unsaid[rule].why if self._is_unsaid(rule) else None)
        waiver = self.waiver(rule)
        if waiver is None:
            return row(rule, tally, why_not=why_not, **tried)
        return waived_row(rule, tally, waiver, why_not=why_not, **tried)

    def _worst(self, rule: str) -> list[str]:
        """What the probes saw of it whose finding was the worst."""
        seen = self._seen.get(rule, {})
        worst = min(seen.values(), key=_WORST.index, default=None)
        return [detail for detail, outcome in seen.items() if outcome == worst]

    def _took_s(self, rule: str) -> float | None:
        took_s = sum(self._probed_s.get(purpose, 0.0) for purpose in self._probed_by.get(rule, ()))
        return round(took_s, 3) or None

    def _probe_ended(self, event: SessionFinished) -> None:
        before_s = self._probed_s.get(event.purpose, 0.0)
        self._probed_s[event.purpose] = before_s + (event.t_ns - event.started_ns) / 1e9

    def _session_started(self, event: SessionStarted) -> None:
        if event.purpose != LOAD:
            return
        life = self._lives[event.session] = Life(event, self._promises.get(event.scenario))
        life.handlers = self._tables.get(event.scenario, self._handlers)
        for handler in life.handlers.get(SessionStarted, ()):
            handler(event, life)

    def _checked(self, event: RuleChecked) -> None:
        tally = self._probed.get(event.rule)
        if tally is None:
            return
        seen = self._seen.setdefault(event.rule, {})
        if event.detail in seen or len(seen) < _MOST_SEEN:
            seen[event.detail] = RuleOutcome(event.outcome)
        self._probed_by.setdefault(event.rule, set()).add(event.purpose)
        if event.outcome == RuleOutcome.PASS:
            tally.held()
        elif event.outcome == RuleOutcome.FAIL:
            tally.broken(event.session, event.detail)
        elif event.outcome == RuleOutcome.CHARACTERISED:
            tally.held()
            tally.tell(event.session, event.detail)
        else:
            self._why_not[event.rule] = event.detail


def _both(first: Handler, second: Handler) -> Handler:
    def handler(event: Any, life: Life) -> None:
        first(event, life)
        second(event, life)

    return handler


@dataclass(slots=True)
class _Unsaid:
    """Why a rule can't be judged until the first of its transcripts has come."""

    why: str
    came: bool = False

    def hear(self, _event: Observed, _life: Life) -> None:
        self.came = True


def _unsaid(promises: Iterable[Promise]) -> dict[str, _Unsaid]:
    promised = [*promises]
    found: dict[str, _Unsaid] = {}
    if promised and all(each.by_backend for each in promised):
        found["TR-1"] = _Unsaid("not one of the user's words came; whether its endpoint asks for them isn't known here")
        if all(each.engine is None for each in promised):
            found["TR-2"] = _Unsaid(
                "not one transcript came; the endpoint's engine may forward none ([session] engine)"
            )
    return found
