"""What a run cost, by what its sessions did."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.language.errors import Code, Kind
from loadtest.language.events import Event, Gone, Outcome, Remains, Step
from reports.sections.costs.planning import measured
from tests.reports import journals as j

PRICES = {"avatar": {"per_minute": 0.6}}
CREATED = 6
"""So many of a good session's first events end with its answered create."""
LIVED_S = 0.5 + 10 + 0.05
"""Of a good one, from the create's answer to the confirmed delete."""


def cost(run_dir: Path, *events: Event, finish: str | None = "completed") -> dict[str, Any]:
    scenario = {"name": "support-call", "cost": {"prices": PRICES}}
    (run_dir / "settings.json").write_text(json.dumps({"scenario": scenario}))
    j.write_file(run_dir, events, finish=finish)
    found: dict[str, Any] = j.reported(run_dir)["cost"]
    return found


def never_created(number: int) -> list[Event]:
    """Half a minute in vain: its mint times out, or its create is refused."""
    if number % 2:
        failed = [j.failed_step(number, Step.MINT, 1, 31)]
    else:
        failed = [
            j.remains(number, 1, Remains.DOUBTFUL, "create_sent"),
            j.failed_step(number, Step.CREATE, 1, 31, Kind.REJECTED, Code.HTTP_4XX),
            j.remains(number, 31, Remains.NOTHING, "create_refused"),
        ]
    return [j.started(number, 1), *failed, j.finished(number, 1, 31, outcome=Outcome.FAILED)]


def test_the_avatars_minutes_are_from_the_creates_answer_to_the_confirmed_delete(run_dir: Path) -> None:
    found = cost(run_dir, *j.good_session(1, 1), *j.good_session(2, 1, mint_s=8, gone_s=9))
    assert found["avatar_minutes"] == pytest.approx(2 * LIVED_S / 60, abs=1e-3)
    assert found["estimate"]["avatar"]["usd"] == pytest.approx(2 * LIVED_S / 60 * 0.6)
    assert found["without_end"] == 0


def test_a_session_that_never_was_costs_no_minutes(run_dir: Path) -> None:
    found = cost(run_dir, *(event for number in range(1, 9) for event in never_created(number)))
    assert (found["avatar_minutes"], found["without_end"]) == (0, 0)
    assert found["estimate"]["total"]["usd"] == 0


def test_of_a_session_without_a_confirmed_end_what_is_known_is_counted_and_it_is_told(run_dir: Path) -> None:
    refused = [
        *j.good_session(1, 1)[:CREATED],  # created at 1.3 s
        j.failed_step(1, Step.DELETE, 11.9, 12.3, Kind.REJECTED, Code.HTTP_5XX),
        j.remains(1, 12.3, Remains.LEAKED, "delete_failed"),
        j.finished(1, 1, 15, outcome=Outcome.FAILED, remains=Remains.LEAKED),
    ]
    alive = [
        *j.good_session(2, 1)[:-2],
        j.look(2, 12, 17.3, Gone.STILL_ALIVE),
        j.remains(2, 17.3, Remains.LEAKED, "still_alive"),
        j.finished(2, 1, 20, outcome=Outcome.FAILED, gone=Gone.STILL_ALIVE, remains=Remains.LEAKED),
    ]
    killed = j.good_session(3, 1)[:CREATED]  # the last word of its engine is at 20 s
    unanswered = j.good_session(4, 1)[:4]  # nobody knows whether there was one
    found = cost(run_dir, *refused, *killed, *unanswered, *alive, finish=None)
    assert found["avatar_minutes"] == pytest.approx((11 + 16 + 18.7) / 60, abs=1e-3)
    assert found["without_end"] == 4


def test_a_plan_is_made_with_the_same_minutes(run_dir: Path) -> None:
    sessions = [j.good_session(number, 1, mint_s=8, gone_s=9) for number in (1, 2)]
    cost(run_dir, *(event for events in sessions for event in events), *(j.health(t_s) for t_s in range(30)))
    ((share, talk),) = measured(run_dir).talks
    assert (share, talk.lived_s) == (1, pytest.approx(LIVED_S))
