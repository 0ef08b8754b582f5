"""report dict → JUnit XML: a case per objective and per rule, and four about the run itself."""

import re
from typing import Any, Final
from xml.etree import ElementTree

from loadtest.events import RuleOutcome
from reports import rules
from reports.sessions import CERTAIN
from reports.verdict import describe, stopped_early
from reports.words import plural

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: dict[str, Any]) -> str:
    """The text of junit.xml. A case fails for what would change the exit code, and for nothing else."""
    sessions, generator = report["sessions"], report["generator"]
    cases: list[tuple[str, str, str | None]] = [
        ("run", "the generator is valid", "; ".join(generator["invalid_because"]) or None),
        ("run", "nothing is left behind", _leaked(sessions)),
        ("run", "no journal is truncated", ", ".join(generator["truncated"]) or None),
        ("run", "the run was not interrupted", "stopped by hand" if report["interrupted"] else None),
        ("run", "no objective stopped the run", stopped_early(report["aborted"]) if report["aborted"] else None),
    ]
    if report["baseline"] is not None:
        worse = [*report["baseline"]["not_comparable_because"], *report["baseline"]["regressions"]]
        cases.append(("baseline", "nothing is worse than the baseline", "; ".join(worse) or None))
    cases += [("slo", str(slo["name"]), describe(slo) if slo["outcome"] == "fail" else None) for slo in report["slos"]]
    cases += [
        (f"rule.{row['group']}", f"{row['id']} {row['statement']}", rules.describe(row) if fails else None)
        for row, fails in ((row, row["outcome"] == RuleOutcome.FAIL) for row in report["rules"])
    ]
    untested = {
        f"{row['id']} {row['statement']}": str(row["summary"])
        for row in report["rules"]
        if row["outcome"] == RuleOutcome.NOT_TESTED
    }
    failures = sum(problem is not None for _, _, problem in cases)
    attributes = {"name": "avaload", "tests": str(len(cases)), "failures": str(failures), "errors": "0"}
    suites = ElementTree.Element("testsuites", attributes)
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        attributes
        | {
            "name": _clean(report["scenario"]),
            "time": f"{report['duration_s']:.3f}",
            "skipped": str(len(untested)),
        },
    )
    if report["started_at"]:
        suite.set("timestamp", report["started_at"])
    for group, name, problem in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=f"avaload.{group}", name=_clean(name), time="0")
        if name in untested:
            ElementTree.SubElement(case, "skipped", message=_clean(untested[name]))
        if problem is not None:
            ElementTree.SubElement(case, "failure", message=_clean(problem)).text = _clean(problem)
    ElementTree.SubElement(suite, "system-out").text = _clean("\n".join(report["verdict"]["reasons"]))
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _leaked(sessions: dict[str, Any]) -> str | None:
    causes = [f"{count} {cause}" for cause, count in sessions["left_behind"].items() if cause in CERTAIN]
    return f"{plural(sessions['leaked'])}: {', '.join(causes)}" if sessions["leaked"] else None


def _clean(text: str) -> str:
    """XML 1.0 has no way to write most control characters, not even escaped."""
    return _NOT_XML.sub("", text)
