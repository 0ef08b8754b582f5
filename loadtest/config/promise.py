"""What a scenario asked for: the part of a session's contract that its events alone don't tell."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from loadtest.config.keys.caller import QUIET_DBFS
from loadtest.config.keys.scenario import Ignore, Scenario, Waive
from loadtest.config.keys.session_object import announces_calls, table
from loadtest.config.lint import OPENAI_LIMIT_S, findings
from loadtest.criteria.rules_by_engine import unjudged
from loadtest.criteria.statements import RULES, Group
from loadtest.text.mistyped import did_you_mean

_LEAVES: Final = frozenset({"TD-1", "TD-1b", "TD-3", "TD-7", "TD-9", "TD-10"})
"""Rules whose breach leaves something behind that goes on, and costs."""
_SECURITY: Final = frozenset({"TD-11", "TR-7"})
_QUICKEST: Final = 1.5
"""The highest speed that OpenAI gives a voice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Of one scenario. `quiet_noise`: every `ignore` turn makes a noise that no detector should take for speech.
    `lint`: by rule, what its settings break already today."""

    transcribes: bool
    forces_tool: bool
    has_tools: bool
    quiet_noise: bool
    absence_s: float
    max_duration_s: float
    openai_limit_s: float = OPENAI_LIMIT_S
    """How long OpenAI lets a session last."""
    lint: dict[str, str]
    engine: str | None = "openai-realtime"
    by_backend: bool = False
    unjudged: Mapping[str, str] = field(default_factory=dict)
    """Rule → why these sessions say nothing about it."""
    waived: Mapping[str, str] = field(default_factory=dict)
    """Rule → why a breach in these sessions is accepted."""
    quiet_caller: bool = True
    """Nothing but what a turn says is loud enough at the caller's to be taken for speech."""
    announces_calls: bool = False
    """Whether the model may speak before it calls a tool."""


def promise(scenario: Scenario, *, today: date, clock_scale: float = 1.0, by_backend: bool = False) -> Promise:
    """What every session of the scenario may expect. `clock_scale`: the target's timers run so many times faster.
    `by_backend`: the integrator's own endpoint makes them."""
    engine = engine_of(scenario, by_backend=by_backend)
    realtime = scenario.realtime
    noises = [turn.clip for turn in scenario.conversation.turns if isinstance(turn, Ignore)]
    return Promise(
        transcribes=bool(table(table(realtime, "audio"), "input").get("transcription")),
        forces_tool=realtime.get("tool_choice") == "required" or isinstance(realtime.get("tool_choice"), dict),
        has_tools=bool(realtime.get("tools")),
        announces_calls=announces_calls(realtime),
        quiet_noise=not _is_noisy(scenario) and all(map(_is_quiet, noises)),
        quiet_caller=not scenario.caller.is_loud,
        absence_s=scenario.session.absence_s / clock_scale,
        max_duration_s=scenario.session.duration_s / clock_scale,
        openai_limit_s=OPENAI_LIMIT_S / clock_scale,
        lint={finding.rule: finding.text for finding in reversed(findings(scenario, today=today)) if finding.breaks},
        engine=engine,
        by_backend=by_backend,
        unjudged=unjudged(engine, by_backend=by_backend),
        waived={each.rule: each.reason for each in scenario.waive},
    )


def engine_of(scenario: Scenario, *, by_backend: bool) -> str | None:
    """What answers in its rooms; None: only the integrator's endpoint knows."""
    return scenario.session.engine or (None if by_backend else "openai-realtime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the avatar of a scenario speaks. `writes_sentences`: what it says is told as sentences are written, as models
    do. `speaks_unasked`: also though nobody has said anything, after a tool's result or tired of waiting. `speed`: of
    its voice at most, 1 is the usual one."""

    writes_sentences: bool = True
    speaks_unasked: bool = False
    speed: float = 1.0


def manner(scenario: Scenario, *, by_backend: bool) -> Manner:
    """As far as the scenario says it; what an endpoint of the integrator's asks for, only it knows."""
    audio = table(scenario.realtime, "audio")
    speed = table(audio, "output").get("speed")
    is_openai = engine_of(scenario, by_backend=by_backend) == "openai-realtime"
    waits = table(table(audio, "input"), "turn_detection").get("idle_timeout_ms") is None
    return Manner(
        writes_sentences=is_openai,
        speaks_unasked=bool(scenario.realtime.get("tools")) or not waits or not is_openai,
        speed=float(speed) if speed is not None and speed > 0 else (_QUICKEST if by_backend else 1.0),
    )


def promises(
    scenarios: Iterable[Scenario], *, today: date, clock_scale: float | None = None, by_backend: bool = False
) -> dict[str, Promise]:
    """By name of the scenario."""
    scale = clock_scale or 1.0
    return {each.name: promise(each, today=today, clock_scale=scale, by_backend=by_backend) for each in scenarios}


def _is_noisy(scenario: Scenario) -> bool:
    """Something else may be heard beside what a turn says."""
    return scenario.conversation.background_dbfs is not None or scenario.caller.is_noisy


def _is_quiet(clip: str) -> bool:
    try:
        return clip.startswith("noise:") and float(clip.removeprefix("noise:")) <= QUIET_DBFS
    except ValueError:
        return False


def unwaivable(waives: Sequence[Waive]) -> list[str]:
    """A sentence for each rule that a scenario may not waive."""
    found = [problem for each in waives if (problem := _flaw_of_waiver(each.rule))]
    twice = [rule for rule, count in Counter(each.rule for each in waives).items() if count > 1]
    return [*found, *(f"waive: {rule} is waived twice" for rule in twice)]


def _flaw_of_waiver(rule: str) -> str | None:
    if rule not in RULES:
        return f"waive: unknown rule {rule!r}{did_you_mean(rule, RULES)}"
    if RULES[rule].group is Group.SECURITY or rule in _SECURITY:
        return f"waive: {rule} can't be waived: it keeps secrets and sessions from strangers"
    if rule in _LEAVES:
        return f"waive: {rule} can't be waived: its breach leaves something behind"
    return None
