"""The closed sets of words that events are written in: what may stand in a field, a metric's label, a row of a report.

A new word needs a reader: the catalogue of metrics, the reports and the timeline list what they know.
"""

from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """The steps of a session, in order. A TURN is a part of CONVERSE."""

    MINT = "mint"
    CREATE = "create"
    CONNECT = "connect"
    CONVERSE = "converse"
    TURN = "turn"
    DELETE = "delete"


STEPS: Final = tuple(step for step in Step if step is not Step.TURN)
"""Those that every session takes, one after the other; each has times, service levels and a panel of its own. A turn is
judged by its time to first audio."""
TO_THE_ROOM: Final = STEPS[: STEPS.index(Step.CONVERSE)]
"""Those that lead into the room: a session is set up when the last of them went well."""
ON_A_SECRET: Final = TO_THE_ROOM[TO_THE_ROOM.index(Step.MINT) + 1 :]
"""Those of them for which the client secret, or what was made on it, has to be good still."""


class Mark(StrEnum):
    """A moment inside a step."""

    SDK_SESSION = "sdk_session"  # the SDK session was answered with the room's address and token
    SIGNALLED = "signalled"  # the room's socket is open, or its answer to our offer is here
    ICE_CONNECTED = "ice_connected"  # WebRTC: a pair of addresses works
    DTLS_CONNECTED = "dtls_connected"  # WebRTC: the keys are agreed on
    JOINED = "joined"  # the room says that we are in
    AVATAR_PRESENT = "avatar_present"  # the avatar is in the room
    FIRST_FRAME = "first_frame"  # the avatar's first media frame, silent or not
    LINE_CUT = "line_cut"  # the caller's own line is dead (`[caller]` of the scenario)
    REJOINED = "rejoined"  # he is in the room again
    SPEECH_START = "speech_start"  # the user's first voiced frame left
    SPEECH_END = "speech_end"  # the user's last voiced frame left
    FIRST_AUDIO = "first_audio"  # onset of the avatar's answer, heard in the audio itself
    LAST_AUDIO = "last_audio"  # its last loud frame
    AVATAR_STARTED = "avatar_started"  # the app-message, not the audio
    AVATAR_ENDED = "avatar_ended"
    SENT_LOST = "sent_lost"  # the other side missed packets of ours, by its own report
    USER_TRANSCRIPT = "user_transcript"
    AVATAR_TRANSCRIPT = "avatar_transcript"
    TRANSCRIPT_FAILED = "transcript_failed"  # the marker text of TR-4, not user speech
    PHRASE_STARTED = "phrase_started"  # the app-message: one item of an answer begins to be played
    SESSION_ERROR = "session_error"  # the app-message that the session is in trouble
    TOOL_DATA = "tool_data"  # an app-message that speaks of a tool's call, which none should (TOOL-1)
    MESSAGES_CUT = "messages_cut"  # so many app-messages came that further ones are counted, and not written
    ROOM_ENDED = "room_ended"  # the room was over, and not because we left
    BARGE_IN = "barge_in"
    SILENCED = "silenced"


class Way(StrEnum):
    """Of the line between a caller and his room."""

    UP = "up"  # from the caller
    DOWN = "down"  # to him


class AnswerEnd(StrEnum):
    """How an answer ended that was listened to until its end."""

    WHOLE = "whole"  # as far as can be told
    CUT = "cut"  # in its middle: by its words, or by the end of the room
    SELF_INTERRUPTED = "self_interrupted"  # the service stopped it, and the user had said nothing
    TWICE = "twice"  # the same was said again
    SILENT = "silent"  # announced as speech for longer than it was heard
    CLIPPED = "clipped"  # louder than its samples can say


class Outcome(StrEnum):
    """How a step, a turn or a session ended. Cancelled is nobody's failure: service levels leave it out."""

    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Remains(StrEnum):
    """What a session may have left at the target; written before the call that could leave it."""

    NOTHING = "nothing"  # its delete is confirmed, or nothing was ever created
    DOUBTFUL = "doubtful"  # create was sent and never answered: no id, so it can't be swept
    LEAKED = "leaked"  # create was answered, delete not confirmed


