"""Every rule of docs/contract.md: what it says, where it may be tried, whose word it is, what a breach is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Group(StrEnum):
    """The part of the contract, and of a report, that a rule belongs to."""

    EXPIRY = "expiry"
    TERMINATION = "termination"
    DURATIONS = "durations"
    TRANSCRIPTS = "transcripts"
    INTERRUPTION = "interruption"
    ERRORS = "errors"
    LIMITS = "limits"
    SECURITY = "security"
    SDK = "sdk"


class Prod(StrEnum):
    """Where the rule can be tried."""

    AS_IS = "P"  # against production as it is
    LONG = "C"  # costs long time, or money
    MOCK = "M"  # a fault has to be injected, or OpenAI's side to be seen
    PASSIVE = "passive"  # nothing to provoke: every session shows it, or the settings alone do


class Standing(StrEnum):
    """What a breach is worth: would anybody sign a release in which the rule is broken? (DECISIONS.md)"""

    BINDING = "binding"  # nobody would, or a document promises it: a breach is `fail`, and fails the run
    ASSUMED = "assumed"  # only assumed, and one can live without it: shown as `characterised`, fails nothing
    OPEN = "open"  # no right answer is known: what was seen is told, always as `characterised`


class Source(StrEnum):
    """What a rule reads."""

    LOAD = "load"  # what load sessions show by themselves
    PROBE = "probe"  # RuleChecked, which a probe said


class Word(StrEnum):
    """Whose word a rule is; when two disagree the one that stands first here counts."""

    HOW_TO = "how-to"  # Avaturn's how-to page on the OpenAI Realtime engine
    AVATURN = "avaturn"  # Avaturn's API reference, its other pages, its public demo
    WIRE = "wire"  # recordings of the real OpenAI service
    OPENAI = "openai"  # OpenAI's API reference, and the types of its Python package
    SEEN = "seen"  # logs of the real services in public bug reports
    SDK = "sdk"  # what Avaturn's web SDK was observed to do
    REPORTED = "reported"  # second-hand, of unknown age
    DERIVED = "derived"  # follows from the others
    ASSUMED = "assumed"  # nobody's


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `statement` is a sentence for a report, `words` say on whose word it stands, the best first."""

    id: str
    group: Group
    statement: str
    prod: Prod
    standing: Standing
    reads: tuple[Source, ...]
    words: tuple[Word, ...]

    @property
    def characterised(self) -> bool:
        """It never fails a run."""
        return self.standing is not Standing.BINDING


_LOAD, _PROBE = (Source.LOAD,), (Source.PROBE,)
_BOTH = (Source.LOAD, Source.PROBE)
_P, _C, _M, _PASSIVE = Prod
_BINDING, _ASSUMED, _OPEN = Standing

_Row = tuple[str, str, Prod, Standing, tuple[Source, ...]]

