"""What so many users would need: the arithmetic, the prices, the notes."""

import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from loadtest.capacity.plan import PRICES, Measured, Range, plan, read_prices, sentences
from loadtest.language.errors import ConfigError

TODAY = date(2026, 12, 1)
MEASURED = Measured(
    length_s=Range(30, 27, 33), active=100, cpu_percent=56, rss_bytes=200e6, processes=1, user_speech_s=4,
    avatar_speech_s=8, turns=4, limit=None,
)  # fmt: skip


def planned(measured: Measured = MEASURED, *, users: int = 1000, **prices: Any) -> dict[str, Any]:
    table = read_prices()
    table = {**table, **{name: {**table[name], **more} for name, more in prices.items()}}
    return plan(measured, users=users, think_s=30, prices=table, today=TODAY)


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
    assert found["memory_bytes"]["value"] == pytest.approx(500 * 2e6)


def test_the_bill_of_an_hour_is_that_of_its_speech() -> None:
    found = planned(openai={"cached_share": 0.5}, avaturn={"per_minute": 0.1})
    # In: 4 s at 10 tokens; out: 8 s at 20; read again: 200 tokens, 3 / 2 times, half of it cached.
    dollars = (40 + 150) * 32e-6 + 150 * 0.4e-6 + 160 * 64e-6
    assert found["per_hour"]["openai_usd"]["value"] == pytest.approx(60_000 * dollars, rel=0.01)
    assert found["per_hour"]["avaturn_usd"]["value"] == 500 * 60 * 0.1
    assert found["per_hour"]["hosts_usd"]["value"] == pytest.approx(0.2)


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


def test_every_problem_of_a_price_table_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("[openai]\nfoo = 1\naudio_in_per_million = -3\n[host]\nper_hour = 1\ncores = 2\n")
    with pytest.raises(ConfigError) as caught:
        read_prices(path)
    problems = [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]
    assert problems[:3] == [
        "as_of (a date) is missing",
        "openai.foo: unknown key",
        "openai.audio_in_per_million must be a number from 0 on",
    ]  # fmt: skip
    assert "[avaturn] is missing" in problems
    assert "openai.requests_per_minute is missing" in problems


def test_our_own_price_table_is_dated_and_says_where_it_is_from() -> None:
    table = tomllib.loads(PRICES.read_text())
    assert isinstance(table["as_of"], date)
    assert all(table[section]["source"] for section in ("openai", "avaturn", "host"))


def test_old_prices_are_told() -> None:
    found = plan(MEASURED, users=10, think_s=1, prices=read_prices(), today=date(2027, 12, 1))
    assert "the prices are 374 days old" in found["notes"]


def test_people_get_every_figure_with_its_error_bars() -> None:
    lines = sentences(planned())
    assert lines[0] == "1,000 users, 30 s from a session to the next, sessions of 30 s (27 to 33)"
    assert lines[1] == "  sessions at once     500 (474 to 524)"
    assert lines[3] == "  secrets per minute   1,000 (952 to 1,050), of 400 allowed"
