"""Who calls, and from where: what the microphone hears besides the speech, and how the speech itself comes out."""

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from loadtest.config.keys.caller_lines import profiles, with_profile
from loadtest.config.keys.section import DurationS, Section

ECHO_DELAY_S: Final = 0.12
"""Through a player's buffer, the air and a microphone's own buffer."""

STALL_EVERY_S: Final = 10.0
CUT_FOR_S: Final = 3.0
QUIET_DBFS: Final = -50.0
"""No detector of speech should take noise for it that is as quiet."""


class Line(Section):
    """One way of the caller's line, between his device and the room. Sound and app-messages take it, nothing else does.

    In a room over UDP (WebRTC) what is lost is lost. TCP (a WebSocket) sends it again: it comes later, and so does all
    that is behind it.
    """

    delay_s: DurationS = Field(0.0, ge=0, le=1, description="how long a packet takes")
    jitter_s: DurationS = Field(
        0.0, ge=0, le=0.5, description="by so much that wanders, either way; packets keep their order"
    )
    loss: float = Field(0.0, ge=0, le=0.5, description="share of the packets of sound that are lost: 0.02 is 2 %")
    burst: float = Field(1.0, ge=1, le=50, description="so many of them in a row, on average")
    bandwidth_kbps: float | None = Field(
        None, gt=0, description="kbit/s that it carries; what would wait for longer than 0.5 s is lost (left out: any)"
    )
    stall_s: DurationS = Field(0.0, ge=0, le=2, description="it stands still for so long, then all comes at once")
    stall_every_s: DurationS = Field(STALL_EVERY_S, ge=0.1, le=3600, description="from one such stall to the next")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if self.jitter_s > self.delay_s:
            problems.append("jitter_s is above delay_s: a packet can't arrive before it is sent")
        if self.burst > 1 and not self.loss:
            problems.append("burst: nothing is lost; give loss")
        if self.stall_s >= self.stall_every_s:
            problems.append("stall_s: the line never moves; stall_every_s must be longer")
        if problems:
            raise ValueError("\n".join(problems))
        return self


class Caller(Section):
    """The caller's room, microphone and line. Levels are dBFS, the RMS against 32768; of speech, of its loud frames.

    Left out, the microphone hears the clips as they were recorded and nothing else. Everything that is made by chance
    is made by the run's seed.
    """

    profile: str | None = Field(
        None, description=f"a line by name ({', '.join(profiles())}); keys of up and down beside it win"
    )
    speech_dbfs: float | None = Field(
        None, ge=-70, le=-3, description="level of the speech; what is below -44 is not heard (left out: as recorded)"
    )
    clipping_db: float | None = Field(
        None, gt=0, le=30, description="the speech's peaks are so far above full scale, and cut off there"
    )
    band: Literal["full", "phone"] = Field(
        "full", description="what the line carries of speech, noise and echo; phone: 300 to 3400 Hz at 8 kHz, in µ-law"
    )
    noise: str | None = Field(
        None, min_length=1, description="white (left out), pink, babble (other people's talk), or a file with a noise"
    )
    noise_dbfs: float | None = Field(
        None, ge=-90, le=-10, description="level of that noise, at all times (left out: there is none)"
    )
    echo_dbfs: float | None = Field(
        None, ge=-70, le=-10, description="level at which the avatar's own voice comes back (left out: it does not)"
    )
    echo_delay_s: DurationS = Field(
        ECHO_DELAY_S, ge=0.04, le=1.0, description="from the avatar's voice to its echo, by the stamps of both frames"
    )
    up: Line = Field(Line(), description="the line from the caller to the room")
    down: Line = Field(Line(), description="the line from the room to the caller")

    cut_after_s: DurationS | None = Field(
        None, gt=0, description="the line is cut so long after the caller began to talk, once (left out: never)"
    )
    cut_for_s: DurationS = Field(
        CUT_FOR_S,
        gt=0,
        le=600,
        description="then the caller joins again; once the session has ended meanwhile, a new one",
    )

    @model_validator(mode="before")
    @classmethod
    def _takes_profile(cls, given: Any) -> Any:
        return with_profile(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if self.noise_dbfs is None and self.noise is not None:
            problems.append("noise: it has no level; give noise_dbfs")
        if self.echo_dbfs is None and self.echo_delay_s != ECHO_DELAY_S:
            problems.append("echo_delay_s: there is no echo; give echo_dbfs")
        for way, line in (("up", self.up), ("down", self.down)):
            if not line.stall_s and line.stall_every_s != STALL_EVERY_S and self.profile is None:  # else the profile's
                problems.append(f"{way}.stall_every_s: the line never stands still; give stall_s")
        if self.cut_after_s is None and self.cut_for_s != CUT_FOR_S:
            problems.append("cut_for_s: the line is never cut; give cut_after_s")
        if self.speech_dbfs is not None and self.clipping_db is not None:
            problems.append("clipping_db: speech_dbfs gives the speech another level; give one of them")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def away_s(self) -> float:
        """How long a conversation is interrupted by a cut."""
        return 0.0 if self.cut_after_s is None else self.cut_for_s

    @property
    def has_line(self) -> bool:
        """The line is no cable in a laboratory."""
        return self.up != CABLE or self.down != CABLE

    @property
    def changes_speech(self) -> bool:
        """The clips come out otherwise than they were recorded."""
        return self.speech_dbfs is not None or self.clipping_db is not None or self.band != "full"

    @property
    def is_loud(self) -> bool:
        """Noise or echo may be taken for speech."""
        return self.echo_dbfs is not None or (self.noise_dbfs or QUIET_DBFS) > QUIET_DBFS

    @property
    def is_noisy(self) -> bool:
        """Something but the speech may be loud at the microphone."""
        return self.noise_dbfs is not None or self.echo_dbfs is not None


CABLE: Final = Line()
CLEAN: Final = Caller()
"""In a studio: nothing but the clips is heard."""
