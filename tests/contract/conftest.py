"""The newest versions of others' packages are looked at by `make contract` alone: here they aren't installed."""

import gc
import os
import warnings
from collections.abc import Iterator

import pytest

from tests.programs import NEWEST

collect_ignore = [] if NEWEST in os.environ else ["newest"]


@pytest.fixture(autouse=True)
def _others_leave_things_open() -> Iterator[None]:
    """What clients of others leave unclosed is collected where they were used: else a later test would be blamed."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
