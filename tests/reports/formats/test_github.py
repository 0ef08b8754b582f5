"""What a job on GitHub shows: as many annotations as it takes, escaped, and a summary that fits."""

from pathlib import Path
from typing import Any

from reports.formats import github


def report(*reasons: str, failing: int, outcome: str = "fail", told: int = 0) -> dict[str, Any]:
    verdict = {"outcome": outcome, "reasons": list(reasons), "failing": failing, "told": told}
    return {"scenario": "a,b: c", "verdict": verdict}


def test_reasons_that_failed_the_run_are_errors_and_the_others_warnings() -> None:
    assert github.run(report("5 % failed\nand more", "2 doubtful", failing=1)) == [
        "::error title=avaload fail%3A a%2Cb%3A c::5 %25 failed%0Aand more",
        "::warning title=avaload fail%3A a%2Cb%3A c::2 doubtful",
    ]


def test_a_run_that_passed_has_no_annotation_but_what_one_should_know() -> None:
    assert github.run(report("all held", "6 sessions, none failed", failing=0, told=2, outcome="pass")) == []
    assert github.run(report("all held", "generator suspect", failing=0, told=1, outcome="pass")) == [
        "::warning title=avaload pass%3A a%2Cb%3A c::generator suspect"
    ]


def test_no_more_than_github_shows_and_the_last_says_how_many_are_missing() -> None:
    lines = github.run(report(*(f"reason {number}" for number in range(25)), failing=25))
    assert len(lines) == 10
    assert lines[8].endswith("::reason 8")
    assert lines[9].endswith("::16 more, in the report")


def test_regressions_are_errors_and_notes_warnings() -> None:
    compared = {"outcome": "regression", "regressions": ["slower"], "not_comparable_because": [], "notes": ["suspect"]}
    assert github.comparison(compared) == [
        "::error title=avaload compare%3A regression::slower",
        "::warning title=avaload compare%3A regression::suspect",
    ]


def test_the_summary_is_appended_and_cut_to_what_github_takes(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    environ = {"GITHUB_STEP_SUMMARY": str(path)}
    assert github.add_to_summary("## pass\n", environ) is None
    assert path.read_text() == "before\n## pass\n\n"
    assert github.add_to_summary("é line\n" * 200_000, environ) is None
    assert 999_000 < path.stat().st_size < 1_000_100
    assert path.read_text().endswith("é line\n\n(cut short)\n\n")
    assert github.add_to_summary("## pass\n", environ) == "GITHUB_STEP_SUMMARY: it is full, and the report is not in it"
    assert path.stat().st_size < 1_000_100


def test_a_summary_that_cant_be_written_is_a_warning_and_no_summary_is_none(tmp_path: Path) -> None:
    assert github.add_to_summary("x", {"GITHUB_STEP_SUMMARY": str(tmp_path)}) == "GITHUB_STEP_SUMMARY: Is a directory"
    assert github.add_to_summary("x", {}) is None
    assert [github.runs_us({"GITHUB_ACTIONS": word}) for word in ("true", "")] == [True, False]
