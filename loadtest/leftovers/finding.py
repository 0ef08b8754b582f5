"""What a run may have left, by its journals."""

from collections.abc import Container, Iterable
from dataclasses import dataclass

from loadtest.events.kinds import Remains, RemainsChanged, RemainsReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What a run may have left: by session, the last word of its journals that isn't `nothing`."""

    leaked: dict[str, str]  # session -> target_session_id: can be deleted
    doubtful: dict[str, int]  # session -> t_ns of the unanswered create: can only be waited for


def leftovers(words: Iterable[RemainsChanged]) -> Leftovers:
    """Fold over words in any order. The id may come with an earlier one than the last."""
    last: dict[str, RemainsChanged] = {}
    ids: dict[str, str] = {}
    for event in words:
        before = last.get(event.session)
        if before is None or _order(event) >= _order(before):
            last[event.session] = event
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


def beyond_a_sweep(words: Iterable[RemainsChanged], ended: Container[str]) -> list[RemainsChanged]:
    """Of each session that has not ended and is not shown to be there: the last word on what it left. `words`: in
    order of time."""
    last = {event.session: event for event in words if event.session not in ended}
    return [event for event in last.values() if event.remains is not Remains.LEAKED]


def _order(word: RemainsChanged) -> tuple[bool, int]:
    """A sweep's word is the last, whatever its host's clock says."""
    return word.reason == RemainsReason.SWEPT, word.t_ns
