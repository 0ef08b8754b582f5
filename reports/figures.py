"""report.json as an object: attributes are named as its keys. Times in seconds, rates as shares; None: not observed.

Only what is promised has an attribute; report.json holds more. docs/python.md shows it in use.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec


class _Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that have no attribute here are passed over."""


class Quantiles(_Figures, frozen=True, kw_only=True):
    """Of how many samples, and their quantiles in seconds."""

    count: int = 0
    p50_s: float | None = None
    p90_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    max_s: float | None = None


class Verdict(_Figures, frozen=True, kw_only=True):
    """outcome: pass | fail | invalid. reasons: sentences, the worst first."""

    outcome: str
    exit_code: int
    reasons: list[str]


class Sessions(_Figures, frozen=True, kw_only=True):
    """How many load sessions there were, and what they left behind: leaked for certain, doubtful, unconfirmed."""

    started: int
    completed: int
    failed: int
    cancelled: int
    censored: int
    dropped: int
    leaked: int
    doubtful: int
    unconfirmed: int
    peak_active: int
    failed_rate: float | None = None
    setup: Quantiles = Quantiles()


class Step(Quantiles, frozen=True, kw_only=True):
    """One step of all sessions. failures: how many of each kind."""

    failed: int = 0
    failures: dict[str, int] = {}


class Rate(_Figures, frozen=True, kw_only=True):
    """Of how many turns, in how many it was so, and the share of those."""

    of: int = 0
    count: int = 0
    rate: float | None = None
    per_minute: float | None = None


class Taking(_Figures, frozen=True, kw_only=True, rename={"yield_": "yield"}):
    """Who spoke when."""

    response: Rate = Rate()
    premature: Rate = Rate()
    yield_: Rate = Rate()
    false_stop: Rate = Rate()
    self_interruption: Rate = Rate()
    unasked: Rate = Rate()
    cut: Rate = Rate()
    talk_over: Quantiles = Quantiles()


class Turns(_Figures, frozen=True, kw_only=True):
    """What became of the turns of all conversations."""

    count: int
    failed: int
    answered_early: int
    time_to_first_audio: Quantiles
    barge_in: Quantiles
    dead_air: Quantiles = Quantiles()
    taking: Taking = Taking()
    failed_rate: float | None = None


class Media(_Figures, frozen=True, kw_only=True):
    """What was heard of the avatars. `gap` and `jitter` have a value per session; packet_loss is None where the rooms
    number no packets."""

    sessions: int = 0
    underruns: int = 0
    stalled_s: float = 0.0
    gap: Quantiles = Quantiles()
    jitter: Quantiles = Quantiles()
    heard_s: float | None = None
    underruns_per_minute: float | None = None
    packet_loss: float | None = None


class Rule(_Figures, frozen=True, kw_only=True):
    """One rule of the contract. outcome: pass | fail | not_tested | characterised | waived."""

    id: str
    outcome: str
    cases: int
    violations: int
    summary: str
    evidence: list[str]


class Objective(_Figures, frozen=True, kw_only=True):
    """One service level. outcome: pass | fail | not_enough_samples. `objective` is its bound."""

    name: str
    indicator: str
    outcome: str
    objective: float
    observed: float | None = None
    count: int | None = None


class Generator(_Figures, frozen=True, kw_only=True):
    """How fit avaload itself was. outcome: valid | suspect | invalid."""

    outcome: str
    invalid_because: list[str] = []
    suspect_because: list[str] = []


class Report(_Figures, frozen=True, kw_only=True):
    """A run's report. `secrets`, `teardown`, `failures` and `capacity` are as they stand in report.json."""

    run_id: str
    scenario: str
    tags: dict[str, str]
    started_at: str
    duration_s: float
    verdict: Verdict
    sessions: Sessions
    steps: dict[str, Step]
    turns: Turns
    rules: list[Rule]
    slos: list[Objective]
    generator: Generator
    secrets: dict[str, Any]
    teardown: dict[str, Any]
    failures: list[dict[str, Any]] = []
    capacity: dict[str, Any] | None = None
    media: Media = Media()
    run_dir: Path = Path()
    """Where the run's files are; not in report.json."""

    def slo(self, name: str) -> Objective:
        """The objective of that name or indicator. Raises KeyError, which lists those that there are."""
        for each in self.slos:
            if name in (each.name, each.indicator):
                return each
        raise KeyError(f"no objective {name!r}; there are: {', '.join(each.name for each in self.slos) or 'none'}")


class Comparison(_Figures, frozen=True, kw_only=True):
    """Two sets of runs. outcome: regression | no_change | improvement | not_comparable."""

    outcome: str
    exit_code: int
    regressions: list[str]
    improvements: list[str]
    notes: list[str]
    not_comparable_because: list[str]
    measures: list[dict[str, Any]]


def report_of(content: Mapping[str, Any], run_dir: Path) -> Report:
    """Of what report.json holds. Raises ValueError where it is none."""
    try:
        return msgspec.convert({**content, "run_dir": str(run_dir)}, Report, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ValueError(f"{run_dir}/report.json: {error}") from error


def comparison_of(content: Mapping[str, Any]) -> Comparison:
    """Of what compare.json holds."""
    return msgspec.convert(content, Comparison)


def _path(kind: type, value: Any) -> Any:
    return Path(value) if kind is Path else value
