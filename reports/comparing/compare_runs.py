"""What a comparison needs of a run: its samples of the steady part, its failures, its rules, how healthy it was; and
whether two runs may be compared at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from loadtest import journal
from loadtest.config.run_dir import Written, below_here
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError, HarnessError
from loadtest.events.kinds import STEPS, Outcome
from reports.comparing.compare_settings import other_plan
from reports.data import frames, run_settings
from reports.data.beside import beside
from reports.data.frames import Run
from reports.data.measures import counts
from reports.sections import generator, hosts, sessions
from reports.verdict import gates, rules
from reports.verdict.samples import Samples, samples, steady_ns, within

HEARD: Final = ("turn.time_to_first_audio", "turn.barge_in")
MEASURES: Final = (*(step.value for step in STEPS), *HEARD)
FAILING: Final = (*(step.value for step in STEPS), "turn", "session")

_SEARCH: Final = "a search for the limit, whose figures are of many levels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run. `samples`: by measure, of the steady part. `failing`: by FAILING, (failed, judged). `failures`: how many
    by "step: kind/code". `rules`: outcome by id. `lighter`: why it was less load than was asked for, where it was;
    `unreached`: why it says nothing of its target, where it never got through to it.
    `own_s`: what our own event loop and connections add to a time, on average; of a generator that was suspect, how
    late its loop was at worst (p99)."""

    name: str
    run_id: str
    scenario: str
    started_at: str | None
    written: Written
    sessions: int
    generator: str
    generator_why: Sequence[str]
    aborted: bool
    interrupted: bool
    lighter: str | None
    unreached: str | None
    own_s: float
    samples: Mapping[str, Samples]
    failing: Mapping[str, tuple[int, int]]
    failures: Mapping[str, int]
    rules: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Unread:
    """A run that can't be read, and `because` of what."""

    name: str
    because: Sequence[str]


def load(run_dir: Path) -> Measured:
    """A run from its journals, judged as today: what its report says may be of another version. Raises JournalError or
    ConfigError, one line."""
    written = run_settings.read(run_dir)
    with beside(run_dir, rules.section, run_dir, written) as rule_rows:
        run = frames.load(run_dir)
        if run.being_written:
            raise ConfigError(f"{run_dir}: the run is still being written")
        judged_rules = rule_rows()
    load_only = run.load_only()
    files = hosts.files(run, hosts.section(run_dir), processes=run_settings.processes(written.settings))
    health = generator.section(load_only, missing=files["missing"], probed=len(run.sessions) > len(load_only.sessions))
    return measured(load_only, written, name=_shown(run_dir), health=health, rules=judged_rules)


def unread(run_dir: Path, error: HarnessError) -> Unread:
    """For pages, that of `error` which `load` or `check_baseline` raised."""
    name = _shown(run_dir)
    problems = error.problems if isinstance(error, ConfigError) else [str(error)]
    return Unread(name, [problem.replace(str(run_dir), name) for problem in problems])


def measured(
    run: Run, written: Written, *, name: str, health: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]
) -> Measured:
    """The same from frames that are in memory. `run` is the load sessions alone; `health` and `rules` as in
    report.json."""
    stretches = steady_ns(run)

    def steady(measure: str) -> Samples:
        """In the order in which their sessions began: in that of their ends the slow ones of a run's last seconds would
        stand together, as if the target had become slow."""
        found = samples(run, measure)
        found = found.where(within(found.t_ns, stretches))
        began_ns = run.sessions["started_ns"].reindex(found.sessions).fillna(0).to_numpy(dtype=np.int64)
        return found.where(np.argsort(began_ns, kind="stable"))

    failures = sessions.failures(run)
    answered = any((rows["outcome"] == Outcome.OK).any() for rows in (run.steps, run.sessions))
    bad = {what: steady(f"{what}.failed_rate") for what in FAILING}
    own_ns = run.steps[["lag_ns", "pool_wait_ns"]].astype("float64").fillna(0).sum(axis=1)
    return Measured(
        name=name,
        run_id=written.run_id or run.run_id,
        scenario=written.name or run.scenario,
        started_at=written.started_at,
        written=written,
        sessions=len(run.sessions),
        generator=str(health["outcome"]),
        generator_why=list(health["invalid_because"]),
        aborted=gates.aborted(run) is not None,
        interrupted=bool((run.files["finish"] == "interrupted").any()),
        unreached=None if answered else sessions.unreached(failures),
        lighter=sessions.lighter(len(run.sessions), counts(run.drops["reason"])),
        own_s=(float(np.mean(own_ns)) / 1e9 if len(own_ns) else 0.0)
        + (float(health["engine_lag_p99_s"] or 0) if health["outcome"] != "valid" else 0.0),
        samples={measure: steady(measure) for measure in MEASURES},
        failing={what: (int(found.values.sum()), len(found)) for what, found in bad.items()},
        failures={
            f"{row['step']}: {row['kind']}/{row['code']}": max(row["sessions"], row["steps"]) for row in failures
        },
        rules={str(rule["id"]): str(rule["outcome"]) for rule in rules},
    )


