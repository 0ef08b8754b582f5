"""junit.xml as a CI server reads it: with a parser that others wrote, which counts again what the file says."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from junitparser import Failure, JUnitXml, TestSuite

from loadtest.criteria.slo import Slo
from reports.build import build
from tests.reports import journals as j
from tests.reports.formats.test_pages import one_of_each_trouble, sessions


@pytest.fixture(scope="module", params=["good", "troubled", "empty"])
def run_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("junit") / str(request.param)
    path.mkdir()
    events = {"good": sessions(70), "troubled": [*sessions(70), *one_of_each_trouble()], "empty": []}
    j.write_file(path, events[request.param])
    build(path)
    return path


def counts(part: JUnitXml | TestSuite) -> tuple[int, int, int, int]:
    return part.tests, part.failures, part.errors, part.skipped


def test_the_file_says_the_numbers_that_its_cases_have(run_dir: Path) -> None:
    whole = JUnitXml.fromfile(str(run_dir / "junit.xml"))
    (suite,) = whole
    said = counts(whole), counts(suite)
    for part in (suite, whole):
        part.update_statistics()

    assert said == (counts(whole), counts(suite))
    assert said[0] == said[1]
    assert said[0][0] == len(list(suite)) > 40


def test_the_whole_and_its_suite_say_how_long_the_run_took(run_dir: Path) -> None:
    whole = JUnitXml.fromfile(str(run_dir / "junit.xml"))
    (suite,) = whole

    assert whole.time == suite.time >= 0
    assert (suite.time > 0) is (run_dir.name != "empty")


def test_a_failure_has_a_message(run_dir: Path) -> None:
    (suite,) = JUnitXml.fromfile(str(run_dir / "junit.xml"))
    failures = [result for case in suite for result in case.result if isinstance(result, Failure)]

    assert bool(failures) is (run_dir.name != "good")
    assert all(result.message and result.text == result.message for result in failures)


DOCUMENTED = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp"},
        {"properties", "testcase", "system-out"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname", "time"}, {"skipped", "error", "failure", "system-out"}),
    "skipped": ({"message"}, set()),
    "error": ({"message"}, set()),
    "failure": ({"message"}, set()),
    "system-out": (set(), set()),
}
"""Element → attributes and elements in it that both Jenkins and GitLab document."""


def test_nothing_is_in_the_file_that_jenkins_or_gitlab_do_not_document(run_dir: Path) -> None:
    for element in ElementTree.parse(run_dir / "junit.xml").iter():
        attributes, inside = DOCUMENTED[element.tag]
        assert set(element.attrib) <= attributes
        assert {each.tag for each in element} <= inside
        if (time := element.get("time")) is not None:
            assert re.fullmatch(r"\d+\.\d{3}", time)


def test_no_two_cases_have_one_name_since_gitlab_reads_the_first_alone(run_dir: Path) -> None:
    (suite,) = JUnitXml.fromfile(str(run_dir / "junit.xml"))
    names = [(case.classname, case.name) for case in suite]
    assert len(set(names)) == len(names)


def test_a_pass_has_what_was_measured_and_its_time(tmp_path: Path) -> None:
    j.write_file(tmp_path, sessions(70))
    slos = [
        Slo(name="creates in time", indicator="create.p95", max=1),
        Slo(name="creates too slow", indicator="create.p50", max=0.1),
        Slo(name="nothing fails", indicator="session.failed_rate", max=0.2),
    ]
    report = build(tmp_path, slos=slos)
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    cases = {case.name: case for case in suite}
    observed = {row["name"]: row["observed"] for row in report["slos"]}

    assert cases["creates in time"].is_passed
    assert cases["creates in time"].time == pytest.approx(observed["creates in time"], abs=0.0005)
    assert 0.1 < observed["creates in time"] < 1
    assert "objective met: creates in time (create.p95): " in str(cases["creates in time"].system_out)
    assert cases["creates too slow"].time == pytest.approx(observed["creates too slow"], abs=0.0005)
    assert cases["nothing fails"].is_passed
    assert cases["nothing fails"].time is None
    assert cases["the run was not interrupted"].time == report["duration_s"] == suite.time
    assert {each.name: each.value for each in suite.properties()} == {"run_id": "run-1", "outcome": "fail"}
