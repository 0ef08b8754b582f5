"""The converse step: all turns of a scenario, each with its StepFinished."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from loadtest.config.keys import scenario
from loadtest.config.keys.scenario import Backchannel, BargeIn, Hesitate, Ignore, Pause, Say, Silence, Turn, WrittenTurn
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code
from loadtest.events.kinds import Failure, Outcome, Step
from loadtest.session.hearing.conversation import Conversation
from loadtest.session.hearing.tape import KeepAudio
from loadtest.session.ports import Room
from loadtest.session.record import Record, failure
from loadtest.session.turns import AnswerOverError, Heard, Turns, UndecidedError
from loadtest.sound.speech import Clip, Clips
from loadtest.system.clock import now_ns


@dataclass(slots=True)
class Place:
    """How far a conversation has come: after a cut it goes on with the next turn."""

    position: int = 0
    """Of the next turn, in the scenario's list."""
    number: int = 0
    """Of the next turn, in the session."""
    ends_ns: int | None = None
    """A conversation that is repeated does so until then; None: it hasn't begun."""
    failed: StepError | None = None
    """What its first failed turn failed with, in this session."""


async def converse(
    plan: scenario.Conversation,
    talk: Conversation,
    room: Room,
    *,
    clips: Clips,
    chance: random.Random,
    record: Record,
    span: str,
    keep_audio: KeepAudio | None = None,
    place: Place | None = None,
) -> None:
    """All turns from `place` on; a failed one fails the step, but only the end of the room ends the conversation.
    Raises StepError."""
    turns = Turns(talk=talk, room=room, plan=plan)
    place = place or Place()
    if place.ends_ns is None:
        place.ends_ns = now_ns() + int((plan.repeat_for or 0) * 1e9)

    def clip_of(source: str) -> Clip:
        return chance.choice(clips[source])

    while True:
        while place.position < len(plan.turns):
            turn, after = (*plan.turns, None)[place.position : place.position + 2]
            assert turn is not None
            if isinstance(turn, Pause):
                place.position += 1
                await turns.pause(turn.for_s)
                continue
            if not turn.interrupts:
                await turns.pause(chance.uniform(plan.think_min_s, plan.think_max_s))
            number = place.number
            place.position, place.number = place.position + 1, number + 1
            try:
                await _play(turns, turn, number, clip_of, record, span, before=after, language=plan.usual_language)
            except StepError as error:
                place.failed = place.failed or error
                if keep_audio is not None and talk.tape is not None:
                    keep_audio(record.session, number, *talk.tape.tracks())
                if talk.over is not None or error.code is Code.MEDIA_STALLED:
                    raise place.failed from error
        if now_ns() >= place.ends_ns:
            break
        place.position = 0
    if place.failed is not None:
        raise place.failed


async def _play(
    turns: Turns,
    turn: WrittenTurn,
    number: int,
    clip_of: Callable[[str], Clip],
    record: Record,
    parent: str,
    *,
    before: Turn | None,
    language: str | None,
) -> None:
    """One turn, written down whatever becomes of it. `before`: the turn that follows; `language`: of a clip of which
    nobody has told it. Raises StepError."""
    heard, hear_out = Heard(), before is None or not before.interrupts
    said: Clip | None = None
    started_ns, outcome = now_ns(), Outcome.OK
    failed: Failure | None = None
    record.worst_lag_ns = 0
    lost_before = turns.room.lost
    turns.talk.watch_line(lost_before)
    line = turns.talk.line
    line_before = None if line is None else line.seen()
    try:
        match turn:
            case Say():
                await turns.say(said := clip_of(turn.clip), number, heard, hear_out=hear_out)
            case Hesitate():
                await turns.say(said := clip_of(turn.spoken), number, heard, hear_out=hear_out)
            case BargeIn():
                await turns.barge_in(said := clip_of(turn.clip), number, turn.after_s, heard, hear_out=hear_out)
            case Ignore():
                await turns.ignore(said := clip_of(turn.clip), number, turn.after_s, heard, hear_out=hear_out)
            case Backchannel():
                code = Code.STOPPED_BY_BACKCHANNEL
                await turns.ignore(
                    said := clip_of(turn.clip), number, turn.after_s, heard, hear_out=hear_out, code=code
                )
            case Silence():
                await turns.silence(turn.for_s, number)
            case _:
                assert_never(turn)
    except AnswerOverError:
        outcome = Outcome.CANCELLED
    except UndecidedError as error:
        outcome, failed = Outcome.CANCELLED, failure(Step.TURN, error)
    except StepError as error:
        outcome, failed = Outcome.FAILED, failure(Step.TURN, error)
        raise
    except asyncio.CancelledError:
        outcome = Outcome.CANCELLED
        raise
    finally:
        record.turn(
            parent=parent,
            started_ns=started_ns,
            outcome=outcome,
            failure=failed,
            turn=number,
            turn_kind=turn.kind,
            first_audio_ns=heard.first_audio_ns,
            barge_in_ns=heard.barge_in_ns,
            censored=heard.censored,
            dead_air_ns=heard.dead_air_ns,
            answer=heard.answer,
            went_on=heard.went_on,
            talk_over_ns=turns.talk.talk_over_ns if turn.is_answered and turns.talk.speech_start_ns else None,
            unasked=turns.talk.take_unasked(),
            hole_ns=turns.talk.hole_ns,
            packets_lost=None if lost_before is None else max(0, (turns.room.lost or 0) - lost_before),
            line_ns=None if line is None or line_before is None else line.added_ns(line_before),
            clip=None if said is None else said.name,
            language=None if said is None else said.language or language,
        )
