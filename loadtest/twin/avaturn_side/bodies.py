"""The bodies of Avaturn's public API, from which the 422 answers and openapi.json follow.

Source: docs/contract.md#creating-a-session, #avaturns-errors.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field


class OpenAIRealtime(BaseModel):
    """Voice to voice: Avaturn opens the OpenAI WebSocket with this secret."""

    type: Literal["openai-realtime"]
    client_secret: str


class Voice(BaseModel):
    """Who speaks the texts of a text-echo session."""

    engine: Literal["elevenlabs", "google"] = "elevenlabs"
    voice_id: str

    @property
    def name(self) -> str:
        """One voice, one name."""
        return f"{self.engine}/{self.voice_id}"


class TextEcho(BaseModel):
    """Says what it is told."""

    type: Literal["text-echo"]
    tts: Voice


class Cartesia(BaseModel):
    """An agent that Cartesia runs."""

    type: Literal["cartesia"]
    access_token: str
    agent_id: str


class UserAudio(BaseModel):
    """Format of the microphone towards an external engine."""

    sample_rate: Literal[16000, 24000] = 24000


class ExternalAudio(BaseModel):
    """Audio settings of an external engine."""

    user: UserAudio = UserAudio()


class External(BaseModel):
    """The integrator's own engine behind a WebSocket."""

    type: Literal["external"]
    url: str
    headers: dict[str, str] | None = None
    audio: ExternalAudio | None = None


Engine = Annotated[OpenAIRealtime | TextEcho | Cartesia | External, Field(discriminator="type")]


class CreateSession(BaseModel):
    """Body of `POST /api/v1/sessions`. Unknown fields are ignored; of the two names of the preset both are honoured."""

    conversation_engine: Engine | None = None
    avatar_id: str = "jane_20240829"
    background: Literal["transparent", "default"] = "default"
    model: Literal["delta", "golf"] = "delta"
    render_model: Literal["delta", "golf"] | None = None
    user_absent_timeout: int = Field(60, ge=10)
    max_duration: int = Field(3600, ge=60, le=86400)

    @property
    def preset(self) -> str:
        """The render preset, by whichever name it was given."""
        return self.render_model or self.model


class ModelAlone(CreateSession):
    """The same where only `model` is honoured: the other name is just another unknown field."""

    render_model: Any = None

    @property
    def preset(self) -> str:
        """`render_model` may be anything here."""
        return self.model


class RenderModelAlone(CreateSession):
    """The same where only `render_model` is honoured."""

    model: Any = "delta"

    @property
    def preset(self) -> str:
        """`model` may be anything here."""
        return self.render_model or "delta"


class CreatedSession(BaseModel):
    """Answer of `POST /api/v1/sessions`."""

    session_id: str
    token: str


class Task(BaseModel):
    """Body of `…/tasks`, public and of the SDK."""

    text: str


class CreatedTask(BaseModel):
    """Answer of `…/tasks`."""

    task_id: str


class ChangedConfig(BaseModel):
    """Body of `PATCH /_sdk/v0/sessions/config`."""

    conversation_engine: TextEcho


class SessionConfig(BaseModel):
    """What the SDK must know to show the video."""

    uses_stacked_alpha: bool


class SdkSession(BaseModel):
    """Answer of `GET /_sdk/v0/sessions`."""

    id: str
    room_url: str
    limited_access_token: str
    session_config: SessionConfig
