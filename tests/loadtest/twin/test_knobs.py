"""Profiles and their knobs: all listed, all readable, refused with help (TWIN.md#knobs)."""

import math
import random
import statistics
from pathlib import Path

import pytest

from loadtest.twin import main
from loadtest.twin.command_line.loading import ProfileError, load
from loadtest.twin.command_line.points import KNOBS
from loadtest.twin.knobs.profiles import Chance
from loadtest.twin.knobs.values import Fault, Fixed, Freeze, LogNormal, Uniform


def _problems(*settings: str) -> list[str]:
    with pytest.raises(ProfileError) as caught:
        load(name="instant", settings=settings)
    return caught.value.problems


def test_help_lists_every_knob_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])

    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for key, knob in KNOBS.items():
        assert any(line.startswith(f"  {key}={knob.form} ") and line.endswith(f" {knob.help}") for line in lines), key


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("latency.mnt", "latency.mint"),
        ("fault.respons", "fault.response"),
        ("limit.session", "limit.sessions"),
        ("transkript", "transcript"),
        ("freze", "freeze"),
    ],
)
def test_an_unknown_knob_is_answered_with_the_closest(wrong: str, right: str) -> None:
    assert _problems(f"{wrong}=1") == [f"{wrong}: unknown knob; did you mean {right}?"]


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("latency.mint=slow", "must be fixed:SECONDS, uniform:FROM,TO or lognormal:MU,SIGMA"),
        ("latency.mint=uniform:2,1", "must be a number from 2 to 3600"),
        ("fault.mint=399:0.1", "must begin with a status from 400 to 599 or one of rate_limit_exceeded, "),
        ("fault.create=insufficient_quota:0.1", "must begin with a status from 400 to 599"),
        ("fault.mint=503:0.6,429:0.6", "the shares add up to more than 1"),
        ("fault.response=503:1", "must begin with one of server_error, "),
        ("fault.transcription=failed", "must be NAME:SHARE"),
        ("output_items=1.5", "must be a whole number"),
        ("answers_close=maybe", "must be yes or no"),
        ("upstream=pipe", "must be one of socket, inline"),
        ("freeze=3", "must be AT,FOR in seconds"),
        ("retry_after=soon", "must be a number from 0 to 3600"),
        ("limit.slots=0", "must be a number from 1 to 1e+06"),
    ],
)
def test_a_bad_value_is_one_line_that_says_what_is_good(setting: str, complaint: str) -> None:
    (problem,) = _problems(setting)

    assert problem.startswith(f"{setting}: {complaint}")


def test_every_published_point_takes_a_latency_and_a_status() -> None:
    points = [
        "mint",
        "create",
        "sdk_session",
        "join",
        "stream_start",
        "session_created",
        "first_delta",
        "transcription",
        "delete",
    ]

    settings = [
        f"{kind}.{point}={value}" for point in points for kind, value in (("latency", "fixed:1"), ("fault", "503:0.05"))
    ]
    profile = load(name="instant", settings=settings)

    assert dict(profile.latency) == dict.fromkeys(points, Fixed(1.0))
    struck_with = {point: faults[0].name for point, faults in profile.faults.items()}
    other = {"stream_start": "internal_error", "first_delta": "server_error", "transcription": "failed"}
    assert struck_with == dict.fromkeys(points, "503") | other


def test_values_are_read() -> None:
    profile = load(
        name="instant",
        settings=[
            *("latency.mint=uniform:1,2", "fault.mint=429:0.1,insufficient_quota:0.05", "freeze=10,5"),
            *("retry_after=none", "limit.rpm=100", "answers_close=no", "latency.mint=fixed:3"),
        ],
    )

    # The last setting of a knob wins.
    assert profile.latency == {"mint": Fixed(3.0)}
    assert profile.faults == {"mint": (Fault("429", 0.1), Fault("insufficient_quota", 0.05))}
    assert profile.freeze == Freeze(10.0, 5.0)
    assert (profile.retry_after_s, profile.requests_per_minute, profile.answers_close) == (None, 100, False)


def test_a_file_may_use_the_types_of_toml(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('answers_close = false\noutput_items = 2\n[fault]\nmint = "503:0.5"\n[limit]\nrpm = 7\n')

    profile = load(name=str(path), settings=[])

    assert (profile.answers_close, profile.output_items, profile.requests_per_minute) == (False, 2, 7)
    assert profile.faults == {"mint": (Fault("503", 0.5),)}


SECTION_5 = {
    "mint": (0.25, 0.70),
    "create": (0.30, 0.90),
    "sdk_session": (0.12, 0.40),
    "join": (0.80, 2.0),
    "stream_start": (2.5, 6.0),
    "session_created": (0.30, 0.80),
    "first_delta": (0.50, 1.2),
    "render": (0.35, 0.70),
    "transcription": (0.60, 1.5),
    "delete": (0.20, 0.60),
}


@pytest.mark.parametrize(("point", "quantiles"), SECTION_5.items(), ids=list(SECTION_5))
def test_realistic_has_the_quantiles_of_the_protocol(point: str, quantiles: tuple[float, float]) -> None:
    found = load(name="realistic", settings=[]).latency[point]

    assert isinstance(found, LogNormal)
    assert math.exp(found.mu) == pytest.approx(quantiles[0], rel=0.01)
    assert math.exp(found.mu + 1.645 * found.sigma) == pytest.approx(quantiles[1], rel=0.02)


def test_three_in_a_hundred_realistic_starts_are_cold() -> None:
    profile = load(name="realistic", settings=[])
    chance = Chance(profile, seed=1)

    starts = [chance.latency_s("stream_start") for _ in range(5000)]

    assert profile.latency["cold_start"] == Uniform(10.0, 12.0)
    assert statistics.median(starts) == pytest.approx(2.6, abs=0.2)
    assert 0.02 < sum(10 <= start <= 12 for start in starts) / 5000 < 0.05


def test_faults_strike_their_share_and_equal_seeds_strike_alike() -> None:
    profile = load(name="instant", settings=["fault.mint=503:0.2,429:0.1"])
    first, second = (Chance(profile, seed=5) for _ in range(2))

    fates = [first.mishap("mint") for _ in range(5000)]

    assert fates == [second.mishap("mint") for _ in range(5000)]
    assert fates.count("503") / 5000 == pytest.approx(0.2, abs=0.02)
    assert fates.count("429") / 5000 == pytest.approx(0.1, abs=0.02)


def test_a_draw_stays_within_its_bounds() -> None:
    chance = random.Random(2)

    assert all(1 <= Uniform(1, 2).draw(chance) <= 2 for _ in range(100))
