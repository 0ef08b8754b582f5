"""How many sessions a target lets be at once, from what it refused: bounds that hold however slow anybody was.

A session is certainly there between its answered create and its delete, and possibly from its create to its confirmed
end. Where rooms refuse, only one that was let into its room is certain: others may have failed for the same cause. So
the quota is at least the most that were certainly there at once, and at most the fewest that were possibly there while
one was refused. Where both are the same number, that is the quota.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtest.capacity.at_once import Line
from loadtest.errors.kinds import SAYS_QUOTA, Code, Kind
from loadtest.events.kinds import Step, StepFinished

_SHUT: Final = (Code.WS_CLOSED, Code.RTC_CLOSED, Code.DAILY_EJECTED, Code.OTHER)
"""A room that is over before anything was seen in it may be a way to refuse too, without a word or in one that nobody
knows."""
ENOUGH: Final = 5
"""Refusals that make a quota of a number which the target gives no word for."""
ENOUGH_TOLD: Final = 2
STRAY: Final = 0.01
"""Of all refusals: so many may have another cause."""
SPAN: Final = 64
"""So many numbers above the least are tried."""
FREED_WITHIN_S: Final = 5.0
"""A place that is free later than this after its delete can't be told from a bound on calls per time."""


def is_refusal(event: StepFinished) -> bool:
    """Whether the target would not have this session: it said so, or shut the room in its face."""
    failure = event.failure
    if failure is None or event.step is Step.DELETE:
        return False
    return failure.kind is Kind.REJECTED or (event.step is Step.CONNECT and failure.code in _SHUT)


