"""What the probes make of HTTP answers, good and bad; a wire of the test's own answers them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any

import pytest

from loadtest.config.settings import Target
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Mark
from loadtest.probes import running
from loadtest.probes.active_checks import expiry, lifetimes, shapes, termination
from loadtest.probes.active_checks.expiry import Start
from loadtest.probes.active_checks.faults import quota
from loadtest.probes.bench import wire
from loadtest.probes.bench.bench import Bench, Probe
from loadtest.probes.bench.wire import Answer, Wire
from loadtest.session import patience
from loadtest.system.clock import wall_ns
from tests.loadtest.fakes import FakeControl, FakeRoom, refused
from tests.loadtest.probes.doubles import TICKET, FakeWire, answer, findings, ground


class OpenRoom(FakeRoom):
    """One that can be joined."""

    async def connect(self) -> None:
        assert self.listener is not None
        self.listener.on_mark(1, Mark.FIRST_FRAME)


class Backend(FakeWire):
    """A service of its own. `faults`: what it does wrong; `places`: then creates answer `full`."""

    openai_key, avaturn_key = "openai's own key", "the project's own key"

    def __init__(self, control: FakeControl, *faults: str, places: int = 99, full: int = 429) -> None:
        super().__init__(control, clock=1000)
        self.faults, self.places, self.full = faults, places, full
        self.minted = 0
        self.denial = 401
        """By what it refuses a wrong key, but for creates."""

    def _alive(self) -> set[str]:
        return self._control.alive

    async def mint(self, body: Mapping[str, Any], **_more: Any) -> Answer:
        ttl_s = body.get("expires_after", {}).get("seconds", 600)
        if not 10 <= ttl_s <= 7200:
            return answer(400)
        self.minted += 1
        value = "ek_1" if "pooled" in self.faults and self.minted != 2 else f"ek_{self.minted}"
        now_s = wall_ns() // 10**9
        shift_s = 3600 if "shifted" in self.faults else 0
        body = {"value": value, "expires_at": now_s + ttl_s + shift_s}
        headers = {} if "clockless" in self.faults else {"date": formatdate(now_s, usegmt=True)}
        return Answer(status=200, headers=headers, body=json.dumps(body).encode(), rtt_ns=1)

    async def create(self, body: Any, *, traceparent: str, key: str | None = None, **_more: Any) -> Answer:
        if key is not None and "token creates" not in self.faults:
            return answer(401)
        if len(self._alive()) >= self.places:
            if "kills" in self.faults:
                self._alive().discard("av-2")
            return answer(self.full)
        name = f"av-{len(self._alive()) + 1}"
        self._alive().add(name)
        return answer(200, session_id=name, token=name.replace("av", "token"))

    async def sdk(self, token: str, _path: str = "", **_more: Any) -> Answer:
        if "looks are throttled" in self.faults:
            return answer(429)
        if token == self.avaturn_key:
            return answer(200 if "key opens" in self.faults else self.denial)
        if token.replace("token", "av") not in self._alive():
            return answer(404)
        told = {"token tells": token, "key tells": self.avaturn_key}
        return answer(200, id="1", **{name: value for name, value in told.items() if name in self.faults})

    async def delete(self, target_session_id: str, *, key: str | None = None) -> Answer:
        if "denies" in self.faults:
            return answer(500)
        kinds = {None: "own", "": "keyless"}
        kind = kinds.get(key, "token" if str(key).startswith("token") else "unknown")
        if kind == "own" or f"{kind} deletes" in self.faults:
            self._alive().discard(target_session_id)
            return answer(200)
        return answer(self.denial)


def tried(
    probe: Callable[[Bench], Awaitable[None]],
    rules: tuple[str, ...],
    control: FakeControl,
    backend: FakeWire,
    monkeypatch: pytest.MonkeyPatch,
    room: FakeRoom | None = None,
) -> dict[str, str]:
    """Outcome of each of these rules."""
    events = list[Event]()
    on = ground(control, events, room=room, target={"prove_gone": False})
    on.wire, on.scale = backend, 1000  # type: ignore[assignment]
    monkeypatch.setattr(running, "BY_LEAD", {"TD-3": Probe(rules=rules, run=probe)})
    asyncio.run(running.run_probe(on, TICKET))
    return {rule: outcome for rule, outcome in findings(events) if rule in rules}


@pytest.mark.parametrize(
    ("faults", "outcomes"),
    [
        ((), ("pass", "pass")),
        (("shifted",), ("fail", "pass")),
        (("shifted", "clockless"), ("pass", "pass")),  # whose clock is wrong nobody knows
        (("pooled",), ("pass", "fail")),
    ],
)
def test_lives_are_measured_by_the_providers_clock_and_no_secret_may_come_twice(
    faults: tuple[str, ...], outcomes: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    control = FakeControl()

    seen = tried(lifetimes.lifetimes, ("EXP-3", "EXP-5"), control, Backend(control, *faults), monkeypatch)

    assert (seen["EXP-3"], seen["EXP-5"]) == outcomes


@pytest.mark.parametrize(
    ("starts", "outcome"),
    [
        ([Start(refused_at=None, conversed=True)], "pass"),
        ([Start(refused_at="HTTP 400"), Start(refused_at=None, conversed=True)], "fail"),
        ([Start(refused_at="HTTP 400"), Start(refused_at="HTTP 400")], "not_tested"),
        ([Start(refused_at=None, hung="create")], "not_tested"),
    ],
)
def test_a_secret_that_dies_too_early_is_a_breach_where_a_fresh_one_is_good(
    starts: list[Start], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(*_: Any) -> Start:
        return starts.pop(0)

    monkeypatch.setattr(lifetimes, "start_refused", start)
    monkeypatch.setattr(lifetimes, "AGED_SHARE", 0.01)
    control = FakeControl()

    assert tried(lifetimes.aged, ("EXP-3",), control, Backend(control), monkeypatch) == {"EXP-3": outcome}


@pytest.mark.parametrize(("second", "outcome"), [(None, "fail"), ("hangs too", "not_tested")])
def test_an_expired_secret_that_leads_into_silence_is_a_breach_where_a_good_one_does_not(
    second: str | None, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = StepError(Kind.TIMEOUT, Code.TIMEOUT)
    control = FakeControl(grant=[silence, None if second is None else silence])

    seen = tried(expiry.expired_secret, ("EXP-1b", "ERR-3"), control, Backend(control), monkeypatch)

    assert seen == {"EXP-1b": outcome, "ERR-3": "not_tested"}


@pytest.mark.parametrize(
    ("delete", "faults", "outcome"),
    [
        ([refused(500)], ("denies",), "fail"),
        ([refused(403)], ("denies",), "fail"),
        ([refused(503)], ("denies",), "not_tested"),
        ([refused(500)], (), "not_tested"),  # once more, and it was done
    ],
)
def test_deletes_that_are_denied_again_and_again_are_a_breach(
    delete: list[Any], faults: tuple[str, ...], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "BACKOFF_S", 0.0)
    monkeypatch.setattr(termination, "LEAVE_AFTER_S", 0.0)
    control = FakeControl(delete=delete)

    async def deny(call: Any, **more: Any) -> int:
        call.http_status = delete[0].http_status
        raise delete[0]

    monkeypatch.setattr(control, "delete", deny)

    seen = tried(termination.deleted, ("TD-1",), control, Backend(control, *faults), monkeypatch, room=OpenRoom())

    assert seen == {"TD-1": outcome}


@pytest.mark.parametrize(
    ("fault", "td_11", "sec_3"),
    [
        ("none", "pass", "pass"),
        ("unknown deletes", "fail", "pass"),
        ("keyless deletes", "fail", "pass"),
        ("token deletes", "pass", "fail"),
        ("token creates", "pass", "fail"),
        ("key opens", "pass", "fail"),
        ("key tells", "pass", "fail"),
    ],
)
def test_keys_and_tokens_on_the_wrong_side_of_the_wall(
    fault: str, td_11: str, sec_3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = FakeControl()

    seen = tried(termination.wrong_keys, ("TD-11", "SEC-3"), control, Backend(control, fault), monkeypatch)

    assert seen == {"TD-11": td_11, "SEC-3": sec_3}
    assert control.alive == set()


@pytest.mark.parametrize(
    ("denial", "outcome"),
    [(400, "pass"), (405, "pass"), (422, "pass"), (429, "not_tested"), (500, "not_tested"), (503, "not_tested")],
)
def test_a_wrong_key_may_be_refused_by_any_status_that_refuses_and_a_limit_or_an_error_shows_no_wall(
    denial: int, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = FakeControl()
    backend = Backend(control)
    backend.denial = denial

    seen = tried(termination.wrong_keys, ("TD-11", "SEC-3"), control, backend, monkeypatch)

    assert seen == {"TD-11": outcome, "SEC-3": outcome}


def test_a_delete_by_a_wrong_key_that_was_throttled_and_ended_the_session_is_a_breach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class EndsAllTheSame(Backend):
        async def delete(self, target_session_id: str, *, key: str | None = None) -> Answer:
            self._alive().discard(target_session_id)
            return answer(429 if key is not None else 200)

    control = FakeControl()

    seen = tried(termination.wrong_keys, ("TD-11",), control, EndsAllTheSame(control), monkeypatch)

    assert seen == {"TD-11": "fail"}


@pytest.mark.parametrize(
    ("faults", "full", "outcome"),
    [
        ((), 429, "pass"),
        ((), 500, "fail"),
        ((), 503, "fail"),
        ((), 200, "fail"),
        (("kills",), 429, "fail"),
        (("looks are throttled",), 429, "not_tested"),  # whether the others live nobody knows
    ],
)
def test_a_refusal_for_quota_is_a_refusal_and_ends_none_of_the_others(
    faults: tuple[str, ...], full: int, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.probes.active_checks.faults.MORE_TRIES_S", (0.0, 0.0))
    control = FakeControl()

    seen = tried(quota, ("LIM-1",), control, Backend(control, *faults, places=4, full=full), monkeypatch)

    assert seen == {"LIM-1": outcome}


@pytest.mark.parametrize(
    "detail", [None, "text", [], ["text"], [{"loc": None}], [{"loc": "body"}], [{"loc": ["body"]}]]
)
def test_a_422_that_does_not_say_where_is_a_fault_in_whatever_shape(detail: Any) -> None:
    assert shapes._faults("it", answer(422, detail=detail), ["body", "background"]) == ["it: 422 without the place"]
    assert shapes._faults("it", answer(422, detail=[{"loc": ["body", "background"]}]), ["body", "background"]) == []


class Gateway:
    """A control that answers by script, below HTTP too."""

    keys = ("openai", "avaturn")

    def __init__(self, *script: int | None) -> None:
        self._script = [*script]

    async def exchange(self, *_: Any, **__: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        status = self._script.pop(0)
        if status is None:
            raise StepError(Kind.TRANSPORT, Code.CONNECTION_LOST)
        return status, [], b"{}"


@pytest.mark.parametrize(
    ("script", "status"), [((502, 200), 200), ((None, 404), 404), ((503, 503, 503), 503), ((500,), 500)]
)
def test_a_mishap_on_the_way_is_no_answer_of_the_service_but_its_persistence_is(
    script: tuple[int | None, ...], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MORE_TRIES_S", (0.0, 0.0))
    control = Gateway(*script)

    assert asyncio.run(Wire(control, Target()).delete("av-1")).status == status  # type: ignore[arg-type]
    assert control._script == []


def test_a_create_is_sent_once() -> None:
    asked = Wire(Gateway(502, 200), Target()).create({}, traceparent="")  # type: ignore[arg-type]

    assert asyncio.run(asked).status == 502
