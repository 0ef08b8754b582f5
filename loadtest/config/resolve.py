"""Where settings come from: default < TOML < environment < option; every problem is reported at once."""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from loadtest.arrivals.schedule import read_trace
from loadtest.config.access.guard import LIVE_AVATURN, LIVE_OPENAI, endpoints_of, guard
from loadtest.config.access.scrapers import check_scrapers
from loadtest.config.access.trust import check_trust
from loadtest.config.environment import PREFIX
from loadtest.config.keys.backend import BackendTarget
from loadtest.config.keys.session_object import completed
from loadtest.config.keys.workload import Load
from loadtest.config.settings import Settings
from loadtest.config.variables import as_written, value_of, variables_of
from loadtest.config.written.places import Written
from loadtest.config.written.unused import unused
from loadtest.criteria.slo import parse_slos
from loadtest.errors.exceptions import ConfigError
from loadtest.prices.table import over
from loadtest.text import toml_text
from loadtest.text.durations import parse_s
from loadtest.text.mistyped import did_you_mean

_OF_SCENARIOS: Final = ("secret", "session", "realtime", "conversation", "caller")


def resolve(
    toml_path: Path | None,
    options: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
    *,
    tell: Callable[[str], object] = str,
) -> Settings:
    """The settings of a run. `options` maps dotted names ("load.users") to what the command line gave; `tell` gets a
    sentence for each of the file's that had to give way.

    Raises ConfigError with one sentence per problem; nothing has been started by then.
    """
    tree = _read_scenario(toml_path) if toml_path is not None else {}
    if toml_path is not None and not tree:
        raise ConfigError(f"{toml_path}: is empty; `avaload init NAME` writes a scenario, without one the default runs")
    of_file = Written(toml_path, (), mix=())
    if problem := _two_models(tree.get("load"), origin="load"):
        raise ConfigError(of_file.at(problem))
    of_its_own = _length_of(tree.get("load"))
    variables = variables_of(environ)
    for setting, name in variables.items():
        keys = as_written(setting.split("."), tree)
        _put(tree, keys, value_of(setting, environ[name], name=name), origin=name)
    _choose_model(tree, variables, origin="environment")
    if isinstance(tree.get("tags"), dict):
        tree["tags"] = _flat(tree["tags"])
    for name, value in options.items():
        if name == "cost.prices" and isinstance(cost := tree.get("cost"), dict) and isinstance(value, Mapping):
            value = over(value, cost.get("prices"))
        # A tag's own name may have dots.
        _put(tree, name.split(".", 1 if name.startswith("tags.") else -1), value, origin=f"option for {name}")
    _choose_model(tree, options, origin="options")
    elsewhere = {*options, *variables}
    _tell_length(tree.get("load"), of_its_own, tell)
    _shorten(tree.get("load"), elsewhere, tell)
    _read_trace(tree.get("load"), toml_path, elsewhere)
    if "mix" in tree:
        _refuse_unused(tree)
    tree["realtime"] = completed(tree.get("realtime", {}))
    _leave_unspoken(tree)
    mixed: list[Path] = []
    if "mix" in tree:
        try:
            tree["mix"], mixed = _read_mix(tree["mix"], toml_path)
        except ConfigError as error:
            raise ConfigError([of_file.at(problem) for problem in error.problems]) from error
    written = Written(toml_path, elsewhere, mix=mixed)
    try:
        settings = Settings.model_validate(tree)
        parse_slos(list(settings.slo), scenarios=[scenario.name for scenario in settings.scenarios])
    except ValidationError as error:
        raise ConfigError([line for item in error.errors() for line in written.sentences(item)]) from error
    except ConfigError as error:
        raise ConfigError([written.at(problem) for problem in error.problems]) from error
    if useless := unused(tree, settings, elsewhere):
        raise ConfigError([line for item in useless for line in written.sentences(item)])
    if settings.target.live and settings.target.avaturn_base_url is None:
        settings = settings.with_endpoints(openai_base_url=LIVE_OPENAI, avaturn_base_url=LIVE_AVATURN)
    guard(settings, environ)
    if settings.target.ca_file is not None or any(url.startswith("https:") for url in endpoints_of(settings)):
        check_trust(settings.target.ca_file, environ)
    check_scrapers(settings.output, environ)
    return settings


