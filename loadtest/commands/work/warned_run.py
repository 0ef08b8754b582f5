"""What `run`, `probe` and `capacity` have in common: warnings before a run, and the run itself."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from loadtest.commands.printing import complain
from loadtest.config.access.guard import endpoints_of
from loadtest.config.keys.scenario import Scenario
from loadtest.config.keys.session_object import default_realtime
from loadtest.config.lint import findings
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.errors.exit_codes import Exit
from loadtest.events.kinds import Fault
from loadtest.text.validation import is_loopback

_CARRIES_KBPS: Final = {"WebSocket": 404, "WebRTC": 50}
"""Each way, with headers: raw sound in the one, Opus in the other."""


def warn(settings: Settings) -> None:
    """Of what can't work as meant. What our own default is warned of is no news while the target is the twin."""
    from loadtest.commands.work.expected_samples import too_few
    from loadtest.config.clips.lengths import brings_clips, long_pauses

    today = datetime.now(UTC).date()
    old_news = findings(Scenario(name="default", realtime=default_realtime()), today=today)
    # What an endpoint of the user's own asks for is not what the scenario says.
    for scenario in settings.scenarios if settings.target.backend is None else ():
        for finding in findings(scenario, today=today):
            if not settings.embedded_twin or finding not in old_news:
                complain(f"warning: {scenario.name}: {finding.text} ({finding.rule})")
    said = [*too_few(settings), *_too_narrow(settings)]
    if settings.by_backend:
        said += [f"{sentence}, unless your endpoint asks for another" for sentence in long_pauses(settings.spoken)]
    if brings_clips(settings.spoken):
        from loadtest.config.clips.microphone import remarks

        said += remarks(settings.spoken)
    for sentence in said:
        complain(f"warning: {sentence}")


def _too_narrow(settings: Settings) -> Iterator[str]:
    """A sentence for each caller's line that carries less than the room does: it loses sound all the time."""
    kind = "WebRTC" if settings.target.room == "webrtc" else "WebSocket"
    for scenario in settings.spoken:
        for way, line in (("up", scenario.caller.up), ("down", scenario.caller.down)):
            if line.bandwidth_kbps is not None and line.bandwidth_kbps < _CARRIES_KBPS[kind]:
                yield (
                    f"{scenario.name}: caller.{way}.bandwidth_kbps: {line.bandwidth_kbps:g}, but a {kind} room carries"
                    f" {_CARRIES_KBPS[kind]}: sound is lost all the time"
                ) + (", and turns may have no times" if way == "up" else "")


def tell_price(settings: Settings, *, sessions: int | None = None, provided: str = "") -> None:
    """What a run will cost, before it starts, where anybody charges for it or a budget bounds it. `sessions`: about how
    many, where it isn't the load that says so; `provided`: what the figures hang on."""
    from loadtest.forecast.expected import forecast

    charged = not settings.embedded_twin and not all(map(is_loopback, endpoints_of(settings)))
    if not charged and settings.cost.budget is None:
        return
    found = forecast(settings, answer_s=None, twin=not charged, today=datetime.now(UTC).date())
    about = plural(round(found.sessions.value) if sessions is None else sessions)
    complain(f"expected cost: {found.bill.total.words()}, for about {about}{provided}")
    for name, usd in found.reserved.items():
        complain(f"budget: {settings.cost.budget:g} USD; each session of {name} reserves {usd.words()} until it ends")
    for note in found.of_budget:
        complain(f"budget: {note}")


def loaded(settings: Settings, *, quiet: bool) -> tuple[Path, dict[str, Any] | None, Exit]:
    """A run to its end, as `load_run.run` gives it; where there is no report, why not is said. Raises ConfigError and
    GeneratorError."""
    from loadtest.commands.work.load_run import run

    run_dir, report, code = run(settings, quiet=quiet)
    if report is None:
        print(f"interrupted twice: no reports; `avaload report {run_dir}` writes them", file=sys.stderr)
    else:
        faults, log = report["generator"]["faults"], run_dir / "locust.log"
        if faults.get(Fault.BUG):
            complain(f"a mistake of avaload's own; details: {log}")
        elif faults.get(Fault.ENGINE_DIED):  # killed, or by a mistake before it had a journal to say so
            complain(f"a session engine died; what it said before: {log}")
    return run_dir, report, code
