"""The user speaks while the avatar does (docs/contract.md#rules-of-interruption)."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from loadtest.probes.bench.bench import NOISE_SOURCE, Bench, NotTestedError, Probe
from loadtest.probes.bench.reference import spoken_by_openai
from loadtest.probes.bench.subject import Subject
from loadtest.probes.bench.visit import Heard, Visit
from loadtest.rooms.app_messages import ENDED, OF_AVATAR, STARTED
from loadtest.sound.sources import corpus
from loadtest.system.clock import now_ns

SLOW_SPEECH: dict[str, Any] = {"audio": {"output": {"speed": 0.25}}}
"""The slowest legal speed: answers that are long enough to be interrupted."""
SILENT_WITHIN_S, WATCH_S = 1.0, 3.0
INTO_IT_S = 1.0
LONGER, LONGER_S = 1.35, 1.0
"""How much longer than its text an answer may sound before something else was said in it."""
COMES_BACK_WITHIN_S = 30.0
JUST_BEFORE_NS = 60_000_000
"""Three frames: an avatar that stops at once has sent its last one before ours."""
BALANCED_WITHIN_S = 5.0
TOLD_AROUND_NS = 1_500_000_000
"""How far before an answer its announcement is looked for."""
UNANNOUNCED_S = 0.7
"""Longer after the announced end than this is no lateness of a message, which its beginning would share (AUD-3)."""


async def interrupted(bench: Bench) -> None:
    """An answer that is cut while it is generated (INT-1)."""
    async with bench.subject() as subject:
        await subject.new(realtime=SLOW_SPEECH)
        visit = await subject.join()
        await bench.answer_in(visit, hear_out=False)
        await asyncio.sleep(INTO_IT_S)
        when = "was generated to its end" if visit.all(OF_AVATAR) else "was being generated"
        silent_s = await _interrupt(bench, visit)
        _judge_silence(bench, "INT-1", subject, silent_s, f"while the answer {when}")


async def interrupted_late(bench: Bench) -> None:
    """An answer that is cut when it is generated to its end, as most are (INT-2), and what follows (INT-3, INT-4)."""
    async with bench.subject() as subject:
        await subject.new(realtime=SLOW_SPEECH)
        visit = await subject.join()
        answer = await bench.answer_in(visit, hear_out=False)
        silent_s = await _interrupt_when_generated(bench, visit, answer)
        silenced_ns = visit.stretches[-1][1]
        _judge_silence(bench, "INT-2", subject, silent_s, "when the answer was generated to its end")
        if silent_s is None:
            raise NotTestedError("the answer could not be interrupted")
        new = await visit.answer(bench.clip, hear_out=False)
        if new is None:
            raise NotTestedError("the interruption was not answered")
        await _judge_rest(bench, subject, visit, new, silenced_ns)


async def _interrupt(bench: Bench, visit: Visit) -> float | None:
    """From the user's first voiced frame to the avatar's last loud one, in s; None: it goes on."""
    if not visit.speaking:
        raise NotTestedError("the answer was too short to be interrupted")
    visit.speak(bench.clip)
    await visit.until(lambda: visit.speech_start_ns is not None, 2.0)
    began_ns = visit.speech_start_ns
    if began_ns is None:
        raise NotTestedError("our own speech could not be sent in time")
    current = visit.stretches[-1]
    if not await visit.until(lambda: not visit.speaking or visit.stretches[-1] is not current, WATCH_S):
        return None
    silent_s = (current[1] - began_ns) / 1e9
    if silent_s < -JUST_BEFORE_NS / 1e9:
        raise NotTestedError("the answer ended before it could be interrupted")
    return max(0.0, silent_s)


async def _interrupt_when_generated(bench: Bench, visit: Visit, answer: Heard) -> float | None:
    """As soon as its transcript says that the answer is generated to its end."""
    if not await visit.until(lambda: bool(visit.all(OF_AVATAR, since_ns=answer.asked_ns)), 20.0):
        raise NotTestedError("no transcript tells when the answer is generated")
    await asyncio.sleep(max(0.0, INTO_IT_S - (now_ns() - answer.onset_ns) / 1e9))
    return await _interrupt(bench, visit)


def _judge_silence(bench: Bench, rule: str, subject: Subject, silent_s: float | None, when: str) -> None:
    late_s = (WATCH_S if silent_s is None else silent_s) - SILENT_WITHIN_S
    own_s = max(subject.longest_gap_s, bench.ground.around.lag_ns() / 1e9)
    if 0 < late_s <= own_s:
        bench.leave(rule, f"{_silence(silent_s)}, but the sound had a gap of {own_s:.2f} s", subject)
    else:
        bench.judge(rule, late_s <= 0, f"{_silence(silent_s)}, {when}", subject)


def _silence(silent_s: float | None) -> str:
    if silent_s is None:
        return f"the avatar still spoke {WATCH_S:g} s after the user began"
    return f"the avatar was silent {silent_s:.2f} s after the user began"


async def _judge_rest(bench: Bench, subject: Subject, visit: Visit, answer: Heard, silenced_ns: int) -> None:
    """Nothing but the last answer is said (INT-3), and every start has its end (INT-4)."""
    reference = await spoken_by_openai(bench, subject, SLOW_SPEECH)
    end_ns = await visit.heard_out(answer.onset_ns)
    await _judge_announced(bench, subject, visit, (silenced_ns, end_ns))
    if (extra_s := unannounced_s(visit, answer.onset_ns, end_ns)) > UNANNOUNCED_S:
        seen = f"the answer after the interruption went on for {extra_s:.1f} s after it was told to have ended"
        bench.judge_heard("INT-3", False, seen, subject)
        return
    texts = [each.get("transcript") for _, each in visit.all(OF_AVATAR, since_ns=answer.asked_ns)]
    text = "".join(map(str, texts)) if all(isinstance(each, str) for each in texts) else ""
    said_s = (end_ns - answer.onset_ns) / 1e9
    if reference is None or not text:
        bench.leave("INT-3", "nothing to compare the length of the answer with")
        return
    expected_s = reference.duration_s / max(1, len(reference.text)) * len(text)
    seen = f"the answer after the interruption lasted {said_s:.1f} s, its text {expected_s:.1f} s"
    if said_s > LONGER * expected_s + LONGER_S:
        bench.judge_heard("INT-3", False, seen, subject)
        return
    left_s = COMES_BACK_WITHIN_S - (now_ns() - silenced_ns) / 1e9
    came_back = await visit.until(lambda: visit.speaking, left_s)
    more = "something was said that nobody had asked for" if came_back else "nothing more was said"
    bench.judge_heard("INT-3", not came_back, f"{seen}; then {more}", subject)


def unannounced_s(visit: Visit, onset_ns: int, end_ns: int) -> float:
    """How much longer an answer was heard than it was announced, and than its announced end, in s; 0: no longer, or
    nobody told. Where an end is still owed, the one that came may be that of the answer before."""
    started = [t_ns for t_ns, _ in visit.all(STARTED, since_ns=onset_ns - TOLD_AROUND_NS)]
    ended = [t_ns for t_ns, _ in visit.all(ENDED, since_ns=onset_ns)]
    if len(started) != 1 or not ended or len(visit.all(ENDED)) < len(visit.all(STARTED)):
        return 0.0
    announced_ns = ended[-1] - started[0]
    return max(0.0, min(end_ns - onset_ns - announced_ns, end_ns - ended[-1]) / 1e9)


async def _judge_announced(bench: Bench, subject: Subject, visit: Visit, ends_ns: tuple[int, ...]) -> None:
    started = visit.all(STARTED)
    if not started:
        bench.leave("INT-4", f"no {STARTED} came")
        return
    left_s = BALANCED_WITHIN_S - (now_ns() - ends_ns[-1]) / 1e9
    await visit.until(lambda: len(visit.all(ENDED)) >= len(started), left_s)
    ended = [t_ns for t_ns, _ in visit.all(ENDED)]
    # Told too early is not untold: what went on after it is for INT-1 to judge.
    told = [any(-BALANCED_WITHIN_S < (t_ns - end_ns) / 1e9 < BALANCED_WITHIN_S for t_ns in ended) for end_ns in ends_ns]
    holds = all(told) and len(ended) >= len(started)
    bench.judge("INT-4", holds, f"{len(started)} started, {len(ended)} ended", subject)


async def noise(bench: Bench) -> None:
    """A noise that no ear takes for speech, into a long answer (INT-5)."""
    (clip,) = corpus(NOISE_SOURCE)
    async with bench.subject() as subject:
        await subject.new(realtime=SLOW_SPEECH)
        visit = await subject.join()
        await bench.answer_in(visit, hear_out=False)
        # Not while more sound is on its way: what were thrown away then would hardly leave a gap.
        await visit.until(lambda: bool(visit.all(OF_AVATAR)), 20.0)
        if not visit.speaking:
            raise NotTestedError("the answer was too short")
        made_ns = now_ns()
        visit.speak(clip)
        stopped = await visit.until(lambda: not visit.speaking, 1.0)
        if stopped and visit.stretches[-1][1] < made_ns - JUST_BEFORE_NS:
            raise NotTestedError("the answer ended before the noise")
        seen = "fell silent" if stopped else "spoke on"
        bench.judge_heard("INT-5", not stopped, f"the avatar {seen} at a noise of -60 dBFS", subject)


async def unheard(bench: Bench) -> None:
    """Does the model know what was never heard (INT-6)?"""
    async with bench.subject() as subject:
        await subject.new(realtime=SLOW_SPEECH)
        visit = await subject.join()
        first = await bench.answer_in(visit, hear_out=False)
        whole = await visit.until(lambda: bool(visit.all(OF_AVATAR)), 20.0)
        await asyncio.sleep(INTO_IT_S)
        if not whole or await _interrupt(bench, visit) is None:
            raise NotTestedError("the avatar could not be interrupted")
        heard_s = (visit.stretches[-1][1] - first.onset_ns) / 1e9
        await visit.answer(bench.clip)
        asked_ns = now_ns()
        task = await bench.wire.sdk(
            subject.created.token, "/tasks", method="POST", body={"text": "Repeat your first answer, word for word."}
        )
        if not task.ok:
            raise NotTestedError(f"a text task answered HTTP {task.status}")
        if not await visit.until(lambda: bool(visit.all(OF_AVATAR, since_ns=asked_ns)), 20.0):
            raise NotTestedError("the question was not answered")
        said = _words(visit.all(OF_AVATAR)[0][1])
        repeated = set(_words(visit.all(OF_AVATAR, since_ns=asked_ns)[-1][1]))
        known = sum(word in repeated for word in said)
        repeated_words = f"{known} are in what it says when asked to repeat it"
        bench.tell(
            "INT-6", f"of the {len(said)} words of an answer that was cut after {heard_s:.1f} s, {repeated_words}"
        )


def _words(message: Mapping[str, Any]) -> list[str]:
    return re.findall(r"\w+", str(message.get("transcript", "")).lower())


async def not_to_be_interrupted(bench: Bench) -> None:
    """`interrupt_response: false`: what becomes of the sound that waits (INT-7)."""
    settings = {"audio": {"input": {"turn_detection": {"interrupt_response": False}}, **SLOW_SPEECH["audio"]}}
    async with bench.subject() as subject:
        await subject.new(realtime=settings)
        visit = await subject.join()
        await bench.answer_in(visit, hear_out=False)
        await asyncio.sleep(INTO_IT_S / 2)
        silent_s = await _interrupt(bench, visit)
        bench.tell("INT-7", f"with interrupt_response false {_silence(silent_s)}")


PROBES = (
    Probe(rules=("INT-1",), run=interrupted),
    Probe(rules=("INT-2", "INT-3", "INT-4"), run=interrupted_late),
    Probe(rules=("INT-5",), run=noise),
    Probe(rules=("INT-6",), run=unheard),
    Probe(rules=("INT-7",), run=not_to_be_interrupted),
)