def _two_models(load: Any, *, origin: str) -> str | None:
    """A closed population, open arrivals or stages, not two of them in one place."""
    if not isinstance(load, dict) or "users" not in load:
        return None
    if "rate" in load or "trace" in load:
        return f"{origin}: users is a closed population, rate and trace are open arrivals: give one of them"
    if load.get("stages"):
        return f"{origin}: each of the stages has users of its own: leave users out"
    return None


def _choose_model(tree: dict[str, Any], options: Mapping[str, Any], *, origin: str) -> None:
    """What the command line, or the environment, says of the model of load puts aside what the scenario says of it."""
    given = {name.removeprefix("load."): value for name, value in options.items() if name.startswith("load.")}
    if problem := _two_models(given, origin=origin):
        raise ConfigError(problem)
    load = tree.get("load")
    if not isinstance(load, dict) or not given.keys() & {"users", "rate"}:
        return
    for name in ("users", "rate", "stages", "trace"):
        if name not in given and (name != "users" or "rate" in given):
            load.pop(name, None)
    if "rate" not in given:
        for name in ("arrivals", "peak"):
            if name not in given:
                load.pop(name, None)


def _length_of(load: Any) -> str | None:
    """What of it says how long the run is, as the subject of a sentence, where duration doesn't."""
    said = {"stages": "stages are", "trace": "the trace is"}
    return next((said[key] for key in said if isinstance(load, dict) and load.get(key)), None)


def _tell_length(load: Any, of_file: str | None, tell: Callable[[str], object]) -> None:
    """Who chooses another load than the file's stages or its trace hears how long it then goes on."""
    if of_file is not None and _length_of(load) is None and "duration" not in load:
        default_s = Load.model_fields["duration"].default
        tell(f"{of_file} put aside: the run lasts {default_s:g} s; say --duration")


def _shorten(load: Any, elsewhere: Collection[str], tell: Callable[[str], object]) -> None:
    """A scenario that is tried for shorter than it says keeps something to judge: its ramp and its warm-up give way. So
    does its pacing: each user is to have a session."""
    if not isinstance(load, dict) or "load.duration" not in elsewhere:
        return
    for key in ("ramp", "warm_up", "pacing"):
        if key not in load or f"load.{key}" in elsewhere:
            continue
        try:
            asked_s, duration_s = parse_s(load[key]), parse_s(load["duration"])
        except ValueError:
            return  # said by the fields themselves
        if asked_s >= duration_s > 0:
            load[key] = duration_s / 2
            tell(f"{key} is {load[key]:g} s, not {asked_s:g} s: the run lasts {duration_s:g} s")


