"""What a run can be told. `resolve.py` says where it comes from, `guard.py` what may be loaded."""

import math
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self, assert_never

from pydantic import Field, field_validator, model_validator

from loadtest.config.clips.lengths import nominal_s
from loadtest.config.keys.backend import BackendTarget
from loadtest.config.keys.caller import Caller
from loadtest.config.keys.cost import Cost
from loadtest.config.keys.output import Output
from loadtest.config.keys.scenario import (
    NAME,
    Conversation,
    DurationS,
    Scenario,
    Secret,
    Section,
    SessionFields,
    Spoken,
    Waive,
)
from loadtest.config.keys.session_object import SessionObject, default_realtime
from loadtest.config.keys.workload import Capacity, Load
from loadtest.config.promise import Promise, promises, unwaivable
from loadtest.config.sendable import NO_URL, flaw_of_url
from loadtest.criteria.slo import DEFAULT_SLOS, Slo, parse_slos
from loadtest.criteria.words import plural
from loadtest.events.kinds import Step

RUNS = Path("runs")
STEP_OVERHEAD_S = 30.0
MIN_POOL = 20
SET_UP_S = 5.0
"""What a session takes beside its conversation, at most, where the pool is not given."""


class Target(Section):
    """What is loaded, and how long each step may take."""

    openai_base_url: str | None = Field(
        None, description="where secrets are minted, with /v1; without endpoints: the embedded twin"
    )
    avaturn_base_url: str | None = Field(None, description="where sessions are created and deleted, an origin")
    room: Literal["auto", "websocket", "webrtc", "daily", "none"] = Field(
        "auto", description="how rooms are joined; auto: by their URL; none: no room, no conversation"
    )
    http: Literal["official", "lean"] = Field(
        "official",
        description="by which clients services are called: the official ones, as integrators do; or lean:"
        " the same calls without them, for more load from a core",
    )
    live: bool = Field(
        False, description="allow what is not on this machine; needs max_sessions; said by --live alone, not by a file"
    )
    max_sessions: int | None = Field(
        None, ge=1, description="sessions created in total, reserved before each create; needed with live"
    )
    max_active: int | None = Field(None, ge=1, description="refuse a plan with more sessions than this at a time")
    backend: BackendTarget | None = Field(
        None, description="the integrator's own endpoint that mints and creates, instead of our calls"
    )
    proxy: str | None = Field(None, description="proxy for all HTTP calls")
    ca_file: Path | None = Field(None, description="certificates to trust instead of the system's (PEM)")
    twin_set: tuple[str, ...] = Field(
        (), description="a knob of the embedded twin, as `avaload twin --set` takes it; repeatable"
    )
    clock_scale: float | None = Field(
        None,
        ge=0.001,
        le=100_000,
        description="the target's timers run so many times faster (default: as a twin tells, else real time)",
    )
    check: bool = Field(
        True, description="look at the services before the load: names, certificates, keys, addresses, clocks"
    )
    prove_gone: bool = Field(True, description="after each delete, look whether the session is really gone")
    mint_timeout_s: DurationS = Field(10.0, gt=0, description="deadline of a mint")
    create_timeout_s: DurationS = Field(15.0, gt=0, description="deadline of a create")
    connect_timeout_s: DurationS = Field(
        20.0, gt=0, description="deadline of joining a room, until the avatar's first frame"
    )
    delete_timeout_s: DurationS = Field(10.0, gt=0, description="deadline of a delete")
    gone_timeout_s: DurationS = Field(5.0, gt=0, description="how long after its delete's answer a session may be seen")

    def deadline_s(self, step: Step) -> float | None:
        """How long a step may take; None: what it waits for has deadlines of its own."""
        match step:
            case Step.MINT:
                return self.mint_timeout_s
            case Step.CREATE:
                return self.create_timeout_s
            case Step.CONNECT:
                return self.connect_timeout_s
            case Step.DELETE:
                return self.delete_timeout_s
            case Step.CONVERSE | Step.TURN:
                return None
            case _:
                assert_never(step)

    @field_validator("twin_set", mode="before")
    @classmethod
    def _are_knobs(cls, given: Any) -> Any:
        """Of the environment: several of them, with blanks between."""
        knobs = given.split() if isinstance(given, str) else given
        for knob in knobs if isinstance(knobs, list | tuple) else ():
            if isinstance(knob, str) and not knob.partition("=")[2]:
                raise ValueError(f"{knob}: KEY=VALUE is needed, such as fault.mint=503:0.05")
        return knobs

    @field_validator("openai_base_url", "avaturn_base_url", "proxy")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if flaw := flaw_of_url(url):
            shown = "" if "@" in url else f"{url!r} "  # what stands before it may be a password
            raise ValueError(f"{shown}{flaw}, such as https://api.example.com" if flaw == NO_URL else flaw)
        if "?" in url or "#" in url:  # what is called there would become a part of it
            raise ValueError("must be without a query and a fragment")
        return url.rstrip("/")