@dataclass(slots=True)
class Stay:
    """A session at the target, in ns: create sent and answered, delete sent, confirmed end. `joined`: it was in its
    room. `turned_away`: when it was refused, at which step and how."""

    sent_ns: int | None = None
    created_ns: int | None = None
    left_ns: int | None = None
    gone_ns: int | None = None
    joined: bool = False
    turned_away_ns: int | None = None
    code: Code | None = None
    step: Step | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`crowd`: how many others can have been there at most; `with_refused`: those that were refused in their room
    included, which may take a place until they are deleted."""

    sent_ns: int
    crowd: int
    with_refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Of a stage. `peak`: sessions certainly there at once; `joined`: those in their rooms alone. `told`: refusals in
    the target's own word for a quota; `how`: all of them, by step and code.
    `let_in`: (create sent, answered, certainly there then); `left_ns`, `gone_ns`: of all that were let in, in order."""

    peak: int
    joined: int = 0
    refusals: tuple[Refusal, ...] = ()
    told: int = 0
    how: dict[str, int] = field(default_factory=dict)
    let_in: tuple[tuple[int, int, int], ...] = ()
    left_ns: tuple[int, ...] = ()
    gone_ns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Sessions at once. `freed_after_s`: how long after a delete its place is taken, 0 if it is free at once."""

    least: int
    most: int
    freed_after_s: float = 0.0

    @property
    def exact(self) -> bool:
        return self.least == self.most


def evidence(stays: Iterable[Stay], from_ns: int, until_ns: int) -> Evidence:
    """Of what began within; `stays` has all that may have been there then."""
    stays = [
        stay
        for stay in stays
        if stay.sent_ns is not None and stay.sent_ns < until_ns and (stay.gone_ns is None or stay.gone_ns >= from_ns)
    ]
    entered = [stay for stay in stays if stay.created_ns is not None]
    admitted = [stay for stay in entered if stay.turned_away_ns is None]
    unanswered = [stay for stay in stays if stay.created_ns is None and stay.turned_away_ns is None]
    created = Line.of((stay.created_ns, stay.left_ns) for stay in admitted)
    in_rooms = Line.of((stay.created_ns, stay.left_ns) for stay in admitted if stay.joined)
    peak, joined = created.peak(from_ns, until_ns)[0], in_rooms.peak(from_ns, until_ns)[0]
    refused = [s for s in stays if s.turned_away_ns is not None and from_ns <= (s.sent_ns or 0) < until_ns]
    if not refused:
        return Evidence(peak=peak, joined=joined)
    certain = in_rooms if any(stay.step is Step.CONNECT for stay in refused) else created
    possible = Line.of((stay.sent_ns, stay.gone_ns) for stay in admitted + unanswered)
    with_refused = Line.of((stay.sent_ns, stay.gone_ns) for stay in entered + unanswered)
    refusals = []
    for stay in refused:
        assert stay.sent_ns is not None
        assert stay.turned_away_ns is not None
        crowd = possible.peak(stay.sent_ns, stay.turned_away_ns)[0]
        among = with_refused.peak(stay.sent_ns, stay.turned_away_ns)[0]
        own = stay.created_ns is not None
        refusals.append(Refusal(sent_ns=stay.sent_ns, crowd=crowd, with_refused=max(crowd, among - own)))
    of_stage = [stay for stay in admitted if from_ns <= (stay.sent_ns or 0) < until_ns]
    return Evidence(
        peak=peak,
        joined=joined,
        refusals=tuple(refusals),
        told=sum(stay.code in SAYS_QUOTA for stay in refused),
        how=dict(Counter(f"{stay.step} {stay.code}" for stay in refused)),
        let_in=tuple((s.sent_ns or 0, s.created_ns or 0, certain.at(s.sent_ns or 0)) for s in of_stage),
        left_ns=tuple(sorted(s.left_ns for s in of_stage if s.left_ns is not None)),
        gone_ns=tuple(sorted(s.gone_ns for s in of_stage if s.gone_ns is not None)),
    )


def quota_of(stages: Sequence[Evidence]) -> Quota | None:
    """What all stages say together; None: nothing of a number of sessions at once."""
    refusals = [refusal for stage in stages for refusal in stage.refusals]
    told = sum(stage.told for stage in stages)
    by_rooms = any(each.startswith(Step.CONNECT) for stage in stages for each in stage.how)
    least = max((stage.joined if by_rooms else stage.peak for stage in stages), default=0)
    if not least or (told < ENOUGH_TOLD and len(refusals) < ENOUGH):
        return None
    most = _fewest(refusal.crowd for refusal in refusals)
    if most < least:  # do those who were refused in their room take a place?
        most = max(most, min(least, _fewest(refusal.with_refused for refusal in refusals)))
    if most >= least:
        return Quota(least=least, most=most)
    # Fewer were there than once were let in: places that are free late, or no bound on their number at all.
    return _freed_late(stages, least) if 2 * told >= len(refusals) else None


def _fewest(crowds: Iterable[int]) -> int:
    ordered = sorted(crowds)
    return ordered[int(STRAY * len(ordered))]


def _freed_late(stages: Sequence[Evidence], least: int) -> Quota | None:
    """The numbers that explain who was refused and who was let in, each with the time for which a place stays taken
    after a delete. None where they are too many."""
    total = sum(len(stage.let_in) for stage in stages)
    fits: list[tuple[int, float]] = []
    for number in range(least, least + SPAN):
        held = sorted(age for stage in stages for age in _needed_ns(stage, number))
        after_ns = held[int((1 - STRAY) * (len(held) - 1))]
        if after_ns > FREED_WITHIN_S * 1e9:
            break  # more would have to be held for longer still
        crowded = sum(_is_full(stage, entry, number, after_ns) for stage in stages for entry in stage.let_in)
        if crowded <= STRAY * total:
            fits.append((number, after_ns))
    else:
        return None
    if not fits:
        return None
    return Quota(least=fits[0][0], most=fits[-1][0], freed_after_s=round(fits[0][1] / 1e9, 3))


def _needed_ns(stage: Evidence, number: int) -> Iterable[float]:
    """For each refusal: for how long places must stay taken that so many were then."""
    for refusal in stage.refusals:
        missing = number - refusal.crowd
        before = bisect_right(stage.gone_ns, refusal.sent_ns)
        if missing <= 0:
            yield 0
        elif missing > before:
            yield float("inf")
        else:
            yield refusal.sent_ns - stage.gone_ns[before - missing]


def _is_full(stage: Evidence, entry: tuple[int, int, int], number: int, after_ns: float) -> bool:
    """Whether so many places were surely taken when this one was let in: then it would have been refused."""
    sent_ns, answered_ns, certain = entry
    since = bisect_right(stage.left_ns, answered_ns - after_ns)
    return certain + bisect_left(stage.left_ns, sent_ns) - since >= number
