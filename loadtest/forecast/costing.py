"""What a scenario's sessions cost: as they are expected to be, and at the very most."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, assert_never

from loadtest.config.keys.scenario import (
    DURATION_S,
    Backchannel,
    BargeIn,
    Conversation,
    Hesitate,
    Ignore,
    Pause,
    Say,
    Scenario,
    Silence,
    Spoken,
)
from loadtest.config.keys.session_object import table
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.errors.exceptions import ConfigError
from loadtest.prices.table import Prices
from loadtest.prices.talk import Bill, Talk, bill
from loadtest.sound.recordings import lengths_s

SHORTEST_ROUND_S = 0.5
"""No round of turns is taken for shorter, where they repeat for a time."""
HEARING_S = 0.5
"""From the end of a user's speech to the first audio of the answer, about."""
_ROUNDING_S = 1e-6


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


def instructions_of(settings: Settings, scenario: Scenario) -> tuple[str, frozenset[str]]:
    """What each answer reads before the talk: instructions and tools, and what has a length that nobody here knows.
    What an endpoint of the integrator's asks for, only it knows."""
    if settings.by_backend:
        return "", frozenset()
    asked, tools = scenario.realtime, scenario.realtime.get("tools") or []
    unread = ["the stored prompt"] if asked.get("prompt") else []
    if any(isinstance(tool, dict) and tool.get("type") == "mcp" for tool in tools):
        unread.append("the tools of an MCP server")
    text = json.dumps(tools, ensure_ascii=False) if tools else ""
    return str(asked.get("instructions") or "") + text, frozenset(unread)


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


Steps = list[tuple[float, tuple[float, float] | None]]
"""Of a conversation, in s: how long each takes, and what is said and answered in it, if anything."""


class _Part(NamedTuple):
    """Of a conversation, before or after a cut of the line."""

    turns: list[tuple[float, float]]
    took_s: float


def expected(settings: Settings, scenario: Scenario, *, answer_s: float, around_s: float) -> list[tuple[float, Talk]]:
    """The sessions of a caller if all goes well, each with when it begins, in s after the first one. There are two
    where his line is cut for longer than the first lives without him. `answer_s`: how long an answer is; `around_s`:
    set-up and delete together. None outlives the time that the run has for it."""
    lives_s, run_s = longest_life_s(settings, scenario), settings.load.duration + settings.graceful_stop_s
    found: list[tuple[float, list[tuple[float, float]], float]] = [(0.0, [], 0.0)]
    if settings.target.room != "none":
        caller, clips_s = scenario.caller, clip_lengths_s(scenario)
        steps = _round(scenario.conversation, {source: each.mean for source, each in clips_s.items()}, answer_s)
        before, after = _talked(scenario, steps, min(lives_s, run_s))
        absence_s = scenario.session.absence_s / (settings.target.clock_scale or 1.0)
        if after is None:
            found = [(0.0, before.turns, before.took_s)]
        elif caller.cut_for_s < absence_s:
            found = [(0.0, before.turns + after.turns, before.took_s + caller.cut_for_s + after.took_s)]
        else:
            found = [
                (0.0, before.turns, before.took_s + absence_s),
                (around_s + before.took_s + caller.cut_for_s, after.turns, after.took_s),
            ]
    return [
        (begins_s, _until(talk_of(settings, scenario, turns, around_s + took_s), min(lives_s, run_s - begins_s)))
        for begins_s, turns, took_s in found
        if begins_s < run_s
    ]


def _until(talk: Talk, most_s: float) -> Talk:
    """As much of it as there is time for."""
    if talk.lived_s <= most_s:
        return talk
    return replace(talk, turns=talk.turns[: math.ceil(len(talk.turns) * most_s / talk.lived_s)], lived_s=most_s)


def _talked(scenario: Scenario, steps: Steps, most_s: float) -> tuple[_Part, _Part | None]:
    """All turns, as often as there is time for: before a cut of the line, and after it (None: there is none). The turn
    that is cut isn't said again."""
    repeat_s, caller = scenario.conversation.repeat_for, scenario.caller
    cut_s = math.inf if caller.cut_after_s is None or caller.cut_after_s >= most_s else caller.cut_after_s
    said: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    at_s = 0.0
    back_s: float | None = None  # when he is in the room again
    while True:
        round_s = at_s
        for took_s, answered in steps:
            if answered is not None:
                said[back_s is not None].append(answered)
            if back_s is None and at_s + took_s > cut_s:
                at_s = back_s = cut_s + caller.cut_for_s
            else:
                at_s += took_s
        if repeat_s is None:
            break
        at_s = max(at_s, round_s + SHORTEST_ROUND_S)
        if at_s >= min(repeat_s, most_s) - _ROUNDING_S:
            break
    if back_s is None:
        return _Part(said[0], at_s), None
    return _Part(said[0], cut_s), _Part(said[1], at_s - back_s)


def longest_life_s(settings: Settings, scenario: Scenario) -> float:
    """No session of it lives longer, by the target's clock. The `max_duration` of the scenario is sent by our own
    creates alone."""
    longest_s = scenario.session.duration_s
    if settings.by_backend:
        longest_s = max(longest_s, DURATION_S)
    return longest_s / (settings.target.clock_scale or 1.0)


