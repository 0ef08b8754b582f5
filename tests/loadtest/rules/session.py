"""A load session as its events, for the rules' folds: times in seconds after its start."""

from typing import Any, Self

from loadtest.config.promise import Promise
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    LOAD,
    Event,
    Failure,
    Gone,
    GoneChecked,
    Mark,
    Observed,
    Outcome,
    Remains,
    RemainsChanged,
    SecretGivenBack,
    SecretKind,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    Step,
    StepFinished,
)
from loadtest.rules.rulebook import Rulebook
from loadtest.rules.tally import Tally

WALL_S = 1_790_000_000
PROMISE = Promise(
    transcribes=True,
    forces_tool=False,
    has_tools=False,
    quiet_noise=True,
    absence_s=30,
    max_duration_s=100,
    lint={},
)


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


class Session:
    """Says events in the order in which they are called; every method returns the session."""

    def __init__(self, number: int = 1, *, purpose: str = LOAD, begins_s: float = 0.0) -> None:
        self.id = f"{number:032x}"
        self.events: list[Event] = []
        self._purpose, self._begins_s = purpose, begins_s
        self.events.append(
            SessionStarted(
                t_ns=self.at(0), session=self.id, span_id="", scenario="s", user=1, due_ns=0, purpose=purpose
            )
        )

    def at(self, t_s: float) -> int:
        return ns(self._begins_s + t_s)

    def minted(
        self, t_s: float = 0.1, *, lives_s: float = 600, ttl_s: int = 600, secret: str = "", **more: Any
    ) -> Self:
        """`lives_s`: from now until expires_at, by the provider's clock, which is ours."""
        provider = {"provider_s": WALL_S + int(self._begins_s + t_s)} | more
        self._say(
            SecretMinted, t_s, fingerprint=secret or self.id, ttl_s=ttl_s,
            expires_at_s=int(WALL_S + self._begins_s + t_s + lives_s), wall_ns=ns(WALL_S) + self.at(t_s), **provider,
        )  # fmt: skip
        return self.step(Step.MINT, 0, t_s)

    def up(self, t_s: float = 0.5, *, secret: str = "", lives_s: float = 600, ttl_s: int = 600) -> Self:
        """Minted, created, in the room with the avatar's first frame at `t_s`."""
        self.minted(secret=secret, lives_s=lives_s, ttl_s=ttl_s).created(0.2)
        self.mark(0.3, Mark.SDK_SESSION).mark(0.4, Mark.JOINED).mark(t_s, Mark.FIRST_FRAME)
        return self.step(Step.CONNECT, 0.2, t_s)

    def created(self, t_s: float) -> Self:
        self._say(RemainsChanged, t_s, remains=Remains.LEAKED, reason="create_answered")
        return self.step(Step.CREATE, 0.1, t_s, http_status=200)

    def mark(self, t_s: float, mark: Mark, **more: Any) -> Self:
        return self._say(Observed, t_s, mark=mark, **more)

    def step(self, step: Step, from_s: float, t_s: float, *, code: Code | None = None, **more: Any) -> Self:
        kind = {Code.TIMEOUT: Kind.TIMEOUT, Code.NO_ANSWER: Kind.NO_RESPONSE}.get(code or Code.BUG, Kind.REJECTED)
        failure = (
            None
            if code is None
            else Failure(step=step, kind=kind, code=code, detail=more.pop("detail", ""), field=more.pop("field", None))
        )
        outcome = more.pop("outcome", Outcome.OK if code is None else Outcome.FAILED)
        return self._say(
            StepFinished, t_s, step=step, started_ns=self.at(from_s), outcome=outcome, span_id="", parent_id="",
            failure=failure, **more,
        )  # fmt: skip

    def say(
        self, t_s: float, *, phrases: int = 1, said: int = 1, heard: int = 1, digest: str = "", **more: Any
    ) -> Self:
        """A turn from `t_s` to `t_s + 3`, heard out: phrases of the answer, its transcripts, the user's."""
        self.mark(t_s, Mark.SPEECH_START).mark(t_s + 1, Mark.SPEECH_END)
        for _ in range(heard):
            self.transcript(t_s + 1.2, Mark.USER_TRANSCRIPT, **more)
        self.mark(t_s + 1.5, Mark.AVATAR_STARTED).mark(t_s + 1.5, Mark.FIRST_AUDIO)
        for number in range(phrases):
            self.mark(t_s + 1.5, Mark.PHRASE_STARTED, digest=f"{t_s}-{number}")
        for number in range(said):
            self.transcript(t_s + 1.8, Mark.AVATAR_TRANSCRIPT, digest=digest or f"{self.id}-{t_s}-{number}", **more)
        self.mark(t_s + 2.8, Mark.AVATAR_ENDED).mark(t_s + 2.8, Mark.LAST_AUDIO)
        return self.turn(t_s, t_s + 3, first_audio_ns=ns(0.5))

    def turn(self, from_s: float, t_s: float, *, kind: str = "say", **more: Any) -> Self:
        return self.step(Step.TURN, from_s, t_s, turn=0, turn_kind=kind, **more)

    def transcript(self, t_s: float, mark: Mark, *, skew_s: float = 0.0, **more: Any) -> Self:
        stamp_s = WALL_S + self._begins_s + t_s + skew_s
        return self.mark(t_s, mark, **{"well_formed": True, "stamped_s": stamp_s, "digest": f"{t_s}"} | more)

    def talked(self, t_s: float, **more: Any) -> Self:
        return self.step(Step.CONVERSE, 0.5, t_s, **more)

    def deleted(self, t_s: float, *, status: int = 200, **more: Any) -> Self:
        return self.step(Step.DELETE, t_s, t_s, http_status=status, **more)

    def left(self, t_s: float) -> Self:
        return self._say(RemainsChanged, t_s, remains=Remains.LEAKED, reason="delete_failed")

    def looked(self, t_s: float, gone: Gone = Gone.CONFIRMED, *, deleted_s: float) -> Self:
        return self._say(GoneChecked, t_s, gone=gone, deleted_ns=self.at(deleted_s), looks=1, http_status=404)

    def gives_back(self, t_s: float) -> Self:
        kind, place = SecretKind.SESSION_TOKEN, "look: HTTP 404, body"
        return self._say(SecretGivenBack, t_s, secret=kind, place=place)

    def over(self, t_s: float, outcome: Outcome = Outcome.OK, **more: Any) -> Self:
        return self._say(
            SessionFinished, t_s, scenario="s", started_ns=self.at(0), due_ns=0, outcome=outcome,
            remains=Remains.NOTHING, **more,
        )  # fmt: skip

    def _say(self, kind: type, t_s: float, **fields: Any) -> Self:
        self.events.append(kind(t_ns=self.at(t_s), session=self.id, purpose=self._purpose, **fields))
        return self


def judged(rule: str, *sessions: Session, promise: Promise | None = PROMISE) -> Tally:
    """What the rule makes of these sessions, whose events come one session after the other."""
    return judged_events(rule, [event for session in sessions for event in session.events], promise=promise)


def judged_events(rule: str, events: list[Event], *, promise: Promise | None = PROMISE) -> Tally:
    book = Rulebook({} if promise is None else {"s": promise})
    for event in events:
        book.add(event)
    return book.tally(rule)


def counts(tally: Tally) -> tuple[int, int]:
    """Cases, breaches."""
    return tally.cases, tally.violations
