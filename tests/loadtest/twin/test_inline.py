"""The connection without a network: the order of things is that of a socket."""

import asyncio
from collections.abc import Callable
from typing import Any

from loadtest.twin import dialing
from loadtest.twin.sockets.event_socket import EventSocket


class Ours(EventSocket):
    """Keeps what comes."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[object] = []
        self.then: Callable[[], None] = lambda: None

    def on_message(self, event: dict[str, Any]) -> None:
        self.came.append(event["type"])
        self.then()

    def on_sound(self, pcm: bytes) -> None:
        self.came.append(pcm)

    def on_lost(self) -> None:
        self.came.append("lost")


class Services:
    """An OpenAI side that admits everybody to one socket."""

    def __init__(self) -> None:
        self.socket = Ours()

    def admit(self, _headers: object, _target: str) -> Ours:
        return self.socket


async def connected() -> tuple[Ours, Ours]:
    ours, services = Ours(), Services()
    await dialing.inline(services)(ours, {})  # type: ignore[arg-type]
    return ours, services.socket


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_an_event_never_arrives_within_the_call_that_sends_it() -> None:
    async def script() -> tuple[list[object], list[object]]:
        ours, theirs = await connected()
        ours.send_event({"type": "a"})
        at_once = list(theirs.came)
        await turns()
        return at_once, theirs.came

    assert asyncio.run(script()) == ([], ["a"])


def test_sound_overtakes_neither_events_nor_earlier_sound() -> None:
    async def script() -> list[object]:
        ours, theirs = await connected()
        # While the event is dealt with, the sound behind it has not arrived: more of it must wait, too.
        theirs.then = lambda: ours.send_sound(b"3")
        ours.send_sound(b"1")
        ours.send_event({"type": "a"})
        ours.send_sound(b"2")
        at_once = list(theirs.came)
        await turns()
        ours.send_sound(b"4")
        return [at_once, *theirs.came]

    assert asyncio.run(script()) == [[b"1"], b"1", "a", b"2", b"3", b"4"]


def test_nothing_is_sent_after_a_close_and_nothing_arrives_after_the_end() -> None:
    async def script() -> tuple[list[object], list[object]]:
        ours, theirs = await connected()
        theirs.send_event({"type": "last"})
        ours.close(1000)
        ours.send_event({"type": "a"})
        ours.send_sound(b"1")
        await turns()
        theirs.send_event({"type": "late"})
        theirs.send_sound(b"2")
        await turns()
        return ours.came, theirs.came

    assert asyncio.run(script()) == (["last", "lost"], ["lost"])
