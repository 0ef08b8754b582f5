"""What nobody outside knows of Avaturn is a knob (docs/contract.md#open-questions)."""

import asyncio
import json
from typing import Any

import pytest

from loadtest.twin import parts
from loadtest.twin.avaturn_side.rooms import app_messages
from loadtest.twin.avaturn_side.sessions.lifespan import Lifespan
from loadtest.twin.knobs.avaturn import AvaturnKnobs
from tests.loadtest.twin.inside import Answer, Inside, inside, run
from tests.loadtest.twin.seen_in_endings import ECHO, Ends, Step, life
from tests.loadtest.twin.seen_in_rooms import ENDED, PLAIN, RESPONSE
from tests.loadtest.twin.talking import User, in_room

BAD_SECRET = {"type": "openai-realtime", "client_secret": "ek_unknown"}


def _first_frame(span: Lifespan) -> None:
    span.first_frame()


def _joined(span: Lifespan) -> None:
    span.joined()


def _left(span: Lifespan) -> None:
    span.left()


ABSENT, CAPPED = "user_absent_timeout", "max_duration_reached"


@pytest.mark.parametrize(
    ("knobs", "steps", "expected"),
    [
        ({}, [], [(30, ABSENT)]),
        ({}, [(20, _first_frame)], [(30, ABSENT)]),
        ({}, [(20, _joined)], [(100, CAPPED)]),
        ({}, [(20, _joined), (5, _left), (20, _joined), (5, _left)], [(80, ABSENT)]),
        ({"absence_from": "first_frame"}, [], [(100, CAPPED)]),
        ({"absence_from": "first_frame"}, [(20, _first_frame)], [(50, ABSENT)]),
        ({"absence_from": "first_frame"}, [(5, _joined), (5, _left), (20, _first_frame)], [(60, ABSENT)]),
        ({"absence_from": "first_frame"}, [(5, _joined), (5, _first_frame), (5, _left)], [(45, ABSENT)]),
        ({"max_duration_from": "first_frame"}, [(10, _joined), (10, _first_frame)], [(120, CAPPED)]),
        ({"max_duration_from": "first_frame"}, [(10, _joined)], []),
        ({"max_duration_from": "first_join"}, [(10, _joined), (5, _left), (5, _joined)], [(110, CAPPED)]),
    ],
)
def test_both_timers_have_zero_points(knobs: dict[str, Any], steps: list[Step], expected: Ends) -> None:
    assert life(parts.honest, *steps, knobs=AvaturnKnobs(**knobs)) == expected


@pytest.mark.parametrize(("knob", "opened"), [("start", 0), ("create", 1)])
def test_the_socket_to_openai_opens_at_start_or_at_create(knob: str, opened: int) -> None:
    async def script() -> None:
        async with inside(f"upstream.open_at={knob}") as twin:
            session = await twin.talking()
            if opened:
                assert await twin.eventually(lambda: twin.parts.truth.realtime_sockets_opened == 1)
            assert len(twin.parts._realtime.open) == opened
            assert twin.state(session["session_id"]) == "created"
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames)
                assert twin.parts.truth.realtime_sockets_opened == 1

    run(script())


def test_a_secret_that_expires_before_the_join_is_no_harm_to_a_socket_opened_at_create() -> None:
    async def script() -> str:
        async with inside("upstream.open_at=create", scale=100) as twin:
            engine = {"type": "openai-realtime", "client_secret": await twin.secret(ttl_s=10)}
            session = await twin.new(conversation_engine=engine, user_absent_timeout=86400)
            secrets = twin.parts._secrets
            await twin.eventually(lambda: secrets.find(engine["client_secret"]) is None)
            async with twin.joined(session) as user:
                await user.until(lambda: user.frames or user.all("error"))
                return twin.state(session["session_id"])

    assert run(script()) == "active"


def test_after_openais_cut_the_session_can_go_on() -> None:
    async def script() -> tuple[str, int]:
        async with inside("upstream.reconnects=yes", "answer_s=0.2", scale=3600) as twin:
            engine = {"type": "openai-realtime", "client_secret": await twin.secret(PLAIN, ttl_s=7200)}
            session = await twin.new(conversation_engine=engine, max_duration=86400, user_absent_timeout=86400)
            async with twin.joined(session) as user:
                await twin.eventually(lambda: twin.parts.truth.realtime_sockets_opened == 2)
                await twin.eventually(lambda: twin.session(session["session_id"])._engine._is_ready)  # type: ignore[union-attr]
                user.say(duration_ms=100)
                await user.message(RESPONSE)
                return twin.state(session["session_id"]), len(user.all("error"))

    assert run(script()) == ("active", 0)


