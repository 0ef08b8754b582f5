import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest.config.resolve import resolve
from loadtest.config.run_dir import write_settings
from loadtest.criteria.statements import RULES
from loadtest.events.kinds import RuleChecked, RuleOutcome
from reports.build import build
from reports.data import run_settings
from reports.verdict import rules
from tests.reports import journals as j


def with_pooled(run_dir: Path) -> dict[str, Any]:
    events = []
    for number in (1, 2):
        session = j.good_session(number, number)
        events += [
            j.secret(number, number + 0.1, fingerprint="the same") if type(event).__name__ == "SecretMinted" else event
            for event in session
        ]
    j.write_file(run_dir, events)
    return build(run_dir)


def probed(run_dir: Path, rule: str, outcome: RuleOutcome, detail: str = "seen") -> dict[str, Any]:
    finding = RuleChecked(
        t_ns=j.at(20), session=j.sid(9), rule=rule, outcome=outcome, detail=detail, purpose=f"probe:{rule}"
    )
    j.write_file(run_dir, [*j.good_session(1, 1), finding])
    return build(run_dir)


def row_of(report: dict[str, Any], rule: str) -> dict[str, Any]:
    (row,) = [row for row in report["rules"] if row["id"] == rule]
    return row


def test_a_broken_rule_fails_the_run_and_names_a_session(tmp_path: Path) -> None:
    report = with_pooled(tmp_path)

    assert row_of(report, "EXP-5") == {
        "id": "EXP-5",
        "group": "expiry",
        "statement": "Every session has a fresh secret of its own",
        "standing": "binding",
        "prod": "P",
        "outcome": "fail",
        "cases": 2,
        "violations": 1,
        "summary": "not so in 1 of 2 cases: its secret had been used by another session",
        "evidence": [j.sid(2)],
        "seen": [],
        "took_s": None,
        "waived": None,
    }
    assert (report["verdict"]["outcome"], report["verdict"]["exit_code"]) == ("fail", 3)
    assert report["verdict"]["reasons"][0] == (
        "broken: rule EXP-5 (Every session has a fresh secret of its own): not so in 1 of 2 cases: its secret had been "
        f"used by another session; for example session {j.sid(2)}"
    )


def test_a_run_that_is_worse_otherwise_says_so_first(tmp_path: Path) -> None:
    j.write_file(tmp_path, [*j.good_session(1, 1)], finish=None)
    assert row_of(j.reported(tmp_path), "EXP-5")["outcome"] == "pass"
    assert j.reported(tmp_path)["verdict"]["exit_code"] == 4


def test_an_assumed_rule_that_is_broken_fails_nothing_and_is_told(tmp_path: Path) -> None:
    report = probed(tmp_path, "TD-6", RuleOutcome.FAIL, "answered 500")

    assert (row_of(report, "TD-6")["outcome"], row_of(report, "TD-6")["violations"]) == ("characterised", 1)
    assert report["verdict"]["exit_code"] == 0
    assert report["verdict"]["reasons"][-1] == (
        "not as assumed: rule TD-6 (Deleting an ended or unknown session is harmless): not so in 1 of 1 case (assumed: "
        f"fails no run): answered 500; for example session {j.sid(9)}"
    )


def test_junit_has_a_case_for_every_rule_failed_or_skipped_as_it_was(tmp_path: Path) -> None:
    with_pooled(tmp_path)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    cases = {case.get("name", "").split()[0]: case for case in suite if "rule." in case.get("classname", "")}

    assert list(cases) == list(RULES)
    assert [rule for rule, case in cases.items() if case.find("failure") is not None] == ["EXP-5"]
    assert cases["EXP-5"].get("classname") == "avaload.rule.expiry"
    skipped = [rule for rule, case in cases.items() if case.find("skipped") is not None]
    assert "EXP-1" in skipped
    assert "TD-1" not in skipped
    assert suite.get("skipped") == str(len(skipped))


def test_markdown_counts_by_group_and_shows_what_is_broken(tmp_path: Path) -> None:
    with_pooled(tmp_path)
    text = (tmp_path / "report.md").read_text()

    assert "| Expiry of secrets | 1 | 1 | 0 | 7 |" in text
    assert "- ❌ rule EXP-5 (Every session has a fresh secret of its own): not so in 1 of 2 cases" in text


