"""The runs that the alert tests play, and which alerts each must raise: those and no others."""

from dataclasses import dataclass, field
from pathlib import Path

from loadtest.events.kinds import STEPS
from tests.support import ROOT

FIXTURES = Path(__file__).parent / "fixtures"

_TALK = """
name = "fixture"
[conversation]
think_min_s = 0
think_max_s = 0.1
[[conversation.turns]]
kind = "say"
clip = "{clip}"
"""
_SILENT = """
name = "fixture"
[target]
room = "none"
"""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """`twin`, `run`: options. `fires`: alerts that must be raised. `kills`: what is killed on the way.

    `every_s`: between two scrapes when it was recorded; `interval`: when it is played.
    """

    name: str
    fires: set[str]
    twin: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    talks: bool = False
    ttl_s: int = 600
    kills: str | None = None
    every_s: float = 0.25
    interval: str = "15s"
    altered: dict[str, str] = field(default_factory=dict)
    """Series that no twin can cause, or that are younger than the recording, put over the recorded ones."""
    recorded_as: str = ""
    """Plays the fixture of another scene."""

    def scenario(self, directory: Path) -> list[str]:
        """The scenario file to run, as an argument."""
        path = directory / "fixture.toml"
        clip = ROOT / "loadtest" / "sound" / "corpus" / "en" / "reset_password.wav"
        text = _TALK.format(clip=clip) if self.talks else _SILENT
        path.write_text(f"{text}\n[secret]\nttl_s = {self.ttl_s}\n")
        return [str(path)]


_HERE = 'job="avaload",instance="127.0.0.1:9646"'
_SHORT = ("--users", "6", "--ramp", "1s", "--duration", "12s")
_PACED = (*_SHORT, "--pacing", "500ms")
_FAILING = {"SessionErrorsHigh", "StepErrorsHigh"}
_REFUSED = {*_FAILING, "SessionsDoubtful"}  # behind a create's 503 a session may exist

