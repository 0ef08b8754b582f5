"""In which order the events of a socket came, as far as the service keeps an order.

What belongs to one thing comes in order: to a turn of the user, to an item of an answer, to the session. A turn of the
user and an answer run side by side, and so do two items of one answer: between those no order is compared.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

from loadtest.twin.recorder.contract import AUDIO, Line

# The transcript of the user comes when it comes, and sound runs beside the events.
_WHENEVER: Final = ("conversation.item.input_audio_transcription.", "ce_events.realtime.input_transcript", AUDIO)
_ITEM: Final = ("conversation.item.added", "conversation.item.done")
_BEGIN: Final = "response.created"
_END: Final = "response.done"

_USER: Final = "user"
_MESSAGE: Final = "message"
_CALL: Final = "function_call"
_ANSWER: Final = "answer"
_REST: Final = "rest"

Order = list[str]
"""Types of events, each once."""


def shifted(recorded: Sequence[Line], twin: Sequence[Line]) -> Iterator[tuple[str, str]]:
    """Pairs of types that came in this order from the twin and the other way round in the recording; of an event
    that is out of place only where that begins."""
    theirs, ours = _orders(recorded), _orders(twin)
    told = set()
    for thing in theirs:
        for order, twin_order in zip(theirs[thing], ours.get(thing, []), strict=False):
            common = [kind for kind in twin_order if kind in order]
            for first, second in itertools.pairwise(common):
                if order.index(first) > order.index(second) and first not in told:
                    told.add(first)
                    yield first, second


def _orders(lines: Sequence[Line]) -> dict[str, list[Order]]:
    """Of what a service sent, for each thing: those of an answer anew with each response, those of the user anew with
    each turn or item."""
    found: dict[str, list[Order]] = {thing: [[]] for thing in (_USER, _MESSAGE, _CALL, _ANSWER, _REST)}
    is_answering = False
    for line in lines:
        kind = str(line.get("type", ""))
        if line.get("from") != "service" or kind.startswith(_WHENEVER):
            continue
        if kind == _BEGIN:
            is_answering = True
            for thing in (_MESSAGE, _CALL, _ANSWER):
                found[thing].append([])
            if _ITEM[0] in found[_USER][-1]:  # a turn is told before it is answered
                _put(found[_USER], kind)
        for thing in _things(kind, line.get("shape"), is_answering=is_answering):
            orders = found.setdefault(thing, [[]])
            if thing == _USER and kind in orders[-1]:
                orders.append([])
            _put(orders, kind)
        is_answering = is_answering and kind != _END
    return found


def _put(orders: list[Order], kind: str) -> None:
    if kind not in orders[-1]:
        orders[-1].append(kind)


def _things(kind: str, shape: Any, *, is_answering: bool) -> tuple[str, ...]:
    """What the event belongs to; the frame of an answer to each of its items."""
    item = shape.get("item") if isinstance(shape, dict) else None
    item = item if isinstance(item, dict) else {}
    if kind.startswith("input_audio_buffer."):
        return (_USER,)
    if kind in _ITEM and not (is_answering and (item.get("role") == "assistant" or item.get("type") == _CALL)):
        return (_USER,)
    if kind in _ITEM or kind.startswith("response.output_item."):
        return (str(item.get("type", _MESSAGE)),)
    if kind.startswith("response.function_call_arguments."):
        return (_CALL,)
    if kind.startswith(("response.output_", "response.content_part.")):
        return (_MESSAGE,)
    if kind in (_BEGIN, _END) or kind.startswith("rate_limits."):
        return (_ANSWER, _CALL, _MESSAGE)
    return (_REST,)
