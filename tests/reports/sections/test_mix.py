"""A mix of scenarios: what is told of a session is what its own scenario asked for, never what the run's own sections
say, which no session used."""

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exporters.traces.tail import TailSampler
from loadtest.cli import main
from loadtest.config.resolve import resolve
from loadtest.config.run_dir import load_resolved
from loadtest.events.kinds import Event, Remains, SessionFinished, SessionStarted
from reports.comparing import compare_settings
from reports.data import run_settings
from reports.formats import settings_rows
from tests.reports import journals as j

LONG, SHORT = "long", "short"
ABSENCES_S = {LONG: 300, SHORT: 30}


@pytest.fixture
def mixed(run_dir: Path) -> Path:
    """A run of two scenarios with absences of 300 and 30 s; the run's own section would say 10 s."""
    for name, absence_s in ABSENCES_S.items():
        (run_dir / f"{name}.toml").write_text(
            f'name = "{name}"\n[session]\nuser_absent_timeout = {absence_s}\nmax_duration = {2 * absence_s}\n'
        )
    mix = run_dir / "mix.toml"
    mix.write_text("".join(f'[[mix]]\nscenario = "{name}.toml"\n' for name in ABSENCES_S))
    settings = resolve(mix, {}, {})
    assert settings.session.user_absent_timeout == 10
    (run_dir / "settings.json").write_text(json.dumps({"settings": settings.model_dump(mode="json")}))
    return run_dir


def of(scenario: str, events: Iterable[Event]) -> list[Event]:
    return [
        replace(event, scenario=scenario) if isinstance(event, SessionStarted | SessionFinished) else event
        for event in events
    ]


def unanswered(number: int, scenario: str, *, purpose: str = "load") -> list[Event]:
    """Its create was sent, and no answer came."""
    begun = [j.started(number, 1, purpose=purpose), j.remains(number, 2, Remains.DOUBTFUL, "create_sent")]
    return of(scenario, begun)


def leaked(number: int, scenario: str) -> list[Event]:
    return of(scenario, [*j.good_session(number, 1)[:6], j.remains(number, 12, Remains.LEAKED, "delete_failed")])


def command(*words: object, capsys: pytest.CaptureFixture[str]) -> str:
    """What `avaload …` prints."""
    code, said = main([str(word) for word in words]), capsys.readouterr()
    assert code in (0, 3, 4, 5), said
    return said.out


def report(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command("report", run_dir, "--json", capsys=capsys))
    return found


