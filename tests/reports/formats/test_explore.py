"""What a page shows of single sessions and of each scenario: the right ones, with their numbers, within bounds."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Gone, Outcome, Remains, SessionFinished, SessionStarted, Step
from reports.build import build
from reports.data import frames
from reports.formats.explore.chosen import chosen
from reports.formats.explore.waterfall import MOST_BARS, Bar, waterfall
from reports.sections.sessions import left_behind
from tests.reports import journals as j
from tests.reports.formats.tables import tables

EVIL = "<script>alert('x')</script>\x1b[31m\u202e"
SETTINGS: dict[str, Any] = {
    "output": {
        "trace_url": "https://tempo.example/{trace_id}?run={run_id}&from={from}&to={to}",
        "grafana_url": "https://grafana.example/d/x?from={from}&to={to}&run={run_id}",
    }
}
MOST_BYTES = 6_000_000


def of(scenario: str, events: Iterable[Event]) -> list[Event]:
    return [
        replace(event, scenario=scenario) if isinstance(event, SessionStarted | SessionFinished) else event
        for event in events
    ]


def failing(number: int, begin_s: float, step: Step, kind: Kind, code: Code, detail: str = "") -> list[Event]:
    """It ends after half a second, in that step."""
    why = j.failure(step, kind, code, detail)
    return [
        j.started(number, begin_s),
        j.step(number, step, begin_s, begin_s + 0.5, outcome=Outcome.FAILED, failure=why),
        j.finished(number, begin_s, begin_s + 0.5, outcome=Outcome.FAILED, failure=why),
    ]


def page_of(run_dir: Path, events: Iterable[Event], settings: dict[str, Any] | None = None) -> str:
    if settings is not None:
        (run_dir / "settings.json").write_text(json.dumps({"run_id": "run 1/2", "settings": settings}))
    j.write_file(run_dir, sorted(events, key=lambda event: event.t_ns))
    build(run_dir)
    return (run_dir / "report.html").read_text()


def shown(html: str) -> list[dict[str, str]]:
    head, *rows = tables(html)["Table of sessions"]
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_of_many_failures_some_of_every_kind_are_shown_and_the_others_counted(run_dir: Path) -> None:
    kinds = [(Step.CREATE, Kind.REJECTED, Code.HTTP_5XX)] * 300 + [(Step.CONNECT, Kind.TIMEOUT, Code.TIMEOUT)] * 38
    kinds += [(Step.MINT, Kind.REJECTED, Code.RATE_LIMITED)] * 2
    html = page_of(run_dir, [e for n, kind in enumerate(kinds, 1) for e in failing(n, n / 10, *kind)])
    rows = shown(html)
    assert "Those in trouble, the slowest, and a sample to compare them with: 100 of 340." in " ".join(html.split())
    assert "100 of 340 failed sessions shown." in html
    failed = [row for row in rows if row["Why"] == "failed"]
    assert Counter(row["Failed in"] for row in failed) == {
        "create/rejected/http_5xx": 60, "connect/timeout/timeout": 38, "mint/rejected/rate_limited": 2,
    }  # fmt: skip
    assert html.count('class="waterfall"') == 100
    assert len(html) < MOST_BYTES


def test_a_session_is_told_with_its_times_and_why_it_is_there(run_dir: Path) -> None:
    slow = j.good_session(2, 20, create_s=2, first_audio_s=(0.5, 3.5))
    broken = failing(3, 30, Step.MINT, Kind.TIMEOUT, Code.TIMEOUT, EVIL)
    html = page_of(run_dir, [*j.good_session(1, 1), *slow, *broken])
    assert [tuple(row.values()) for row in shown(html)] == [
        (j.sid(3), "failed", "0:30", "500 ms", "500 ms", "–", "–", "mint/timeout/timeout"),
        (j.sid(1), "slowest", "0:01", "11.2 s", "2.85 s", "800 ms", "1.2 s", ""),
        (j.sid(2), "slowest", "0:20", "12.9 s", "6.65 s", "2.6 s", "3.5 s", ""),
    ]
    assert "mint/timeout/timeout: &lt;script&gt;alert" in html
    assert not re.search("[\x1b\u202e]", html)


def test_the_five_slowest_are_those_that_let_their_users_wait_longest(run_dir: Path) -> None:
    waits_s = {number: 0.5 + (number * 7 % 31) / 10 for number in range(1, 31)}
    html = page_of(run_dir, [e for n, s in waits_s.items() for e in j.good_session(n, n, first_audio_s=(s, 0.1))])
    rows = shown(html)
    slowest = [row["Session"] for row in rows if row["Why"] == "slowest"]
    assert sorted(slowest) == sorted(j.sid(n) for n in sorted(waits_s, key=lambda n: -waits_s[n])[:5])
    assert len([row for row in rows if row["Why"] == "sample"]) == 20
    assert html.count('class="waterfall"') == 5


def test_one_session_in_two_sorts_of_trouble_is_one_row(run_dir: Path) -> None:
    why = j.failure(Step.DELETE, Kind.REJECTED, Code.HTTP_5XX)
    left = [
        *j.good_session(1, 1)[:-4],
        j.step(1, Step.DELETE, 11.8, 12, outcome=Outcome.FAILED, failure=why),
        j.remains(1, 12, Remains.LEAKED, "delete_failed"),
        j.finished(1, 1, 12, outcome=Outcome.FAILED, failure=why, remains=Remains.LEAKED, gone=Gone.UNCONFIRMED),
    ]
    (row,) = shown(page_of(run_dir, left))
    assert row["Why"] == "left behind, failed, not proved gone"


def test_unfinished_and_doubtful_sessions_have_their_rows_too(run_dir: Path) -> None:
    doubtful = [j.started(1, 1), j.remains(1, 1.2, Remains.DOUBTFUL, "create_sent")]
    rows = shown(page_of(run_dir, doubtful))
    assert [row["Why"] for row in rows] == ["doubtful, without an end"]


def test_each_scenario_of_a_mix_has_its_own_figures_and_one_choice_for_all(run_dir: Path) -> None:
    events = [e for n in range(1, 7) for e in of("support", j.good_session(n, n, create_s=0.2))]
    events += [e for n in range(7, 10) for e in of("sales <b>", j.good_session(n, n, create_s=0.9))]
    events += of("broken", failing(10, 10, Step.CREATE, Kind.REJECTED, Code.HTTP_5XX))
    html = page_of(run_dir, events)
    found = tables(html)
    create = {name: rows[2] for name, rows in found.items() if name.startswith("Table of steps")}
    assert create == {
        "Table of steps": ["create", "10", "1", "200 ms", "900 ms", "900 ms", "900 ms", "900 ms"],
        "Table of steps of support": ["create", "6", "0", *["200 ms"] * 5],
        "Table of steps of sales <b>": ["create", "3", "0", *["900 ms"] * 5],
        "Table of steps of broken": ["create", "1", "1", *["–"] * 5],
    }
    assert [name for name in found if name.startswith("Table of failures")] == [
        "Table of failures", "Table of failures of broken",
    ]  # fmt: skip
    assert {name: rows[1][1] for name, rows in found.items() if name.startswith("Table of turns")} == {
        "Table of turns": "18", "Table of turns of support": "12", "Table of turns of sales <b>": "6",
    }  # fmt: skip
    assert html.count('type="radio" name="scenario"') == 4
    report = json.loads((run_dir / "report.json").read_text())
    assert {name: part["sessions"]["started"] for name, part in report["by_scenario"].items()} == {
        "support": 6, "sales <b>": 3, "broken": 1,
    }  # fmt: skip


def test_a_run_of_one_scenario_has_nothing_to_choose(run_dir: Path) -> None:
    html = page_of(run_dir, j.good_session(1, 1))
    assert 'type="radio"' not in html
    assert json.loads((run_dir / "report.json").read_text())["by_scenario"] == {}


def test_links_lead_to_the_trace_and_to_the_board_at_the_right_time(run_dir: Path) -> None:
    html = page_of(run_dir, j.good_session(1, 1), SETTINGS)
    begin_ms = j.WALL_NS // 10**6
    links = sorted(set(re.findall(r'href="(https:[^"]+)"', html)))
    assert links == [
        f"https://grafana.example/d/x?from={begin_ms}&amp;to={begin_ms + 12_150}&amp;run=run%201%2F2",
        f"https://tempo.example/{j.sid(1)}?run=run%201%2F2&amp;from={begin_ms + 1000}&amp;to={begin_ms + 12_150}",
    ]


def test_of_the_sessions_that_went_well_those_have_a_link_whose_traces_are_kept(run_dir: Path) -> None:
    """Ids of the journals are small numbers, and so in any share; a failed session is kept whatever its id."""
    good, failed = 0xFF_FF_FF_FF_FF_FF_FF, 0xFF_FF_FF_FF_FF_FF_FE
    settings = {"output": {**SETTINGS["output"], "trace_share": 0.1}}
    why = failing(failed, 3, Step.CREATE, Kind.REJECTED, Code.HTTP_5XX)
    html = page_of(run_dir, [*j.good_session(1, 1), *j.good_session(good, 2), *why], settings)
    linked = re.findall(r'href="https://tempo\.example/([0-9a-f]+)', html)
    assert set(linked) == {j.sid(1), j.sid(failed)}
    assert j.sid(good) in html
    assert "sure to be kept: of what failed, and of 10 % of the rest." in html
    everybody = page_of(run_dir, [*j.good_session(1, 1), *j.good_session(good, 2), *why], SETTINGS)
    assert "sure to be kept" not in everybody
    assert j.sid(good) in re.findall(r'href="https://tempo\.example/([0-9a-f]+)', everybody)


@pytest.mark.parametrize("url", ["javascript:alert(1)//{trace_id}", "https://x/{trace_id}{other}"])
def test_a_template_that_no_run_would_take_makes_no_link(url: str, run_dir: Path) -> None:
    html = page_of(run_dir, j.good_session(1, 1), {"output": {"trace_url": url}})
    assert re.findall(r'href="(?!#|data:,)[^"]*"', html) == []


def test_a_waterfall_shows_when_each_step_was_and_for_how_long() -> None:
    bars = [
        Bar(name="mint", begin_s=0, end_s=1, became="ok"),
        Bar(name="create", begin_s=1, end_s=5, became="ok", more="x"),
        Bar(name="turn 0 say", begin_s=8, end_s=10, became="failed", more="no_answer"),
    ]
    drawing = waterfall(bars, label="Session a")
    assert re.findall(r'<rect x="([\d.]+)%" y="\d+" width="([\d.]+)%" height="7" fill="([^"]+)"', drawing) == [
        ("0.00", "10.00", "var(--series-1)"),
        ("10.00", "40.00", "var(--series-1)"),
        ("80.00", "20.00", "var(--bad)"),
    ]
    assert 'aria-label="Session a: mint · 1 s; create · 4 s · x; turn 0 say · 2 s · no_answer"' in drawing
    assert re.findall(r'class="tick"[^>]*>([^<]+)<', drawing) == ["0 s", "2.5 s", "5 s", "7.5 s", "10 s"]


def test_a_waterfall_of_a_long_conversation_keeps_what_failed_and_says_what_it_leaves_out() -> None:
    bars = [
        Bar(name=f"turn {n}", begin_s=n, end_s=n + 1, became="failed" if n == 190 else "ok", more=EVIL)
        for n in range(200)
    ]
    drawing = waterfall(bars, label="x")
    assert drawing.count("<rect") == MOST_BARS
    assert "turn 190 ·" in drawing
    assert "and 160 more, in avaload session" in drawing
    assert "<script" not in drawing
    assert "\x1b" not in drawing


def test_a_large_run_chooses_as_many_as_a_small_one(run_dir: Path) -> None:
    events = [e for n in range(1, 1501) for e in j.good_session(n, n / 20)]
    events += [e for n in range(1501, 2001) for e in failing(n, n / 20, Step.MINT, Kind.TIMEOUT, Code.TIMEOUT)]
    j.write_file(run_dir, events)
    run = frames.load(run_dir)
    picked = chosen(run, left_behind(run))
    assert len(picked.numbers) == 100 + 5 + 20
    assert picked.left_out == ["100 of 500 failed sessions shown"]
