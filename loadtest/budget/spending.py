"""What each session of an engine has cost so far, for the budget: told by its events, settled by its last one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.budget.reserving import Budget
from loadtest.config.keys.scenario import ANSWERED, PAID_FOR, Scenario
from loadtest.config.settings import Settings
from loadtest.events.kinds import (
    LOAD,
    AnswerEnd,
    Event,
    Outcome,
    Remains,
    RemainsChanged,
    RemainsReason,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)
from loadtest.forecast.costing import check_budget, longest_answer_s, said_s, talk_of
from loadtest.prices.talk import Bill, bill


@dataclass(slots=True)
class _Account:
    scenario: Scenario
    sent_ns: int | None = None
    """When its create was sent; None: it never was."""
    turns: list[tuple[float, float]] = field(default_factory=list)


class Spending:
    """Of one engine. `worst`: by scenario, the most that a session can cost. Raises ConfigError where that isn't
    known."""

    def __init__(self, settings: Settings, budget: Budget) -> None:
        self._settings, self._budget = settings, budget
        self._table = settings.cost.table
        self._worst: Mapping[str, Bill] = check_budget(settings, self._table)
        self._longest_s = {
            scenario.name: (
                max((lengths.longest for _, lengths in said_s(scenario)), default=0.0),
                longest_answer_s(settings, scenario, self._table),
            )
            for scenario in settings.scenarios
        }
        """By scenario, of what users say and of an answer: none is longer."""
        self._open: dict[str, _Account] = {}

    def reserved(self) -> float:
        """USD for a session, whichever scenario it will be of: the dearest one's."""
        return max(each.total.high for each in self._worst.values())

    def take(self, event: Event) -> None:
        """Every event of the engine, load alone: what probes reserve stays reserved."""
        if type(event) is SessionStarted and event.purpose == LOAD:
            scenario = self._settings.scenario_of(event.scenario)
            if scenario is not None:
                self._open[event.session] = _Account(scenario)
        elif type(event) is RemainsChanged and event.reason is RemainsReason.CREATE_SENT:
            if (account := self._open.get(event.session)) is not None:
                account.sent_ns = event.t_ns
        elif type(event) is StepFinished and event.step is Step.TURN:
            self._turn(event)
        elif type(event) is SessionFinished and (account := self._open.pop(event.session, None)) is not None:
            self._settle(event, account)

    def _turn(self, event: StepFinished) -> None:
        account = self._open.get(event.session)
        if account is None or event.turn_kind not in PAID_FOR:
            return
        longest_s, answer_s = self._longest_s[account.scenario.name]
        if event.outcome is Outcome.OK and event.turn_kind in ANSWERED and event.answer is AnswerEnd.WHOLE:
            heard_s = (event.t_ns - event.started_ns - (event.first_audio_ns or 0)) / 1e9
            answer_s = min(heard_s, answer_s)
        # Else it isn't known what of it was said, or how much more of it was made than we heard.
        account.turns.append((longest_s, answer_s))

    def _settle(self, event: SessionFinished, account: _Account) -> None:
        """At the most that it can have cost: the avatar from the sending of its create to its last word, its delete's
        proof included. Where something may be left of it, all stays reserved."""
        if event.remains is not Remains.NOTHING:
            return
        scenario, reserved = account.scenario, self.reserved()
        lived_s = 0.0 if account.sent_ns is None else (event.t_ns - account.sent_ns) / 1e9
        spent = bill(talk_of(self._settings, scenario, account.turns, lived_s), self._table)
        self._budget.settle(reserved=reserved, spent=spent.total.high)
