"""Fixtures: the twin that most tests share, and a factory for tests that need their own options."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.loadtest.twin.process import RunningTwin, running_twin


@pytest.fixture(scope="session")
def twin() -> Iterator[RunningTwin]:
    """The honest, instant twin; sessions of different tests don't touch each other."""
    with running_twin() as started:
        yield started


@pytest.fixture(scope="session")
def brief_twin() -> Iterator[RunningTwin]:
    """The same, with answers of 1 second."""
    with running_twin("--set", "answer_s=1") as started:
        yield started


@pytest.fixture(scope="session")
def fast_twin() -> Iterator[RunningTwin]:
    """The same, with timers 100 times faster."""
    with running_twin("--clock-scale", "100") as started:
        yield started


@pytest.fixture
def start_twin() -> Iterator[Callable[..., RunningTwin]]:
    """Start a twin with these options for this test alone."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(running_twin(*options))