_ROWS: Final[dict[Group, tuple[_Row, ...]]] = {
    Group.EXPIRY: (
        ("EXP-1", "A secret past its expiry can't start a conversation", _P, _BINDING, _PROBE),
        ("EXP-1b", "The refusal of an expired secret is visible within 30 s", _P, _BINDING, _PROBE),
        ("EXP-2", "An open socket survives the expiry of its secret", _P, _BINDING, _BOTH),
        ("EXP-3", "A secret lives as long as was asked for, 600 s by default, within 5 s", _P, _BINDING, _BOTH),
        ("EXP-4", "TTLs of 10 and 7200 s are accepted, 9 and 7201 s are refused", _P, _BINDING, _PROBE),
        ("EXP-5", "Every session has a fresh secret of its own", _P, _BINDING, _LOAD),
        ("EXP-6", "A live secret may open more than one OpenAI session", _P, _OPEN, _PROBE),
        ("EXP-7", "The session runs with what its secret says", _P, _BINDING, _PROBE),
        ("EXP-8", "A session is up before 80 % of its secret's life are over", _P, _ASSUMED, _LOAD),
    ),
    Group.TERMINATION: (
        ("TD-1", "DELETE ends the session within 5 s", _P, _BINDING, _BOTH),
        ("TD-1b", "DELETE ends the session within 5 s also while the avatar speaks", _P, _BINDING, _PROBE),
        ("TD-2", "A session doesn't end before its time because the user leaves", _P, _BINDING, _BOTH),
        ("TD-3", "A session ends once its user was absent for user_absent_timeout", _P, _BINDING, _PROBE),
        ("TD-3b", "Coming back stops the timer of absence, and a new absence counts from 0", _P, _BINDING, _PROBE),
        ("TD-3c", "A user_absent_timeout of 9 s is refused, 10 s is accepted", _P, _BINDING, _PROBE),
        ("TD-4", "max_duration ends the session, whatever goes on in it", _P, _BINDING, _BOTH),
        ("TD-4b", "A max_duration of 59 or 86401 s is refused, 60 and 86400 s are accepted", _P, _BINDING, _PROBE),
        ("TD-5", "Nothing resumes an ended session: token, room and tasks are dead", _P, _BINDING, _BOTH),
        ("TD-6", "Deleting an ended or unknown session is harmless", _P, _ASSUMED, _BOTH),
        ("TD-7", "A session that nobody joins ends after user_absent_timeout too", _P, _BINDING, _PROBE),
        (
            "TD-8",
            "An idle page's session is gone 300 s + user_absent_timeout after its last message",
            _C,
            _BINDING,
            _PROBE,
        ),
        ("TD-9", "A create whose client gave up leaves nothing alive beyond user_absent_timeout", _P, _BINDING, _PROBE),
        ("TD-10", "The end of a session closes its OpenAI socket within 5 s", _M, _BINDING, _PROBE),
        ("TD-11", "DELETE with a wrong key doesn't end a session", _P, _BINDING, _PROBE),
    ),
    Group.DURATIONS: (
        ("DUR-1", "OpenAI's cut after 60 min shows as an end or an error, never as a mute avatar", _C, _BINDING, _BOTH),
        ("DUR-2", "A max_duration above 3600 s gives no more than 60 min of conversation", _C, _OPEN, _BOTH),
    ),
    Group.TRANSCRIPTS: (
        ("TR-1", "The user's transcripts come if and only if transcription was asked for", _P, _BINDING, _BOTH),
        ("TR-2", "There is exactly one transcript for each finished answer of the avatar", _P, _BINDING, _BOTH),
        ("TR-3", "The transcripts of one turn may come in either order", _PASSIVE, _OPEN, _LOAD),
        ("TR-4", "A failed transcription is told as transcription-failed", _M, _ASSUMED, _BOTH),
        ("TR-5", "A transcript is a text with a time stamp in unix seconds that never goes back", _P, _BINDING, _BOTH),
        ("TR-6", "The transcript of an interrupted answer may hold more than was heard", _PASSIVE, _OPEN, _BOTH),
        ("TR-7", "A transcript reaches its own session and no other", _P, _BINDING, _BOTH),
    ),
    Group.INTERRUPTION: (
        ("INT-1", "The user's speech silences the avatar within 1 s", _P, _BINDING, _BOTH),
        ("INT-2", "It does so also when the answer is generated to its end", _P, _BINDING, _BOTH),
        ("INT-3", "What was discarded is never said later", _P, _BINDING, _BOTH),
        ("INT-4", "Every avatar_started_speaking is followed by its avatar_ended_speaking", _P, _ASSUMED, _BOTH),
        ("INT-5", "Noise below the threshold doesn't interrupt the avatar", _P, _BINDING, _BOTH),
        ("INT-6", "The model remembers text that was never heard", _P, _OPEN, _PROBE),
        ("INT-7", "interrupt_response: false still loses the sound that waits to be played", _P, _OPEN, _PROBE),
        (
            "AUD-1",
            "The avatar's sound has the pitch and length that were generated, within 2 %",
            _M,
            _BINDING,
            _BOTH,
        ),
        ("AUD-2", "The session's settings leave the avatar a voice", _PASSIVE, _ASSUMED, _LOAD),
        ("AUD-3", "avatar_started_speaking comes within 500 ms of the first audible sound", _P, _ASSUMED, _BOTH),
        ("TOOL-1", "Calls of tools never reach the page", _P, _BINDING, _BOTH),
        ("TOOL-2", "A call of a function isn't executed: such a turn ends without an answer", _P, _BINDING, _BOTH),
        ("TOOL-3", "The session's settings have no tools", _PASSIVE, _ASSUMED, _LOAD),
    ),
    Group.ERRORS: (
        ("GA-1", "Use of the beta shape is told as openai-realtime-version-mismatch", _M, _BINDING, _BOTH),
        ("GA-2", "OpenAI refuses mints and sockets in the shape of the beta", _P, _BINDING, _PROBE),
        ("GA-3", "An error of a session comes nested in a message of type error", _P, _ASSUMED, _BOTH),
        ("GA-4", "A secret for transcription leads to an error, not to a mute avatar", _P, _OPEN, _PROBE),
        ("ERR-1", "A recoverable error of OpenAI doesn't end the session", _M, _ASSUMED, _PROBE),
        ("ERR-2", "A failed response is a failed turn, not a slow one", _M, _ASSUMED, _BOTH),
        ("ERR-3", "A refusal by OpenAI at the start is told within 10 s", _P, _BINDING, _BOTH),
        ("VAL-1", "A bad create is refused with 422 and the place of the fault", _P, _BINDING, _PROBE),
        ("VAL-2", "render_model or model chooses the preset, and a bogus one is refused", _P, _BINDING, _PROBE),
    ),
    Group.LIMITS: (
        ("LIM-1", "A used-up quota is refused cleanly, and running sessions don't suffer", _C, _BINDING, _BOTH),
        ("LIM-2", "Nothing is minted again before retry-after, nor at all without credit", _M, _BINDING, _BOTH),
    ),
    Group.SECURITY: (
        ("SEC-1", "No key, secret or token is in anything that a run leaves", _PASSIVE, _BINDING, _BOTH),
        ("SEC-2", "No answer gives back a key, secret or token that was sent", _PASSIVE, _BINDING, _BOTH),
        ("SEC-3", "The API key is refused by the SDK's API, a session's token by the public one", _P, _BINDING, _PROBE),
    ),
    Group.SDK: (
        ("SDK-1", "Opening a session succeeds or fails within our own deadline", _PASSIVE, _BINDING, _BOTH),
        ("SDK-2", "The end of a session is noticed in its room", _PASSIVE, _BINDING, _BOTH),
        ("SDK-3", "An error before the page listens isn't lost", _M, _OPEN, _PROBE),
    ),
}