class RemainsReason(StrEnum):
    """Why something else remains of a session from now on."""

    CREATE_SENT = "create_sent"
    CREATE_ANSWERED = "create_answered"
    CREATE_REFUSED = "create_refused"
    DELETED = "deleted"
    DELETE_FAILED = "delete_failed"
    STILL_ALIVE = "still_alive"
    SWEPT = "swept"


class Gone(StrEnum):
    """What the look after a delete showed: only a refusal of a once good token proves the end."""

    CONFIRMED = "confirmed"  # the session's token is refused
    UNCONFIRMED = "unconfirmed"  # no answer that proves anything
    STILL_ALIVE = "still_alive"  # the token still works


class EndedBy(StrEnum):
    """What ended a session at the target (docs/contract.md#rules-of-termination)."""

    DELETE = "delete"
    USER_ABSENT_TIMEOUT = "user_absent_timeout"
    MAX_DURATION = "max_duration"
    UNEXPECTED = "unexpected"


class RuleOutcome(StrEnum):
    """What is known of a rule of docs/contract.md#rules. Characterised: observed and told, nobody's fault. Waived:
    judged, and the scenario accepts whatever came of it."""

    PASS = "pass"
    FAIL = "fail"
    NOT_TESTED = "not_tested"
    CHARACTERISED = "characterised"
    WAIVED = "waived"


class SecretKind(StrEnum):
    """What a session sends and nobody may give back (SEC-2)."""

    API_KEY = "api_key"  # the project's, OpenAI's or Avaturn's, or one for the integrator's own endpoint
    CLIENT_SECRET = "client_secret"
    SESSION_TOKEN = "session_token"
    ROOM_TOKEN = "room_token"


class DropReason(StrEnum):
    """Why an iteration that was due did not become a session."""

    LATE = "late"  # it could not start in time
    NO_USER = "no_user"  # all users were busy
    MAX_SESSIONS = "max_sessions"  # no session may be created any more
    BUDGET = "budget"  # the rest of the money might not have paid for it
    ENGINE_DOWN = "engine_down"  # the session engine was dead


USED_UP: Final = frozenset({DropReason.MAX_SESSIONS, DropReason.BUDGET})
"""An end that the operator has set; nobody's fault."""


class Fault(StrEnum):
    """What went wrong in the generator itself; any of them makes the run's numbers suspect or invalid."""

    ENGINE_DIED = "engine_died"  # a session engine died and was replaced
    WORKER_LOST = "worker_lost"  # a load process is dead
    EVENTS_LOST = "events_lost"  # before they reached a journal
    DRAIN_TIMEOUT = "drain_timeout"  # sessions did not end in their time
    JOURNAL_MISSING = "journal_missing"  # of another host
    SINK_FAILED = "sink_failed"  # metrics, log or Locust's table took an event badly
    OWN_LIMIT = "own_limit"  # this machine ran out of something
    DISK_FULL = "disk_full"  # the journal could not be written
    SLEPT = "slept"  # this machine was suspended
    BUG = "bug"  # a mistake of avaload


class WorkerState(StrEnum):
    """What a master knows of a worker's command on some host."""

    JOINED = "joined"  # it takes part
    WITHDRAWN = "withdrawn"  # it joined and left before the run began
    REFUSED = "refused"  # too late, too many, or of another version
    HOME = "home"  # its journals are at the master, whole
    LOST = "lost"  # silent before they were


class Refused(StrEnum):
    """Why a master's port did not take a connection or a message."""

    HANDSHAKE = "handshake"  # who connects does not know the cluster token
    UNREADABLE = "unreadable"
    SHAPE = "shape"  # it can be read, and is not what such a message looks like
    STRANGER = "stranger"  # of no worker of this run
    QUOTA = "quota"  # more bytes than a worker may ship
