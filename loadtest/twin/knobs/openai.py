"""What nobody outside knows about OpenAI, and how it fails, as knobs.

Source: docs/contract.md#openais-errors, #opening-the-socket, #a-voice-turn, #errors-and-closes, #latency-and-faults.
"""

from dataclasses import dataclass
from typing import Any

from loadtest.twin.knobs.values import Duration, Fixed, duration, integer, knob, number, one_of, optional, yes_or_no


def _choice(key: str, default: str, *others: str, text: str) -> Any:
    allowed = (default, *others)
    return knob(key, default, one_of(*allowed), "|".join(allowed), text)


def _silence_ms(text: str) -> int | None:
    return None if text == "by_model" else integer(0, 10_000)(text)


@dataclass(frozen=True, kw_only=True)
class OpenAIKnobs:
    """The defaults are the honest twin."""

    requests_per_minute: int | None = knob(
        "limit.rpm", None, integer(1, 10**9), "N", "mints per minute; above, 429 with retry-after"
    )
    tokens_per_minute: int | None = knob(
        "limit.tpm", None, integer(1, 10**9), "N", "tokens per minute; above, responses fail"
    )
    retry_after_s: int | None = knob(
        *("retry_after", 1, optional(integer(0, 3600)), "S|none"), "the retry-after of an injected 429"
    )
    bad_key_refused: str = _choice(
        "expired_secret", "error_then_close", "upgrade_401", text="how a socket with a bad or expired key is refused"
    )
    model_beside_key: str = _choice(
        *("secret_with_model", "same", "accept", "refuse"),
        text="?model= beside a client secret: fine if it is the secret's model, or whatever it is, or never",
    )
    conversation_created: bool = knob(
        "conversation_created", False, yes_or_no, "yes|no", "send conversation.created after session.created"
    )
    rate_limits: str = _choice(
        *("rate_limits", "after", "sometimes", "none", "start", "end", "both"),
        text="rate_limits.updated: after response.done with tokens alone, after half of them, never; or, with requests "
        "too, after response.created, before response.done, at both",
    )
    transcript: str = _choice(
        *("transcript", "by_model", "streamed", "early", "late"),
        text="the user's transcript: while the user speaks, complete in mid-answer (so by gpt-realtime-whisper); "
        "as soon as it is ready (so by all others); not before response.done",
    )
    shapes: str = _choice(
        *("shapes", "recorded", "documented"),
        text="documented: items with `object`, results of calls with `status`, no `obfuscation`, no `phase`, "
        "no `language`, `prompt` and `description` that nobody set, no remark of the system on a user who says nothing",
    )
    first_item_done: str = _choice(
        *("first_item_done", "null", "item"),
        text="previous_item_id in the conversation.item.done of the first item that the model makes",
    )
    session_model: str = _choice(
        *("session_model", "alias", "snapshot"), text="session.model: what was asked for, or the dated model behind it"
    )
    silence_ms: int | None = knob(
        *("silence_ms", None, _silence_ms, "by_model|MS"),
        "silence_duration_ms of who asks for none; by_model: 500 for gpt-realtime-2 and its kin, 200 for the others",
    )
    commentary: float = knob(
        *("commentary", 1.0, number(0, 1), "SHARE"),
        "calls of a tool that gpt-realtime-2 and its kin announce with a message in the same response",
    )
    reasoning_tokens: str = _choice(
        *("reasoning_tokens", "by_answer", "always", "never"),
        text="in the usage of gpt-realtime-2 and its kin; by_answer: not of a call or the answer to its result, unless "
        "the session names an effort",
    )
    output_items: int = knob("output_items", 1, integer(1, 20), "N", "output items that a spoken answer is split into")
    generation_speed: float = knob(
        "generation_speed", 3.0, number(0.1, 1000), "X", "times faster than real time that an answer is generated"
    )
    context_growth_s: float = knob(
        "context_growth",
        0.0,
        number(0, 60),
        "S",
        "how much later each answer begins for every earlier one of its conversation, in seconds",
    )
    tool_calls: float = knob(
        "tool_calls", 1.0, number(0, 1), "SHARE", "with tools and tool_choice auto: answers that are calls of a tool"
    )
    close_after: Duration = knob(  # noqa: RUF009  # a field specifier
        "close_after", Fixed(3.0), duration, "DURATION", "from session.created to a close by fault.realtime_close"
    )
    answers_close: bool = knob(
        "answers_close", True, yes_or_no, "yes|no", "no: a client that closes an OpenAI socket gets no close frame"
    )
