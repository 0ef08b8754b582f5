"""`avaload doctor`: is this machine fit to measure, and are keys and endpoints what they should be?"""

import asyncio
import os
import time
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp

from loadtest.commands.work import machine
from loadtest.config.access.guard import KEYS
from loadtest.config.access.trust import trust
from loadtest.config.settings import Settings, place
from loadtest.judging.words import plural
from loadtest.language.errors import ConfigError, StepError
from loadtest.language.version import __version__
from loadtest.load.supervisor import bind_metrics
from loadtest.rooms.extras import PACKAGES, is_installed, missing
from loadtest.services.handshake import untrusted
from loadtest.services.transport import fetch, open_session
from loadtest.session.ports import Call

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
    target = settings.target
    wanted = KEYS if target.backend is None else (*KEYS, *target.backend.variables)
    checks += [Check(name=name, state="ok", text="set") for name in wanted if os.environ.get(name)]
    urls = {"openai": target.openai_base_url, "avaturn": target.avaturn_base_url}
    if target.backend is not None:
        urls = {"backend": target.backend.url, "avaturn": target.avaturn_base_url}
    checks += [Check(name="certificate", state="bad", text=said) for said in await untrusted(target)]
    async with open_session(connections=2, verify=trust(target.ca_file), live=target.live) as session:
        for name, url in urls.items():
            assert url is not None
            checks += await _endpoint(session, name, url, proxy=target.proxy)
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


async def _endpoint(session: aiohttp.ClientSession, name: str, url: str, *, proxy: str | None) -> list[Check]:
    """Reachable as a run would reach it, and is its clock ours? Any HTTP answer counts: no key is sent."""
    parts = urlsplit(url)
    call = Call()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            before = time.time()
            _, headers, _ = await fetch(
                session, call, method="GET", url=f"{parts.scheme}://{parts.netloc}/", headers={}, proxy=proxy
            )
            after = time.time()
    except (StepError, TimeoutError) as error:
        return [Check(name=name, state="bad", text=f"{url}: {error or f'no answer within {TIMEOUT_S:g} s'}")]
    checks = [Check(name=name, state="ok", text=f"{url} answers in {(after - before) * 1000:.0f} ms")]
    date = next((value.decode("latin-1") for header, value in headers if header.lower() == b"date"), None)
    if date is not None:
        checks.append(_clock(name, date, (before + after) / 2))
    return checks


def _clock(name: str, date: str, now_s: float) -> Check:
    try:
        # The header has whole seconds: on average it is half a second behind.
        skew_s = parsedate_to_datetime(date).timestamp() + 0.5 - now_s
    except (ValueError, TypeError, OverflowError):
        return Check(name=f"{name} clock", state="warn", text="not known: its Date header holds no date")
    state = "ok" if abs(skew_s) < SKEW_LIMIT_S else "warn"
    return Check(name=f"{name} clock", state=state, text=f"{skew_s:+.1f} s from ours (± 0.5 s)")