def incomparable(base: Sequence[Measured], new: Sequence[Measured]) -> list[str]:
    """Why nothing can be said about a change, in sentences; empty where the runs may be compared. A base that was less
    load than was asked for praises or blames nobody; what is worse in a new one is worse all the same."""
    because = []
    for run in (*base, *new):
        if run.generator == "invalid":
            because.append(f"{run.name}: its generator was invalid: {'; '.join(run.generator_why)}")
        if not run.sessions:
            because.append(f"{run.name}: holds no session")
        if run.unreached:
            because.append(f"{run.name}: {run.unreached}")
        if _is_search(run.written.settings):
            because.append(f"{run.name}: {_SEARCH}")
    because += [f"{run.name}: {run.lighter}" for run in base if run.lighter]
    first = base[0]
    for run in (*base[1:], *new):
        if run.scenario != first.scenario:
            because.append(f"{run.name}: scenario {run.scenario}, but {first.scenario} in {first.name}")
        because += [f"{run.name}: {line}" for line in other_plan(first.written.settings, run.written.settings)]
    return because


def check_same_way(base: Sequence[Measured], new: Sequence[Measured]) -> None:
    """Raises ConfigError where some runs went by the official clients and some did not: what these take of each time
    would be told as the target's."""
    ways = {run.name: run.written.settings.target.http for run in (*base, *new) if run.written.settings is not None}
    odd = [name for name, way in ways.items() if way != next(iter(ways.values()))]
    if odd:
        first = next(iter(ways))
        raise ConfigError(f"{odd[0]}: went by --http {ways[odd[0]]}, but {first} by {ways[first]}: not comparable")


def check_baseline(run_dir: Path, *, plan: Settings | None = None, of_load: bool = True) -> None:
    """Raises ConfigError unless the directory holds a run that one with these settings can be held against.

    `plan`: the settings of the run to come (None: not known yet); `of_load`: whether they say how much load it will be.
    Reads no journal: it is asked before a run is started.
    """
    if not journal.paths(run_dir):
        raise ConfigError(f"--baseline {journal.not_a_run(run_dir)}")
    if not journal.wait_until_closed(run_dir, timeout_s=0):
        raise ConfigError(f"--baseline {run_dir}: the run is still being written")
    written = run_settings.read(run_dir)
    if _is_search(written.settings):
        raise ConfigError(f"--baseline {run_dir}: {_SEARCH}")
    if _is_search(plan):
        raise ConfigError(f"--baseline {run_dir}: nothing is held against it by {_SEARCH}")
    if plan is None:
        return
    problems = other_plan(written.settings, plan, of_load=of_load)
    if written.name not in (None, plan.name):
        problems.insert(0, f"scenario is {plan.name}, not {written.name}")
    if problems:
        raise ConfigError([f"--baseline {run_dir}: not comparable: {problem}" for problem in problems])


def _is_search(settings: Settings | None) -> bool:
    return settings is not None and settings.capacity is not None


def _shown(run_dir: Path) -> str:
    """As it was given, if it is below here; else its last two parts: a page tells nobody where a home is."""
    return below_here(run_dir) or "/".join(run_dir.resolve().parts[-2:])
