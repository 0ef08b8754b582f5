"""What a scenario's microphone sends."""

from dataclasses import dataclass, replace

import numpy as np

from loadtest.config.keys.caller import CLEAN, Caller
from loadtest.config.keys.scenario import HESITANT, Conversation, Scenario, Spoken
from loadtest.errors.exceptions import ConfigError
from loadtest.sound.hesitation import hesitating
from loadtest.sound.levels import FULL_SCALE, at_level, driven, phoned, speech_rms
from loadtest.sound.made import noise
from loadtest.sound.noises import at_rms, hum, samples_of
from loadtest.sound.recordings import MOST_BYTES, is_made, recordings, unlisted
from loadtest.sound.sources import corpus
from loadtest.sound.speech import (
    FRAME_BYTES,
    FRAME_MS,
    FRAME_SAMPLES,
    LOUD_RMS,
    RATE_HZ,
    SILENCE,
    Clip,
    Clips,
    Samples,
    clip_of,
    is_loud,
    pcm_of,
)

_CLIPPED_SHARE = 0.001
"""Of its samples at full scale: a loud peak has some, speech that was cut off many."""
_LOUD_S, _FAINT = 0.1, 1.5
"""Less sound than that, or less above the threshold of loudness, may be missed by a detector of speech."""
_NOISY = "never silent: its noise counts as speech, and an answer to its last word as one that came too early"
_FLUENT_S, _NEVER_SILENT = 2.0, 0.95
"""Who speaks for longer pauses for breath and before stops: where more of the frames are loud, the room is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Microphone:
    """What a virtual user's microphone sends: clips by source, and the frames between them, in turn (none: nothing)."""

    clips: Clips
    between: tuple[bytes, ...]


def microphone(plan: Conversation, caller: Caller = CLEAN) -> Microphone:
    """Everything that the conversation can need, prepared once. Raises ConfigError as `corpus` and `hum` do, and for
    clips that this caller says too quietly to be heard."""
    clips = {source: corpus(source) for source in sorted(plan.clips())}
    if caller.changes_speech:
        clips = {source: _as_said(of_source, caller, source) for source, of_source in clips.items()}
    for spoken, source, pause_s in sorted(plan.hesitations()):
        clips[spoken] = tuple(hesitating(clip, pause_s) for clip in clips[source])
    is_open = plan.between_turns == "silence"
    room = _room(plan, caller)
    if room is None:
        return Microphone(clips=clips, between=(SILENCE,) if is_open else ())
    noisy = {source: tuple(_over(clip, room) for clip in of_source) for source, of_source in clips.items()}
    return Microphone(clips=noisy, between=_frames(pcm_of(room)) if is_open else ())


def _room(plan: Conversation, caller: Caller) -> Samples | None:
    """The noise in the caller's room; None: there is none."""
    if plan.background_dbfs is not None:
        level_dbfs, found = plan.background_dbfs, noise(plan.background_dbfs, RATE_HZ)
    elif caller.noise_dbfs is not None:
        level_dbfs, found = caller.noise_dbfs, hum(caller.noise or "white", caller.noise_dbfs)
    else:
        return None
    found = found[: max(1, len(found) // FRAME_SAMPLES) * FRAME_SAMPLES]
    return at_rms(phoned(found), level_dbfs) if caller.band == "phone" else found


def _as_said(clips: tuple[Clip, ...], caller: Caller, source: str) -> tuple[Clip, ...]:
    """What the caller's microphone and line make of speech; a noise that is played into an answer is left as it is."""
    if source.startswith("noise:"):
        return clips
    said, problems = [], []
    for clip in clips:
        samples = samples_of(clip)
        if caller.speech_dbfs is not None:
            samples = at_level(samples, caller.speech_dbfs)
        elif caller.clipping_db is not None:
            samples = driven(samples, caller.clipping_db)
        if caller.band == "phone":
            samples = phoned(samples)
            if caller.speech_dbfs is not None:  # as for noise and echo, the level is that of what is left
                samples = at_level(samples, caller.speech_dbfs)
        try:
            said.append(replace(clip_of(clip.name, pcm_of(samples)), text=clip.text, language=clip.language))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError([f"{problem} as this caller says it" for problem in problems])
    return tuple(said)


def _over(clip: Clip, room: Samples) -> Clip:
    """The clip with noise under it; its voiced frames are still those of the speech."""
    speech = samples_of(clip)
    return replace(clip, frames=_frames(pcm_of(speech + np.resize(room, len(speech)))))


def _frames(pcm: bytes) -> tuple[bytes, ...]:
    return tuple(pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0") for at in range(0, len(pcm), FRAME_BYTES))


def remarks(scenarios: tuple[Scenario, ...]) -> list[str]:
    """What of the clips may not be what somebody meant, a sentence each. Of those that `check_clips` lets pass."""
    said = []
    for scenario in scenarios:
        turns = scenario.conversation.turns
        asked = {turn.clip for turn in turns if isinstance(turn, Spoken) and turn.is_answered}
        for source, clips in microphone(scenario.conversation).clips.items():
            if HESITANT in source or is_made(source) or source.startswith("corpus:"):
                continue
            about = f"{scenario.name}: {source}"
            if (count := len(recordings(source))) > len(clips):
                held_mb = MOST_BYTES >> 20
                said.append(f"{about}: {len(clips):,} of {count:,} files are spoken: a process holds {held_mb} MiB")
            if left := unlisted(source):
                them = (
                    f"{left[0].name} is" if len(left) == 1 else f"{len(left):,} files, {left[0].name} for example, are"
                )
                said.append(f"{about}: {them} not in its manifest, and not spoken")
            said += _remark(about, "clipped, at full scale for a while", [c for c in clips if _is_clipped(c)])
            said += _remark(
                about, "shifted off zero, which makes its silence loud", [c for c in clips if _is_shifted(c)]
            )
            said += _remark(about, "hardly loud enough to be heard as speech", [c for c in clips if _is_faint(c)])
            if source in asked:
                said += _remark(about, _NOISY, [c for c in clips if _is_never_silent(c)])
    return said


def _remark(about: str, what: str, found: list[Clip]) -> list[str]:
    if not found:
        return []
    example = found[0].name if len(found) == 1 else f"{len(found):,} clips, {found[0].name} for example, are"
    return [f"{about}: {example} {'is ' if len(found) == 1 else ''}{what}"]


def _is_clipped(clip: Clip) -> bool:
    return float(np.mean(np.abs(samples_of(clip)) >= FULL_SCALE)) > _CLIPPED_SHARE


def _is_shifted(clip: Clip) -> bool:
    """By half of what is loud: a bad sound card does so, and then pauses and the end of speech can't be told."""
    return abs(float(np.mean(samples_of(clip)))) >= LOUD_RMS / 2


def _is_faint(clip: Clip) -> bool:
    loud_s = sum(map(is_loud, clip.frames)) * FRAME_MS / 1000
    return loud_s < _LOUD_S or speech_rms(samples_of(clip)) < _FAINT * LOUD_RMS


def _is_never_silent(clip: Clip) -> bool:
    """The noise in it is as loud as speech, so that nothing shows where the words end."""
    is_told = _is_shifted(clip) or clip.duration_s <= _FLUENT_S
    return not is_told and sum(map(is_loud, clip.frames)) > _NEVER_SILENT * len(clip.frames)
