"""What a comparison needs of a run: its samples of the steady part, its failures, its rules, how healthy it was; and
whether two runs may be compared at all."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from loadtest import journal
from loadtest.config.run_dir import Written, below_here
from loadtest.config.settings import Settings
from loadtest.events.errors import ConfigError, HarnessError
from loadtest.events.kinds import STEPS, RuleOutcome
from loadtest.system import disk
from reports.data import frames, run_settings
from reports.data.frames import Run
from reports.sections import generator, sessions
from reports.verdict import gates
from reports.verdict.samples import Samples, samples, steady_ns, within

HEARD: Final = ("turn.time_to_first_audio", "turn.barge_in")
MEASURES: Final = (*(step.value for step in STEPS), *HEARD)
FAILING: Final = (*(step.value for step in STEPS), "turn", "session")

_FREE_OF_LOAD: Final = ("duration", "ramp", "graceful_stop", "processes", "seed", "max_lateness", "max_users")
"""Of [load], what may differ between runs that are compared; the rest decides how busy the target is."""
_OTHER: Final = ("git_revision", "versions", "host", "embedded_twin", "tags")
_FIRST_DEFAULTS: Final = {
    "realtime": {"model": "gpt-realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
}
"""Of the versions that didn't write theirs down, those that have changed since."""
_SEARCH: Final = "a search for the limit, whose figures are of many levels"
_IN_A_MIX: Final = re.compile(r"^mix\.[^.]+\.(?=realtime\.|session\.|secret\.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run. `samples`: by measure, of the steady part. `failing`: by FAILING, (failed, judged). `failures`: how many
    by "step: kind/code". `rules`: outcome by id. `own_s`: what our own event loop and connections add to a time, on
    average; of a generator that was suspect, how late its loop was at worst (p99)."""

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
    """A run from its directory. Raises JournalError or ConfigError, one line."""
    written = run_settings.read(run_dir)
    run = frames.load(run_dir)
    if run.being_written:
        raise ConfigError(f"{run_dir}: the run is still being written")
    load_only = run.load_only()
    return measured(
        load_only, written, name=_shown(run_dir), health=generator.section(load_only), rules=_rules(run_dir)
    )


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
        own_s=(float(np.mean(own_ns)) / 1e9 if len(own_ns) else 0.0)
        + (float(health["engine_lag_p99_s"] or 0) if health["outcome"] != "valid" else 0.0),
        samples={measure: steady(measure) for measure in MEASURES},
        failing={what: (int(found.values.sum()), len(found)) for what, found in bad.items()},
        failures={
            f"{row['step']}: {row['kind']}/{row['code']}": max(row["sessions"], row["steps"])
            for row in sessions.failures(run)
        },
        rules={str(rule["id"]): str(rule["outcome"]) for rule in rules},
    )


def incomparable(base: Sequence[Measured], new: Sequence[Measured]) -> list[str]:
    """Why nothing can be said about a change, in sentences; empty where the runs may be compared."""
    because = []
    for run in (*base, *new):
        if run.generator == "invalid":
            because.append(f"{run.name}: its generator was invalid: {'; '.join(run.generator_why)}")
        if not run.sessions:
            because.append(f"{run.name}: holds no session")
        if _is_search(run.written.settings):
            because.append(f"{run.name}: {_SEARCH}")
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


def other_plan(base: Settings | None, new: Settings | None) -> list[str]:
    """What differs in what sessions do and in how many there are at once, a line each. A room that is `auto` is not
    known before the target has said which it is."""
    if base is None or new is None:
        return []
    changes = [(key, old, now) for key, old, now in _changes(_plan(base), _plan(new)) if "auto" not in (old, now)]
    return [
        f"{key} is {_word(now)}, {'and was not set' if old is None else f'not {_word(old)}'}"
        for key, old, now in changes
    ]


def differences(base: Written, new: Written) -> list[dict[str, Any]]:
    """Settings that differ and may be the change that is looked for: rows of key, base, new, and whether each side has
    the default of the version that ran it."""
    defaults = [_flat(written.defaults or _FIRST_DEFAULTS) for written in (base, new)]
    return [
        {
            "key": key,
            "base": _word(old),
            "new": _word(now),
            "default_changed": [each.get(_IN_A_MIX.sub("", key)) for each in defaults] == [old, now],
        }
        for key, old, now in _changes(_free(base), _free(new))
    ]


def check_baseline(run_dir: Path, *, plan: Settings | None = None) -> None:
    """Raises ConfigError unless the directory holds a run that one with these settings can be held against.

    `plan`: the settings of the run to come (None: not known yet). Reads no journal: it is asked before a
    run is started.
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
    problems = other_plan(written.settings, plan)
    if written.name not in (None, plan.name):
        problems.insert(0, f"scenario is {plan.name}, not {written.name}")
    if problems:
        raise ConfigError([f"--baseline {run_dir}: not comparable: {problem}" for problem in problems])


def _is_search(settings: Settings | None) -> bool:
    return settings is not None and settings.capacity is not None


def _shown(run_dir: Path) -> str:
    """As it was given, if it is below here; else its last two parts: a page tells nobody where a home is."""
    return below_here(run_dir) or "/".join(run_dir.resolve().parts[-2:])


def _rules(run_dir: Path) -> list[dict[str, Any]]:
    """As the run's own report judged them; none where there is no report."""
    try:
        rules = disk.read_object(run_dir / "report.json").get("rules", [])
    except (OSError, ValueError):
        return []
    known = [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []
    return [rule for rule in known if isinstance(rule.get("id"), str) and rule.get("outcome") in list(RuleOutcome)]


def _plan(settings: Settings) -> dict[str, Any]:
    return {
        "load": settings.load.model_dump(mode="json", exclude=set(_FREE_OF_LOAD)),
        **_of_sessions(settings, "weight", "conversation", "caller"),
        "probes": {"share": settings.probes.share},
        "target": {"room": settings.target.room, "http": settings.target.http},
    }


def _of_sessions(settings: Settings, *keys: str) -> dict[str, Any]:
    """What sessions are made of: of a mix its scenarios' by name, since the run's own sections are then nobody's."""
    kept = set(keys)
    if settings.mix:
        return {"mix": {each.name: each.model_dump(mode="json", include=kept) for each in settings.mix}}
    return settings.model_dump(mode="json", include=kept)


def _free(written: Written) -> dict[str, Any]:
    """All settings but those of the plan, and but those that are of this one run."""
    kept: dict[str, Any] = {}
    if (settings := written.settings) is not None:
        of_run = {"room", "http", *(("openai_base_url", "avaturn_base_url") if written.embedded_twin else ())}
        kept = _of_sessions(settings, "secret", "session", "realtime")
        kept["load"] = settings.load.model_dump(mode="json", include=set(_FREE_OF_LOAD))
        kept["probes"] = settings.probes.model_dump(mode="json", exclude={"share", "once"})
        kept["target"] = settings.target.model_dump(mode="json", exclude=of_run)
    return kept | {key: getattr(written, key) for key in _OTHER}


def _changes(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    flat = [_flat(side) for side in (base, new)]
    keys = dict.fromkeys((*flat[0], *flat[1]))
    return [(key, flat[0].get(key), flat[1].get(key)) for key in keys if flat[0].get(key) != flat[1].get(key)]


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(tree, Mapping):
        return {
            key: value
            for name, branch in tree.items()
            for key, value in _flat(branch, f"{prefix}.{name}" if prefix else str(name)).items()
        }
    return {prefix: tree} if tree not in (None, "", [], ()) else {}


def _word(value: Any) -> str:
    text = "not set" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