def worst(settings: Settings, scenario: Scenario, prices: Prices) -> Bill:
    """The most that a session can cost: it lives for `max_duration`, and each answer is as long as one may be. Each
    answer reads all before it again, so the most rounds cost the most: as many as there is time for with the shortest
    clips, and each at the price of the longest ones."""
    turns: list[tuple[float, float]] = []
    if settings.target.room != "none":
        answer_s = longest_answer_s(settings, scenario, prices)
        rounds = _rounds(settings, scenario)
        if scenario.conversation.repeat_for is not None:
            rounds += 1  # the one that a cut of the line ends early
        turns = [(lengths.longest, answer_s) for _, lengths in said_s(scenario)] * rounds
    return bill(talk_of(settings, scenario, turns, longest_life_s(settings, scenario)), prices)


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


def _rounds(settings: Settings, scenario: Scenario) -> int:
    """How many are begun at most: nobody talks for longer than the session lives."""
    repeat_s = scenario.conversation.repeat_for
    if repeat_s is None:
        return 1
    return max(1, math.ceil(min(repeat_s, longest_life_s(settings, scenario)) / _shortest_round_s(scenario)))


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
    for, all the same. What the scenario says of them is sent by our own mints alone."""
    price = prices.model(model_of(settings, scenario))
    most = None if settings.by_backend else scenario.realtime.get("max_output_tokens")
    tokens = float(most) if isinstance(most, int) else price.longest_answer_tokens if price else math.inf
    return tokens / prices.speech.avatar_tokens_per_s


def talk_of(settings: Settings, scenario: Scenario, turns: Sequence[tuple[float, float]], lived_s: float) -> Talk:
    """A session of that scenario: what answers it and what it reads are the scenario's, what was said is given."""
    instructions, unread = instructions_of(settings, scenario)
    return Talk(
        model=model_of(settings, scenario),
        transcriber=transcriber_of(settings, scenario),
        instructions=len(instructions),
        dense=sum(not character.isascii() for character in instructions),
        unread=unread,
        turns=turns,
        lived_s=lived_s,
    )


def _round(plan: Conversation, lengths_s: dict[str, float], answer_s: float) -> Steps:
    """All turns once, and the thinking before them. An answer that is interrupted is heard until the next turn has
    begun."""
    steps: Steps = []
    for turn, after in zip(plan.turns, (*plan.turns[1:], None), strict=True):
        if not (turn.interrupts or isinstance(turn, Pause)):
            steps.append(((plan.think_min_s + plan.think_max_s) / 2, None))
        into_s = after.after_s if isinstance(after, BargeIn | Ignore | Backchannel) else math.inf
        match turn:
            case Say() | BargeIn() | Hesitate():
                said_s = lengths_s[turn.clip] + (turn.pause_s if isinstance(turn, Hesitate) else 0.0)
                steps.append((said_s + HEARING_S + min(answer_s, into_s), (said_s, answer_s)))
            case Ignore() | Backchannel():
                steps.append((max(lengths_s[turn.clip], answer_s - turn.after_s), None))
            case Silence() | Pause():
                steps.append((turn.for_s, None))
            case _:
                assert_never(turn)
    return steps


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def check_budget(settings: Settings, prices: Prices) -> dict[str, Bill]:
    """By scenario, what is reserved for a session. Raises ConfigError for slow checks, for a price or a length that is
    missing, and for a budget below one session; a master's, for the share of a load process: it may be alone on its
    host."""
    if settings.probes.slow and settings.probe_users:
        raise ConfigError(
            "cost.budget: slow active checks can't be held to it: what they cost isn't known, and their sessions may"
            " live for an hour; leave out either of them, and --max-sessions bounds the checks"
        )
    found = {scenario.name: worst(settings, scenario, prices) for scenario in settings.scenarios}
    lacking = {name for each in found.values() for name in each.total.unknown}
    if unread := lacking & {name for each in settings.scenarios for name in instructions_of(settings, each)[1]}:
        raise ConfigError(
            f"cost.budget: nobody here knows how much every answer reads of {', '.join(sorted(unread))}: what a session"
            " may cost is not known; leave out either of them, and --max-sessions bounds the run"
        )
    if lacking:
        raise ConfigError(
            f"cost.budget: no price for {', '.join(sorted(lacking))}: what a session may cost is not known; give it"
            " with --prices FILE (`avaload prices` shows the table)"
        )
    budget = settings.cost.budget
    shares = settings.load.processes if settings.distribution.master else 1
    dearest = max((each.total.high for each in found.values()), default=0.0)
    if budget is not None and dearest > budget / shares:
        share = "" if shares == 1 else f", shared by {plural(shares, 'load process')},"
        bounds = "max_duration in [session] and max_output_tokens in [realtime] bound it"
        if settings.by_backend:
            bounds = "your endpoint makes the sessions, and nothing that avaload is told bounds them"
        raise ConfigError(
            f"cost.budget: {budget:g} USD{share} is less than the {_upwards(dearest)} USD that one session may cost at"
            f" most; {bounds}"
        )
    return found


def _upwards(usd: float) -> str:
    """Three digits at least, the last one rounded up: as a budget it would do."""
    places = max(2, 2 - math.floor(math.log10(usd)))
    return f"{math.ceil(usd * 10**places) / 10**places:.{places}f}"
