"""The life of secrets: ages at each use, what happened near the end of the TTL, and whose clock is ahead."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Outcome, Remains, RuleChecked, RuleOutcome, Step
from reports.sections.expiry import histogram
from tests.reports import journals as j


def connected_at_age(number: int, age_s: float, *, ok: bool = True, **more: Any) -> list[Event]:
    """A session whose secret, good for 100 s, is `age_s` old when its connect ends."""
    minted_s = number + 0.5
    connect = (
        {} if ok else {"outcome": Outcome.FAILED, "failure": j.failure(Step.CONNECT, Kind.REJECTED, Code.HTTP_4XX)}
    )
    tag: dict[str, Any] = {"purpose": more["purpose"]} if "purpose" in more else {}
    return [
        j.started(number, number, **tag),
        j.step(number, Step.MINT, number, minted_s, **tag),
        j.secret(number, minted_s, ttl_s=100, **more),
        j.remains(number, minted_s, Remains.DOUBTFUL, "create_sent", **tag),
        j.step(number, Step.CREATE, minted_s, minted_s + 0.2, **tag),
        j.remains(number, minted_s + 0.2, Remains.NOTHING, "deleted", **tag),
        j.step(number, Step.CONNECT, minted_s + 0.2, minted_s + age_s, **connect, **tag),
        j.finished(number, number, minted_s + age_s, **tag),
    ]


def test_uses_are_counted_by_the_point_of_the_ttl_that_is_nearest(run_dir: Path) -> None:
    ages_s = {1: 1, 2: 24, 3: 26, 4: 90, 5: 96}
    events = [event for number, age_s in ages_s.items() for event in connected_at_age(number, age_s)]
    j.write_file(run_dir, [*events, *connected_at_age(6, 97, ok=False), *connected_at_age(7, 100)], finished_s=300)

    rows = j.reported(run_dir)["secrets"]["at_share_of_ttl"]

    assert [(row["percent"], row["uses"], row["connected"], row["failed"]) for row in rows] == [
        (0, 2, 2, 0),
        (50, 1, 1, 0),
        (90, 1, 1, 0),
        (99, 2, 1, 1),
        (101, 1, 1, 0),
    ]
    assert all(row["tested"] for row in rows)


def test_what_nothing_tried_is_not_tested(run_dir: Path) -> None:
    j.write_file(run_dir, connected_at_age(1, 1))
    rows = j.reported(run_dir)["secrets"]["at_share_of_ttl"]
    assert [row["tested"] for row in rows] == [True, False, False, False, False]


@pytest.mark.parametrize("granted_s", [0, -30])
def test_a_secret_that_had_expired_when_it_was_handed_out_is_used_after_its_end(run_dir: Path, granted_s: int) -> None:
    told_s = (j.WALL_NS + j.ns(1.5)) // 10**9
    events = connected_at_age(1, 1, provider_s=told_s, skew_s=granted_s - 100)
    j.write_file(run_dir, events)

    rows = j.reported(run_dir)["secrets"]["at_share_of_ttl"]

    assert [(row["uses"], row["connected"]) for row in rows] == [(0, 0), (0, 0), (0, 0), (0, 0), (1, 1)]


def test_a_probe_of_an_expired_secret_is_told_and_in_no_other_figure(run_dir: Path) -> None:
    probe = "probe:EXP-1"
    check = RuleChecked(
        t_ns=j.at(120), session=j.sid(2), rule="EXP-1", outcome=RuleOutcome.PASS, detail="refused", purpose=probe
    )
    refused = connected_at_age(2, 105, ok=False, purpose=probe)
    j.write_file(run_dir, [*connected_at_age(1, 1), *refused, check], finished_s=300)

    secrets = j.reported(run_dir)["secrets"]

    assert secrets["at_share_of_ttl"][4] == {
        "percent": 101,
        "uses": 0,
        "connected": 0,
        "failed": 0,
        "cancelled": 0,
        "probes": [{"rule": "EXP-1", "outcome": "pass", "detail": "refused"}],
        "tested": True,
    }
    assert secrets["minted"] == 1
    assert secrets["age_at_connect"]["max_s"] == 1.0


def test_ages_and_margins_are_histograms_of_round_bars(run_dir: Path) -> None:
    ages_s = (1, 1, 5, 40)
    j.write_file(
        run_dir, [event for number, age_s in enumerate(ages_s, 1) for event in connected_at_age(number, age_s)]
    )
    histograms = j.reported(run_dir)["secrets"]["histograms"]
    assert histograms["age_at_connect"] == [
        {"from_s": 0.0, "to_s": 2.0, "count": 2},
        {"from_s": 4.0, "to_s": 6.0, "count": 1},
        {"from_s": 40.0, "to_s": 42.0, "count": 1},
    ]
    assert sum(bar["count"] for bar in histograms["margin_at_connect"]) == 4
    assert histograms["margin_at_connect"][0] == {"from_s": 60.0, "to_s": 62.0, "count": 1}


def test_a_histogram_of_nothing_has_no_bars() -> None:
    assert histogram(pd.Series([None, None], dtype="float64")) == []


def test_the_providers_clock_is_compared_with_ours_over_the_run(run_dir: Path) -> None:
    early = connected_at_age(1, 1, skew_s=2, provider_s=(j.WALL_NS + j.ns(1.5)) // 10**9 + 2)
    late = connected_at_age(50, 1, skew_s=4)
    j.write_file(run_dir, [*early, *late])

    skew = j.reported(run_dir)["secrets"]["skew"]

    # Minted at half past a second, and whole seconds are told: half a second is added to what they say.
    assert skew["count"] == 2
    assert skew["median_s"] == pytest.approx(3.0, abs=1e-6)
    assert skew["drift_s"] == pytest.approx(2.0, abs=1e-6)
    assert [row["median_s"] for row in skew["over_run"]] == [pytest.approx(2.0), pytest.approx(4.0)]
    assert skew["date_median_s"] == pytest.approx(2.0, abs=1e-6)
