"""junit.xml as a CI server reads it: with a parser that others wrote, which counts again what the file says."""

from pathlib import Path

import pytest
from junitparser import Failure, JUnitXml, TestSuite

from reports.build import build
from tests.reports import journals as j
from tests.reports.pages.test_pages import one_of_each_trouble, sessions


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
