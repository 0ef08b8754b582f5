"""What one virtual user says and does, as data (docs/reference/scenario.md).

Every section is closed: an unknown key is an error, so that a misspelt one can't be silently ignored. `[realtime]` is
the exception: it is the session object of the mint, passed to OpenAI as it stands
(docs/contract.md#what-a-mint-may-ask).
"""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from loadtest.config.keys.caller import Caller
from loadtest.config.keys.section import DurationS as DurationS
from loadtest.config.keys.section import Section as Section
from loadtest.config.keys.section import sections as sections
from loadtest.config.keys.session_object import SessionObject
from loadtest.sound.languages import LANGUAGES, is_tag, nearest

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

ABSENCE_S = 60
DURATION_S = 3600
"""The service's own `user_absent_timeout` and `max_duration`, where a create asks for none."""


def absence_words(absences_s: Collection[float]) -> str:
    """For a person: what ends sessions that can't be deleted, after so long without their user. Empty: not known."""
    if not absences_s:
        return "user_absent_timeout"
    return f"user_absent_timeout ({'at most ' if len(set(absences_s)) > 1 else ''}{max(absences_s):g} s)"


class Secret(Section):
    """The client secret that each session mints."""

    ttl_s: int = Field(600, ge=10, le=7200, description="life of a secret that the mint asks for, in s")


Engine = Literal["openai-realtime", "external", "cartesia", "text-echo"]


class SessionFields(Section):
    """Optional fields of Avaturn's create call (docs/contract.md#creating-a-session); what is None is not sent."""

    # It is not sent: a client secret drives OpenAI's engine alone (`control.py`), and an endpoint knows its own.
    engine: Engine | None = Field(
        None,
        description="what answers in the room (left out: OpenAI, or not known where your own endpoint makes the"
        " sessions); it is not sent",
    )
    avatar_id: str | None = Field(None, description="the avatar (left out: the service's default)")
    background: Literal["default", "transparent"] | None = Field(None, description="what is behind the avatar")
    render_model: str | None = Field(None, description="what renders the avatar")
    model: str | None = Field(None, description="the create call's own field `model`")
    user_absent_timeout: int | None = Field(
        10, ge=10, description="a session without its user ends after so many s; what is left behind costs that long"
    )
    max_duration: int | None = Field(
        None, ge=60, le=86400, description="no session lasts longer, in s (left out: the service's 3600)"
    )

    @property
    def absence_s(self) -> int:
        """After so long without its user a session ends."""
        return ABSENCE_S if self.user_absent_timeout is None else self.user_absent_timeout

    @property
    def duration_s(self) -> int:
        """A session never lasts longer."""
        return DURATION_S if self.max_duration is None else self.max_duration


HESITANT = " hesitating "
"""Between the source of clips and the pause that they are said with."""
_CLIP = (
    "what is played: corpus:LANGUAGE or corpus:LANGUAGE/STYLE; noise:DBFS, hum:DBFS, laugh:DBFS, cough:DBFS; a file"
    " with sound (WAV, FLAC, MP3, …), or a folder of them"
)
ENGLISH = "corpus:en"
_INTO_THE_ANSWER = "so long into the answer"
_SO_LONG = "for so long"


class TurnKind(Section):
    """A kind of turn. Each says of itself what rules ask of all: none has a default, so none can be forgotten."""

    is_answered: ClassVar[bool]
    """The avatar is to answer it, aloud and with transcripts of both."""
    interrupts: ClassVar[bool]
    """It needs the answer before it to be still going on."""
    avatar_may_speak: ClassVar[bool]
    """The avatar may say something to it, asked for or not, and that is paid for."""

    kind: str = Field(description="which kind of turn it is")


class Spoken(TurnKind):
    """A turn with a sound of the user's."""

    avatar_may_speak = True
    clip: str = Field(min_length=1, description=_CLIP)


class Say(Spoken):
    """Speak a clip, wait for the answer, hear it out."""

    is_answered, interrupts = True, False
    kind: Literal["say"] = Field("say", description="speak a clip, wait for the answer, hear it out")
    clip: str = Field(ENGLISH, min_length=1, description=_CLIP)


class BargeIn(Spoken):
    """Speak into the answer of the turn before, `after_s` into it; the avatar is to fall silent and to answer this
    instead."""

    is_answered, interrupts = True, True
    kind: Literal["barge_in"] = Field(
        "barge_in", description="speak into the answer before; it is to stop, and this to be answered"
    )
    clip: str = Field(ENGLISH, min_length=1, description=_CLIP)
    after_s: DurationS = Field(1.0, description=_INTO_THE_ANSWER)


