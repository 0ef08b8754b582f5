"""What one virtual user says and does, as data (INTERFACE.md "Scenario TOML").

Every section is closed: an unknown key is an error, so that a misspelt one can't be silently ignored. `[realtime]` is
the exception: it is the session object of the mint, passed to OpenAI as it stands (PROTOCOL.md 1.1).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from loadtest.durations import parse_s

DurationS = Annotated[float, BeforeValidator(parse_s)]
"""Seconds, written as a length of time."""

SERVER_VAD_SILENCE_MS = 500
"""Documented default of `silence_duration_ms`; the spec's examples show 200, so it is always sent (PROTOCOL.md C-4)."""


class Section(BaseModel):
    """A closed, frozen table of the scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Secret(Section):
    """The client secret that each session mints."""

    ttl_s: int = Field(600, ge=10, le=7200)


class SessionFields(Section):
    """Optional fields of Avaturn's create call (PROTOCOL.md 3.2); what is None is not sent."""

    avatar_id: str | None = None
    background: Literal["default", "transparent"] | None = None
    render_model: str | None = None
    model: str | None = None
    user_absent_timeout: int | None = Field(10, ge=10)
    max_duration: int | None = Field(None, ge=60, le=86400)


class Say(Section):
    """Speak a clip, wait for the answer, hear it out."""

    kind: Literal["say"] = "say"
    clip: str = "corpus:en"


class Pause(Section):
    """Say nothing for `for_s` seconds; what the microphone sends meanwhile is `between_turns`."""

    kind: Literal["pause"] = "pause"
    for_s: DurationS = 1.0


Turn = Annotated[Say | Pause, Field(discriminator="kind")]


class Conversation(Section):
    """The turns of a session, in order, and what is sent and waited for around them."""

    turns: tuple[Turn, ...] = (Say(), Say())
    between_turns: Literal["silence", "none"] = "silence"
    think_min_s: DurationS = 0.3
    think_max_s: DurationS = 0.8
    answer_timeout_s: DurationS = 10.0
    """From the end of the user's speech to the first audible answer."""
    answer_max_s: DurationS = 60.0
    """How long an answer may go on."""

    def nominal_s(self) -> float:
        """A guess of the length of a conversation, for graceful stops: 5 s a spoken turn."""
        return sum(5.0 if isinstance(turn, Say) else turn.for_s for turn in self.turns)


def default_realtime() -> dict[str, Any]:
    """The mint's session object: what the service leaves to chance is set (PROTOCOL.md C-4, C-5)."""
    return {
        "type": "realtime",
        "model": "gpt-realtime",
        "instructions": "You are a helpful assistant. Answer in one short sentence.",
        "audio": {
            "input": {
                "transcription": {"model": "whisper-1"},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "silence_duration_ms": SERVER_VAD_SILENCE_MS,
                },
            },
            "output": {"voice": "marin"},
        },
    }


def vad_silence_s(realtime: dict[str, Any]) -> float | None:
    """The silence after which the service takes a turn as ended; None where no server VAD is configured."""
    detection = (((realtime.get("audio") or {}).get("input") or {}).get("turn_detection")) or {}
    if detection.get("type", "server_vad") != "server_vad":
        return None
    return float(detection.get("silence_duration_ms", SERVER_VAD_SILENCE_MS)) / 1000
