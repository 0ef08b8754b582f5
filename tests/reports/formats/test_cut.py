"""What a page leaves out it counts, and what it leaves out is the harmless part."""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.criteria.slo import Slo
from loadtest.criteria.words import cut, more
from loadtest.events.kinds import SessionFinished, SessionStarted
from reports.build import build
from reports.comparing import compare_runs
from reports.comparing.compare import contrast
from reports.formats import compare_pages, render_html
from tests.reports import journals as j

MET, MISSED = 24, 18


def test_a_list_ends_with_how_many_more_there_are() -> None:
    assert cut(["a", "b", "c"], 2) == ["a", "b", "and 1 more, in report.json"]
    assert cut(["a", "b"], 2) == ["a", "b"]
    assert more([0] * 1234, 4, "compare.json") == ["and 1,230 more, in compare.json"]
    assert more([0], 4) == []


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen scenarios of two sessions; of the objectives the last 18 are missed."""
    path = tmp_path_factory.mktemp("many")
    events = [
        replace(event, scenario=f"scenario-{number % 14}")
        if isinstance(event, SessionStarted | SessionFinished)
        else event
        for number in range(28)
        for event in j.good_session(number, number)
    ]
    j.write_file(path, events)
    slos = [Slo(name=f"met {n}", indicator="create.p50", max=9.0) for n in range(MET)]
    build(path, slos=[*slos, *(Slo(name=f"missed {n}", indicator="create.p50", max=0.001) for n in range(MISSED))])
    return path


def test_report_md_has_the_missed_objectives_first_and_counts_the_others(run_dir: Path) -> None:
    text = (run_dir / "report.md").read_text()
    rows = re.findall(r"^\| (met|missed) \d+", text, re.M)
    assert rows == ["missed"] * MISSED + ["met"] * (20 - MISSED)
    assert "\nAnd 22 more, in report.json.\n" in text
    reasons = re.findall(r"^- (.*)", text, re.M)[:16]
    assert all(reason.startswith("objective missed: missed ") for reason in reasons[:15])
    assert reasons[15] == "and 3 more, in report.json"
    assert len(text.splitlines()) < 100


def test_the_page_has_the_missed_objectives_first_and_says_which_scenarios_it_leaves_out(run_dir: Path) -> None:
    page = (run_dir / "report.html").read_text()
    assert page.index('<th scope="row">missed 17</th>') < page.index('<th scope="row">met 0</th>')
    assert "the first 12 scenarios; and 2 more, in report.json." in page


def test_a_comparison_counts_what_it_leaves_out(run_dir: Path) -> None:
    run = compare_runs.load(run_dir)
    compared: dict[str, Any] = contrast([run], [run])
    compared["notes"] = [f"note {n}" for n in range(30)]
    compared["failures"] = {"new": [{"failure": f"step: {n}", "count": 1} for n in range(23)], "gone": []}
    compared["settings"] = [{"key": f"k{n}", "base": "a", "new": "b", "default_changed": False} for n in range(21)]
    compared["rules"] = [{"id": f"R-{n}", "base": "pass", "new": "fail"} for n in range(12)]
    compared["regressions"] = [f"regression {n}" for n in range(14)]
    told = len(compare_pages.reasons(compared))
    of_reasons = f"and {told - 20:,} more, in compare.json"
    text, page = compare_pages.markdown(compared), compare_pages.html(compared)
    assert f"- {of_reasons}\n" in text
    assert f"<li>{of_reasons.capitalize()}</li>" in page
    assert "step: 19 (1), and 3 more, in compare.json" in text
    assert "<li>and 3 more, in compare.json</li>" in page
    assert "and 1 more, in compare.json" in text[text.index("| k19 |") :]
    assert "R-9 pass → fail, and 2 more, in compare.json" in text
    baseline = render_html._environment().get_template("baseline.html.j2").render(report={"baseline": compared})
    assert "<li>And 2 more, in report.json</li>" in baseline
