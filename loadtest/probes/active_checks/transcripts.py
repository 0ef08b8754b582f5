"""Who is told what was said (docs/contract.md#rules-of-transcripts)."""

import asyncio
from collections.abc import Sequence
from typing import Any

from loadtest.criteria.words import plural
from loadtest.errors.exceptions import StepError
from loadtest.probes.bench.bench import Bench, Probe
from loadtest.probes.bench.subject import Subject
from loadtest.probes.bench.visit import Visit
from loadtest.rooms.app_messages import OF_AVATAR, OF_USER, PHRASE_STARTED, STARTED, TRANSCRIPTION_FAILED
from loadtest.rules.transcripts import BACKWARDS_S
from loadtest.system.clock import wall_ns
from loadtest.text.validation import plain, stamp_s

TURNS = 3
LATE_S = 10.0
"""How long after its turn a transcript may come."""
SKEW_S = 120
OFF: dict[str, Any] = {"audio": {"input": {"transcription": None}}}
LISTEN_S = 3.0


async def transcripts(bench: Bench) -> None:
    """Three sessions at once: one with the user's transcription, one without, and one that has said its say."""
    async with bench.subject() as on, bench.subject() as off, bench.subject() as bystander:
        await on.new()
        await off.new(realtime=OFF)
        await bystander.new(realtime=OFF)
        heard_on, heard_off, heard_by = [await each.join() for each in (on, off, bystander)]
        await bench.answer_in(heard_by)
        await heard_by.until(lambda: bool(heard_by.all(OF_AVATAR)), LATE_S)
        known = len(_told(heard_by))
        said_on, said_off = await asyncio.gather(_turns(bench, heard_on), _turns(bench, heard_off))
        await heard_on.until(lambda: len(heard_on.all(OF_USER)) >= TURNS, LATE_S)
        await asyncio.sleep(LISTEN_S)
        foreign = len(_told(heard_by)) - known
        bench.judge_heard(
            "TR-7",
            foreign == 0,
            f"a silent session was told {plural(foreign, 'transcript')} while others spoke",
            bystander,
        )
        _judge_shape(bench, on, [heard_on, heard_off, heard_by])
        if foreign:
            bench.leave("TR-1", "transcripts of other sessions spoil the count", on)
            bench.leave("TR-2", "transcripts of other sessions spoil the count", on)
            return
        _judge_answers(bench, on, heard_on, len(said_on), "with")
        _judge_answers(bench, off, heard_off, len(said_off), "without")
        unasked = len(heard_off.all(OF_USER))
        bench.judge_heard(
            "TR-1", unasked == 0, f"{plural(unasked, 'transcript')} of the user, without transcription", off
        )
        await _judge_transcription(bench, on, heard_on, said_on)


async def _turns(bench: Bench, visit: Visit) -> list[int]:
    """When the user had finished, in ns, for each turn that was answered."""
    answers = [await visit.ask(bench.clip) for _ in range(TURNS)]
    return [answer.asked_ns for answer in answers if answer is not None]


def _told(visit: Visit) -> list[Any]:
    return visit.all(OF_AVATAR) + visit.all(OF_USER)


def _judge_answers(bench: Bench, subject: Subject, visit: Visit, answers: int, which: str) -> None:
    """An answer in several phrases has a transcript for each that was announced."""
    told = len(visit.all(OF_AVATAR))
    phrases = max(answers, *(len(visit.all(kind)) for kind in (STARTED, PHRASE_STARTED)))
    of_answers = plural(answers, "answer") + ("" if phrases == answers else f" in {plural(phrases, 'phrase')}")
    detail = f"{plural(told, 'transcript')} of {of_answers}, {which} transcription of the user"
    unheard = TURNS - answers
    if unheard and answers <= told <= phrases + unheard:  # answers that were not heard may have been told
        bench.leave("TR-2", f"only {answers} of {TURNS} turns were answered", subject)
    else:
        bench.judge_heard("TR-2", told == phrases, detail, subject)


