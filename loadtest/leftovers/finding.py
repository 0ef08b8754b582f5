"""What a run may have left, by its journals."""

from collections.abc import Iterable
from dataclasses import dataclass

from loadtest.events.kinds import Event, Remains, RemainsChanged, RemainsReason, SessionFinished


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What a run may have left: by session, the last word of its journals that isn't `nothing`."""

    leaked: dict[str, str]  # session -> target_session_id: can be deleted
    doubtful: dict[str, int]  # session -> t_ns of the unanswered create: can only be waited for


def leftovers(events: Iterable[Event]) -> Leftovers:
    """Fold over events in order of time. The id may come with an earlier line than the last one."""
    last: dict[str, RemainsChanged] = {}
    ids: dict[str, str] = {}
    for event in events:
        if isinstance(event, RemainsChanged):
            if event.session not in last or last[event.session].reason != RemainsReason.SWEPT:
                last[event.session] = event  # a sweep's word is the last, whatever its host's clock says
            if event.target_session_id is not None:
                ids[event.session] = event.target_session_id
    return Leftovers(
        leaked={s: ids[s] for s, e in last.items() if e.remains is Remains.LEAKED and s in ids},
        # Without its id, which a damaged line may have held, a leaked one can only be waited for as well.
        doubtful={
            s: e.t_ns
            for s, e in last.items()
            if e.remains is Remains.DOUBTFUL or (e.remains is Remains.LEAKED and s not in ids)
        },
    )


def beyond_a_sweep(events: Iterable[Event]) -> list[RemainsChanged]:
    """Of each session that these events, in order of time, neither end nor show to be there: the last word on what it
    left."""
    last: dict[str, RemainsChanged] = {}
    for event in events:
        if isinstance(event, RemainsChanged):
            last[event.session] = event
        elif isinstance(event, SessionFinished):
            last.pop(event.session, None)
    return [event for event in last.values() if event.remains is not Remains.LEAKED]
