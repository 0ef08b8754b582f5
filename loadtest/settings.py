"""Settings of a run: default < TOML < environment < option; every problem is reported at once (INTERFACE.md).

The live guard is here: an endpoint that is not on this machine's loopback is refused before anything is started,
unless the operator said `--live`, bounded the number of sessions, and both keys are set.
"""

import ipaddress
import json
import os
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from loadtest.errors import ConfigError
from loadtest.scenario import (
    NAME,
    Conversation,
    DurationS,
    Scenario,
    Secret,
    Section,
    SessionFields,
    default_realtime,
)
from loadtest.slo import Slo, parse_slos

KEYS = ("OPENAI_API_KEY", "AVATURN_API_KEY")
LIVE_OPENAI = "https://api.openai.com/v1"
LIVE_AVATURN = "https://api.avaturn.live"
STEP_OVERHEAD_S = 30.0
_PREFIX = "AVALOAD_"


class Load(Section):
    """How many users, when, for how long. A closed population: a user's next session follows its last one."""

    users: int = Field(20, ge=1)
    ramp: DurationS = 5.0
    duration: DurationS = Field(60.0, gt=0)
    graceful_stop: DurationS | None = None
    pacing: DurationS | None = Field(None, gt=0)
    """Start of one session to start of the next, per user, at a random phase; None: at once, after the last one."""
    processes: int = Field(1, ge=1, le=64)
    seed: int = 1


class Target(Section):
    """What is loaded, and how long each step may take."""

    openai_base_url: str | None = None
    avaturn_base_url: str | None = None
    room: Literal["auto", "websocket", "webrtc", "daily", "none"] = "auto"
    live: bool = False
    max_sessions: int | None = Field(None, ge=1)
    max_active: int | None = Field(None, ge=1)
    proxy: str | None = None
    ca_file: Path | None = None
    prove_gone: bool = True
    mint_timeout_s: DurationS = Field(10.0, gt=0)
    create_timeout_s: DurationS = Field(15.0, gt=0)
    connect_timeout_s: DurationS = Field(20.0, gt=0)
    delete_timeout_s: DurationS = Field(10.0, gt=0)
    gone_timeout_s: DurationS = Field(5.0, gt=0)

    @field_validator("openai_base_url", "avaturn_base_url", "proxy")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        try:
            port_ok = parts.port is None or parts.port > 0
        except ValueError:
            port_ok = False
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
            raise ValueError(f"{url!r} is not an http(s) URL with a host")
        if parts.username or parts.password:
            raise ValueError("a URL with a user name or password in it would end up in reports")
        return url.rstrip("/")


class Output(Section):
    """Where the run is written and who may watch."""

    run_dir: Path | None = None
    metrics_port: int | Literal["off"] = 9646
    metrics_linger: DurationS | None = None
    otlp_endpoint: str | None = None
    trace_share: float = Field(1.0, ge=0, le=1)
    keep_audio: Literal["failed", "none"] = "none"
    """Both tracks of failed turns as WAV files in the run's directory."""
    keep_transcripts: bool = False
    """Texts of transcripts in the journal; only their number is there otherwise."""
    web_port: int | None = Field(None, ge=1, le=65535)

    @field_validator("metrics_port", mode="before")
    @classmethod
    def _is_port(cls, port: Any) -> int | str:
        if port == "off":
            return "off"
        if not str(port).isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{port} is not a port (or off)")
        return int(port)

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http(s) URL with a host")
        if parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("must be like http://127.0.0.1:4318, without user, query or fragment")
        return url


