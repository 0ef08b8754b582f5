"""`avaload doctor`: is this machine fit to measure, and are keys and endpoints what they should be?"""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

from loadtest.config.access.guard import KEYS
from loadtest.config.lint import ends, models_of
from loadtest.config.settings import Settings, place
from loadtest.criteria.words import plural
from loadtest.errors.exceptions import ConfigError
from loadtest.preflight import machine
from loadtest.preflight.certificates import untrusted, urls_of
from loadtest.preflight.first_look import Seen, look
from loadtest.processes.tcp_ports import bind_metrics
from loadtest.rooms.extras import PACKAGES, is_installed, missing
from loadtest.system import container
from loadtest.system.version import __version__

SKEW_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`state`: ok, warn (a run works, but read its report with care) or bad (a run can't work)."""

    name: str
    state: str
    text: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


async def examine(settings: Settings) -> list[Check]:
    """All checks; nothing is created at the target. Endpoints are asked only if the settings passed the live guard."""
    checks = [
        Check(name="avaload", state="ok", text=__version__),
        _cores(settings),
        *(Check(name=f.name, state=f.state, text=f.text) for f in machine.examine(settings, place(settings))),
        _metrics_port(settings),
        _room(settings),
        await _timers(),
    ]
    if settings.embedded_twin:
        return [*checks, Check(name="target", state="ok", text="the embedded twin; give endpoints to check real ones")]
    target = settings.target
    wanted = KEYS if target.backend is None else (*KEYS, *target.backend.variables)
    checks += [Check(name=name, state="ok", text="set") for name in wanted if os.environ.get(name)]
    checks += [Check(name="certificate", state="bad", text=said) for said in await untrusted(urls_of(target), target)]
    today = datetime.now(UTC).date()
    for seen in await look(settings, {key: os.environ.get(key, "") for key in KEYS}) if target.check else ():
        checks += _service(seen)
        if seen.models is not None:
            checks += _models(settings, seen.models, today)
    return checks


def _cores(settings: Settings) -> Check:
    cores, needed = container.cores(), settings.load.processes + 1
    if cores < needed:
        return Check(
            name="cores",
            state="warn",
            text=f"{cores}; {plural(settings.load.processes, 'load process')}: {needed} wanted",
        )
    return Check(name="cores", state="ok", text=str(cores))


def _metrics_port(settings: Settings) -> Check:
    try:
        listener = bind_metrics(settings.output.metrics_port, settings.output.metrics_host)
    except ConfigError as error:
        return Check(name="metrics port", state="bad", text=error.problems[0])
    if listener is None:
        return Check(name="metrics port", state="ok", text="off")
    listener.close()
    return Check(name="metrics port", state="ok", text=f"{settings.output.metrics_port} is free")


def _room(settings: Settings) -> Check:
    kind = settings.target.room
    if not is_installed(kind):
        return Check(name="room", state="bad", text=missing(kind))
    absent = ", ".join(other for other in PACKAGES if not is_installed(other)) if kind == "auto" else ""
    return Check(name="room", state="ok", text=f"{kind}; without the extra {absent}" if absent else kind)


async def _timers() -> Check:
    """How late a 20 ms timer is on this machine right now: the floor of everything that is measured."""
    late_ms = []
    for _ in range(50):
        before = time.perf_counter()
        await asyncio.sleep(0.02)
        late_ms.append((time.perf_counter() - before - 0.02) * 1000)
    worst = sorted(late_ms)[-2]
    state = "ok" if worst < 5 else "warn"
    return Check(name="timers", state=state, text=f"a 20 ms timer is up to {worst:.1f} ms late")


def _service(seen: Seen) -> list[Check]:
    """Is it there, does it take its key, and is its clock ours?"""
    checks = [Check(name=seen.service, state="bad", text=stop) for stop in seen.stops]
    # A run may find it again; who asks whether it is there is told that it isn't.
    state = "bad" if seen.took_s is None else "warn"
    checks += [
        Check(name=seen.service, state=state, text=note.removeprefix(f"{seen.service}: ")) for note in seen.notes
    ]
    if not checks and seen.took_s is not None:
        checks.append(Check(name=seen.service, state="ok", text=f"{seen.url} answers in {seen.took_s * 1000:.0f} ms"))
    if (ahead_s := seen.clock_ahead_s) is not None:
        state = "ok" if abs(ahead_s) < SKEW_LIMIT_S else "warn"
        checks.append(Check(name=f"{seen.service} clock", state=state, text=f"{ahead_s:+.1f} s from ours (± 0.5 s)"))
    return checks


def _models(settings: Settings, known: Mapping[str, date | None], today: date) -> list[Check]:
    """What /v1/models says of those that the scenarios name."""
    if not known:
        return []
    named = dict.fromkeys(name for scenario in settings.scenarios for name in models_of(scenario.realtime))
    checks = []
    for name in named:
        end = known.get(name)
        if name not in known:
            state, text = "warn", "not in /v1/models: a mint with it may be refused"
        elif end is None:
            state, text = "ok", "/v1/models announces no end"
        else:
            state, text = "warn", f"/v1/models says that it {ends(end, today)}"
        checks.append(Check(name=f"model {name}", state=state, text=text))
    return checks
