"""Locust's live page during a run, in a browser: it shows the sessions and steers nothing; the run ends by itself."""

import asyncio
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from loadtest.events.kinds import TO_THE_ROOM
from tests.browser import Page, browser
from tests.e2e.target import unless_late
from tests.support import Avaload, avaload, eventually, free_port, get

PHONE = (390, 844)
DESK = (1280, 900)

FIGURE = """[...document.querySelectorAll('#figures > div')]
    .filter(e => e.querySelector('dt').textContent === '%s').map(e => parseInt(e.querySelector('dd').textContent))[0]"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def posted(url: str, **form: object) -> int:
    """HTTP status of a POST."""
    body = urllib.parse.urlencode(form).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data=body), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def answers(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


async def look(page: Page, url: str, run: Avaload, shots: Path) -> dict[str, Any]:
    """Both pages while the run goes on: what they showed."""
    await asyncio.to_thread(eventually, lambda: answers(url), within_s=60, what="the page", during=run)
    await page.size(*PHONE)
    await page.ask("Page.navigate", url=f"{url}/sessions")
    went_well = FIGURE % "went well"
    first = await page.until(went_well, within_s=30)
    later = await page.until(f"({went_well}) > {first} && ({went_well})", within_s=15)
    seen: dict[str, Any] = {"first": first, "later": later, "overflow": await page.evaluate(OVERFLOW)}
    seen["sections"] = await page.evaluate("[...document.querySelectorAll('h2')].map(e => e.textContent)")
    seen["latency"] = await page.evaluate(
        "[...document.querySelectorAll('#latency tr td:first-child')].map(e => e.textContent)"
    )
    seen["left"] = await page.evaluate(FIGURE % "left behind")
    await page.screenshot(shots / "phone-light.png")
    await page.size(*PHONE, dark=True)
    await page.screenshot(shots / "phone-dark.png")
    await page.size(*DESK)
    seen["overflow"] += await page.evaluate(OVERFLOW)
    await page.screenshot(shots / "desk-light.png")
    await page.size(*DESK, dark=True)
    await page.screenshot(shots / "desk-dark.png")
    await page.ask("Page.navigate", url=f"{url}/?tab=sessions")
    await page.until("document.body.innerText.includes('at the target')", within_s=20)
    seen["tab"] = await page.evaluate("document.body.innerText")
    await page.screenshot(shots / "tab.png")
    return seen


async def watched(run: Avaload, url: str, shots: Path) -> tuple[dict[str, Any], list[str]]:
    async with browser(shots / "profile") as page:
        return await look(page, url, run, shots), page.errors


def test_the_live_page_shows_sessions_refuses_to_steer_and_ends_with_the_run(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ("--users", 3, "--duration", "12s", "--ramp", "0s", "--room", "none", "--pacing", "500ms")
    with avaload("run", *options, "--web-port", port, cwd=tmp_path) as run:
        seen, errors = asyncio.run(watched(run, url, tmp_path))
        assert run.process.poll() is None
        assert errors == []
        assert 0 < seen["first"] < seen["later"]
        assert (seen["left"], seen["overflow"]) == (0, 0)
        assert seen["latency"][: len(TO_THE_ROOM)] == [*TO_THE_ROOM]
        assert seen["sections"] == [
            "Sessions",
            "Running sessions, by step",
            "Times, run so far",
            "Errors, by step and type",
            "Left behind",
            "Rules broken",
            "Client secrets",
            "The avatar's sound",
            "Generator",
        ]
        for word in ("running sessions, by step", "times, run so far", "client secrets", "generator", "start lag"):
            assert word in seen["tab"].lower(), word
        assert posted(f"{url}/swarm", user_count=500, spawn_rate=500) == 403
        assert posted(f"{url}/stop") != 200 or run.process.poll() is None
        done = run.finish(within_s=60)
        report = run.report()
        assert done.code == unless_late(0, report), done
        assert 3 * 10 <= report["sessions"]["completed"] <= report["sessions"]["started"] <= 3 * 24
        assert report["sessions"]["peak_active"] <= 3
        assert report["duration_s"] >= 11.5
        assert run.processes() == {}
