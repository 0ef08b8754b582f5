"""Was the generator fit to judge a stretch of a run? The same judgement for a stage of a capacity search while it goes
on and for every stage of a report, and the bounds of a whole run's (`reports.sections.generator`).

Drops are the generator's fault only while few of its users were busy: past the target's limit they are a finding.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtest.criteria.words import plural
from loadtest.events.kinds import Event, Fault, GeneratorFailed, HealthSampled, IterationDropped
from loadtest.events.vocabulary import USED_UP

SUSPECT_LAG_NS: Final = 10_000_000
INVALID_LAG_NS: Final = 50_000_000
SUSPECT_PACING_NS: Final = 20_000_000
SUSPECT_POOL_NS: Final = 10_000_000
INVALID_POOL_NS: Final = 100_000_000
SUSPECT_CPU_PERCENT: Final = 90.0
SUSPECT_STEAL_PERCENT: Final = 10.0
FILES_SHARE: Final = 0.8
SECONDS_SHARE: Final = 0.95
IDLE_SHARE: Final = 0.5
"""A drop while fewer than this share of the stage's users were in a session is ours: the target wasn't busy."""
RECENT_SAMPLES: Final = 20
"""Of engine and hub together: ten seconds."""
MAX_BECAUSE: Final = 200
"""Characters of the reason that a load process tells."""

OF_ITS_STAGE: Final = (Fault.ENGINE_DIED, Fault.OWN_LIMIT, Fault.SINK_FAILED)
"""Faults that spoil the stage they fell into, and none after it. Of any other nobody knows what it takes from the rest
of a run: a load process that is dead starts no sessions any more."""

FITNESSES: Final = ("valid", "suspect", "invalid")
"""From good to bad."""
Fitness = tuple[str, str]
"""One of FITNESSES; and the worst reason, empty of what is valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHealth:
    """Figures are what 95 % of the stretch's seconds stayed under; None: not observed. `because`: sentences."""

    outcome: str
    because: tuple[str, ...]
    engine_lag_p99_s: float | None
    hub_lag_p99_s: float | None
    pacing_error_p99_s: float | None
    pool_wait_p99_s: float | None
    cpu_percent: float | None
    steal_percent: float | None
    open_files: int | None
    events_lost: int
    drops_while_idle: int
    faults: int

    def as_dict(self) -> dict[str, Any]:
        """For report.json."""
        return asdict(self) | {"because": list(self.because)}


def judge(
    samples: Iterable[HealthSampled],
    *,
    faults: Sequence[GeneratorFailed] = (),
    drops: Iterable[tuple[IterationDropped, int]] = (),
    users: int = 0,
) -> StageHealth:
    """`drops`: each with how many sessions were going on then; `users`: how many there could have been."""
    samples = list(samples)
    engine = [each for each in samples if each.source == "engine"]
    hub = [each for each in samples if each.source == "hub"]
    lag = _sustained([each.lag_p99_ns for each in engine])
    pacing = _sustained([each.pacing_p99_ns for each in engine])
    pool = _sustained([each.pool_wait_p99_ns for each in engine])
    cpu = _sustained([each.cpu_percent for each in samples])
    steal = _sustained([each.steal_percent for each in samples])
    files = max((each.open_files for each in samples if each.open_files is not None), default=None)
    limit = min((each.files_limit for each in samples if each.files_limit is not None), default=None)
    lost = sum(each.events_lost for each in samples)
    idle = sum(event.reason not in USED_UP and (active == 0 or active < IDLE_SHARE * users) for event, active in drops)
    faults = [fault for fault in faults if fault.fault is not Fault.SINK_FAILED]  # it costs a view, not the truth
    invalid = [f"{fault.fault.value}: {fault.detail}".rstrip(": ") for fault in faults]
    suspect: list[str] = []
    for value, words, suspect_ns, invalid_ns in (
        (lag, "event loop lag", SUSPECT_LAG_NS, INVALID_LAG_NS),
        (pool, "waiting for our own connections", SUSPECT_POOL_NS, INVALID_POOL_NS),
        (pacing, "lateness of sent audio", SUSPECT_PACING_NS, None),
    ):
        if value is not None and value > suspect_ns:
            worse = invalid_ns is not None and value > invalid_ns
            (invalid if worse else suspect).append(f"{words}: p99 {value / 1e6:.0f} ms")
    if cpu is not None and cpu > SUSPECT_CPU_PERCENT:
        suspect.append(f"a process used {cpu:.0f} % of a core")
    if steal is not None and steal > SUSPECT_STEAL_PERCENT:
        suspect.append(f"{steal:.0f} % of the machine's CPU time went to other guests")
    if files is not None and limit is not None and files > FILES_SHARE * limit:
        suspect.append(f"{files} of {limit} open files")
    if lost:
        suspect.append(f"{plural(lost, 'event')} did not reach the live views")
    if idle:
        suspect.append(f"{plural(idle, 'iteration')} dropped while the target was not busy")
    return StageHealth(
        outcome="invalid" if invalid else "suspect" if suspect else "valid",
        because=tuple(invalid + suspect),
        engine_lag_p99_s=_s(lag),
        hub_lag_p99_s=_s(_sustained([each.lag_p99_ns for each in hub])),
        pacing_error_p99_s=_s(pacing),
        pool_wait_p99_s=_s(pool),
        cpu_percent=cpu,
        steal_percent=steal,
        open_files=files,
        events_lost=lost,
        drops_while_idle=idle,
        faults=len(faults),
    )


def _sustained(per_second: Sequence[float | None]) -> float | None:
    """What 95 % of the seconds stayed under; None where none was observed."""
    found = sorted(value for value in per_second if value is not None)
    return found[min(len(found) - 1, int(SECONDS_SHARE * len(found)))] if found else None


def _s(value_ns: float | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e9, 9)


class Recent:
    """The last seconds of a process, judged while the run goes on: a fold."""

    def __init__(self) -> None:
        self._samples: deque[HealthSampled] = deque(maxlen=RECENT_SAMPLES)
        self._faults: list[GeneratorFailed] = []

    def add(self, event: Event) -> None:
        """Fold one event in."""
        if type(event) is HealthSampled:
            self._samples.append(event)
        elif type(event) is GeneratorFailed:
            self._faults.append(event)

    @property
    def fitness(self) -> Fitness:
        """What broke stays broken."""
        found = judge(self._samples, faults=self._faults)
        return found.outcome, "; ".join(found.because)[:MAX_BECAUSE]


def worst(found: Iterable[Fitness]) -> Fitness:
    """Of several processes."""
    return max(found, key=lambda each: FITNESSES.index(each[0]), default=("valid", ""))