class Ignore(Spoken):
    """Make a noise into the answer of the turn before, `after_s` into it; the avatar is to go on speaking."""

    is_answered, interrupts = False, True
    kind: Literal["ignore"] = Field("ignore", description="make a noise into the answer before; it is to go on")
    clip: str = Field("noise:-60", min_length=1, description=_CLIP)
    after_s: DurationS = Field(0.5, description=_INTO_THE_ANSWER)


class Backchannel(Spoken):
    """Say "mm-hmm" into the answer of the turn before, `after_s` into it; the avatar is to go on speaking."""

    is_answered, interrupts = False, True
    kind: Literal["backchannel"] = Field(
        "backchannel", description='say "mm-hmm" into the answer before; it is to go on'
    )
    clip: str = Field("hum:-26", min_length=1, description=_CLIP)
    after_s: DurationS = Field(1.0, description=_INTO_THE_ANSWER)


class Hesitate(Spoken):
    """Speak a clip with a pause for thought in its middle, `pause_s` long; the avatar is to wait for its end."""

    is_answered, interrupts = True, False
    kind: Literal["hesitate"] = Field(
        "hesitate", description="speak a clip and hesitate in its middle; its end is to be waited for"
    )
    clip: str = Field(ENGLISH, min_length=1, description=_CLIP)
    pause_s: DurationS = Field(0.6, ge=0.1, le=10, description="how long the user hesitates")

    @property
    def spoken(self) -> str:
        """Which clips these are: those of `clip`, with the pause."""
        return f"{self.clip}{HESITANT}{self.pause_s:g}"


class Silence(TurnKind):
    """Say nothing for `for_s` seconds; the avatar is to say nothing either."""

    is_answered, interrupts, avatar_may_speak = False, False, False
    kind: Literal["silence"] = Field("silence", description="say nothing; the avatar is to say nothing either")
    for_s: DurationS = Field(2.0, description=_SO_LONG)


class Pause(TurnKind):
    """Wait for `for_s` seconds, whatever the avatar does meanwhile."""

    is_answered, interrupts, avatar_may_speak = False, False, False
    kind: Literal["pause"] = Field("pause", description="wait, whatever the avatar does meanwhile")
    for_s: DurationS = Field(1.0, description=_SO_LONG)


WrittenTurn = Say | BargeIn | Ignore | Backchannel | Hesitate | Silence
"""Kinds that are a step in the journal, with its time and its outcome."""
Turn = Annotated[WrittenTurn | Pause, Field(discriminator="kind")]
KINDS: Final[Mapping[str, type[TurnKind]]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(get_args(Turn)[0])
}
"""By the word that the scenario and the journal have for it."""


def _kinds(*, answered: bool, interrupting: bool) -> frozenset[str]:
    return frozenset(
        word for word, kind in KINDS.items() if (kind.is_answered, kind.interrupts) == (answered, interrupting)
    )


ASKING: Final = _kinds(answered=True, interrupting=False)
BARGING_IN: Final = _kinds(answered=True, interrupting=True)
NOISES: Final = _kinds(answered=False, interrupting=True)
ANSWERED: Final = ASKING | BARGING_IN
PAID_FOR: Final = frozenset(word for word, kind in KINDS.items() if kind.avatar_may_speak)
HESITATING: Final = frozenset(word for word, kind in KINDS.items() if kind is Hesitate)
"""What the words of turns in a journal mean to a rule: asks into a silence, asks into an answer, is no
speech; the first two together; and pauses inside a sentence."""


def _said_in(turn: Any, source: str) -> Any:
    """A turn as somebody wrote it, with that source of clips where it names none and would speak English."""
    if isinstance(turn, Spoken):
        is_left_out = turn.clip == ENGLISH and "clip" not in turn.model_fields_set
        return turn.model_copy(update={"clip": source}) if is_left_out else turn
    kind = KINDS.get(str(turn.get("kind"))) if isinstance(turn, dict) else None
    field = None if kind is None else kind.model_fields.get("clip")
    if field is None or "clip" in turn or field.default != ENGLISH:
        return turn
    return {**turn, "clip": source}


