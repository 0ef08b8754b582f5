"""What a report leaves of the process that made it."""

import gc
from pathlib import Path

import pytest

from loadtest.journal import JournalError
from reports.build import build
from tests.reports import journals as j


def test_circles_of_garbage_are_looked_for_again_once_a_report_is_made_or_is_not(tmp_path: Path) -> None:
    j.write_file(tmp_path, j.good_session(1, 0))
    build(tmp_path)
    assert gc.isenabled()
    with pytest.raises(JournalError):
        build(tmp_path / "nowhere")
    assert gc.isenabled()
