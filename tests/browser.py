"""A headless Chromium that is driven over its own protocol: pages are looked at while a run goes on."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.programs import needed

READY_S = 40.0
ANSWER_S = 20.0
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--no-proxy-server",
    "--remote-debugging-port=0",
)  # fmt: skip


class Page:
    """One tab. `errors`: what its console complained about and what its scripts threw."""

    def __init__(self, wire: aiohttp.ClientWebSocketResponse) -> None:
        self._wire, self._number = wire, 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.errors: list[str] = []

    async def listen(self) -> None:
        """Until the browser closes."""
        async for frame in self._wire:
            said = json.loads(frame.data)
            if (answer := self._answers.pop(said.get("id", -1), None)) is not None:
                answer.set_result(said)
            elif said.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(said["params"]["exceptionDetails"]))
            elif said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
                self.errors.append(json.dumps(said["params"]["entry"]))
            elif said.get("method") == "Runtime.consoleAPICalled" and said["params"]["type"] == "error":
                self.errors.append(json.dumps(said["params"]["args"]))

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Its answer's result."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._wire.send_json({"id": self._number, "method": method, "params": params})
        said = await asyncio.wait_for(answer, ANSWER_S)
        assert "error" not in said, said
        result: dict[str, Any] = said["result"]
        return result

    async def evaluate(self, script: str) -> Any:
        return (await self.ask("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def until(self, script: str, *, within_s: float) -> Any:
        """The first true value of the script."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        while not (value := await self.evaluate(script)):
            assert asyncio.get_running_loop().time() < deadline_s, f"not within {within_s:g} s: {script}"
            await asyncio.sleep(0.1)
        return value

    async def size(self, width: int, height: int, *, dark: bool = False) -> None:
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self, path: Path) -> None:
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """A tab of a browser of its own, on about:blank."""
    command = [needed("chromium"), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
    try:
        async with aiohttp.ClientSession(trust_env=False) as http, asyncio.timeout(None) as limit:
            limit.reschedule(asyncio.get_running_loop().time() + READY_S)
            told = profile / "DevToolsActivePort"
            while not (told.exists() and told.read_text().count("\n")):
                assert process.returncode is None, "chromium ended"
                await asyncio.sleep(0.05)
            port = told.read_text().splitlines()[0]
            tabs: list[dict[str, Any]] = []
            while not tabs:
                async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    tabs = [tab for tab in await answer.json(content_type=None) if tab["type"] == "page"]
            limit.reschedule(None)
            async with http.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=0) as wire:
                page = Page(wire)
                listening = asyncio.ensure_future(page.listen())
                try:
                    for domain in ("Page", "Runtime", "Log"):
                        await page.ask(f"{domain}.enable")
                    yield page
                finally:
                    listening.cancel()
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # a group of its own: the browser's helpers end with it
        await process.wait()