@pytest.mark.parametrize(("knob", "status"), [("no", 200), ("yes", 400)])
def test_a_bad_secret_is_found_at_start_or_at_create(knob: str, status: int) -> None:
    async def script() -> int:
        async with inside(f"secret.checked_at_create={knob}") as twin:
            assert (await twin.talking())["token"]
            return (await twin.create({"conversation_engine": BAD_SECRET})).status

    assert run(script()) == status


@pytest.mark.parametrize(
    ("starts_on", "expected"),
    [
        ("any", ["active", "active", "active"]),
        ("start_stream", ["active", "created", "created"]),
        ("sdk_session", ["created", "active", "active"]),
        ("join", ["created", "created", "active"]),
    ],
)
def test_what_starts_the_stream(starts_on: str, expected: list[str]) -> None:
    async def script() -> list[str]:
        async with inside(f"stream.starts_on={starts_on}") as twin:
            by_stream, by_get, by_join = [await twin.new(conversation_engine=ECHO) for _ in range(3)]
            await twin.sdk(by_stream["token"], "/start_stream", method="POST")
            await twin.sdk(by_get["token"])
            async with twin.joined(by_join):
                states = [twin.state(each["session_id"]) for each in (by_stream, by_get, by_join)]
                while "starting" in states:
                    await asyncio.sleep(0)
                    states = [twin.state(each["session_id"]) for each in (by_stream, by_get, by_join)]
                return states

    assert run(script()) == expected


@pytest.mark.parametrize(("knob", "told"), [("kept", 1), ("lost", 0)])
def test_an_error_before_the_first_join_is_kept_or_lost(knob: str, told: int) -> None:
    async def script() -> User:
        async with inside(f"early_errors={knob}") as twin:
            session = await twin.new(conversation_engine=BAD_SECRET)
            await twin.sdk(session["token"])
            truth = twin.parts.truth
            await twin.eventually(lambda: truth.realtime_sockets_opened == 1 and not twin.parts._realtime.open)
            await twin.eventually(lambda: session["session_id"] not in truth.upstreams_open)
            async with twin.joined(session) as user:
                await twin.delete(session["session_id"])
                await user.until(lambda: user.close_code is not None)
                return user

    assert len(run(script()).all("error")) == told


@pytest.mark.parametrize("knob", ["item", "own"])
def test_phrase_ids_are_openais_or_avaturns(knob: str) -> None:
    async def script() -> str:
        knobs = (f"phrase_id={knob}", "answer_s=0.2")
        async with inside(*knobs) as twin, twin.joined(await twin.talking(PLAIN)) as user:
            user.say(duration_ms=100)
            await user.message(ENDED)
            phrases = [each["phrase_id"] for each in user.messages if "phrase_id" in each]
            assert len(set(phrases)) == 1
            return str(phrases[0])

    assert run(script()).startswith("item_" if knob == "item" else "phrase_")


@pytest.mark.parametrize("text", ["x" * 9000, "ü" * 9000, '"' * 9000])
def test_a_transcript_fits_into_an_app_message(text: str) -> None:
    cut = app_messages.transcript(RESPONSE, text, 1.5, too_long="cut")
    sent = app_messages.transcript(RESPONSE, text, 1.5, too_long="send")

    assert cut is not None
    assert text.startswith(cut["transcript"])
    assert 4000 < len(json.dumps(cut, ensure_ascii=False, separators=(",", ":"))) <= 4096
    assert sent is not None
    assert sent["transcript"] == text
    assert app_messages.transcript(RESPONSE, text, 1.5, too_long="drop") is None
    assert app_messages.transcript(RESPONSE, "short", 1.5, too_long="drop") is not None


@pytest.mark.parametrize("code", ["limits_exceeded", "openai-realtime-version-mismatch"])
def test_a_session_can_fail_to_start_with_any_code(code: str) -> None:
    async def script() -> dict[str, Any]:
        async with inside(f"fault.stream_start={code}:1") as twin, twin.joined(await twin.talking()) as user:
            return await user.message("error")

    error = run(script())["error"]
    assert (error["type"], error["code"]) == ("session_lifecycle_error", code)


@pytest.mark.parametrize("status", [402, 403, 409, 429])
def test_the_status_of_a_used_up_quota(status: int) -> None:
    async def script() -> Answer:
        async with inside("limit.sessions=0", f"quota_status={status}") as twin:
            return await twin.create({})

    refused = run(script())
    assert refused.status == status
    assert refused.body["detail"].startswith("limits_exceeded")
    assert refused.headers.get("retry-after") == ("1" if status == 429 else None)


