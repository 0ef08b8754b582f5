"""Known capacity, a standstill, and a conversation without a socket to OpenAI (TWIN.md#knobs)."""

import asyncio
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from loadtest.system.lifeline import pipe
from tests.loadtest.twin.process import DEADLINE_S, RunningTwin, running_twin
from tests.loadtest.twin.talking import in_room

StartTwin = Callable[..., RunningTwin]


def test_calls_beyond_the_slots_queue_in_order(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "limit.slots=2", "--set", "latency.create=fixed:0.1")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: twin.create({}), range(6)))

    handled_s = sorted(int(answer.headers["x-twin-handled-ns"]) / 1e9 for answer in answers)
    # Two at a time: three waves of 0.1 s, however late the six arrive after one another.
    assert [answer.status_code for answer in answers] == [200] * 6
    assert handled_s[0] > 0.09
    assert handled_s[-1] > 0.19


def test_the_state_is_told_whatever_the_queue(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "limit.slots=1", "--set", "latency.create=fixed:2")

    with ThreadPoolExecutor(2) as pool:
        creating = [pool.submit(twin.create, {}) for _ in range(2)]
        counters = twin.state()["counters"]
        assert not any(each.done() for each in creating)
        assert counters["alive"] == 0
        assert [each.result().status_code for each in creating] == [200, 200]


def test_a_frozen_twin_answers_when_it_thaws(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "freeze=0.3,0.7")

    took_s = 0.0
    until_s = time.monotonic() + DEADLINE_S
    while took_s < 0.6:
        asked_s = time.monotonic()
        assert asked_s < until_s, "it never stood still"
        assert twin.mint().status_code == 200
        took_s = time.monotonic() - asked_s


def test_a_frozen_twin_still_ends_on_a_signal() -> None:
    with running_twin("--set", "freeze=0,60") as twin:
        twin.process.send_signal(signal.SIGTERM)
        assert twin.process.wait(DEADLINE_S) == 0


def test_a_frozen_twin_with_a_lifeline_ends_on_its_owner_s_signal_alone() -> None:
    with (
        pipe() as (lifeline, _),
        running_twin("--set", "freeze=0,60", "--lifeline-fd", str(lifeline), pass_fds=[lifeline]) as twin,
    ):
        twin.process.send_signal(signal.SIGTERM)
        twin.process.send_signal(signal.SIGINT)
        assert twin.process.wait(DEADLINE_S) == 0


def test_a_conversation_needs_no_socket_to_openai(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "upstream=inline", "--set", "answer_s=1")
    session = twin.new_session(secret=twin.secret({"audio": {"input": {"transcription": {"model": "whisper-1"}}}}))

    async def run() -> None:
        async with in_room(twin.sdk(session["token"]).json()) as user:
            await user.message("room.participant")
            user.say(duration_ms=300)
            await user.message("ce_events.realtime.input_transcript")
            await user.message("avatar_ended_speaking")
            assert sum(audible for _, audible in user.frames) == 50

    asyncio.run(run())
    assert twin.truth(session["session_id"])["upstream_open"] is True
    twin.delete(session["session_id"])
    twin.eventually(session["session_id"], lambda truth: truth["upstream_open"] is False)
    assert twin.state()["counters"]["realtime_sockets_open"] == 0


def test_a_bad_secret_is_refused_inline_as_over_a_socket(start_twin: StartTwin) -> None:
    async def error_of(twin: RunningTwin) -> str:
        session = twin.new_session(secret="ek_unknown")
        async with in_room(twin.sdk(session["token"]).json()) as user:
            code: str = (await user.message("error"))["error"]["code"]
            return code

    for refused in ("error_then_close", "upgrade_401"):
        inline = start_twin("--set", "upstream=inline", "--set", f"expired_secret={refused}")
        over_socket = start_twin("--set", f"expired_secret={refused}")
        assert asyncio.run(error_of(inline)) == asyncio.run(error_of(over_socket)) == "internal_error"
