"""The board about what users hear: when an answer comes, whether it can be interrupted, how it sounds."""

from typing import Final

from dashboards.boards.sessions import ENDED
from dashboards.panels import Board, Kind, Panel, Query, heat, quantiles, rate, total
from exporters.metrics import catalogue as c
from loadtest.criteria.slo import TAKING
from loadtest.events.kinds import Step

FRAME_S: Final = 0.02
"""Length of a frame of audio, seconds."""


def taking(what: str) -> str:
    """A rate of how turns are taken."""
    return f"{rate(c.TAKING_SO, what=what)} / {rate(c.TAKING_OF, what=what)}"


CONVERSATION: Final = Board(
    name="conversation",
    title="Conversation",
    description="How long users wait for an answer and how it sounds. All of it is heard in the audio, not taken from "
    "events.",
    rows={
        "Answers": [
            Panel(
                title="Time to first audio",
                description="From the end of the user's speech to the first audible sample of the answer.",
                unit="s",
                width=12,
                queries=quantiles(c.FIRST_AUDIO),
            ),
            Panel(
                title="Time to first audio: distribution",
                description="Turns per bucket.",
                unit="s",
                kind=Kind.HEAT,
                width=12,
                queries=heat(c.FIRST_AUDIO),
            ),
        ],
        "Age": [
            Panel(
                title="Mean time to first audio, by age of the session",
                description="Whether answers get slower the longer a session lasts.",
                unit="s",
                width=24,
                queries=[Query(f"{rate(c.WAITED_BY_AGE, by='age')} / {rate(c.ANSWERS_BY_AGE, by='age')}", "{{age}}")],
            ),
        ],
        "Turns": [
            Panel(
                title="Turns by outcome",
                description="Turns per second.",
                unit="ops",
                kind=Kind.STACK,
                queries=[Query(rate(c.TURNS, by="outcome"), "{{outcome}}")],
            ),
            Panel(
                title="Share of turns that failed",
                description="Of those that ended ok or failed.",
                unit="percentunit",
                queries=[Query(f"{rate(c.TURNS, outcome='failed')} / {rate(c.TURNS, outcome=ENDED)}", "failed")],
            ),
            Panel(
                title="Time of a turn",
                description="From the user's first word to the end of the answer, successful turns.",
                unit="s",
                queries=quantiles(c.STEP_DURATION, step=Step.TURN, outcome="ok"),
            ),
            Panel(
                title="Barge-in",
                description="From the user's speech over the avatar to the avatar's last audible sample. Empty without "
                "barge-in turns in the scenario.",
                unit="s",
                width=12,
                queries=quantiles(c.BARGE_IN),
            ),
            Panel(
                title="Dead air",
                description="Longest silence inside each answer that was heard out: 0 where none was as long as 240 "
                "ms.",
                unit="s",
                width=12,
                queries=quantiles(c.DEAD_AIR),
            ),
            Panel(
                title="Failed turns by type",
                description="Turns per second that failed.",
                unit="ops",
                width=12,
                queries=[Query(rate(c.LIFECYCLE_ERRORS, by="error_type", step=Step.TURN) + " > 0", "{{error_type}}")],
            ),
        ],
        "Taking turns": [
            Panel(
                title="Turns that go well",
                description="Share of the turns that are to be answered that were, and of the barge-ins after which "
                "the avatar fell silent.",
                unit="percentunit",
                width=6,
                queries=[Query(taking(what), what) for what, is_good in TAKING.items() if is_good],
            ),
            Panel(
                title="Turns that go wrong",
                description="Shares, each of the turns that say something of it. Which: METRICS.md.",
                unit="percentunit",
                width=12,
                queries=[Query(taking(what), what) for what, is_good in TAKING.items() if not is_good],
            ),
            Panel(
                title="Both speak at once",
                description="Talk-over of each turn that is to be answered.",
                unit="s",
                width=6,
                queries=quantiles(c.TALK_OVER),
            ),
        ],
        "Sound": [
            Panel(
                title="Speech that ran dry",
                description="Times per second that a player with a buffer of 100 ms had nothing to play while the "
                "avatar spoke. Told when a session has left its room. Lag of our own event loop looks the same: see "
                "Harness health.",
                unit="ops",
                width=6,
                queries=[Query(rate(c.MEDIA_UNDERRUNS), "underruns")],
            ),
            Panel(
                title="Time without sound in speech",
                description="Share of the time in rooms, speech and silence together, for which speech had run dry.",
                unit="percentunit",
                width=6,
                queries=[Query(f"{rate(c.MEDIA_STALLED)} / ({rate(c.MEDIA_FRAMES)} * {FRAME_S:g})", "stalled")],
            ),
            Panel(
                title="Longest gap in speech",
                description="Longest wait for the next frame of each session's speech; frames are due every 20 ms.",
                unit="s",
                width=6,
                queries=quantiles(c.MEDIA_GAP),
            ),
            Panel(
                title="Packets lost",
                description="Of the whole run. Known where packets are numbered, which is WebRTC: none expected means "
                "that nothing is known.",
                unit="short",
                kind=Kind.BARS,
                width=6,
                queries=[
                    Query(total(c.MEDIA_PACKETS), "expected", instant=True),
                    Query(total(c.MEDIA_LOST), "lost", instant=True),
                ],
            ),
            Panel(
                title="Speech that ran dry, per minute",
                description="The same by the time for which sessions listened: the indicator "
                "media.underruns_per_minute.",
                unit="short",
                width=12,
                queries=[Query(f"60 * {rate(c.MEDIA_UNDERRUNS)} / {rate(c.MEDIA_HEARD)}", "per minute")],
            ),
            Panel(
                title="Jitter of speech",
                description="Mean deviation of each session's waits for frames of speech from their length. Lag of "
                "our own event loop is in it.",
                unit="s",
                width=12,
                queries=quantiles(c.MEDIA_JITTER),
            ),
        ],
    },
)