@pytest.mark.parametrize(
    ("scenarios", "words"),
    [([LONG], "(300 s)"), ([SHORT, SHORT], "(30 s)"), ([LONG, SHORT], "(at most 300 s)")],
    ids=["one", "two of one scenario", "two of two"],
)
def test_report_and_sweep_say_what_ends_a_doubtful_session_of_a_mix(
    scenarios: list[str], words: str, mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    j.write_file(mixed, [e for number, name in enumerate(scenarios, 1) for e in unanswered(number, name)])

    reasons = report(mixed, capsys)["verdict"]["reasons"]
    assert [reason for reason in reasons if f"user_absent_timeout {words} ends them" in reason]
    assert f"if they exist, user_absent_timeout {words} ends them" in command("sweep", mixed, capsys=capsys)
    swept = json.loads(command("sweep", mixed, "--json", capsys=capsys))
    assert swept["absent_timeouts_s"] == sorted({ABSENCES_S[name] for name in scenarios})
    assert swept["absent_timeout_s"] == max(ABSENCES_S[name] for name in scenarios)


def test_nothing_is_said_of_how_long_a_probes_doubtful_session_lives(
    mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    j.write_file(mixed, unanswered(1, LONG, purpose="probe:TD-9"))
    assert json.loads(command("sweep", mixed, "--json", capsys=capsys))["absent_timeout_s"] is None


def test_orphans_of_a_mix_cost_what_their_own_absence_takes(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    j.write_file(mixed, [*leaked(1, LONG), *leaked(2, SHORT), *unanswered(3, LONG)])
    written = json.loads((mixed / "settings.json").read_text())
    written["tags"] = {"usd_per_session_minute": "0.1"}
    (mixed / "settings.json").write_text(json.dumps(written))

    orphans = report(mixed, capsys)["teardown"]["orphans"]

    assert orphans["causes"]["delete_failed"]["seconds"] == 330
    assert orphans["causes"]["create_unanswered"]["seconds"] == 300
    assert (orphans["seconds"], orphans["absent_timeout_s"]) == (630, 300)
    assert orphans["price"]["usd"] == round(630 / 60 * 0.1, 4)
    page = (mixed / "report.html").read_text()
    assert "<code>user_absent_timeout (at most 300 s)</code> is taken to have brought it" in page
    assert "settings.session" not in page  # which no session used
    assert "settings.mix[1].session.user_absent_timeout" in page


def test_orphans_at_a_target_whose_timers_run_faster_live_as_much_shorter(run_dir: Path) -> None:
    settings = resolve(None, {"session.user_absent_timeout": 60, "target.clock_scale": 6}, {})
    (run_dir / "settings.json").write_text(json.dumps({"settings": settings.model_dump(mode="json")}))
    j.write_file(run_dir, leaked(1, "default"))
    orphans = j.reported(run_dir)["teardown"]["orphans"]
    assert (orphans["seconds"], orphans["absent_timeout_s"]) == (10, 60)


def test_a_session_that_asked_for_no_timeout_ends_by_the_services_own(run_dir: Path) -> None:
    settings = resolve(None, {}, {})
    session = settings.session.model_copy(update={"user_absent_timeout": None})
    settings = settings.model_copy(update={"session": session})
    (run_dir / "settings.json").write_text(json.dumps({"settings": settings.model_dump(mode="json")}))
    j.write_file(run_dir, [*leaked(1, "default"), *unanswered(2, "default")])
    found = j.reported(run_dir)
    assert found["teardown"]["orphans"]["seconds"] == 120
    assert [reason for reason in found["verdict"]["reasons"] if "user_absent_timeout (60 s) ends them" in reason]


def test_caps_of_a_mix_are_told_for_each_of_what_its_scenarios_ask(mixed: Path) -> None:
    def capped(number: int, scenario: str, lives_s: float) -> list[Event]:
        whole = j.good_session(number, 1)
        ended = j.finished(number, 1, 1 + lives_s, ended_by="max_duration")  # type: ignore[arg-type]
        return of(scenario, [*whole[:-1], ended])

    j.write_file(mixed, [*capped(1, LONG, 12), *of(SHORT, j.good_session(2, 1))])

    caps = j.reported(mixed)["teardown"]["caps"]

    assert [(row["cap"], row["declared"], row["scenarios"]) for row in caps] == [
        ("absence", 300, [LONG]),
        ("absence", 30, [SHORT]),
        ("duration", 600, [LONG]),
        ("duration", 60, [SHORT]),
        ("concurrency", None, None),
    ]
    assert [row["cases"] for row in caps if row["cap"] == "duration"] == [1, 0]


def test_rules_and_tail_sampling_promise_a_session_what_its_own_scenario_asks_for(mixed: Path) -> None:
    promises = load_resolved(mixed).promises(today=date(2026, 11, 1))
    assert {name: promise.absence_s for name, promise in promises.items()} == ABSENCES_S
    assert TailSampler.of_run(mixed, 0.5)._rules._promises == promises


def test_tail_sampling_knows_how_fast_the_targets_timers_run(run_dir: Path) -> None:
    settings = resolve(None, {"session.user_absent_timeout": 60, "target.clock_scale": 6}, {})
    (run_dir / "settings.json").write_text(json.dumps({"settings": settings.model_dump(mode="json")}))
    assert [promise.absence_s for promise in TailSampler.of_run(run_dir, 0.5)._rules._promises.values()] == [10]


def test_a_comparison_names_what_changed_in_a_scenario_of_the_mix(mixed: Path) -> None:
    base = run_settings.read(mixed)
    now = json.loads((mixed / "settings.json").read_text())
    now["settings"]["session"]["user_absent_timeout"] = 20  # of no session
    now["settings"]["mix"][1]["session"]["user_absent_timeout"] = 40
    (mixed / "settings.json").write_text(json.dumps(now))
    assert compare_settings.other_plan(base.settings, run_settings.read(mixed).settings) == []
    assert compare_settings.differences(base, run_settings.read(mixed)) == [
        {"key": "mix.short.session.user_absent_timeout", "base": "30", "new": "40", "default_changed": False}
    ]
    now["settings"]["mix"][0]["weight"] = 3.0
    now["settings"]["conversation"] = {"turns": []}  # of no session
    (mixed / "settings.json").write_text(json.dumps(now))
    assert compare_settings.other_plan(base.settings, run_settings.read(mixed).settings) == [
        "mix.long.weight is 3, not 1"
    ]


def test_the_page_lists_no_section_of_a_scenario_that_no_session_had(mixed: Path) -> None:
    told = [name for name, _ in settings_rows.rows(run_settings.read(mixed))]
    assert [name for name in told if name.startswith(("settings.caller.", "settings.session."))] == []
    assert "settings.mix[1].caller.band" in told
