"""What the documents tell to type is typed: each page's blocks in one shell, in an empty directory, against the twin.

A block that needs what no test has says so (`# needs …`), and is only parsed (tests/test_code_blocks.py). Runs are made
small by variables; a page's own options win over them.
"""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.code_blocks import blocks, exits, in_a_shell
from tests.e2e.target import unless_late
from tests.support import end_all, environment, eventually, marked

SMALL = {
    "AVALOAD_LOAD__RATE": "8",  # enough samples for a p95, of seconds enough to be compared
    "AVALOAD_LOAD__DURATION": "4s",
    "AVALOAD_LOAD__RAMP": "0s",
    "AVALOAD_CONVERSATION__THINK_MAX_S": "0.3",
    "AVALOAD_OUTPUT__METRICS_PORT": "off",
}
AT_ONCE = 2
WITHIN_S = 170
PAGES = sorted({block.page for block in blocks("sh") if block.is_run})

pytestmark = [pytest.mark.alone, pytest.mark.timeout(WITHIN_S + 60)]  # two runs at once, and a page compares its own


@dataclass(frozen=True)
class Typed:
    """A page that was typed to its end. `codes`: exit codes of avaload's commands."""

    codes: list[int]
    said: str
    is_late: bool


def typed(page: str, directory: Path) -> Typed:
    text = "".join(block.text for block in blocks("sh") if block.page == page and block.is_run)
    mark, codes, output = uuid.uuid4().hex, directory.with_suffix(".codes"), directory.with_suffix(".out")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with codes.open("wb") as told, output.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", "-emc", in_a_shell(text, fd=told.fileno())],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=[told.fileno()], cwd=directory,
            env=environment(mark, **SMALL, PATH=path), start_new_session=True,
        )  # fmt: skip
    try:
        shell.wait(WITHIN_S)
        eventually(lambda: not marked(mark), within_s=10, what=f"nothing of {page} runs on")
    finally:
        end_all(mark)
        shell.wait(10)
    reports = [json.loads(path.read_text()) for path in directory.glob("runs/*/report.json")]
    late = any(unless_late(0, report) for report in reports)
    return Typed([int(code) for code in codes.read_text().split()], output.read_text(), late)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Typed]]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {page: pool.submit(typed, page, tmp_path_factory.mktemp("page")) for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_type_ends_as_it_says(page: str, pages: dict[str, Future[Typed]]) -> None:
    promised = [code for block in blocks("sh") if block.page == page and block.is_run for code in exits(block.text)]
    it = pages[page].result()
    late = {4} if it.is_late else set()
    assert len(it.codes) == len(promised) > 0, it.said
    assert [code for code, said in zip(it.codes, promised, strict=True) if code not in {said, *late}] == [], it.said
    assert "Traceback" not in it.said
