"""`avaload doctor`: is this machine fit to measure, and are keys and endpoints what they should be?"""

import asyncio
import os
import time
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from loadtest import __version__, machine
from loadtest.errors import ConfigError
from loadtest.guard import KEYS
from loadtest.rooms.extras import PACKAGES, is_installed, missing
from loadtest.settings import Settings, place
from loadtest.supervisor import bind_metrics
from loadtest.words import plural

SKEW_LIMIT_S = 2.0
TIMEOUT_S = 5.0


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
    checks += [Check(name=key, state="ok", text="set") for key in KEYS if os.environ.get(key)]
    target = settings.target
    for name, url in (("openai", target.openai_base_url), ("avaturn", target.avaturn_base_url)):
        assert url is not None
        checks += await _endpoint(name, url)
    return checks


def _cores(settings: Settings) -> Check:
    cores, needed = os.cpu_count() or 1, settings.load.processes + 1
    if cores < needed:
        return Check(
            name="cores",
            state="warn",
            text=f"{cores}; {plural(settings.load.processes, 'load process')}: {needed} wanted",
        )
    return Check(name="cores", state="ok", text=str(cores))


def _metrics_port(settings: Settings) -> Check:
    try:
        listener = bind_metrics(settings.output.metrics_port)
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


async def _endpoint(name: str, url: str) -> list[Check]:
    """Reachable, and is its clock ours? Any HTTP answer counts: no key is sent."""
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            before = time.time()
            response = await client.get(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/")
            after = time.time()
    except httpx.HTTPError as error:
        return [Check(name=name, state="bad", text=f"{url}: {type(error).__name__}: {error}")]
    checks = [Check(name=name, state="ok", text=f"{url} answers in {(after - before) * 1000:.0f} ms")]
    if date := response.headers.get("date"):
        # The header has whole seconds: on average it is half a second behind.
        skew_s = parsedate_to_datetime(date).timestamp() + 0.5 - (before + after) / 2
        state = "ok" if abs(skew_s) < SKEW_LIMIT_S else "warn"
        checks.append(Check(name=f"{name} clock", state=state, text=f"{skew_s:+.1f} s from ours (± 0.5 s)"))
    return checks
