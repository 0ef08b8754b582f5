"""The twin against recordings of the real service: shapes that are kept here, and recordings themselves if they are at
hand. `AVALOAD_RECORDINGS` names their directory; by default it is `../shared/real-wire` beside the checkout."""

import os
from pathlib import Path

import pytest

from tests.contract.cassettes import KEPT, Cassette, compared, recorded

_BESIDE = Path(__file__).parents[3] / "shared" / "real-wire"
RECORDINGS = sorted(Path(os.environ.get("AVALOAD_RECORDINGS", _BESIDE)).glob("*.yaml"))
HEADERS = "POST /v1/realtime/client_secrets 200: has headers that were not recorded: "
KNOWN = ("realtime: has the event rate_limits.updated, which was not recorded", HEADERS)
"""All that may differ, as TWIN.md says: what the real service leaves out at will, and what a recording cut away."""


def _unknown(differences: list[str]) -> list[str]:
    return [line for line in differences if not line.startswith(KNOWN)]


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_twin_says_what_the_real_service_said(path: Path) -> None:
    assert _unknown(compared(path)) == []


def test_what_the_real_service_leaves_out_at_will_is_a_knob() -> None:
    silent = KEPT / "openai_ws__test_tool_call_round.jsonl"

    assert compared(silent) == [KNOWN[0]]
    assert compared(silent, "--set", "rate_limits=none") == []


def test_the_documented_twin_differs_from_the_recorded_service() -> None:
    """The comparison would notice, if the twin said what the documents say."""
    found = compared(
        KEPT / "parity_ws__text_tool_round_openai_current.jsonl",
        *("--set", "shapes=documented", "--set", "rate_limits=start", "--set", "silence_ms=200"),
        *("--set", "first_item_done=item", "--set", "session_model=snapshot"),
    )

    assert [line.removeprefix("realtime: ") for line in found] == [
        "session.created.session.audio.input.turn_detection.silence_duration_ms is 200, recorded 500",
        "session.updated.session.audio.input.transcription lacks language",
        "session.updated.session.audio.input.transcription lacks prompt",
        "session.updated.session.audio.input.turn_detection.silence_duration_ms is 200, recorded 500",
        "conversation.item.added.item lacks phase",
        "conversation.item.added.item has object, which was not recorded",
        "conversation.item.done.item lacks phase",
        "conversation.item.done.item has object, which was not recorded",
        "response.output_item.added.item lacks phase",
        "response.output_item.added.item has object, which was not recorded",
        "response.output_text.delta lacks obfuscation",
        "response.function_call_arguments.delta lacks obfuscation",
        "response.output_item.done.item lacks phase",
        "response.output_item.done.item has object, which was not recorded",
        "response.done.response.output[] lacks phase",
        "response.done.response.output[] has object, which was not recorded",
        "rate_limits.updated.rate_limits[].name is requests or tokens, recorded tokens",
        "rate_limits.updated came before response.output_item.added, recorded the other way round",
    ]


if RECORDINGS:

    @pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
    def test_a_recording_of_the_real_service_shows_nothing_new(path: Path, tmp_path: Path) -> None:
        shapes = recorded(Cassette(path), tmp_path / f"{path.stem}.jsonl")

        kept = KEPT / shapes.name
        if kept.exists():
            assert shapes.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")
        else:
            assert _unknown(compared(shapes)) == []
