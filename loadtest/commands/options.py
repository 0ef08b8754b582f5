"""Options that are settings: how a command takes them, and what it is told with them.

A command adds what it needs to its parser; `settings_of` makes settings of what was given.
"""

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from loadtest.commands.printing import complain
from loadtest.config.keys.scenario import DurationS, Section, sections
from loadtest.config.resolve import resolve
from loadtest.config.sendable import host_name
from loadtest.config.settings import Settings
from loadtest.criteria.slo import load_slos
from loadtest.errors.exceptions import ConfigError
from loadtest.prices.table import read as read_prices
from loadtest.text.durations import in_words


class Option(NamedTuple):
    """An option that is a setting; `placeholder` of its value, where the setting has no list of values."""

    flag: str
    setting: str
    placeholder: str = ""


OF_RUNS: Final[tuple[Option, ...]] = (
    Option("--users", "load.users", "N"),
    Option("--rate", "load.rate", "R"),
    Option("--arrivals", "load.arrivals"),
    Option("--trace", "load.trace", "FILE"),
    Option("--max-lateness", "load.max_lateness", "T"),
    Option("--max-users", "load.max_users", "N"),
    Option("--warm-up", "load.warm_up", "T"),
    Option("--duration", "load.duration", "T"),
    Option("--ramp", "load.ramp", "T"),
    Option("--graceful-stop", "load.graceful_stop", "T"),
    Option("--pacing", "load.pacing", "T"),
    Option("--processes", "load.processes", "N"),
    Option("--max-wait", "distribution.max_wait", "T"),
    Option("--probes", "probes.share", "SHARE"),
    Option("--seed", "load.seed", "N"),
    Option("--openai-base-url", "target.openai_base_url", "URL"),
    Option("--avaturn-base-url", "target.avaturn_base_url", "URL"),
    Option("--backend-url", "target.backend.url", "URL"),
    Option("--twin-set", "target.twin_set", "KEY=VALUE"),
    Option("--clock-scale", "target.clock_scale", "X"),
    Option("--room", "target.room"),
    Option("--http", "target.http"),
    Option("--max-sessions", "target.max_sessions", "N"),
    Option("--max-active", "target.max_active", "N"),
    Option("--proxy", "target.proxy", "URL"),
    Option("--ca-file", "target.ca_file", "FILE"),
    Option("--run-dir", "output.run_dir", "DIR"),
    Option("--permissions", "output.permissions"),
    Option("--metrics-port", "output.metrics_port", "N|off"),
    Option("--metrics-host", "output.metrics_host", "ADDRESS"),
    Option("--metrics-linger", "output.metrics_linger", "T"),
    Option("--metrics-cert", "output.metrics_cert", "FILE"),
    Option("--metrics-key", "output.metrics_key", "FILE"),
    Option("--metrics-user", "output.metrics_user", "NAME"),
    Option("--otlp-endpoint", "output.otlp_endpoint", "URL"),
    Option("--otlp-metrics", "output.otlp_metrics", "URL"),
    Option("--trace-share", "output.trace_share", "SHARE"),
    Option("--trace-url", "output.trace_url", "TEMPLATE"),
    Option("--grafana-url", "output.grafana_url", "TEMPLATE"),
    Option("--keep-audio", "output.keep_audio"),
    Option("--baseline", "output.baseline", "RUN_DIR"),
    Option("--served-as", "output.served_as", "NAME,…"),
    Option("--web-port", "output.web_port", "N"),
    Option("--budget", "cost.budget", "USD"),
)
LIVE: Final = "AVALOAD_TARGET__LIVE"
OF_MASTERS: Final[tuple[Option, ...]] = (
    Option("--master-bind-host", "distribution.bind_host", "ADDRESS"),
    Option("--master-bind-port", "distribution.bind_port", "N"),
    Option("--token-file", "distribution.token_file", "FILE"),
    Option("--worker-disk-mib", "distribution.worker_disk_mib", "N"),
)
OF_SEARCHES: Final[tuple[Option, ...]] = (
    Option("--by", "capacity.by"),
    Option("--start", "capacity.start", "N"),
    Option("--most", "capacity.most", "N"),
    Option("--stage", "capacity.stage", "T"),
    Option("--settle", "capacity.settle", "T"),
    Option("--sustain", "capacity.sustain", "T"),
    Option("--precision", "capacity.precision", "SHARE"),
    Option("--give-up", "capacity.give_up", "T"),
)


def add_scenario(parser: argparse.ArgumentParser) -> None:
    """What sessions do, and what is expected of them."""
    parser.add_argument("scenario", nargs="?", type=Path, metavar="SCENARIO.toml", help="what sessions do")
    add_slo(parser)


def add_slo(parser: argparse.ArgumentParser) -> None:
    """Objectives of their own."""
    parser.add_argument(
        "--slo", type=Path, metavar="FILE", help="the [[slo]] tables of this TOML file, a scenario or not, instead"
    )


def add_prices(parser: argparse._ActionsContainer) -> None:
    """A table of their own."""
    parser.add_argument("--prices", type=Path, metavar="FILE", help="price table (TOML) of your own, over ours")


