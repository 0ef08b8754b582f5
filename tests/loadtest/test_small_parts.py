"""The arithmetic, the redactor, the fan-out and the engine's outbox."""

import asyncio
import socket

import pytest

from loadtest.engine import link
from loadtest.engine.health import quantile_ns
from loadtest.events.fanout import Fanout
from loadtest.events.kinds import Event, RunFinished
from loadtest.secrecy.redact import MAX_DETAIL, redact


@pytest.mark.parametrize(
    "secret", ["sk-proj-abc123456", "ek_68a1b2c3d4", "Bearer abc.def", "bearer xyz", "eyJhbGciOiJIUzI1NiJ9.abc.def"]
)
def test_whatever_looks_like_a_key_or_token_is_redacted(secret: str) -> None:
    text = redact(f'{{"input":"{secret}","at":"body"}}')
    assert secret not in text
    assert "[redacted]" in text
    assert '"at":"body"' in redact(f'{{"input":"{secret}" ,"at":"body"}}') or " " in secret


def test_a_token_that_says_nothing_of_itself_is_redacted_and_what_an_error_is_asked_by_is_not() -> None:
    told = "req_0123456789abcdef0123456789ab, 6f1c2a3b-0000-4000-8000-1234567890ab, gpt-4o-mini-transcribe-2025-12-15"
    assert redact(f"{told}: d3adb33f00112233445566778899") == f"{told}: [redacted]"


def test_known_secrets_are_redacted_whatever_they_look_like_even_at_the_cut() -> None:
    text = redact("x" * (MAX_DETAIL - 5) + "plainword", "plainword", None, "")
    assert "plain" not in text
    assert len(text) == MAX_DETAIL


def test_a_failing_sink_is_counted_and_does_not_hurt_the_others() -> None:
    got: list[Event] = []

    def broken(_event: Event) -> None:
        raise ValueError

    fanout = Fanout({"broken": broken, "good": got.append})
    event = RunFinished(t_ns=1, reason="completed")
    fanout(event)
    fanout(event)
    assert got == [event, event]
    assert fanout.errors == {"broken": 2, "good": 0}


def test_quantiles_are_of_nearest_rank() -> None:
    assert quantile_ns([], 0.99) == 0
    assert quantile_ns(range(100), 0.99) == 99
    assert quantile_ns([5, 1, 3], 0.5) == 3


def test_the_outbox_drops_and_says_so_once_the_other_side_is_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "MAX_BUFFERED_BYTES", 100_000)

    async def scene() -> list[bool]:
        ours, theirs = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        outbox = link.Outbox(transport)
        taken = []
        for _ in range(20):
            taken.append(outbox.event(b"x" * 50_000))
            outbox.flush()
        transport.abort()
        theirs.close()
        return taken

    taken = asyncio.run(scene())
    assert taken[0] is True
    assert taken[-1] is False
