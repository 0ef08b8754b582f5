"""A report in a real browser: what a script does, what works without one, and how tall a page is."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.config.settings import Settings
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Step
from reports.build import build
from tests.browser import Page, browser
from tests.reports import journals as j
from tests.reports.formats.test_explore import failing, of
from tests.reports.formats.test_pages import sessions
from tests.reports.formats.test_pages_in_chromium import DESK, OVERFLOW, PHONE, opened

TALLEST_PX = 5000
WIDE = (1920, 1080)
HEIGHT = "document.documentElement.scrollHeight"
SEEN = """[...document.querySelectorAll('table')].filter(e => e.checkVisibility())
  .map(e => e.parentElement.getAttribute('aria-label')).filter(n => n && n.startsWith('Table of steps'))"""
ROWS = """[...document.querySelectorAll('#table-of-sessions tbody tr')].filter(e => e.checkVisibility())
  .map(e => e.cells[{column}].textContent)"""
CONTROLS = "document.querySelectorAll('button, input[type=search]').length"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenarios, one of which fails."""
    events = [e for n in range(1, 7) for e in of("support", j.good_session(n, n))]
    events += [e for n in range(7, 10) for e in of("sales", j.good_session(n, n, create_s=n / 10))]
    for number in (10, 11):
        events += of("broken", failing(number, number, Step.CREATE, Kind.REJECTED, Code.HTTP_5XX, "no room"))
    return page_of(tmp_path_factory.mktemp("mixed"), events)


def page_of(folder: Path, events: Iterable[Event]) -> Path:
    settings = Settings().model_dump(mode="json")
    (folder / "settings.json").write_text(json.dumps({"settings": settings, "versions": {"python": "3.13"}}))
    j.write_file(folder, sorted(events, key=lambda event: event.t_ns))
    j.write_file(folder, [], role="load")
    build(folder)
    return folder / "report.html"


@asynccontextmanager
async def page_at(path: Path, profile: Path, *, script: bool = True) -> AsyncIterator[Page]:
    async with browser(profile) as page:
        await page.size(*DESK)
        await page.ask("Emulation.setScriptExecutionDisabled", value=not script)
        await opened(page, path)
        yield page
        assert page.errors == []


def rows(column: int) -> str:
    return ROWS.replace("{column}", str(column))


def test_without_a_script_a_scenario_can_be_chosen_and_no_control_is_dead(mixed: Path, tmp_path: Path) -> None:
    async def look() -> None:
        async with page_at(mixed, tmp_path / "profile", script=False) as page:
            assert await page.evaluate(CONTROLS) == 0
            assert await page.evaluate(SEEN) == ["Table of steps"]
            assert len(await page.evaluate(rows(0))) == 11
            await page.evaluate("document.getElementById('of-2').click()")
            assert await page.evaluate(SEEN) == ["Table of steps of sales"]
            assert set(await page.evaluate(rows(2))) == {"sales"}
            assert (
                await page.evaluate("[...document.querySelectorAll('.story')].filter(e => e.checkVisibility()).length")
                == 3
            )
            await page.evaluate("document.getElementById('of-0').click()")
            assert await page.evaluate(SEEN) == ["Table of steps"]

    asyncio.run(look())


def test_a_row_leads_to_what_its_session_did(mixed: Path, tmp_path: Path) -> None:
    async def look() -> None:
        async with page_at(mixed, tmp_path / "profile", script=False) as page:
            story = f"document.getElementById('s-{j.sid(11)}')"
            assert await page.evaluate(f"{story}.checkVisibility()") is False
            await page.evaluate(f"document.querySelector('a[href=\"#s-{j.sid(11)}\"]').click()")
            await page.until(f"{story}.checkVisibility()", within_s=5)
            assert "no room" in await page.evaluate(f"{story}.textContent")

    asyncio.run(look())


def test_the_table_of_sessions_is_filtered_and_sorted(mixed: Path, tmp_path: Path) -> None:
    async def look() -> None:
        async with page_at(mixed, tmp_path / "profile") as page:
            said = "document.querySelector('.tools output').textContent"
            assert await page.evaluate(said) == "11 of 11 rows"
            by_began = (
                "[...document.querySelectorAll('#table-of-sessions th button')].find(b => b.textContent === 'Began')"
            )
            for order in ("ascending", "descending"):
                await page.evaluate(f"{by_began}.click()")
                assert await page.evaluate(f"{by_began}.parentElement.getAttribute('aria-sort')") == order
                began = [f"0:{second:02d}" for second in range(1, 12)]
                assert await page.evaluate(rows(3)) == (began if order == "ascending" else began[::-1])
            by_setup = by_began.replace("Began", "Set-up")
            await page.evaluate(f"{by_setup}.click(), {by_setup}.click()")
            setup = await page.evaluate(rows(6))
            assert setup[0] == "1.5 s"
            assert setup[-2:] == ["–", "–"]  # what was not observed is last, whichever way
            await page.evaluate("const f = document.querySelector('.tools input'); f.value = 'FAILED http_5'; "
                                "f.dispatchEvent(new Event('input'))")  # fmt: skip
            assert set(await page.evaluate(rows(8))) == {"create/rejected/http_5xx"}
            assert await page.evaluate(said) == "2 of 11 rows"
            await page.evaluate("document.getElementById('of-1').click()")
            assert await page.evaluate(said) == "0 of 11 rows"

    asyncio.run(look())


def test_a_command_is_copied_whole(mixed: Path, tmp_path: Path) -> None:
    async def look() -> None:
        async with page_at(mixed, tmp_path / "profile") as page:
            await page.evaluate("window.taken = []; navigator.clipboard.writeText = async t => { taken.push(t); }")
            button = f"document.querySelector('[aria-label$=\"{j.sid(10)}\"].copy')"
            await page.evaluate(f"{button}.click()")
            await page.until("taken.length", within_s=5)
            assert await page.evaluate("taken") == [f"avaload session {mixed.parent.name} {j.sid(10)}"]
            assert await page.evaluate(f"{button}.textContent") == "copied"

    asyncio.run(look())


def test_a_run_that_passed_is_a_short_page_and_no_screen_is_too_small(tmp_path: Path) -> None:
    path = page_of(tmp_path, sessions(70))
    assert json.loads((tmp_path / "report.json").read_text())["verdict"]["outcome"] == "pass"

    async def look() -> dict[tuple[int, int], Any]:
        found = {}
        async with page_at(path, tmp_path / "profile") as page:
            for size in (DESK, WIDE, PHONE):
                await page.size(*size)
                found[size] = (await page.evaluate(HEIGHT), await page.evaluate(OVERFLOW))
        return found

    found = asyncio.run(look())
    assert found[DESK][0] <= TALLEST_PX
    assert [overflow for _, overflow in found.values()] == [0, 0, 0]