class Conversation(Section):
    """The turns of a session, in order, and what is sent and waited for around them."""

    turns: tuple[Turn, ...] = Field((Say(), Say()), description="what the user does, in order")
    repeat_for: DurationS | None = Field(
        None, gt=0, description="all turns again and again until so much time has passed (left out: once)"
    )
    between_turns: Literal["silence", "none"] = Field(
        "silence", description="what the microphone sends between turns: silent frames, as a real one does, or nothing"
    )
    background_dbfs: float | None = Field(
        None, ge=-90, le=-20, description="noise in the user's room, at all times (left out: digital silence)"
    )
    language: str | None = Field(
        None,
        description=f"spoken where turns name no clip: {', '.join(LANGUAGES)}; with clips of your own any tag"
        " (left out: English)",
    )
    think_min_s: DurationS = Field(0.3, description="least pause for thought before a turn that interrupts nothing")
    think_max_s: DurationS = Field(0.8, description="longest pause for thought before a turn that interrupts nothing")
    answer_timeout_s: DurationS = Field(
        10.0, description="from the end of the user's speech to the first audible answer, at most"
    )
    answer_max_s: DurationS = Field(60.0, description="how long an answer may go on")

    @model_validator(mode="before")
    @classmethod
    def _speaks(cls, given: Any) -> Any:
        """Turns that name no clip are said in the language."""
        language = given.get("language") if isinstance(given, dict) else None
        if not isinstance(language, str):
            return given
        turns = given.get("turns", ({"kind": "say"},) * 2)
        if not isinstance(turns, list | tuple):
            return given
        return {**given, "turns": [_said_in(turn, f"corpus:{language}") for turn in turns]}

    @field_validator("language")
    @classmethod
    def _is_tag(cls, language: str | None) -> str | None:
        if language is not None and not is_tag(language):
            meant = nearest(language)
            raise ValueError(
                f"{language!r} is no tag of a language{f' (did you mean {meant}?)' if meant else ', like de'}"
            )
        return language

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = []
        if self.think_min_s > self.think_max_s:
            problems.append("think_min_s is above think_max_s")
        for number, (before, turn) in enumerate(zip((None, *self.turns), self.turns, strict=False), start=1):
            if turn.interrupts and not isinstance(before, Spoken):
                problems.append(
                    f"turns[{number}]: {turn.kind} needs a spoken turn right before it, whose answer it interrupts"
                )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def usual_language(self) -> str | None:
        """What it is said in where a clip's own is not told: as somebody wrote it, or the one language of the corpus
        that is spoken; None: not known."""
        spoken = {re.split("[:/]", clip)[1] for clip in self.clips() if clip.startswith("corpus:")}
        return self.language or (spoken.pop() if len(spoken) == 1 else None)

    def clips(self) -> set[str]:
        """Sources of all clips that are spoken."""
        return {turn.clip for turn in self.turns if isinstance(turn, Spoken)}

    def fluent(self) -> set[str]:
        """Sources of the clips that are spoken as they are, without a pause that is meant."""
        return {turn.clip for turn in self.turns if isinstance(turn, Spoken) and not isinstance(turn, Hesitate)}

    def hesitations(self) -> set[tuple[str, str, float]]:
        """Of the clips that are spoken with a pause: the name of those, of which clips they are made, the pause."""
        return {(turn.spoken, turn.clip, turn.pause_s) for turn in self.turns if isinstance(turn, Hesitate)}


class Waive(Section):
    """A rule whose breach in this scenario's sessions is known and accepted: still judged, told, and never `pass`."""

    rule: str = Field(description="id of the rule")
    reason: str = Field(min_length=1, max_length=300, pattern=r"\S", description="why its breach is accepted")


class Scenario(Section):
    """One of the sorts of session that a run is mixed of; `weight` is its share against the others'."""

    name: str = Field(pattern=NAME, description="what the sort of session is called; by default its file's name")
    weight: float = Field(1.0, gt=0, le=1e9, description="its share of the sessions, against the others' weights")
    secret: Secret = Field(Secret(), description="the client secret that each session mints")
    session: SessionFields = Field(SessionFields(), description="optional fields of the create call")
    realtime: SessionObject = Field(description="the session object of the mint, passed on as it stands")
    conversation: Conversation = Field(Conversation(), description="what a virtual user says and does")
    caller: Caller = Field(Caller(), description="what the caller's microphone hears besides, and how")
    waive: tuple[Waive, ...] = Field((), description="rules whose breach is known and accepted")

    @property
    def is_of_openai(self) -> bool:
        """Whether OpenAI listens, as far as is known: an endpoint of one's own needn't say what its sessions run on."""
        return self.session.engine in (None, "openai-realtime")
