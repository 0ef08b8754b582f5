"""What a scenario's sessions cost: as they are expected to be, and at the very most."""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, assert_never

from loadtest.config.scenario import Backchannel, BargeIn, Hesitate, Ignore, Pause, Say, Scenario, Silence, Spoken, Turn
from loadtest.config.session_object import table
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.language.errors import ConfigError
from loadtest.prices.table import Prices
from loadtest.prices.talk import Bill, Talk, bill
from loadtest.sound.recordings import lengths_s

SHORTEST_ROUND_S = 0.5
"""No round of turns is taken for shorter, where they repeat for a time."""
HEARING_S = 0.5
"""From the end of a user's speech to the first audio of the answer, about."""


def model_of(settings: Settings, scenario: Scenario) -> str | None:
    """What answers its users, as the price table calls it; None: not known."""
    if settings.target.backend is not None:
        return settings.cost.model
    return _word(scenario.realtime.get("model"))


def transcriber_of(settings: Settings, scenario: Scenario) -> str | None:
    """What writes down what they say; None: nothing that is known of."""
    if settings.target.backend is not None:
        return settings.cost.transcription
    return _word(table(table(table(scenario.realtime, "audio"), "input"), "transcription").get("model"))


def instructions_of(scenario: Scenario) -> int:
    """Characters of what each answer reads before the talk: instructions and tools."""
    tools = scenario.realtime.get("tools") or []
    return len(str(scenario.realtime.get("instructions") or "")) + (len(json.dumps(tools)) if tools else 0)


class Lengths(NamedTuple):
    """Of the clips of a source, in s."""

    shortest: float
    mean: float
    longest: float


def clip_lengths_s(scenario: Scenario) -> dict[str, Lengths]:
    """Of each source of clips. Raises ConfigError where one can't be read."""
    found = {}
    for source in scenario.conversation.clips():
        lengths = lengths_s(source)
        found[source] = Lengths(min(lengths), sum(lengths) / len(lengths), max(lengths))
    return found


def expected(settings: Settings, scenario: Scenario, *, answer_s: float, around_s: float) -> Talk:
    """A session that goes well. `answer_s`: how long an answer is; `around_s`: set-up and delete together."""
    turns: list[tuple[float, float]] = []
    lived_s = around_s
    if settings.target.room != "none":
        lengths_s = {source: lengths.mean for source, lengths in clip_lengths_s(scenario).items()}
        plan = scenario.conversation
        think_s = (plan.think_min_s + plan.think_max_s) / 2
        round_s, answered = _round(plan.turns, lengths_s, think_s, answer_s)
        rounds = _rounds(scenario, max(round_s, SHORTEST_ROUND_S))
        turns, lived_s = answered * rounds, around_s + rounds * round_s
    return talk_of(settings, scenario, turns, min(lived_s, scenario.session.duration_s))


def worst(settings: Settings, scenario: Scenario, prices: Prices) -> Bill:
    """The most that a session can cost: it lives for `max_duration`, and each answer is as long as one may be. Each
    answer reads all before it again, so the most rounds cost the most: as many as there is time for with the shortest
    clips, and each at the price of the longest ones."""
    turns: list[tuple[float, float]] = []
    if settings.target.room != "none":
        answer_s = longest_answer_s(settings, scenario, prices)
        rounds = _rounds(scenario, _shortest_round_s(scenario))
        if scenario.conversation.repeat_for is not None:
            rounds += 1  # the one that a cut of the line ends early
        turns = [(lengths.longest, answer_s) for _, lengths in said_s(scenario)] * rounds
    return bill(talk_of(settings, scenario, turns, scenario.session.duration_s), prices)


def said_s(scenario: Scenario) -> list[tuple[Spoken, Lengths]]:
    """The turns with a sound, each of which may be paid for: how long the user speaks in them, a pause for thought
    included."""
    clips_s = clip_lengths_s(scenario)
    found: list[tuple[Spoken, Lengths]] = []
    for turn in scenario.conversation.turns:
        if isinstance(turn, Spoken):
            pause_s = turn.pause_s if isinstance(turn, Hesitate) else 0.0
            found.append((turn, Lengths(*(length_s + pause_s for length_s in clips_s[turn.clip]))))
    return found


