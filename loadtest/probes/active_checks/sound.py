"""The avatar's sound, and when it is announced (AUD-1, AUD-3)."""

import asyncio

import numpy as np

from loadtest.probes.active_checks.interruption import SLOW_SPEECH
from loadtest.probes.bench.bench import Bench, NotTestedError, Probe
from loadtest.probes.bench.reference import Spoken, spoken_by_openai
from loadtest.probes.bench.subject import Subject
from loadtest.probes.bench.visit import Visit
from loadtest.rooms.app_messages import ENDED, PHRASE_ENDED, PHRASE_STARTED, STARTED
from loadtest.sound.speech import FRAME_MS, RATE_HZ

OFF_BY = 0.02
FRAMES_S = 3 * FRAME_MS / 1000
"""What cutting into frames may add to a length."""
TONE_SHARE = 0.5
"""Of the power in and beside its strongest frequency: more is a tone."""
ANNOUNCED_WITHIN_S = 0.5
LONG_ENOUGH_S = 0.5
"""What was announced for so long would have been heard."""


async def sound(bench: Bench) -> None:
    """The sound in the room against the sound that OpenAI sends for the same question."""
    async with bench.subject() as subject:
        sent = await spoken_by_openai(bench, subject, {})
        if sent is None:
            raise NotTestedError("OpenAI itself gave no whole answer")
        _, sent_tone = _pitch(sent.pcm)
        if sent_tone < TONE_SHARE:
            raise NotTestedError("OpenAI answers with no tone: there is nothing to compare pitch and length with")
        await subject.new()
        visit = await subject.join(records=True)
        if await visit.ask(bench.clip) is None:
            _judge_unheard(bench, subject, visit, sent)
            return
        _judge_heard(bench, subject, visit, sent)


def _judge_heard(bench: Bench, subject: Subject, visit: Visit, sent: Spoken) -> None:
    """Pitch and length. A hole in our own speech may cut an answer short; it changes no pitch."""
    sent_hz, _ = _pitch(sent.pcm)
    heard_s = len(visit.sound) / 2 / RATE_HZ
    heard_hz, heard_tone = _pitch(bytes(visit.sound))
    same_pitch = heard_tone >= TONE_SHARE and abs(heard_hz - sent_hz) <= OFF_BY * sent_hz
    same_length = abs(heard_s - sent.duration_s) <= max(OFF_BY * sent.duration_s, FRAMES_S)
    heard = f"{heard_hz:.0f} Hz" if heard_tone >= TONE_SHARE else "noise"
    seen = f"sent {sent_hz:.0f} Hz for {sent.duration_s:.2f} s, heard {heard} for {heard_s:.2f} s"
    if same_pitch and not same_length and len(visit.all(STARTED)) > 1:
        bench.leave("AUD-1", f"{seen}; but more than one answer was announced", subject)
    elif same_pitch:
        bench.judge_heard("AUD-1", same_length, seen, subject)
    else:
        bench.judge("AUD-1", False, seen, subject)


def _judge_unheard(bench: Bench, subject: Subject, visit: Visit, sent: Spoken) -> None:
    """Nothing could be heard. Was there an answer, from its announced beginning to its end? One that was interrupted at
    once, by what followed a hole in our speech, may not have been heard."""
    started = [t_ns for t_ns, _ in visit.all(STARTED)]
    ended = [t_ns for t_ns, _ in visit.all(ENDED)]
    told_s = max((end - start for start, end in zip(started, ended, strict=False)), default=0) / 1e9
    if visit.stretches or told_s < LONG_ENOUGH_S:
        raise NotTestedError("the avatar did not answer")
    seen = f"OpenAI sends {sent.duration_s:.2f} s of sound; {told_s:.2f} s were announced, and nothing could be heard"
    bench.judge_heard("AUD-1", False, seen, subject)


def _pitch(pcm: bytes) -> tuple[float, float]:
    """(strongest frequency in Hz, its share of the power)."""
    samples = np.frombuffer(pcm, dtype="<i2", count=len(pcm) // 2).astype(np.float64)
    if samples.size < RATE_HZ // 10:
        return 0.0, 0.0
    power = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    at = int(np.argmax(power))
    beside = max(2, samples.size // RATE_HZ * 4)
    return at * RATE_HZ / samples.size, float(power[max(0, at - beside) : at + beside + 1].sum() / power.sum())


async def announced(bench: Bench) -> None:
    """The event against the sound, also for a phrase that has to wait for the one before it."""
    async with bench.subject() as subject:
        await subject.new(realtime=SLOW_SPEECH)
        visit = await subject.join()
        answer = await bench.answer_in(visit, hear_out=False)
        await visit.until(lambda: bool(visit.all(STARTED)), 2.0)
        if not visit.all(STARTED):
            bench.judge_heard("AUD-3", False, f"the avatar was heard for 2 s, and no {STARTED} came", subject)
            return
        off_s = (answer.onset_ns - visit.all(STARTED)[0][0]) / 1e9
        if abs(off_s) > ANNOUNCED_WITHIN_S:
            bench.judge_heard("AUD-3", False, f"announced {off_s:+.2f} s before it could be heard", subject)
            return
        task = await bench.wire.sdk(
            subject.created.token, "/tasks", method="POST", body={"text": "Say one sentence more."}
        )
        waited = ""
        if task.ok and await visit.until(lambda: len(visit.all(PHRASE_STARTED)) >= 2, 30.0):
            await visit.until(lambda: bool(visit.all(PHRASE_ENDED)), 20.0)
            await asyncio.sleep(0.1)
            started = [t_ns for t_ns, _ in visit.all(PHRASE_STARTED)]
            ended = [t_ns for t_ns, _ in visit.all(PHRASE_ENDED)]
            early_s = max((end - start) / 1e9 for start, end in zip(started[1:], ended, strict=False))
            if early_s > ANNOUNCED_WITHIN_S:
                seen = f"a phrase was announced {early_s:.1f} s before the one before it had ended"
                bench.judge_heard("AUD-3", False, seen, subject)
                return
            waited = "; one that had to wait, when its turn came"
        bench.judge_heard("AUD-3", True, f"announced {off_s:+.3f} s before it could be heard{waited}", subject)


PROBES = (Probe(rules=("AUD-1",), run=sound), Probe(rules=("AUD-3",), run=announced))
