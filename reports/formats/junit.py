"""report dict → JUnit XML: a case per objective and per rule, and some about the run itself.

Only what was measured in seconds has a time: the run, an objective that bounds seconds (what was observed), and a rule
that a probe tried. So a CI server draws their history, of passes too. A margin may be below zero, and a time may not:
then there is none. No element or attribute is there but those that Jenkins and GitLab document:
https://docs.gitlab.com/ci/testing/unit_test_reports/ and junit-10.xsd of Jenkins' xUnit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

from loadtest.criteria.slo import SECONDS, SloOutcome
from loadtest.criteria.words import more
from loadtest.events.kinds import RuleOutcome
from loadtest.text.outlets import xml
from reports.verdict import rules, tables
from reports.verdict.objective_words import aligned, describe
from reports.verdict.verdict import About, against

_FAILURES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """`failure`: what would change the exit code; `error`: what could not be judged and should; `skipped`: why it was
    not tried; `said`: what was seen; `time_s`: what was measured in seconds."""

    group: str
    name: str
    failure: str | None = None
    error: str | None = None
    skipped: str | None = None
    said: str | None = None
    time_s: float | None = None


def render(report: dict[str, Any], *, run_name: str = tables.RUN_DIR) -> str:
    """The text of junit.xml. A case fails for what would change the exit code, and for nothing else. `run_name`: how
    commands name the run's directory."""
    cases = [*_of_run(report), *map(_of_objective, report["slos"]), *map(_of_rule, report["rules"])]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.failure is not None for case in cases)),
        "errors": str(sum(case.error is not None for case in cases)),
    }
    time = {"time": f"{report['duration_s']:.3f}"}
    suites = ElementTree.Element("testsuites", {"name": "avaload", **counts, **time})
    skipped = str(sum(case.skipped is not None for case in cases))
    suite = ElementTree.SubElement(
        suites, "testsuite", {"name": xml(report["scenario"]), **counts, **time, "skipped": skipped}
    )
    if report["started_at"]:
        suite.set("timestamp", xml(str(report["started_at"])))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(report):
        ElementTree.SubElement(properties, "property", name=xml(name), value=xml(value))
    for case in cases:
        element = ElementTree.SubElement(suite, "testcase", classname=xml(f"avaload.{case.group}"), name=xml(case.name))
        if case.time_s is not None and case.time_s >= 0:
            element.set("time", f"{case.time_s:.3f}")
        for tag, text in (("skipped", case.skipped), ("error", case.error), ("failure", case.failure)):
            if text is not None:
                ElementTree.SubElement(element, tag, message=xml(text)).text = xml(text)
        if case.said is not None:
            ElementTree.SubElement(element, "system-out").text = xml(case.said)
    ElementTree.SubElement(suite, "system-out").text = xml("\n".join(_told(report, run_name)))
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _told(report: dict[str, Any], run_name: str) -> Iterator[str]:
    """What the run as a whole has to say: why its verdict, what failed, how long steps took."""
    yield from report["verdict"]["reasons"]
    failures = tables.failures(report, run_name=run_name)
    for failure in failures[:_FAILURES]:
        yield f"failed: {failure.words}: {failure.often}: {failure.typed}"
        if failure.detail:
            yield f"    {failure.detail}"
    yield from more(failures, _FAILURES)
    if report["sessions"]["started"]:
        yield from aligned([tables.STEP_COLUMNS, *tables.steps(report)])


def _properties(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "run_id", str(report["run_id"])
    yield "outcome", report["verdict"]["outcome"]
    if report["http"] is not None:
        yield "http", report["http"]
    yield from ((f"tag.{name}", str(value)) for name, value in report["tags"].items())


def _of_run(report: dict[str, Any]) -> Iterator[_Case]:
    found = against(report, interrupted=report["interrupted"])
    problems: dict[str, str] = {
        about: "; ".join(reason.text for reason in found if reason.about is about) for about in About if about
    }
    # A search for the limit may have them where it says nothing of the limit.
    cut = report["generator"]["truncated"] if problems[About.GENERATOR] else []
    for name, problem in (problems | {"no journal is truncated": ", ".join(cut)}).items():
        time_s = report["duration_s"] if name == About.INTERRUPTED else None
        yield _Case(group="run", name=name, failure=problem or None, time_s=time_s)
    if report["baseline"] is not None:
        name = "nothing is worse than the baseline"
        worse, unjudged = report["baseline"]["regressions"], report["baseline"]["not_comparable_because"]
        yield _Case(group="baseline", name=name, failure="; ".join(worse) or None, error="; ".join(unjudged) or None)


def _of_objective(slo: dict[str, Any]) -> _Case:
    name, words, outcome = str(slo["name"]), describe(slo), SloOutcome(slo["outcome"])
    time_s = slo["observed"] if slo["unit"] == SECONDS else None
    if outcome is SloOutcome.PASS:
        return _Case(group="slo", name=name, said=words, time_s=time_s)
    if outcome is SloOutcome.FAIL:
        return _Case(group="slo", name=name, failure=words, time_s=time_s)
    return _Case(group="slo", name=name, error=words) if slo["asked"] else _Case(group="slo", name=name, skipped=words)


def _of_rule(row: dict[str, Any]) -> _Case:
    outcome, words = RuleOutcome(row["outcome"]), rules.seen(row)
    return _Case(
        group=f"rule.{row['group']}",
        name=f"{row['id']} {row['statement']}",
        failure=rules.describe(row) if outcome is RuleOutcome.FAIL else None,
        skipped=words if outcome in (RuleOutcome.NOT_TESTED, RuleOutcome.WAIVED) else None,
        said=words if outcome in (RuleOutcome.PASS, RuleOutcome.CHARACTERISED) else None,
        time_s=row["took_s"],
    )