def test_a_used_up_quota_can_be_told_in_the_room() -> None:
    async def script() -> tuple[dict[str, Any], str]:
        async with inside("limit.sessions=0", "quota_status=200") as twin:
            session = await twin.talking()
            async with twin.joined(session) as user:
                return await user.message("error"), twin.state(session["session_id"])

    message, state = run(script())
    assert message["error"]["code"] == "limits_exceeded"
    assert state == "starting"


def test_a_used_up_quota_can_close_its_room_and_who_is_told_so_takes_no_place() -> None:
    async def script() -> tuple[int | None, bool]:
        async with inside("limit.sessions=1", "quota_status=200", "quota_room=close") as twin:
            first, over = await twin.talking(), await twin.talking()
            async with in_room((await twin.sdk(over["token"])).body, microphone=False) as user:
                await user.until(lambda: user.close_code is not None)
                closed = user.close_code
            await twin.delete(first["session_id"])
            async with twin.joined(await twin.talking()) as user:
                return closed, bool(await user.message("room.joined"))

    closed, is_in = run(script())
    assert closed == 4429
    assert is_in


@pytest.mark.parametrize(
    ("knob", "statuses"), [("both", [422, 422]), ("model", [422, 200]), ("render_model", [200, 422])]
)
def test_which_name_of_the_preset_is_honoured(knob: str, statuses: list[int]) -> None:
    async def script() -> tuple[list[int], list[str]]:
        async with inside(f"preset_field={knob}") as twin:
            bogus = [(await twin.create({name: "epsilon"})).status for name in ("model", "render_model")]
            golf = [await twin.new(**{name: "golf"}) for name in ("model", "render_model")]
            return bogus, [(await twin.truth(each["session_id"]))["render_preset"] for each in golf]

    assert run(script()) == (statuses, ["golf" if status == 422 else "delta" for status in statuses])


@pytest.mark.parametrize("status", [401, 403])
def test_the_status_of_missing_and_wrong_credentials(status: int) -> None:
    async def script(twin: Inside) -> list[Answer]:
        url = f"{twin.avaturn}/api/v1/sessions"
        return [
            await twin.call("POST", url, body={}),
            await twin.call("POST", url, body={}, bearer="wrong"),
            await twin.call("GET", f"{twin.avaturn}/_sdk/v0/sessions"),
            await twin.call("GET", f"{twin.avaturn}/_sdk/v0/sessions", token="wrong"),
        ]

    async def ask() -> list[Answer]:
        async with inside(f"unauthorized_status={status}") as twin:
            return await script(twin)

    answers = run(ask())
    assert [each.status for each in answers] == [status] * 4
    assert [("www-authenticate" in each.headers) for each in answers] == [status == 401] * 4


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [((), 404), (("gone_status=410",), 410), (("delete_again_status=200",), 200), (("delete_again_status=409",), 409)],
)
def test_the_status_of_a_second_delete(knobs: tuple[str, ...], expected: int) -> None:
    async def script() -> list[int]:
        async with inside(*knobs) as twin:
            session_id = (await twin.new())["session_id"]
            return [(await twin.delete(each)).status for each in (session_id, session_id, "unknown")]

    assert run(script()) == [200, expected, 404]


@pytest.mark.parametrize("status", [405, 404, 200])
def test_sessions_can_be_read_or_not(status: int) -> None:
    async def script() -> tuple[Answer, Answer, str]:
        async with inside(f"session_get={status}") as twin:
            session_id = (await twin.new())["session_id"]
            url, key = f"{twin.avaturn}/api/v1/sessions", twin.parts.keys.avaturn
            return (
                await twin.call("GET", url, bearer=key),
                await twin.call("GET", f"{url}/{session_id}", bearer=key),
                session_id,
            )

    listed, one, session_id = run(script())
    assert (listed.status, one.status) == (status, status)
    if status == 200:
        assert one.body == {"session_id": session_id, "status": "created"}
        assert listed.body == {"sessions": [one.body]}


def test_an_error_carries_the_headers_that_let_a_page_read_it() -> None:
    async def script() -> list[str | None]:
        async with inside("limit.sessions=0", "fault.sdk_session=500:1") as twin:
            token = twin.parts.keys.token("session", "none")
            answers = []
            for method, path in (("GET", ""), ("POST", "/tasks"), ("PATCH", "/config"), ("GET", "/nowhere")):
                url = f"{twin.avaturn}/_sdk/v0/sessions{path}"
                headers = {"origin": "https://page.example", "x-session-token": token}
                async with twin.http.request(method, url, headers=headers) as answer:
                    assert answer.status >= 400
                    answers.append(answer.headers.get("access-control-allow-origin"))
            return answers

    assert run(script()) == ["*"] * 4
