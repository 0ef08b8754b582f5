"""Bodies and calls of the wrong shape: create's bounds, tools, the beta, odd secrets.

Source: docs/contract.md#avaturns-errors.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from loadtest.config.keys.session_object import announces_calls
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import GATEWAY_STATUS, Code, Kind
from loadtest.events.kinds import RuleOutcome
from loadtest.probes.active_checks.expiry import start_refused
from loadtest.probes.bench.bench import Bench, NotTestedError, Probe
from loadtest.probes.bench.subject import QUOTA_STATUS
from loadtest.probes.bench.wire import MORE_TRIES_S, Answer
from loadtest.rooms.app_messages import OF_AVATAR, STARTED
from loadtest.session.ports import ClientSecret
from loadtest.text.validation import plain, token

BETA = {"OpenAI-Beta": "realtime=v1"}
BETA_CODE = "beta_api_shape_disabled"
MISMATCH = "openai-realtime-version-mismatch"
DEAD_AFTER_S = 8.0
ABSENCE_BOUNDS = {9: False, 10: True}
DURATION_BOUNDS = {59: False, 60: True, 86400: True, 86401: False}
PLACEHOLDER = "ek_placeholder_of_a_probe"

TOOL = {
    "type": "function",
    "name": "look_up_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def _refused_rows() -> dict[str, tuple[dict[str, Any] | bytes, list[str]]]:
    """What is wrong → (body, `loc` of the fault): docs/contract.md#avaturns-errors."""
    engine = {"type": "openai-realtime", "client_secret": PLACEHOLDER}
    return {
        "background blue": ({"conversation_engine": engine, "background": "blue"}, ["body", "background"]),
        "engine of type foo": ({"conversation_engine": {"type": "foo"}}, ["body", "conversation_engine"]),
        "engine without a type": ({"conversation_engine": {}}, ["body", "conversation_engine"]),
        "no client_secret": (
            {"conversation_engine": {"type": "openai-realtime"}},
            ["body", "conversation_engine", "openai-realtime", "client_secret"],
        ),
        "max_duration 99.5": ({"conversation_engine": engine, "max_duration": 99.5}, ["body", "max_duration"]),
        "max_duration x": ({"conversation_engine": engine, "max_duration": "x"}, ["body", "max_duration"]),
        "broken JSON": (b'{"user_absent_timeout": 10,', ["body"]),
    }


async def create_bodies(bench: Bench) -> None:
    """Every row of the table of refusals, and the bounds of both timers."""
    async with bench.subject() as first:
        secret = await first.mint()
    good = {"conversation_engine": {"type": "openai-realtime", "client_secret": secret.value}}
    absence = {value: await _try(bench, {**good, "user_absent_timeout": value}) for value in ABSENCE_BOUNDS}
    bounded = {**good, "user_absent_timeout": 10}
    duration = {value: await _try(bench, {**bounded, "max_duration": value}) for value in DURATION_BOUNDS}
    _judge_bounds(bench, "TD-3c", "user_absent_timeout", ABSENCE_BOUNDS, absence)
    _judge_bounds(bench, "TD-4b", "max_duration", DURATION_BOUNDS, duration)
    wrong = []
    for what, (body, where) in _refused_rows().items():
        wrong += _faults(what, await _try(bench, body), where)
    for field, bounds, answers in (
        ("user_absent_timeout", ABSENCE_BOUNDS, absence),
        ("max_duration", DURATION_BOUNDS, duration),
    ):
        for value, accepted in bounds.items():
            if not accepted and not answers[value].ok:
                wrong += _faults(f"{field} {value}", answers[value], ["body", field])
    for what, more in (
        ("user_absent_timeout as text", {"user_absent_timeout": "30"}),
        ("an unknown field", {"no_such": 1}),
    ):
        answer = await _try(bench, {"user_absent_timeout": 10, **good, **more})
        if not answer.ok:
            wrong.append(f"{what}: HTTP {answer.status}")
    bench.judge("VAL-1", not wrong, "; ".join(wrong) or f"{len(_refused_rows()) + 3} bad bodies: 422 and the place")
    await _preset(bench, {"user_absent_timeout": 10, **good})