class Distribution(Section):
    """A run over several hosts: `load.processes` is then how many load processes all workers bring together."""

    master: bool = Field(False, description="conduct workers on other hosts instead of load processes here")
    bind_host: str = Field("127.0.0.1", description="address at which workers find the master")
    bind_port: int = Field(5557, ge=1, le=65535, description="port at which workers find the master")
    max_wait: DurationS = Field(300.0, gt=0, description="wait for all load processes, or as a worker for the master")
    token_file: Path | None = Field(
        None, description="file with the cluster token, which master and workers share, where the environment has none"
    )
    worker_disk_mib: int = Field(
        10_240, ge=1, description="MiB that the files of one worker may take up on the master's disk"
    )


class Probes(Section):
    """Active checks of the contract."""

    share: float = Field(
        0.0, ge=0, le=1, description="share of the virtual users that run active checks instead of the scenario"
    )
    rules: tuple[str, ...] = Field((), description="ids of the rules that are checked (none: all)")
    slow: bool = Field(False, description="also what takes more than a minute, or costs money in production")
    once: bool = Field(False, description="each check once, and nothing else: what `avaload probe` does")


class Settings(Section):
    """Everything a run was told. It holds no secret: keys come from the environment only."""

    name: str = Field("default", pattern=NAME, description="what the scenario is called in reports and metrics")
    tags: dict[str, str] = Field(default_factory=dict, description="marks of the run: build, environment …")
    load: Load = Field(Load(), description="how much load, when, for how long")
    capacity: Capacity | None = Field(None, description="how `avaload capacity` looks for the limit")
    target: Target = Field(Target(), description="what is loaded, and how long each step may take")
    secret: Secret = Field(Secret(), description="the client secret that each session mints")
    session: SessionFields = Field(SessionFields(), description="optional fields of the create call")
    realtime: SessionObject = Field(
        default_factory=default_realtime,
        description='the session object of the mint, passed on as it stands; "null" leaves a default out',
    )
    conversation: Conversation = Field(Conversation(), description="what a virtual user says and does")
    caller: Caller = Field(Caller(), description="what the caller's microphone hears besides, and how")
    waive: tuple[Waive, ...] = Field((), description="rules whose breach is known and accepted")
    mix: tuple[Scenario, ...] = Field(
        (),
        description="several sorts of session in one run, each a scenario file and its weight; what makes a session is"
        " then theirs",
    )
    output: Output = Field(Output(), description="where a run is written and who may watch")
    distribution: Distribution = Field(Distribution(), description="a run over several hosts")
    probes: Probes = Field(Probes(), description="active checks of the contract")
    cost: Cost = Field(Cost(), description="what things cost, and what a run may spend")
    slo: tuple[dict[str, Any], ...] = Field((), description="objectives that the run has to meet")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if self.load.processes > self.pool:
            problems.append("load: more processes than users")
        elif self.load.open and self.load.processes > self.pool - self.probe_users:
            problems.append("probes.share: too few users are left to take the open arrivals, one in each load process")
        # A search has a pool of its own (loadtest/capacity/steering.py).
        if self.capacity is None and self.target.max_active is not None and self.pool > self.target.max_active:
            problems.append(f"load: {plural(self.pool, 'user')}, but target.max_active is {self.target.max_active}")
        if self.distribution.master:
            problems += self._undistributable()
        if self.target.backend is not None:
            if self.target.avaturn_base_url is None and not self.target.live:
                problems.append("target: a backend needs avaturn_base_url, where its sessions are joined and looked at")
        elif (self.target.openai_base_url is None) != (self.target.avaturn_base_url is None):
            problems.append("target: give both openai_base_url and avaturn_base_url, or neither (the embedded twin)")
        if self.mix and self.waive:
            problems.append("waive: belongs to a scenario of the mix, and counts for its sessions alone")
        problems += [problem for scenario in self.scenarios for problem in self._unplayable(scenario)]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _unplayable(self, scenario: Scenario) -> list[str]:
        """What of a scenario this target can't do, and which rules it may not waive."""
        found, engine = unwaivable(scenario.waive), scenario.session.engine
        if self.target.backend is None and engine not in (None, "openai-realtime"):
            found.append(f"session.engine: {engine} sessions are made by an endpoint of your own: give --backend-url")
        if engine == "text-echo" and any(isinstance(turn, Spoken) for turn in scenario.conversation.turns):
            found.append("conversation: engine text-echo hears nothing: turns may be pause and silence")
        if self.target.room == "daily" and scenario.caller.has_line:
            found.append("caller: a Daily room has a line of its own: neither up nor down can be put before it")
        if scenario.conversation.background_dbfs is not None and scenario.caller.noise_dbfs is not None:
            found.append("caller.noise_dbfs: conversation.background_dbfs is noise in the room, too: give one of them")
        return [f"{scenario.name}: {problem}" for problem in found] if self.mix else found

    def _undistributable(self) -> list[str]:
        problems = []
        if self.embedded_twin:
            problems.append(
                "target: a run over several hosts needs endpoints: the embedded twin is on loopback, and its keys don't"
                " travel (`avaload twin` serves one for all)"
            )
        if self.target.max_sessions is not None and self.target.max_sessions < self.load.processes:
            shared = f"can't be shared by {plural(self.load.processes, 'load process')}"
            problems.append(f"target.max_sessions: {self.target.max_sessions} {shared}")
        return problems

    @property
    def embedded_twin(self) -> bool:
        target = self.target
        return target.openai_base_url is None and target.backend is None and not target.live

    @property
    def by_backend(self) -> bool:
        """Whether an endpoint of the integrator's makes the sessions."""
        return self.target.backend is not None

    @property
    def graceful_stop_s(self) -> float:
        if self.load.graceful_stop is not None:
            return self.load.graceful_stop
        return self.conversation_s + STEP_OVERHEAD_S

    @property
    def conversation_s(self) -> float:
        """About how long the longest conversation of a session is to be."""
        return max((nominal_s(each.conversation) + each.caller.away_s for each in self.spoken), default=0.0)

    @property
    def spoken(self) -> tuple[Scenario, ...]:
        """The scenarios whose conversation is held: none without a room."""
        return () if self.target.room == "none" else self.scenarios

    @property
    def pool(self) -> int:
        """How many sessions may go on at once: users of a closed population, or those that wait for open arrivals."""
        if not self.load.open:
            return self.load.population
        if self.load.max_users is not None:
            return self.load.max_users
        return max(MIN_POOL, math.ceil(2 * self.load.shape().peak * (self.conversation_s + SET_UP_S)))

    @property
    def probe_users(self) -> int:
        """How many of the virtual users run active checks."""
        return min(self.pool, math.ceil(self.pool * self.probes.share))

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
                caller=self.caller,
                waive=self.waive,
            ),
        )

    def scenario_of(self, name: str) -> Scenario | None:
        """The scenario of a session whose events call it so. Without a mix there is only one, whatever it is called."""
        if len(self.scenarios) == 1:
            return self.scenarios[0]
        return next((scenario for scenario in self.scenarios if scenario.name == name), None)

    def promises(self, *, today: date) -> dict[str, Promise]:
        """What the sessions of each scenario may expect, by its name."""
        scale = self.target.clock_scale
        return promises(self.scenarios, today=today, clock_scale=scale, by_backend=self.by_backend)

    @property
    def slos(self) -> tuple[Slo, ...]:
        return tuple(parse_slos(list(self.slo)))

    @property
    def judged(self) -> tuple[Slo, ...]:
        """By what a run is judged while it goes on: its objectives, or else the default ones. A search for the limit
        judges level by level."""
        return () if self.capacity is not None else self.slos or DEFAULT_SLOS

    def with_endpoints(self, *, openai_base_url: str, avaturn_base_url: str) -> "Settings":
        target = self.target.model_copy(
            update={"openai_base_url": openai_base_url, "avaturn_base_url": avaturn_base_url}
        )
        return self.model_copy(update={"target": target})

    def with_web_port(self, port: int) -> "Settings":
        """Where any free one was asked for."""
        return self.model_copy(update={"output": self.output.model_copy(update={"web_port": port})})

    def with_backend(self, backend: BackendTarget | None) -> "Settings":
        return self.model_copy(update={"target": self.target.model_copy(update={"backend": backend})})

    def with_room_of_twin(self) -> "Settings":
        """The embedded twin's rooms are WebSockets unless others were asked for: nobody needs to be ready for those."""
        if self.target.room != "auto" or any(knob.startswith("room=") for knob in self.target.twin_set):
            return self
        return self.model_copy(update={"target": self.target.model_copy(update={"room": "websocket"})})


def place(settings: Settings) -> Path:
    """Where runs are written, or this one is to be."""
    return settings.output.run_dir or RUNS
