"""A real run against a target that sends something else to every session: no storm, a report, and its own fault."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loadtest.language.errors import OURS, Exit
from tests.e2e.target import events, unless_late
from tests.hostile.in_rooms import ROOM
from tests.hostile.over_http import HTTP
from tests.hostile.scripts import Hostile
from tests.hostile.target import KEYS, Target
from tests.support import avaload

USERS, DURATION_S = 3, 4
NAMES = (
    "create: an id, and then nested deep", "sdk: half a bracket", "sdk: port 99999", "mint: half an emoji in an error",
    "room: half an emoji in a transcript", "create: half an emoji for an id", "create: a token that ends in a newline",
    "mint: a superscript for a number", "mint: expires in 10^19", "room: an odd sound", "mint: Date: yesterday",
)  # fmt: skip


class Changing(Target):
    """Another one of them with every mint."""

    def __init__(self, hostile: list[Hostile]) -> None:
        super().__init__({})
        self._next = itertools.cycle(hostile)

    async def _answer(self, verb: bytes, path: bytes, *rest: Any) -> bool:
        if path.endswith(b"/client_secrets"):
            chosen = next(self._next)
            self.scripts, self.room = chosen.scripts, chosen.room
            self.calls.clear()
        return await super()._answer(verb, path, *rest)


@contextmanager
def in_a_thread(target: Target) -> Iterator[str]:
    """Its URL while it is served."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(target, "127.0.0.1", 0, limit=1 << 20))
    target.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield target.url
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        server.close()
        loop.run_until_complete(target.close())
        loop.close()


SCENARIO = """
name = "hostile"
[load]
users = {users}
duration = "{duration_s}s"
ramp = "0s"
graceful_stop = "3s"
[target]
room = "websocket"
openai_base_url = "{url}/v1"
avaturn_base_url = "{url}"
connect_timeout_s = 2
[conversation]
answer_timeout_s = 1
[[conversation.turns]]
kind = "silence"
for_s = 0.5
"""


def test_a_hostile_target_is_not_stormed_and_is_told_in_a_report(tmp_path: Path) -> None:
    hostile = [each for each in (*HTTP, *ROOM) if each.name in NAMES]
    assert len(hostile) == len(NAMES)
    with in_a_thread(Changing(hostile)) as url:
        (tmp_path / "hostile.toml").write_text(SCENARIO.format(users=USERS, duration_s=DURATION_S, url=url))
        with avaload("run", tmp_path / "hostile.toml", cwd=tmp_path, environ=KEYS) as run:
            done = run.finish(within_s=90)
    found = run.report()
    assert done.code == unless_late(Exit.FAIL, found)
    assert len(hostile) // 2 <= found["sessions"]["started"] <= USERS * (DURATION_S + 2)
    assert found["sessions"]["leaked"] == 0
    assert {row["kind"] for row in found["failures"]}.isdisjoint(OURS)
    assert not [event for event in events(run.run_dir) if type(event).__name__ == "GeneratorFailed"]
    assert "Traceback" not in run.log()
