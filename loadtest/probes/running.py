"""A ticket whose purpose is a probe: the probe runs, and every rule of it gets a finding, whatever happened."""

import asyncio

from loadtest.config.settings import Settings
from loadtest.errors.exceptions import StepError
from loadtest.probes.bench.bench import AFFORDABLE_S, Bench, Ground, NotTestedError, Probe
from loadtest.probes.bench.subject import QUOTA_STATUS
from loadtest.probes.catalogue import BY_LEAD, PURPOSE, chosen
from loadtest.secrecy.redact import redact
from loadtest.session.ticket import Ticket
from loadtest.system.clock import sleep_until


async def run_probe(ground: Ground, ticket: Ticket) -> None:
    """Run the probe of the ticket's purpose. Re-raises a cancellation, and whatever is a bug, after the clean-up."""
    await sleep_until(ticket.due_ns)
    probe = BY_LEAD[ticket.purpose.removeprefix(PURPOSE)]
    scale = await ground.clock_scale()
    bench = Bench(ground, ticket, probe, scale=scale)
    why = "the check broke off"
    try:
        if (refusal := _refusal(ground.around.settings, probe, scale)) is not None:
            raise NotTestedError(refusal)
        await _run(ground, bench)
        why = "nothing was seen that could be judged"
    except NotTestedError as error:
        why = str(error)
    except StepError as error:
        why = f"could not be tried: {error.kind}/{error.code} {error.detail}".strip()
    except asyncio.CancelledError:
        why = "cut off by the end of the run"
        raise
    except Exception as error:
        why = f"a bug of ours: {redact(repr(error))}"
        raise
    finally:
        bench.close()
        for rule in probe.rules:
            if rule not in bench.said:
                bench.leave(rule, why)


async def _run(ground: Ground, bench: Bench) -> None:
    """Among the others; and where the quota had no place beside them, once more when they have ended."""
    probe = bench.probe
    try:
        async with ground.turn(alone=probe.alone):
            await probe.run(bench)
            return
    except StepError as error:
        is_crowded = error.http_status in QUOTA_STATUS
        if not is_crowded or probe.alone or bench.said or not ground.around.settings.probes.once:
            raise
    async with ground.turn(alone=True):
        await probe.run(bench)


def allowed(settings: Settings) -> list[Probe]:
    """Those of the chosen ones that will run, as far as the target's clock is known."""
    scale = settings.target.clock_scale or 1.0
    return [probe for probe in chosen(settings.probes.rules) if _refusal(settings, probe, scale) is None]


def _refusal(settings: Settings, probe: Probe, scale: float) -> str | None:
    """Why it may not run here; None: it may."""
    if settings.target.live and not probe.is_for_production:
        return "not against a live service: a fault would have to be injected there"
    if settings.probes.slow:
        return None
    if settings.target.live and probe.costs_in_production:
        return "costs time or money: needs --slow"
    if probe.lasts_s / scale > AFFORDABLE_S:
        return f"lasts {probe.lasts_s / scale / 60:.0f} min: needs --slow"
    if probe.alone and not settings.probes.once:
        return "other sessions would disturb it: only in `avaload probe`"
    return None