async def _judge_transcription(bench: Bench, subject: Subject, visit: Visit, said_ns: Sequence[int]) -> None:
    """TR-1, or TR-4 where OpenAI itself fails. `said_ns`: ends of the user's speeches that were answered."""
    told = visit.all(OF_USER)
    texts = [message.get("transcript") for _, message in told]
    failed = texts.count(TRANSCRIPTION_FAILED)
    if failed:
        bench.judge_heard("TR-4", True, f"{failed} of {len(texts)} transcripts of the user are told as failed", subject)
    blank = [text for text in texts if isinstance(text, str) and not text.strip()]
    if blank and len(blank) == len(texts) and await _transcribed_by_openai(bench, subject) == "failed":
        seen = f"OpenAI fails to transcribe, and {len(blank)} transcripts of the user are empty"
        bench.judge_heard("TR-4", False, seen, subject)
        bench.leave("TR-1", "OpenAI fails to transcribe", subject)
        return
    if len(texts) >= TURNS:
        both = zip(told, said_ns, strict=True) if len(told) == len(said_ns) else ()
        late_s = max((t_ns - end_ns for (t_ns, _), end_ns in both), default=0) / 1e9
        seen = f"{len(texts)} transcripts of {TURNS} turns of the user"
        seen += f", one of them {late_s:.1f} s after he had finished" if late_s > LATE_S else ""
        bench.judge_heard("TR-1", len(texts) == TURNS and late_s <= LATE_S, seen, subject)
        return
    # Missing: swallowed by Avaturn, or did OpenAI fail to transcribe?
    at_openai = await _transcribed_by_openai(bench, subject)
    seen = f"{len(texts)} of {TURNS} turns of the user were told"
    if at_openai == "failed":
        bench.judge_heard("TR-4", False, f"OpenAI fails to transcribe, and {seen}", subject)
        bench.leave("TR-1", "OpenAI fails to transcribe", subject)
    elif at_openai == "completed":
        bench.judge_heard("TR-1", False, f"OpenAI transcribes, and {seen}", subject)
    else:
        bench.leave("TR-1", f"{seen}, but OpenAI told no transcript to us either", subject)


async def _transcribed_by_openai(bench: Bench, subject: Subject) -> str | None:
    """What OpenAI itself says to the same speech: completed, failed, or nothing."""
    prefix = "conversation.item.input_audio_transcription."
    try:
        secret = await subject.mint()
        async with bench.wire.realtime(secret.value) as socket:
            await socket.first()
            await socket.say(bench.clip, silence_s=1.5)
            kind = prefix
            while kind.startswith(prefix):
                events = await socket.until(prefix, within_s=LATE_S)
                kind = plain(events[-1].get("type")) if events else ""
                if kind.removeprefix(prefix) in ("completed", "failed"):
                    return kind.removeprefix(prefix)
    except StepError:
        pass
    return None


def _judge_shape(bench: Bench, subject: Subject, visits: list[Visit]) -> None:
    """TR-5, of every transcript that was told."""
    wrong, seen = [], 0
    for visit in visits:
        for kind in (OF_USER, OF_AVATAR):
            last = 0.0
            for _, message in visit.all(kind):
                seen += 1
                stamp = message.get("timestamp")
                if not isinstance(message.get("transcript"), str):
                    wrong.append("a transcript that is no text")
                if isinstance(stamp, bool) or not isinstance(stamp, int | float):
                    wrong.append(f"a time stamp that is no number but {type(stamp).__name__}")
                    continue
                if stamp_s(stamp) is None or abs(stamp - wall_ns() / 1e9) > SKEW_S + 60:
                    wrong.append("a time stamp that is not unix seconds of now")
                if stamp < last - BACKWARDS_S:
                    wrong.append("time stamps that go back")
                last = stamp
    if seen:
        detail = "; ".join(sorted(set(wrong))) or f"{plural(seen, 'transcript')}, each a text with unix seconds"
        bench.judge("TR-5", not wrong, detail, subject)


PROBES = (Probe(rules=("TR-1", "TR-2", "TR-4", "TR-5", "TR-7"), run=transcripts),)