_ON_WORD_OF: Final = {
    Word.HOW_TO: "EXP-1 EXP-2 EXP-3 EXP-4 EXP-5 EXP-7 TD-1 TD-2 TD-3 TD-3c TD-4 TD-4b TD-5 TD-8"
    " TR-1 TR-2 INT-1 INT-3 AUD-1 TOOL-1 TOOL-2 TOOL-3 GA-1 VAL-2 SEC-1",
    Word.AVATURN: "TD-1b TD-4b TD-7 TR-5 GA-3 VAL-1 VAL-2 LIM-1",
    Word.WIRE: "TR-3",
    Word.OPENAI: "EXP-1 EXP-4 EXP-6 TR-3 TR-6 INT-2 INT-5 TOOL-3 ERR-1 LIM-2",
    Word.SEEN: "DUR-1 GA-2",
    Word.SDK: "TD-2 TD-8 SDK-1 SDK-2 SDK-3",
    Word.REPORTED: "TD-3b TD-10 TR-4 INT-6 GA-3 ERR-2",
    Word.DERIVED: "EXP-8 TD-9 DUR-2 INT-7 AUD-2 SEC-2",
    Word.ASSUMED: "EXP-1b TD-6 TD-10 TD-11 TR-7 INT-4 AUD-3 GA-4 ERR-3 SEC-3",
}
"""Ids of rules. One that is named nowhere can't be imported."""


def _words(rule: str) -> tuple[Word, ...]:
    if found := tuple(word for word, rules in _ON_WORD_OF.items() if rule in rules.split()):
        return found
    raise LookupError(f"{rule}: on whose word?")


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        row[0]: Rule(
            id=row[0],
            group=group,
            statement=row[1],
            prod=row[2],
            standing=row[3],
            reads=row[4],
            words=_words(row[0]),
        )
        for group, rows in _ROWS.items()
        for row in rows
    }
)
"""By id, in the order of docs/contract.md#rules."""
