"""With CI set, a test that was skipped fails the suite: what isn't there would look like what holds."""

import os

import pytest
from hypothesis import HealthCheck, settings

from loadtest.secrecy import redact

# Begins the reason of a skip that no installation can help: the kernel or the container says no.
NOT_PERMITTED = "not permitted here: "
# Neither that all passed nor that a test failed, which may be tried once more.
HOLES = 7

# How long an example takes says something of the machine, not of the product.
settings.register_profile("avaload", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("avaload")


def _holes(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None:
        return []
    skipped = [(report.nodeid, str(report.longrepr[2])) for report in reporter.stats.get("skipped", [])]
    return [f"{test}: {why}" for test, why in skipped if NOT_PERMITTED not in why]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if holes := _holes(terminalreporter.config):
        terminalreporter.section("skipped where CI is set, which counts as failed")
        for hole in holes:
            terminalreporter.line(hole)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and _holes(session.config):
        session.exitstatus = HOLES


@pytest.fixture(autouse=True)
def a_redactor_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's process holds is no other test's secret, nor is anything of this environment."""
    process = redact._Process()
    process.is_primed = True
    monkeypatch.setattr(redact, "_process", process)