class Settings(Section):
    """Everything a run was told. It holds no secret: keys come from the environment only."""

    name: str = Field("default", pattern=NAME)
    tags: dict[str, str] = Field(default_factory=dict)
    load: Load = Load()
    target: Target = Target()
    secret: Secret = Secret()
    session: SessionFields = SessionFields()
    realtime: dict[str, Any] = Field(default_factory=default_realtime)
    conversation: Conversation = Conversation()
    mix: tuple[Scenario, ...] = ()
    """Several sorts of session in one run; the four sections above are then theirs, not this one's."""
    output: Output = Output()
    slo: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if self.load.ramp > self.load.duration:
            problems.append("load: ramp is longer than duration")
        if self.load.processes > self.load.users:
            problems.append("load: more processes than users")
        if self.target.max_active is not None and self.load.users > self.target.max_active:
            problems.append(f"load: {self.load.users} users, but target.max_active is {self.target.max_active}")
        if (self.target.openai_base_url is None) != (self.target.avaturn_base_url is None):
            problems.append("target: give both openai_base_url and avaturn_base_url, or neither (the embedded twin)")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def embedded_twin(self) -> bool:
        return self.target.openai_base_url is None and not self.target.live

    @property
    def graceful_stop_s(self) -> float:
        if self.load.graceful_stop is not None:
            return self.load.graceful_stop
        longest_s = max(scenario.conversation.nominal_s() for scenario in self.scenarios)
        return (0 if self.target.room == "none" else longest_s) + STEP_OVERHEAD_S

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """What sessions are made of: the mix, or the one scenario that the settings are."""
        if self.mix:
            return self.mix
        return (
            Scenario(
                name=self.name,
                secret=self.secret,
                session=self.session,
                realtime=self.realtime,
                conversation=self.conversation,
            ),
        )

    @property
    def slos(self) -> tuple[Slo, ...]:
        return tuple(parse_slos(list(self.slo)))

    def with_endpoints(self, *, openai_base_url: str, avaturn_base_url: str) -> "Settings":
        target = self.target.model_copy(
            update={"openai_base_url": openai_base_url, "avaturn_base_url": avaturn_base_url}
        )
        return self.model_copy(update={"target": target})


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine itself. A name other than `localhost` never is: it would be resolved."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def resolve(toml_path: Path | None, options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a run. `options` maps dotted names ("load.users") to what the command line gave.

    Raises ConfigError with one sentence per problem; nothing has been started by then.
    """
    tree = _read_toml(toml_path) if toml_path is not None else {}
    for name, value in sorted(environ.items()):
        if name.startswith(_PREFIX) and "__" in name:
            _put(tree, name[len(_PREFIX) :].lower().split("__"), value, origin=name)
    for name, value in options.items():
        _put(tree, name.split("."), value, origin=f"option for {name}")
    tree["realtime"] = _deep_merge(default_realtime(), tree.get("realtime", {}))
    if "mix" in tree:
        tree["mix"] = _read_mix(tree["mix"], toml_path)
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError([line for item in error.errors() for line in _sentences(item)]) from error
    parse_slos(list(settings.slo))
    if settings.target.live and settings.target.openai_base_url is None:
        settings = settings.with_endpoints(openai_base_url=LIVE_OPENAI, avaturn_base_url=LIVE_AVATURN)
    guard(settings, environ)
    _check_ca_file(settings.target.ca_file)
    return settings


def _check_ca_file(path: Path | None) -> None:
    if path is None:
        return
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise ConfigError(f"target.ca_file: {path}: no certificates in PEM format in it") from error
    except OSError as error:
        raise ConfigError(f"target.ca_file: {path}: {error.strerror}") from error


def guard(settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """The live guard. Raises ConfigError unless everything that could be reached was allowed by the operator."""
    target = settings.target
    endpoints = [url for url in (target.openai_base_url, target.avaturn_base_url, target.proxy) if url]
    remote = [url for url in endpoints if not is_loopback(url)]
    problems = []
    if remote and not target.live:
        problems.append(f"{', '.join(remote)}: not on this machine; a run against it needs --live and --max-sessions N")
    if (remote or target.live) and target.max_sessions is None:
        problems.append("--live needs --max-sessions N: how many sessions may be created in total")
    if endpoints:
        problems += [f"{key} is not set in the environment" for key in KEYS if not environ.get(key)]
    if problems:
        raise ConfigError(problems)


def load_resolved(run_dir: Path) -> Settings:
    """The settings that a run directory was started with; for the processes of the run and for later commands."""
    try:
        written = json.loads((run_dir / "settings.json").read_text(encoding="utf-8"))
        return Settings.model_validate(written["scenario"])
    except FileNotFoundError:
        raise ConfigError(f"{run_dir}: not a run directory (no settings.json)") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{run_dir}/settings.json: {str(error).splitlines()[0]}") from error


def is_embedded(run_dir: Path) -> bool:
    """Whether the run's target was the embedded twin, which ends with the run."""
    return bool(json.loads((run_dir / "settings.json").read_text(encoding="utf-8")).get("embedded_twin"))


def read_slo_tables(path: Path) -> list[Any]:
    """The `[[slo]]` tables of a file of their own. Raises ConfigError."""
    tree = _read_toml(path)
    tables = tree.pop("slo", None)
    if not isinstance(tables, list) or tree:
        raise ConfigError(f"{path}: an SLO file holds [[slo]] tables and nothing else")
    return tables


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def _read_mix(entries: Any, toml_path: Path | None) -> list[dict[str, Any]]:
    """`[[mix]]` tables with their files read. Of a file only what makes a session counts; load and target are the
    run's."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError("mix: [[mix]] tables are needed")
    folder = toml_path.parent if toml_path is not None else Path()
    scenarios: list[dict[str, Any]] = []
    for number, entry in enumerate(entries):
        if set(entry) - {"scenario", "weight"} or not isinstance(entry.get("scenario"), str):
            raise ConfigError(f"mix.{number}: scenario (a file) and weight are needed, nothing else")
        tree = _read_toml(folder / entry["scenario"])
        taken: dict[str, Any] = {key: tree[key] for key in ("secret", "session", "conversation") if key in tree}
        realtime = _deep_merge(default_realtime(), tree.get("realtime", {}))
        name = tree.get("name", Path(entry["scenario"]).stem)
        scenarios.append({"name": name, "weight": entry.get("weight", 1.0), "realtime": realtime, **taken})
    names = [scenario["name"] for scenario in scenarios]
    if len(set(names)) < len(names):
        raise ConfigError("mix: two scenarios have the same name")
    return scenarios


def _put(tree: dict[str, Any], keys: list[str], value: Any, *, origin: str) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{origin}: {key} is not a section")
    tree[keys[-1]] = value


def _deep_merge(base: dict[str, Any], over: Any) -> Any:
    """`over` wins; tables are merged key by key, so that a scenario may set one field of the mint alone."""
    if not isinstance(over, dict):
        return over
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _deep_merge(base[key], value) if isinstance(base.get(key), dict) else value
    return merged


def _sentences(item: Any) -> list[str]:
    """One pydantic error as sentences. A value is never quoted: it might be a secret in the wrong place."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return [f"{where}: unknown key"]
    message = item["msg"].removeprefix("Value error, ")
    return [f"{where}: {line}" if where else line for line in message.split("\n")]