def _read_trace(load: Any, toml_path: Path | None, elsewhere: Collection[str]) -> None:
    """A trace is named by its file, relative to the scenario's that names it; the processes of the run get its
    numbers."""
    if not isinstance(load, dict) or not isinstance(load.get("trace"), str):
        return
    folder = toml_path.parent if toml_path is not None and "load.trace" not in elsewhere else Path()
    path = folder / load["trace"]
    try:
        load["trace"] = read_trace(path)
    except OSError as error:
        raise ConfigError(f"load.trace: {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"load.trace: {path}: {error}") from error


def backend_of(path: Path) -> BackendTarget:
    """A scenario's `[target.backend]`. Raises ConfigError."""
    target = _read_scenario(path).get("target")
    tree = target.get("backend") if isinstance(target, dict) else None
    try:
        return BackendTarget.model_validate(tree)
    except ValidationError as error:
        written = Written(path, (), mix=())
        raise ConfigError(
            [line for item in error.errors() for line in written.sentences(item, ("target", "backend"))]
        ) from None


def _read_toml(path: Path) -> dict[str, Any]:
    def instead() -> str:
        beside = [file.name for file in path.parent.glob("*.toml")]
        return did_you_mean(path.name, beside) or "; `avaload init NAME` writes one"

    return toml_text.read(path, where=instead)[0]


def _read_scenario(path: Path) -> dict[str, Any]:
    """Clips that lie beside the scenario's file are found there, wherever the command was started."""
    tree = _read_toml(path)
    target = tree.get("target")
    if isinstance(target, dict) and target.get("live", False) is not False:
        raise ConfigError(
            f"{path}: target.live: whether a run may leave this machine is said by whoever starts it: --live, or"
            f" {PREFIX}TARGET__LIVE=true in the environment; not by a file"
        )
    conversation = tree.get("conversation")
    turns = conversation.get("turns") if isinstance(conversation, dict) else None
    for turn in turns if isinstance(turns, list) else ():
        clip = turn.get("clip") if isinstance(turn, dict) else None
        if isinstance(clip, str) and clip and (path.parent / clip).exists():
            turn["clip"] = str(path.parent / clip)
    caller = tree.get("caller")
    noise = caller.get("noise") if isinstance(caller, dict) else None
    if isinstance(caller, dict) and isinstance(noise, str) and noise and (path.parent / noise).is_file():
        caller["noise"] = str(path.parent / noise)
    return tree


def _refuse_unused(tree: Mapping[str, Any]) -> None:
    """What makes a session is its scenario's: what else says it would say it to nobody."""
    unused = [
        f"{part}: belongs into the scenarios of the mix; here it is used by no session"
        for part in _OF_SCENARIOS
        if part in tree
    ]
    if unused:
        raise ConfigError(unused)


def _read_mix(entries: Any, toml_path: Path | None) -> tuple[list[dict[str, Any]], list[Path]]:
    """`[[mix]]` tables with their files read, and those files. Of a file only what makes a session counts; load and
    target are the run's."""
    if not entries or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError("mix: [[mix]] tables are needed")
    folder = toml_path.parent if toml_path is not None else Path()
    scenarios: list[dict[str, Any]] = []
    for number, entry in enumerate(entries, start=1):
        if set(entry) - {"scenario", "weight"} or not isinstance(entry.get("scenario"), str):
            raise ConfigError(f"mix[{number}]: scenario (a file) and weight are needed, nothing else")
        tree = _read_sort(folder / entry["scenario"])
        taken: dict[str, Any] = {
            key: tree[key] for key in (*_OF_SCENARIOS, "waive") if key in tree and key != "realtime"
        }
        _leave_unspoken(taken)
        realtime = completed(tree.get("realtime", {}))
        name = tree.get("name", Path(entry["scenario"]).stem)
        scenarios.append({"name": name, "weight": entry.get("weight", 1.0), "realtime": realtime, **taken})
    names = [scenario["name"] for scenario in scenarios]
    if any(names.count(name) > 1 for name in names):
        raise ConfigError("mix: two scenarios have the same name")
    return scenarios, [folder / entry["scenario"] for entry in entries]


def _read_sort(path: Path) -> dict[str, Any]:
    """A scenario that a mix names. What is a run's may stand in it; what nobody knows would be missed in the report."""
    tree = _read_scenario(path)
    if not tree:
        raise ConfigError(f"{path}: is empty; `avaload init NAME` writes a scenario")
    written = Written(path, (), mix=())
    unknown = [key for key in tree if key not in Settings.model_fields]
    problems = [line for key in unknown for line in written.sentences({"type": "extra_forbidden", "loc": (key,)})]
    if "mix" in tree:
        problems.append(written.at("mix: a scenario of a mix is one sort of session; name those of this one instead"))
    if problems:
        raise ConfigError(problems)
    return tree


def _leave_unspoken(tree: dict[str, Any]) -> None:
    """Nobody speaks to an engine that hears nothing, unless the scenario says what is to happen."""
    session, conversation = tree.get("session"), tree.setdefault("conversation", {})
    if isinstance(session, dict) and session.get("engine") == "text-echo" and isinstance(conversation, dict):
        conversation.setdefault("turns", [{"kind": "pause", "for_s": 5}])


def _put(tree: dict[str, Any], keys: list[str], value: Any, *, origin: str) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{origin}: {key} is not a section")
    tree[keys[-1]] = value


def _flat(tags: dict[str, Any]) -> dict[str, Any]:
    """To TOML `app.version` is a table in a table; as a tag it is a name."""
    flat: dict[str, Any] = {}
    for name, value in tags.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{rest}": inner for rest, inner in _flat(value).items()}
        else:
            flat[name] = value
    return flat
