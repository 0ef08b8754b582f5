"""Both pages as a reader has them: every word is dark or light enough, nothing sticks out, and Tab reaches whatever can
be opened, followed or scrolled.

Asked is level AA of the Web Content Accessibility Guidelines 2.2: contrast 4.5 to 1 (1.4.3), 3 to 1 for what a chart
draws (1.4.11), all of it by keyboard (2.1.1), with a focus that is seen (2.4.7).
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reports.build import build
from reports.comparing.compare import compare
from reports.formats.compare_pages import write
from tests.browser import Page, browser
from tests.reports.formats.test_pages import one_of_each_trouble, sessions
from tests.reports.journals import write_file

DESK, PHONE = (1280, 900), (390, 844)
WORDS_RATIO, DRAWN_RATIO = 4.5, 3.0
CONTRAST = """(() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const opaque = c => c !== 'none' && c !== 'transparent' && (parts(c).length < 4 || parts(c)[3] > 0);
  const light = c => parts(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const ground = e => { while (e) { const c = getComputedStyle(e).backgroundColor; if (opaque(c)) return c;
    e = e.parentElement; } return 'rgb(255, 255, 255)'; };
  const seen = e => e.checkVisibility() && e.getBoundingClientRect().width > 1;
  const worst = { words: [99, ''], drawn: [99, ''], count: 0 };
  const note = (what, value, text) => { if (value < worst[what][0]) worst[what] = [value, text]; };
  for (const e of document.body.querySelectorAll('*')) {
    if (!seen(e)) continue;
    const said = [...e.childNodes].filter(n => n.nodeType === 3 && n.data.trim()).map(n => n.data.trim()).join(' ');
    const style = getComputedStyle(e), drawing = e.ownerSVGElement;
    if (said) { worst.count++; note('words', ratio(drawing ? style.fill : style.color, ground(e)), said.slice(0, 60)); }
    else if (drawing && e.outerHTML.includes('--series') && e.tagName !== 'g') {
      const stroked = opaque(style.stroke), color = stroked ? style.stroke : style.fill;
      const alpha = style.opacity * (stroked ? style.strokeOpacity : style.fillOpacity);
      if (alpha < 0.3) continue; // the pale ground below a line, which is drawn, too
      const under = parts(ground(e)), mixed = parts(color).map((v, i) => v * alpha + under[i] * (1 - alpha));
      note('drawn', ratio(`rgb(${mixed.slice(0, 3)})`, ground(e)), e.outerHTML.slice(0, 90));
    }
  }
  return worst;
})()"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
REACHABLE = """[...document.querySelectorAll(
    'a[href], summary, .scroll, button, input:not([type=radio]), input:checked')]
  .filter(e => e.checkVisibility()).length"""
FOCUS = """(() => { const e = document.activeElement; if (e === document.body) return null;
  window.walked = window.walked || []; const again = window.walked.includes(e); window.walked.push(e);
  return { again, name: (e.getAttribute('aria-label') || e.textContent).trim(),
    outlined: !['none', ''].includes(getComputedStyle(e).outlineStyle) }; })()"""
OPEN_ALL = "document.querySelectorAll('details').forEach(e => e.open = true)"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("read")
    for name, events in (("before", sessions(70)), ("now", [*sessions(70), *one_of_each_trouble()])):
        (folder / name).mkdir()
        write_file(folder / name, events)
        build(folder / name)
    return {
        "report": folder / "now" / "report.html",
        "comparison": write(compare([folder / "before"], [folder / "now"]), folder),
    }


async def opened(page: Page, path: Path) -> None:
    await page.ask("Page.navigate", url=path.as_uri())
    await page.until(f"location.href === '{path.as_uri()}' && document.readyState === 'complete'", within_s=20)


async def read(path: Path, profile: Path) -> list[dict[str, Any]]:
    """What it looks like in each size and scheme, everything opened."""
    looks = []
    async with browser(profile) as page:
        for (width, height), dark in ((DESK, False), (DESK, True), (PHONE, False), (PHONE, True)):
            await page.size(width, height, dark=dark)
            await opened(page, path)
            await page.evaluate(OPEN_ALL)
            looks.append(await page.evaluate(CONTRAST) | {"overflow": await page.evaluate(OVERFLOW)})
        assert page.errors == []
    return looks


async def walked(path: Path, profile: Path) -> tuple[int, list[dict[str, Any]]]:
    """How much can be reached, and where Tab went until it left the page or came round."""
    stops: list[dict[str, Any]] = []
    async with browser(profile) as page:
        await page.size(*DESK)
        await opened(page, path)
        reachable = int(await page.evaluate(REACHABLE))
        for _ in range(reachable + 5):
            await page.ask("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
            await page.ask("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
            stop = await page.evaluate(FOCUS)
            if stop is None or stop["again"]:
                break
            stops.append(stop)
    return reachable, stops


@pytest.mark.parametrize("name", ["report", "comparison"])
def test_every_word_can_be_read_and_nothing_sticks_out(name: str, pages: dict[str, Path], tmp_path: Path) -> None:
    looks = asyncio.run(read(pages[name], tmp_path / "profile"))
    assert all(look["count"] > 50 for look in looks)
    assert [look["words"] for look in looks if look["words"][0] < WORDS_RATIO] == []
    assert [look["drawn"] for look in looks if look["drawn"][0] < DRAWN_RATIO] == []
    assert [look["overflow"] for look in looks] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["report", "comparison"])
def test_tab_reaches_everything_that_can_be_used(name: str, pages: dict[str, Path], tmp_path: Path) -> None:
    reachable, stops = asyncio.run(walked(pages[name], tmp_path / "profile"))
    assert stops[0]["name"] == "Skip to the verdict"
    assert len(stops) == reachable > 5
    assert [stop["name"] for stop in stops if not stop["outlined"]] == []