def add_settings(
    parser: argparse.ArgumentParser,
    options: Iterable[Option],
    *,
    prints: str = "report.json",
    quietly: str = "the verdict",
) -> dict[str, argparse._ArgumentGroup]:
    """These, and what every sort of run can be told; in groups, by the sections of their settings. What each is for and
    its default are said by its setting. `prints`: what --json does; `quietly`: what is said with --quiet."""
    parser.add_argument("--json", action="store_true", help=f"print {prints} on stdout")
    parser.add_argument(
        "--tag", action="append", default=[], metavar="KEY=VALUE", help="build, environment …; repeatable"
    )
    parser.add_argument("--quiet", action="store_true", help=f"say nothing while it runs, and only {quietly} then")
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options:
        section = option.setting.partition(".")[0]
        if section not in groups:
            groups[section] = parser.add_argument_group(section, field_of(section).description)
        field = field_of(option.setting)
        groups[section].add_argument(
            option.flag,
            dest=option.setting,
            metavar=option.placeholder or "|".join(_values(field)),
            help=_help(field),
            default=argparse.SUPPRESS,
            action="append" if field.annotation == tuple[str, ...] else "store",
        )
    add_switch(groups["target"], "--live", "target.live")
    add_switch(groups["target"], "--no-check", "target.check")
    add_prices(groups["cost"])
    return groups


def add_switch(group: argparse._ActionsContainer, flag: str, setting: str) -> None:
    """An option without a value: it says true, or --no-… false."""
    field, says_no = field_of(setting), flag.startswith("--no-")
    group.add_argument(
        flag,
        dest=setting,
        action="store_const",
        const=not says_no,
        default=argparse.SUPPRESS,
        help=f"don't {field.description}" if says_no else _help(field),
    )


def field_of(setting: str) -> FieldInfo:
    """What settings say of themselves."""
    *tables, key = setting.split(".")
    section: type[Section] = Settings
    for table in tables:
        (section,) = sections(section.model_fields[table])
    return section.model_fields[key]


def _values(field: FieldInfo) -> list[str]:
    return [value for part in (field.annotation, *get_args(field.annotation)) for value in get_args(part)]


def _help(field: FieldInfo) -> str:
    text, default = field.description or "", field.default
    if default not in (None, False, 0, ()) and not field.is_required():
        if get_args(DurationS)[1] in field.metadata:
            default = in_words(default)
        text += f" (default {default:g})" if isinstance(default, float) else f" (default {default})"
    return text.replace("%", "%%")


def add_permission(parser: argparse.ArgumentParser) -> None:
    """Whom a command that reads a run directory may contact."""
    parser.add_argument(
        "--live",
        action="store_true",
        help="allow what is not on this machine; a run directory's word doesn't count",
    )
    parser.add_argument(
        "--allow-host",
        type=allowed_host,
        action="append",
        default=[],
        metavar="HOST",
        help="with --live: may be contacted, and told a key; repeatable",
    )


def allowed_host(given: str) -> str:
    """A host as `--allow-host` names it. Raises ConfigError."""
    try:
        return host_name(given)
    except ValueError as error:
        raise ConfigError(f"--allow-host: {error}") from error


def as_checked(flag: str, setting: str, given: Any) -> Any:
    """What a command was given, as that setting would be taken: a URL with a password in it would end up in what is
    printed. Raises ConfigError."""
    section, _, key = setting.partition(".")
    (model,) = sections(Settings.model_fields[section])
    try:
        return getattr(model.model_validate({key: given}), key)
    except ValidationError as error:
        problems = [f"{flag}: {item['msg'].removeprefix('Value error, ')}" for item in error.errors()]
        raise ConfigError(problems) from error


def is_live(arguments: argparse.Namespace) -> bool:
    """Whether the operator said so, there or in the environment."""
    return bool(arguments.live) or os.environ.get(LIVE, "").lower() in ("1", "true", "yes", "on")


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as options, by their dotted names."""
    return {name: value for name, value in vars(arguments).items() if "." in name}


def settings_of(
    arguments: argparse.Namespace, *, scenario: Path | None = None, besides: Mapping[str, Any] | None = None
) -> Settings:
    """All input of a run, checked; options win over the environment, that over the scenario. `besides`: settings that
    the command itself decides, by their dotted names. Raises ConfigError."""
    options = given(arguments)
    for tag in getattr(arguments, "tag", ()):
        key, separator, value = tag.partition("=")
        if not separator or not key:
            raise ConfigError(f"--tag {tag}: KEY=VALUE is needed")
        options[f"tags.{key}"] = value
    if getattr(arguments, "slo", None) is not None:
        options["slo"] = [slo.table() for slo in load_slos(arguments.slo, beside=Settings.model_fields)]
    if getattr(arguments, "prices", None) is not None:
        options["cost.prices"] = read_prices(arguments.prices)

    def tell(sentence: str) -> None:
        complain(f"warning: {sentence}")

    settings = resolve(scenario, options | dict(besides or {}), tell=tell)
    if flaws := arguments.flaws_of_knobs(settings.target.twin_set):
        raise ConfigError([f"target.twin_set: {flaw}" for flaw in flaws])
    return settings


def without_search(settings: Settings) -> Settings:
    """What a scenario says about the search for the limit is for the search alone."""
    return settings.model_copy(update={"capacity": None})


def as_option(problem: str, given: Mapping[str, Any]) -> str:
    """The problem of a setting, said of the option with which the operator gave it."""
    setting, _, what = problem.partition(": ")
    if setting == "load.processes" and given.get("expect_workers") is not None:
        return f"--expect-workers: {what}"
    if setting in given:
        options = (*OF_RUNS, *OF_MASTERS, *OF_SEARCHES)
        return next((f"{option.flag}: {what}" for option in options if option.setting == setting), problem)
    return problem
