"""A real run against a target that sends something else to every session: no storm, a report, and its own fault."""

import asyncio
import itertools
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors.exit_codes import Exit
from loadtest.errors.kinds import OURS
from reports.sections.sessions import Left
from tests.e2e.target import events, unless_late
from tests.hostile.around_answers import AROUND
from tests.hostile.in_rooms import ROOM
from tests.hostile.over_http import HTTP
from tests.hostile.scripts import Hostile, endless, hang_up, informing, once, raw
from tests.hostile.target import KEYS, Script, Target, answer
from tests.support import avaload, call

USERS, DURATION_S = 3, 4
NAMES = (
    "create: an id, and then nested deep", "sdk: half a bracket", "sdk: port 99999", "mint: half an emoji in an error",
    "room: half an emoji in a transcript", "create: half an emoji for an id", "create: a token that ends in a newline",
    "mint: a superscript for a number", "mint: expires in 10^19", "room: an odd sound", "mint: Date: yesterday",
)  # fmt: skip
FLOODS = (
    "mint: 20,000 early hints", "create: 20,000 early hints", "sdk: early hints without an end",
    "delete: 200 with garbage",
    "room: pings without an end", "room: tiny messages without an end", "room: silence without an end",
    "room: fragments of nothing without an end", "mint: a gzip bomb", "mint: 5 MiB", "upgrade: early hints",
    "create: a header of 90 kB",
)  # fmt: skip
"""What would cost an engine its time or memory."""
MEMORY_BYTES = 200 << 20


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


@pytest.mark.parametrize("names", [NAMES, FLOODS], ids=["odd values", "floods"])
def test_a_hostile_target_is_not_stormed_and_is_told_in_a_report(names: tuple[str, ...], tmp_path: Path) -> None:
    hostile = [each for each in (*HTTP, *AROUND, *ROOM) if each.name in names]
    assert len(hostile) == len(names)
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
    assert found["generator"]["rss_bytes_max"] < MEMORY_BYTES


class Fickle(Target):
    """Anything to any call, by chance; now and then what is right."""

    def __init__(self, scripts: dict[str, list[Script]]) -> None:
        super().__init__({})
        self._all, self._chance = scripts, random.Random(7)

    async def _answer(self, *request: Any) -> bool:
        self.scripts = {
            endpoint: self._chance.choice(scripts)
            for endpoint, scripts in self._all.items()
            if self._chance.random() < 0.6
        }
        self.calls.clear()
        return await super()._answer(*request)


def test_checks_of_a_target_that_answers_anything_are_told_and_leave_nothing(tmp_path: Path) -> None:
    ends = ("drip", "silence", "at a time", "without an end", "endless", "10^18", "101 that")
    scripts = dict[str, list[Script]]()
    for hostile in (*HTTP, *AROUND):
        for endpoint, script in hostile.scripts.items():
            if endpoint != "delete" and not hostile.leaves and not any(word in hostile.name for word in ends):
                scripts.setdefault(endpoint, []).append(script)
    rules = ("EXP-4", "VAL-1", "GA-1", "GA-2", "GA-4", "TD-11", "TD-1", "SDK-1")
    with in_a_thread(Fickle(scripts)) as url:
        at = ("--openai-base-url", f"{url}/v1", "--avaturn-base-url", url, "--metrics-port", "off", "--no-check")
        run_dir = tmp_path / "checks"
        with avaload("probe", *rules, *at, "--run-dir", run_dir, cwd=tmp_path, environ=KEYS) as run:
            done = run.finish(within_s=150)
    assert "Traceback" not in done.err + done.out + run.log()
    assert "bug of ours" not in done.out
    found = run.report()
    assert {row["kind"] for row in found["failures"]}.isdisjoint(OURS)
    assert {row["id"] for row in found["rules"]} >= set(rules)
    # A look after the delete may be answered by anything, too: "it is there" is a session left behind.
    left = {why for why, count in found["sessions"]["left_behind"].items() if count}
    assert left <= {Left.STILL_ALIVE, Left.CREATE_UNANSWERED}
    assert done.code in (Exit.PASS, Exit.FAIL, Exit.INVALID, *[Exit.LEFT_BEHIND] * (Left.STILL_ALIVE in left))


@pytest.mark.parametrize(
    "front",
    [
        raw(b"x", "date: yesterday\r\n"),
        raw(b"x", "date: Thu, 01 Jan 2026 00:00:00 +9999999999\r\n"),
        raw(b'{"data": [{"id": [], "shutdown_date": 10e400}, 7, {"id": "gpt", "deprecation": {"x": "y"}}]}'),
        raw(b"[" * 200_000),
        endless(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536),
        endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1000),
        informing,
        once(b"\xff" * 100, then=hang_up),
        raw(b"\x1b[2J", "x: \x1b[2J\r\n", "500 \x1b[2J"),
    ],
    ids=["no date", "no zone", "models", "nested", "endless", "headers", "early hints", "no HTTP", "to the terminal"],
)
def test_doctor_says_in_a_line_what_it_could_not_make_of_an_answer(front: Script, tmp_path: Path) -> None:
    with in_a_thread(Target({"sdk": front, "delete": front})) as url:
        at = {"AVALOAD_TARGET__OPENAI_BASE_URL": f"{url}/v1", "AVALOAD_TARGET__AVATURN_BASE_URL": url}
        done = call("doctor", cwd=tmp_path, environ={**KEYS, **at, "AVALOAD_OUTPUT__METRICS_PORT": "off"})
    assert "Traceback" not in done.err + done.out
    assert "\x1b" not in done.err + done.out
    assert done.code in (Exit.PASS, Exit.BAD_INPUT)
    assert {word for line in done.out.splitlines() for word in line.split()[1:2]} >= {"openai:", "avaturn:"}


def test_a_sweep_outlives_whatever_its_deletes_are_answered(tmp_path: Path) -> None:
    refusing = Target({"delete": raw(b"{}", status="500 x")})
    with in_a_thread(refusing) as url:
        (tmp_path / "left.toml").write_text(SCENARIO.format(users=1, duration_s=1, url=url))
        with avaload("run", tmp_path / "left.toml", cwd=tmp_path, environ=KEYS) as run:
            assert run.finish(within_s=60).code == Exit.LEFT_BEHIND
        for script in (
            informing,
            raw(b"<p>" * 9_000, status="302 x"),
            once(b"{}", then=hang_up),
            raw(b"\xff", status="429 x"),
        ):
            refusing.scripts = {"delete": script}
            done = call("sweep", run.run_dir, "--json", cwd=tmp_path, environ=KEYS)
            assert done.code == Exit.LEFT_BEHIND
            assert len(json.loads(done.out)["failed"]) >= 1
            assert "Traceback" not in done.err
        refusing.scripts = {"delete": answer(b"\x00<html>")}
        done = call("sweep", run.run_dir, "--json", cwd=tmp_path, environ=KEYS)
    assert (done.code, json.loads(done.out)["failed"]) == (Exit.PASS, {})