SCENES = (
    Scene(name="clean", fires=set(), talks=True, twin=("--set", "answer_s=0.5"), run=_SHORT),
    Scene(
        name="left_behind",
        # Every session fails, but twelve are too few to call the share of failures high.
        fires={"SessionsLeftBehind", "OpenAfterRun"},
        twin=("--set", "mutant=TD-1-keeps-running"),
        run=_PACED,
        altered={f"avaload_run_active{{{_HERE}}}": "1+0x51 0+0x7 stale"},
    ),
    Scene(
        name="failing",
        fires=_REFUSED,
        twin=("--set", "fault.create=503:0.3"),
        run=("--users", "2", "--ramp", "1s", "--duration", "22s", "--pacing", "500ms"),
        every_s=0.1,
        interval="5s",
    ),
    Scene(
        name="failing_for_hours",
        recorded_as="failing",
        # A session in some minutes: too few to call a share of five minutes high, enough to burn the budget.
        fires={"SessionsDoubtful", "ErrorBudgetBurnFast", "ErrorBudgetBurnSlow"},
        interval="2m",
    ),
    Scene(
        name="rate_limited",
        fires={"RateLimited", *_FAILING},
        twin=("--set", "fault.mint=429:0.3"),
        run=_PACED,
    ),
    Scene(
        name="slow",
        fires={"SetupSlow", "TurnSlow"},
        talks=True,
        twin=("--set", "latency.stream_start=fixed:11", "--set", "answer_after=fixed:2.5", "--set", "answer_s=0.5"),
        run=("--users", "20", "--ramp", "5s", "--duration", "20s"),
        interval="5s",  # played slower, the sessions of five minutes are too few
    ),
    Scene(
        name="a_slow_session",  # and one answer of it: no 95th percentile
        recorded_as="clean",
        fires=set(),
        altered={
            f'avaload_{metric}_seconds_{part}{{{_HERE},scenario="rare"{le}}}': f"0+0x3 {count}+0x52 stale"
            for metric, edges in (
                ("session_setup_duration", ("10.0", "15.0")),
                ("time_to_first_audio", ("2.0", "3.0")),
            )
            for part, le, count in (
                ("bucket", f',le="{edges[0]}"', 0),
                ("bucket", f',le="{edges[1]}"', 1),
                ("bucket", ',le="+Inf"', 1),
                ("count", "", 1),
            )
        },
    ),
    Scene(
        name="breaking_up",
        fires={"SpeechBreaksUp"},
        talks=True,
        # Long answers, so that most of the sessions are being spoken to when the twin stands still.
        twin=("--set", "answer_s=2", "--set", "freeze=9,0.6"),
        run=("--users", "12", "--ramp", "2s", "--duration", "16s"),
        interval="10s",
    ),
    Scene(
        name="packets_lost",
        recorded_as="clean",
        fires={"PacketLossHigh"},
        altered={
            f"avaload_media_packets_expected_total{{{_HERE}}}": "0+500x60",
            f"avaload_media_packets_lost_total{{{_HERE}}}": "0+0x20 15+15x39",
        },
    ),
    Scene(
        name="saturated",
        fires={"GeneratorSaturated"},
        run=("--users", "400", "--ramp", "1s", "--duration", "10s"),
    ),
    Scene(
        name="worker_lost",
        fires={"WorkerLost"},
        run=("--users", "6", "--ramp", "1s", "--duration", "50s", "--pacing", "500ms", "--processes", "2"),
        kills="worker",
        every_s=0.5,
    ),
    Scene(name="engine_died", fires={"GeneratorFault"}, run=_PACED, kills="engine"),
    Scene(
        name="vanished",
        fires={"ExporterDown"},
        twin=("--set", "latency.create=fixed:1"),
        run=_SHORT,
        kills="locust",
    ),
    Scene(
        name="pod_gone",  # nobody says of an endpoint that is no more that it is down
        recorded_as="vanished",
        fires={"ExporterDown"},
        altered={f"up{{{_HERE}}}": "1+0x18 stale _x58"},
    ),
    Scene(name="short_secrets", fires={"SecretMarginLow"}, run=_PACED, ttl_s=10),
    Scene(
        name="events_lost",
        recorded_as="clean",
        fires={"TelemetryDropping"},
        altered={f"avaload_events_lost_total{{{_HERE}}}": "0+0x20 3+0x40"},
    ),
    Scene(
        name="open_above_plan",
        recorded_as="clean",
        fires={"OpenAboveTarget"},
        altered={
            f"avaload_sessions_open{{{_HERE}}}": "0+0x20 8+0x12 0+0x30 stale",
            f"avaload_sessions_target{{{_HERE}}}": "6+0x60",
        },
    ),
    Scene(
        name="stepped_down",  # to two users, while the sessions of six go on
        recorded_as="clean",
        fires=set(),
        altered={f"avaload_sessions_target{{{_HERE}}}": "6+0x10 2+0x44 stale"},
    ),
    Scene(
        name="checking",  # an active check holds a session that is no load's, for minutes
        recorded_as="clean",
        fires=set(),
        altered={
            f"avaload_sessions_open{{{_HERE}}}": "0 1+0x45 0+0x8 stale",
            **{f'avaload_sessions_active{{{_HERE},state="{step}"}}': "0+0x55 stale" for step in STEPS},
        },
    ),
    Scene(
        name="worker_silent",
        recorded_as="clean",
        fires={"WorkerReportsStale"},
        altered={f'avaload_worker_report_age_seconds{{{_HERE},worker="1"}}': "0+0x10 12 0.2+0x20 stale"},
    ),
    Scene(
        name="spans_dropped",
        recorded_as="clean",
        fires={"TelemetryDropping"},
        altered={f'avaload_spans_dropped_total{{{_HERE},reason="queue_full"}}': "0+0x20 512+0x40"},
    ),
    Scene(
        name="load_below_plan",
        recorded_as="clean",
        fires={"TargetNotReached"},
        altered={
            f'avaload_iterations_dropped_total{{{_HERE},reason="no_user",scenario="fixture"}}': "0+0x10 0+1x40 stale"
        },
    ),
)