def _rounds(scenario: Scenario, round_s: float) -> int:
    """How many of that length are begun: nobody talks for longer than the session lives."""
    repeat_s = scenario.conversation.repeat_for
    return 1 if repeat_s is None else max(1, math.ceil(min(repeat_s, scenario.session.duration_s) / round_s))


def _shortest_round_s(scenario: Scenario) -> float:
    """That all turns take at least, however soon they are answered. One that interrupts says nothing where there is no
    answer any more."""
    plan = scenario.conversation
    spoken_s = sum(lengths.shortest for turn, lengths in said_s(scenario) if not turn.interrupts)
    waits_s = (
        turn.for_s if isinstance(turn, Pause) else 0.0 if turn.interrupts else plan.think_min_s for turn in plan.turns
    )
    return max(spoken_s + sum(waits_s), SHORTEST_ROUND_S)


def longest_answer_s(settings: Settings, scenario: Scenario, prices: Prices) -> float:
    """By the tokens that one may take, as if all were sound. How long a user listens bounds none: it is made, and paid
    for, all the same."""
    price = prices.model(model_of(settings, scenario))
    most = scenario.realtime.get("max_output_tokens")
    tokens = float(most) if isinstance(most, int) else price.longest_answer_tokens if price else math.inf
    return tokens / prices.speech.avatar_tokens_per_s


def talk_of(settings: Settings, scenario: Scenario, turns: Sequence[tuple[float, float]], lived_s: float) -> Talk:
    """A session of that scenario: what answers it and what it reads are the scenario's, what was said is given."""
    return Talk(
        model=model_of(settings, scenario),
        transcriber=transcriber_of(settings, scenario),
        instructions=instructions_of(scenario),
        turns=turns,
        lived_s=lived_s,
    )


def _round(
    turns: tuple[Turn, ...], lengths_s: dict[str, float], think_s: float, answer_s: float
) -> tuple[float, list[tuple[float, float]]]:
    """How long all turns take together, and what was said in each that is answered. An answer that is interrupted is
    heard until the next turn has begun."""
    took_s, answered = 0.0, []
    for turn, after in zip(turns, (*turns[1:], None), strict=True):
        took_s += 0.0 if turn.interrupts or isinstance(turn, Pause) else think_s
        into_s = after.after_s if isinstance(after, BargeIn | Ignore | Backchannel) else None
        match turn:
            case Say() | BargeIn():
                heard_s = answer_s if into_s is None else min(answer_s, into_s)
                took_s += lengths_s[turn.clip] + HEARING_S + heard_s
                answered.append((lengths_s[turn.clip], answer_s))
            case Hesitate():
                said_s = lengths_s[turn.clip] + turn.pause_s
                took_s += said_s + HEARING_S + (answer_s if into_s is None else min(answer_s, into_s))
                answered.append((said_s, answer_s))
            case Ignore() | Backchannel():
                took_s += max(lengths_s[turn.clip], answer_s - turn.after_s)
            case Silence() | Pause():
                took_s += turn.for_s
            case _:
                assert_never(turn)
    return took_s, answered


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def check_budget(settings: Settings, prices: Prices) -> dict[str, Bill]:
    """By scenario, what is reserved for a session. Raises ConfigError for slow checks, for a price that is missing, and
    for a budget below one session; a master's, for the share of a load process: it may be alone on its host."""
    if settings.probes.slow and settings.probe_users:
        raise ConfigError(
            "cost.budget: slow active checks can't be held to it: what they cost isn't known, and their sessions may"
            " live for an hour; leave out either of them, and --max-sessions bounds the checks"
        )
    found = {scenario.name: worst(settings, scenario, prices) for scenario in settings.scenarios}
    lacking = sorted({name for each in found.values() for name in each.total.unknown})
    if lacking:
        raise ConfigError(
            f"cost.budget: no price for {', '.join(lacking)}: what a session may cost is not known; give it with"
            " --prices FILE (`avaload prices` shows the table)"
        )
    budget = settings.cost.budget
    shares = settings.load.processes if settings.distribution.master else 1
    dearest = max((each.total.high for each in found.values()), default=0.0)
    if budget is not None and dearest > budget / shares:
        share = "" if shares == 1 else f", shared by {plural(shares, 'load process')},"
        raise ConfigError(
            f"cost.budget: {budget:g} USD{share} is less than the {dearest:.2f} USD that one session may cost at most;"
            " max_duration in [session] and max_output_tokens in [realtime] bound it"
        )
    return found
