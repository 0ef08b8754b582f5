"""The order of the events of a turn, as data. Whoever wants another order edits this file.

Source: docs/contract.md#a-voice-turn, #interruption.
"""

from dataclasses import dataclass

USER_TURN = ("speech_stopped", "committed", "item.added", "item.done")
"""What the end of the user's speech brings, before the response; a manual commit leaves out the first."""

REMARK = ("item.added", "item.done")
"""What `timeout_triggered` brings first, of a message of the system; then a turn follows that nobody spoke."""


@dataclass(frozen=True, slots=True)
class Order:
    """The events of one output item."""

    opening: tuple[str, ...]
    delta: tuple[str, ...]
    closing: tuple[str, ...]
    cut: tuple[str, ...]
    """Instead of `closing`, when the response ends before the item is complete."""


AUDIO = Order(
    opening=("response.output_item.added", "conversation.item.added", "response.content_part.added"),
    delta=("response.output_audio_transcript.delta", "response.output_audio.delta"),
    closing=(
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
    ),
    cut=(
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
    ),
)
TEXT = Order(
    opening=AUDIO.opening,
    delta=("response.output_text.delta",),
    closing=("response.output_text.done", *AUDIO.closing[2:]),
    cut=("response.output_text.done", *AUDIO.cut[2:]),
)
CALL = Order(
    opening=("response.output_item.added", "conversation.item.added"),
    delta=("response.function_call_arguments.delta",),
    closing=("response.function_call_arguments.done", "conversation.item.done", "response.output_item.done"),
    cut=("response.function_call_arguments.done", "response.output_item.done"),
)


def response_begins(rate_limits: str) -> tuple[str, ...]:
    """Before the first item; `rate_limits` is the knob of that name."""
    told = ("rate_limits.updated",) if rate_limits in ("start", "both") else ()
    return ("response.created", *told)


def response_ends(rate_limits: str) -> tuple[str, ...]:
    """After the last item."""
    if rate_limits == "after":
        return ("response.done", "rate_limits.updated")
    told = ("rate_limits.updated",) if rate_limits in ("end", "both") else ()
    return (*told, "response.done")