def test_the_page_leads_from_a_rule_to_its_session(tmp_path: Path) -> None:
    with_pooled(tmp_path)

    assert f"avaload session {tmp_path.name} {j.sid(2)[:12]}" in (tmp_path / "report.html").read_text()


def test_what_was_promised_is_read_from_the_settings(tmp_path: Path) -> None:
    toml = tmp_path / "s.toml"
    toml.write_text('name = "support-call"\n[realtime]\ntools = [{type = "function", name = "f"}]\n')
    written = {"scenario": resolve(toml, {}, {}).model_dump(mode="json"), "started_at": "2026-11-22T10:00:00Z"}
    (tmp_path / "settings.json").write_text(json.dumps(written))
    j.write_file(tmp_path, j.good_session(1, 1))

    assert row_of(j.reported(tmp_path), "TOOL-3")["violations"] == 1


@pytest.mark.parametrize("settings", [None, {}, {"scenario": {"no": "such thing"}}])
def test_without_settings_rules_that_need_them_have_no_case(tmp_path: Path, settings: dict[str, Any] | None) -> None:
    j.write_file(tmp_path, j.good_session(1, 1))
    if settings is not None:
        (tmp_path / "settings.json").write_text(json.dumps(settings))
    found = {row["id"]: row["outcome"] for row in rules.section(tmp_path, run_settings.read(tmp_path))}

    assert (found["TOOL-3"], found["TD-1"]) == ("not_tested", "pass")


def test_a_key_in_what_the_run_has_left_breaks_sec_1(tmp_path: Path) -> None:
    j.write_file(tmp_path, j.good_session(1, 1))
    assert row_of(j.reported(tmp_path), "SEC-1")["outcome"] == "pass"

    (tmp_path / "locust.log").write_text("sent Authorization: Bearer abcdef0123456789abcdef")

    row = row_of(j.reported(tmp_path), "SEC-1")
    assert (row["outcome"], row["violations"], row["evidence"]) == ("fail", 1, [])
    assert row["summary"].endswith("locust.log holds something that looks like a key or a token")


def test_a_file_that_is_too_long_to_be_searched_whole_is_no_case_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_MOST_SEARCHED", 3 << 20)
    j.write_file(tmp_path, j.good_session(1, 1))
    cases = row_of(j.reported(tmp_path), "SEC-1")["cases"]
    key = b"sent Authorization: Bearer abcdef0123456789abcdef\n"
    with (tmp_path / "locust.log").open("wb") as log:
        log.seek(3 << 20)
        log.write(key)

    row = row_of(j.reported(tmp_path), "SEC-1")
    assert (row["outcome"], row["cases"]) == ("pass", cases)
    assert row["seen"] == ["searched in the first 3 MiB alone: locust.log"]

    with (tmp_path / "locust.log").open("r+b") as log:
        log.seek((3 << 20) - len(key))
        log.write(key)
    row = row_of(j.reported(tmp_path), "SEC-1")
    assert (row["outcome"], row["violations"], row["seen"]) == ("fail", 1, [])


def test_a_run_that_is_judged_again_is_not_searched_for_what_else_is_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(resolve(None, {"tags.env": "production-1"}, {}), tmp_path, started_at=datetime.now(UTC))
    j.write_file(tmp_path, j.good_session(1, 1))
    monkeypatch.delenv("AVATURN_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "key-4711-of-ours")
    monkeypatch.setenv("SECRET_NAME", "production-1")

    row = row_of(j.reported(tmp_path), "SEC-1")
    assert (row["outcome"], row["seen"]) == ("pass", ["not looked for, since not known here: AVATURN_API_KEY"])

    (tmp_path / "locust.log").write_text("sent key-4711-of-ours")
    assert row_of(j.reported(tmp_path), "SEC-1")["outcome"] == "fail"


def test_a_file_whose_first_line_was_cut_is_passed_over(tmp_path: Path) -> None:
    j.write_file(tmp_path, j.good_session(1, 1))
    (tmp_path / "journal" / "host-b-engine-1-0.jsonl").write_text('{"event":"run_st')

    assert row_of(j.reported(tmp_path), "TD-1")["cases"] == 1
