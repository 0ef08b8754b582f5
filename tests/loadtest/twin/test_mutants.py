"""Every mutant misbehaves as its name says, and the honest twin doesn't (docs/contract.md#rules).

A row has what to look at, what is seen of the honest twin, and what is seen of the mutant.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from loadtest.twin.mutants import MUTANTS
from tests.loadtest.twin import seen_in_endings as endings
from tests.loadtest.twin import seen_in_refusals as refusals
from tests.loadtest.twin import seen_in_rooms as rooms
from tests.loadtest.twin import seen_of_secrets as secrets
from tests.loadtest.twin.inside import Inside, inside, run


class Row(NamedTuple):
    """One observation, and its two outcomes."""

    look: Callable[[Inside], Awaitable[Any]]
    honest: Any
    mutant: Any
    knobs: tuple[str, ...] = ()
    scale: float = 1.0


NO_TRANSCRIPTION = ("answer_s=0.4",)
TRANSCRIPTION_FAILS = ("answer_s=0.4", "fault.transcription=failed:1")
BARGE_IN = ("answer_s=1", "generation_speed=100")
FULL = ("limit.sessions=1",)
BETA = ("fault.realtime_open=beta_api_shape_disabled:1",)
TOOLS = ("answer_s=0.2",)

ROWS = {
    "EXP-1-no-expiry-check": Row(secrets.expired_secret, "error", "session.created", scale=1000),
    "EXP-1b-accepts-then-silence": Row(secrets.refused_session, "error", "first frame"),
    "EXP-2-killed-at-expiry": Row(secrets.session_after_expiry, "active", "ended", scale=100),
    "EXP-3-default-60": Row(secrets.default_ttl_s, 600, 60),
    "EXP-3-default-7200": Row(secrets.default_ttl_s, 600, 7200),
    "EXP-3-milliseconds": Row(secrets.digits_of_expiry, 10, 13),
    "EXP-4-clamps": Row(secrets.bounds, [400, 200, 200, 400], [200, 200, 200, 200]),
    "EXP-4-exclusive-bounds": Row(secrets.bounds, [400, 200, 200, 400], [400, 400, 400, 400]),
    "EXP-5-pooled-secrets": Row(secrets.different_secrets, 2, 1),
    "EXP-6-single-use": Row(secrets.second_use, "session.created", "error"),
    "EXP-7-session-ignored": Row(secrets.voice_of_session, "marin", "alloy"),
    "TD-1-keeps-running": Row(endings.after_delete, (404, "ended"), (200, "active")),
    "TD-1b-waits-for-phrase": Row(endings.phrases_after_delete, 0, 1),
    "TD-1b-drains-queue": Row(endings.phrases_after_delete, 0, 2),
    "TD-2-ends-on-leave": Row(endings.after_leave, "user_absent", "ended"),
    "TD-3-never-ends": Row(endings.life_without_user, [(30, "user_absent_timeout")], [(100, "max_duration_reached")]),
    "TD-3-default-10": Row(endings.default_absence_s, 60, 10),
    "TD-3-default-600": Row(endings.default_absence_s, 60, 600),
    "TD-3b-cumulative": Row(endings.life_with_visits, [(75, "user_absent_timeout")], [(65, "user_absent_timeout")]),
    "TD-3b-timer-not-cancelled": Row(
        endings.life_with_visits, [(75, "user_absent_timeout")], [(30, "user_absent_timeout")]
    ),
    "TD-3c-off-by-one": Row(endings.absence_of_9, 422, 200),
    "TD-4-counts-only-idle": Row(endings.life_with_user, [(100, "max_duration_reached")], []),
    "TD-4-resets-on-speech": Row(endings.cap_survives_speech, True, False),
    "TD-5-token-stays-valid": Row(endings.token_after_end, (404, "ended"), (200, "ended")),
    "TD-5-new-stream-starts": Row(endings.token_after_end, (404, "ended"), (200, "active")),
    "TD-6-500": Row(endings.second_delete, [404, 404], [500, 500]),
    "TD-7-never-started-lives-for-ever": Row(endings.life_without_start, [(30, "user_absent_timeout")], []),
    "TD-8-own-audio-resets-idle": Row(endings.messages_in_silence, 0, 1, scale=1000),
    "TD-9-orphans": Row(endings.life_without_start, [(30, "user_absent_timeout")], [(100, "max_duration_reached")]),
    "TD-10-upstream-left-open": Row(endings.upstream_closes, True, False),
    "TD-11-any-key-deletes": Row(refusals.delete_with_nonsense, 401, 200),
    "DUR-1-zombie": Row(endings.after_cut, "ended", "active", scale=3600),
    "TR-1-always": Row(rooms.transcripts, (0, 1), (1, 1), NO_TRANSCRIPTION),
    "TR-1-never": Row(rooms.transcripts_with_input, (1, 1), (0, 1), NO_TRANSCRIPTION),
    "TR-2-dropped-when-off": Row(rooms.transcripts, (0, 1), (0, 0), NO_TRANSCRIPTION),
    "TR-2-per-delta": Row(rooms.transcripts, (0, 1), (0, 2), NO_TRANSCRIPTION),
    "TR-2-duplicated": Row(rooms.transcripts, (0, 1), (0, 2), NO_TRANSCRIPTION),
    "TR-4-failure-swallowed": Row(rooms.input_texts, ["transcription-failed"], [], TRANSCRIPTION_FAILS),
    "TR-5-milliseconds": Row(rooms.timestamp, "seconds", "milliseconds", NO_TRANSCRIPTION),
    "TR-5-iso": Row(rooms.timestamp, "seconds", "text", NO_TRANSCRIPTION),
    "TR-7-leaks": Row(rooms.transcripts_of_a_neighbour, 0, 1, NO_TRANSCRIPTION),
    "TR-7-anothers-words": Row(rooms.words_of_another, False, True, NO_TRANSCRIPTION),
    "INT-1-plays-to-the-end": Row(rooms.silenced, True, False, BARGE_IN),
    "INT-2-discards-only-active": Row(rooms.silenced, True, False, BARGE_IN),
    "INT-3-resumes-tail": Row(rooms.phrases_after_barge_in, 2, 3, BARGE_IN),
    "INT-4-never-ended": Row(rooms.unbalanced_speech, 0, 1, BARGE_IN),
    "INT-5-any-packet-interrupts": Row(rooms.silenced_by_noise, False, True, BARGE_IN),
    "AUD-1-16-khz": Row(rooms.answer_sound, (20, 440), (30, 293), NO_TRANSCRIPTION),
    "AUD-1-stereo": Row(rooms.answer_sound, (20, 440), (40, 220), NO_TRANSCRIPTION),
    "AUD-1-byte-swap": Row(rooms.answer_is_a_tone, True, False, NO_TRANSCRIPTION),
    "AUD-3-event-at-first-delta": Row(rooms.event_is_early, False, True, ("answer_s=0.2", "answer_after=fixed:1")),
    "TOOL-1-forwards": Row(rooms.tool_messages, False, True, TOOLS),
    "TOOL-2-fabricates": Row(rooms.answers_after_tool_call, 0, 1, TOOLS),
    "GA-1-starts-anyway": Row(refusals.first_news, "openai-realtime-version-mismatch", "first frame", BETA),
    "GA-1-internal-error": Row(refusals.first_news, "openai-realtime-version-mismatch", "internal_error", BETA),
    "GA-2-mint-accepted": Row(refusals.beta_mint, [400, 400], [200, 200]),
    "GA-2-handshake-accepted": Row(refusals.beta_handshake, "beta_api_shape_disabled", "session.created"),
    "GA-3-un-nested": Row(refusals.type_of_error, "error", "session_lifecycle_error", BETA),
    "ERR-1-session-dies": Row(
        refusals.after_an_error, "active", "ended", ("fault.realtime=conversation_already_has_active_response:1",)
    ),
    "ERR-3-silent": Row(refusals.is_told_of_refusal, True, False),
    "LIM-1-500": Row(refusals.over_quota, (429, "created"), (500, "created"), FULL),
    "LIM-1-kills-running": Row(refusals.over_quota, (429, "created"), (429, "ended"), FULL),
    "VAL-1-500": Row(refusals.invalid_body, 422, 500),
    "VAL-1-200": Row(refusals.invalid_body, 422, 200),
    "VAL-2-ignored": Row(refusals.bogus_presets, [422, 422], [200, 200]),
    "SEC-3-token-deletes": Row(refusals.delete_with_token, 401, 200),
    "SEC-2-refusal-echoes-token": Row(refusals.refusal_tells_token, False, True),
    "SEC-2-message-tells-secret": Row(refusals.message_tells_secret, False, True, ("answer_s=0.4",)),
    "SDK-1-hangs": Row(refusals.sdk_session_answers, True, False),
}


async def _see(row: Row, *mutants: str) -> Any:
    knobs = (*row.knobs, *(f"mutant={name}" for name in mutants))
    async with inside(*knobs, scale=row.scale) as twin:
        return await row.look(twin)


def _see_both(row: Row, *mutants: str) -> Any:
    """What is seen of the honest twin and of the mutant, at the same time."""

    async def see() -> Any:
        return await asyncio.gather(_see(row), _see(row, *mutants))

    return run(see())


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_misbehaves_as_named_and_the_honest_twin_does_not(name: str) -> None:
    row = ROWS[name]

    assert _see_both(row, name) == [row.honest, row.mutant]


def test_mutants_combine() -> None:
    row = Row(refusals.invalid_and_over_quota, (422, 429), (500, 500), FULL)

    assert _see_both(row, "VAL-1-500", "LIM-1-500") == [row.honest, row.mutant]


def test_mutants_combine_with_knobs_that_choose_another_part() -> None:
    row = Row(endings.default_absence_s, 60, 10, ("preset_field=model",))

    assert _see_both(row, "TD-3-default-10") == [row.honest, row.mutant]


def test_every_row_is_of_a_mutant() -> None:
    assert list(ROWS) == list(MUTANTS)
