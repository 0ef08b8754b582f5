"""What so many users would need: the arithmetic, the prices, the notes."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from loadtest.forecast.plan import Measured, Memory, Range, plan, sentences
from loadtest.prices.table import prices
from loadtest.prices.talk import Talk

TODAY = date(2026, 12, 1)
TALK = Talk(model="gpt-realtime-2.1", transcriber="gpt-realtime-whisper", turns=[(1.0, 2.0)] * 4, lived_s=30.0)
MEASURED = Measured(
    length_s=Range(30, 27, 33), active=100, cpu_percent=56, memory=Memory(fixed=80e6, each=0.5e6), processes=1,
    talks=((1.0, TALK),), limit=None,
)  # fmt: skip


def planned(measured: Measured = MEASURED, *, users: int = 1000, today: date = TODAY, **own: Any) -> dict[str, Any]:
    return plan(measured, users=users, think_s=30, prices=prices(own), today=today)


def test_users_sessions_and_arrivals_follow_littles_law() -> None:
    found = planned()
    assert found["sessions_at_once"]["value"] == 500
    assert found["arrivals_per_minute"]["value"] == found["secrets_per_minute"]["value"] == 1000
    assert found["arrivals_per_minute"]["low"] == pytest.approx(1000 * 60 / 63, rel=0.01)
    assert found["sessions_at_once"]["high"] == 524


def test_load_processes_follow_from_the_cpu_of_a_session() -> None:
    found = planned()  # 500 sessions of 0.56 % of a core each: 280 %, at 70 % for a process
    assert found["load_processes"] == {"value": 4, "low": 4, "high": 6}
    assert found["hosts"]["value"] == 2
    assert found["memory_bytes"]["value"] == pytest.approx(4 * 80e6 + 500 * 0.5e6)


def test_the_bill_of_an_hour_is_that_of_its_talk() -> None:
    found = planned(avatar={"per_minute": 0.1}, speech={"cached_share": 0.5, "text_per_audio_token": 0})
    # In: 10 tokens of the user a turn, and all before it again; out: 40 a turn. Again: 10, 60, 110 of 10, 60, 110, 160.
    audio_in, again, out = 10 + 60 + 110 + 160, 10 + 60 + 110, 160
    dollars = (audio_in - again / 2) * 32e-6 + again / 2 * 0.4e-6 + out * 64e-6
    hour = found["per_hour"]
    assert hour["model"]["usd"] == pytest.approx(60_000 * dollars)
    assert hour["transcription"]["usd"] == pytest.approx(60_000 * 4 / 60 * 0.017)
    assert hour["avatar"]["usd"] == pytest.approx(60_000 * 0.5 * 0.1)
    assert hour["hosts_usd"]["value"] == pytest.approx(0.2)


def test_what_has_no_price_is_unknown_and_never_nothing() -> None:
    found = planned(replace(MEASURED, talks=((1.0, replace(TALK, model="my-model")),)))
    assert found["per_hour"]["model"] == {
        "usd": None, "low_usd": None, "high_usd": None, "known_usd": 0.0, "unknown": ["model my-model"]
    }  # fmt: skip
    assert found["per_session"]["total"]["unknown"] == ["model my-model", "the avatar's minutes"]
    lines = sentences(found)
    assert "  per hour, model      unknown: no price for model my-model" in lines
    assert "  avatar               unknown: no price for the avatar's minutes" in lines


def test_a_mix_is_paid_for_by_the_shares_of_its_scenarios() -> None:
    cheap = replace(TALK, model="gpt-realtime-2.1-mini")
    dear, half = planned(), planned(replace(MEASURED, talks=((0.5, TALK), (0.5, cheap))))
    mini = planned(replace(MEASURED, talks=((1.0, cheap),)))
    mean = (dear["per_session"]["model"]["usd"] + mini["per_session"]["model"]["usd"]) / 2
    assert half["per_session"]["model"]["usd"] == pytest.approx(mean, abs=1e-6)


def test_error_bars_contain_the_figure() -> None:
    found = planned()
    for name in ("sessions_at_once", "arrivals_per_minute", "load_processes", "hosts", "memory_bytes", "session_s"):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"], name


@pytest.mark.parametrize(
    ("users", "told"),
    [(1000, "1000 secrets per minute are more than the 400 requests"), (400, "may be more than the 400")],
)
def test_a_plan_beyond_the_request_limit_says_so(users: int, told: str) -> None:
    assert any(told in note for note in planned(users=users)["notes"])


def test_a_plan_within_it_does_not() -> None:
    assert not any("requests per minute" in note for note in planned(users=300)["notes"])


def test_a_search_says_whether_the_target_carries_the_plan() -> None:
    limit = {"by": "users", "unit": "users", "max_passing": {"level": 60.0}, "quota": {"exact": True, "number": 50,
             "what": "sessions at once"}}  # fmt: skip
    notes = planned(replace(MEASURED, limit=limit), users=130)["notes"]
    assert "the target does not carry it: 65 users are wanted, 60 were held" in notes
    assert "the quota of 50 sessions at once is below the 65 that are wanted" in notes
    assert "the target carries it: 25 users are wanted, 60 were held" in planned(
        replace(MEASURED, limit=limit), users=50
    )["notes"]  # fmt: skip


def test_old_prices_are_told() -> None:
    notes = planned(today=date(2027, 12, 1))["notes"]
    assert 'models."gpt-realtime-2.1" is 366 days old' in notes


def test_people_get_every_figure_with_its_error_bars() -> None:
    lines = sentences(planned())
    assert lines[0] == "1,000 users, 30 s from a session to the next, sessions of 30 s (27 to 33)"
    assert lines[1] == "  sessions at once     500 (474 to 524)"
    assert sentences(planned(users=1))[4].endswith(", on 1 (1 to 1) host")
    assert lines[4].endswith(" hosts")
    assert lines[3] == "  secrets per minute   1,000 (952 to 1,050), of 400 allowed"
