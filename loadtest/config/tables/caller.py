"""Who calls, and from where: what the microphone hears besides the speech, and how the speech itself comes out."""

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from loadtest.config.tables.section import DurationS, Section

ECHO_DELAY_S: Final = 0.12
"""Through a player's buffer, the air and a microphone's own buffer."""

QUIET_DBFS: Final = -50.0
"""No detector of speech should take noise for it that is as quiet."""


class Caller(Section):
    """The caller's room and microphone. Levels are dBFS: the RMS against 32768, of speech that of its loud frames.

    Left out, the microphone hears the clips as they were recorded and nothing else. Everything that is made by chance
    is made by the run's seed.
    """

    speech_dbfs: float | None = Field(
        None, ge=-70, le=-3, description="level of the speech; what is below -44 is not heard (left out: as recorded)"
    )
    clipping_db: float | None = Field(
        None, gt=0, le=30, description="the speech's peaks are so far above full scale, and cut off there"
    )
    band: Literal["full", "phone"] = Field(
        "full", description="what the line carries of speech and noise; phone: 300 to 3400 Hz at 8 kHz, in µ-law"
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

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if self.noise_dbfs is None and self.noise is not None:
            problems.append("noise: it has no level; give noise_dbfs")
        if self.echo_dbfs is None and self.echo_delay_s != ECHO_DELAY_S:
            problems.append("echo_delay_s: there is no echo; give echo_dbfs")
        if self.speech_dbfs is not None and self.clipping_db is not None:
            problems.append("clipping_db: speech_dbfs gives the speech another level; give one of them")
        if problems:
            raise ValueError("\n".join(problems))
        return self

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


CLEAN: Final = Caller()
"""In a studio: nothing but the clips is heard."""