async def _preset(bench: Bench, good: Mapping[str, Any]) -> None:
    bogus = {name: await _try(bench, {**good, name: "no-such-preset"}) for name in ("model", "render_model")}
    honoured = [name for name, answer in bogus.items() if answer.status == 422]
    seen = ", ".join(f"{name}: HTTP {answer.status}" for name, answer in bogus.items())
    if any(answer.status // 100 == 5 for answer in bogus.values()):
        bench.leave("VAL-2", f"a preset that doesn't exist, as {seen}")
        return
    bench.judge("VAL-2", bool(honoured), f"a preset that doesn't exist, as {seen}")


async def _try(bench: Bench, body: Mapping[str, Any] | bytes) -> Answer:
    """A create, sent again where a gateway answered; what it makes is deleted at once. Raises StepError where the quota
    is used up."""
    for pause_s in (*MORE_TRIES_S, 0.0):
        async with bench.subject() as subject:
            answer = await subject.attempt(body)
        if answer.status not in GATEWAY_STATUS:
            break
        await asyncio.sleep(pause_s)
    if answer.status in QUOTA_STATUS:
        raise StepError(Kind.REJECTED, Code.LIMITS_EXCEEDED, "the quota is used up", http_status=answer.status)
    return answer


def _judge_bounds(bench: Bench, rule: str, field: str, bounds: Mapping[int, bool], got: Mapping[int, Answer]) -> None:
    wrong = [value for value, accepted in bounds.items() if got[value].ok != accepted]
    seen = ", ".join(f"{value}: HTTP {answer.status}" for value, answer in got.items())
    bench.judge(rule, not wrong, f"{field} {seen}")


def _faults(what: str, answer: Answer, where: list[str]) -> list[str]:
    if answer.status != 422:
        return [f"{what}: HTTP {answer.status}"]
    detail = answer.fields.get("detail")
    places = [each.get("loc") for each in detail if isinstance(each, dict)] if isinstance(detail, list) else []
    return (
        []
        if any(isinstance(place, list) and place[: len(where)] == where for place in places)
        else [f"{what}: 422 without the place"]
    )


async def tools(bench: Bench) -> None:
    """A turn that the model must answer with a call of a tool."""
    async with bench.subject() as subject:
        await subject.new(realtime={"tools": [TOOL], "tool_choice": "required"})
        visit = await subject.join()
        answer = await visit.ask(bench.clip, limit_s=DEAD_AFTER_S)
        told = [plain(each.get("type")) for _, each in visit.messages if _speaks_of_tool(each)]
        bench.judge(
            "TOOL-1", not told, f"the page was sent {told[0]}" if told else "nothing of the call reached the page"
        )
        if announces_calls(bench.realtime(None)):
            # One message may come before the call, in the same response; what a result brings about is another.
            more = await visit.until(lambda: len(visit.all(OF_AVATAR)) > 1, DEAD_AFTER_S)
            seen = "was answered twice, as if somebody had executed the call" if more else "had no answer but its own"
            bench.judge("TOOL-2", not more, f"a turn that ends in a call of a tool {seen}")
            return
        told_it = bool(visit.all(OF_AVATAR))
        if answer is None and told_it and not visit.all(STARTED):
            bench.leave("TOOL-2", "nothing was heard or announced, but a transcript came: perhaps another session's")
            return
        spoke = answer is not None or told_it
        seen = "was answered, as if somebody had executed the call" if spoke else f"had no answer in {DEAD_AFTER_S:g} s"
        bench.judge("TOOL-2", not spoke, f"a turn that ends in a call of a tool {seen}")


def _speaks_of_tool(message: Mapping[str, Any]) -> bool:
    text = str(message)
    return any(word in text for word in ("function_call", "call_id", str(TOOL["name"]))) and "transcript" not in message


async def beta(bench: Bench) -> None:
    """Mints and handshakes as they were in the beta (GA-2)."""
    async with bench.subject() as subject:
        model = bench.realtime(None)["model"]
        by_path = await bench.wire.mint({"model": model, "voice": "alloy"}, path="/realtime/sessions", headers=BETA)
        by_header = await bench.wire.mint({"session": bench.realtime(None)}, headers=BETA)
        secret = await subject.mint()
        try:
            async with bench.wire.realtime(secret.value, beta=True) as socket:
                handshake = plain((await socket.first()).get("type")) or "a close"
        except StepError as error:
            if error.http_status is None:
                raise
            handshake = f"HTTP {error.http_status}"
        mints = (by_path.status, by_header.status)
        refused = all(status // 100 == 4 for status in mints) and handshake != "session.created"
        seen = "mint by path: HTTP {}, by header: HTTP {}".format(*mints)
        bench.judge("GA-2", refused, f"{seen}, handshake: {handshake}")


async def beta_session(bench: Bench) -> None:
    """What a page is told where OpenAI takes Avaturn for a client of the beta. We can't bring that about, only notice
    that it is so: OpenAI then says the same to us (GA-1)."""
    async with bench.subject() as subject:
        secret = await subject.mint()
        try:
            async with bench.wire.realtime(secret.value) as socket:
                first = await socket.first()
        except StepError:
            first = {}
        error = first.get("error")
        if not isinstance(error, dict) or error.get("code") != BETA_CODE:
            raise NotTestedError("OpenAI takes nobody here for a client of the beta")
        seen = await start_refused(bench, subject, secret)
        if seen.hung:
            raise NotTestedError(f"{seen.hung} was not answered")
        inner = (seen.error or {}).get("error")
        code = (inner if isinstance(inner, dict) else seen.error or {}).get("code")
        started = "the session started all the same" if seen.started else "nothing was told"
        bench.judge("GA-1", code == MISMATCH, f"the page was told {code!r}" if code else started)


async def transcription_secret(bench: Bench) -> None:
    """A secret that is for transcription alone (GA-4)."""
    body = {"session": {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}}
    minted = await bench.wire.mint(body)
    if not minted.ok:
        raise NotTestedError(f"no such secret is minted: HTTP {minted.status}")
    value = token(minted.fields.get("value"), "the mint's value")
    async with bench.subject() as subject:
        seen = await start_refused(bench, subject, ClientSecret(value=value, expires_at_s=0))
        if seen.hung:
            raise NotTestedError(f"{seen.hung} was not answered")
        what = f"refused by {seen.refused_at}" if seen.refused_at else "not refused"
        mute = "" if seen.refused_at else ", and the avatar answers" if seen.conversed else ", and the avatar is mute"
        bench.say("GA-4", RuleOutcome.CHARACTERISED, f"a secret for transcription was {what}{mute}")


PROBES = (
    Probe(rules=("VAL-1", "VAL-2", "TD-3c", "TD-4b"), run=create_bodies),
    Probe(rules=("TOOL-1", "TOOL-2"), run=tools),
    Probe(rules=("GA-2",), run=beta),
    Probe(rules=("GA-1",), run=beta_session),
    Probe(rules=("GA-4",), run=transcription_secret),
)
