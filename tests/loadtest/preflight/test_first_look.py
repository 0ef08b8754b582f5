"""One look at services before the load, each of them a real server that answers in one of the ways that there are."""

import asyncio
import email.utils
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from loadtest.config.settings import Settings, Target
from loadtest.events.kinds import TO_THE_ROOM
from loadtest.preflight import first_look
from loadtest.preflight.first_look import Seen, look, margin_s
from tests.loadtest.http_client.test_opening import served
from tests.support import free_port

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEYS = {"OPENAI_API_KEY": "sk-good", "AVATURN_API_KEY": "good"}
MODELS = {
    "data": [{"id": "gpt-realtime", "shutdown_date": "2027-01-20"}, {"id": "new", "shutdown_date": None}, {"id": "x"}]
}
PAGE = "<!DOCTYPE html><title>Welcome</title>"
SPARE_S = 600 - int(sum(Target().deadline_s(step) or 0 for step in TO_THE_ROOM))


def answering(status: int = 200, body: Any = None, **headers: str) -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if text.startswith("<") else "application/json"

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, content_type=kind, headers=headers)

    return answer


def at(path: str, answer: Answer, otherwise: Answer) -> Answer:
    async def chosen(request: web.Request) -> web.StreamResponse:
        return await (answer if request.path == path else otherwise)(request)

    return chosen


async def never(_: web.Request) -> web.Response:
    await asyncio.sleep(5)
    return web.Response()


GOOD, NOTHING = answering(body=MODELS), answering(404, {"error": "Invalid URL"})


def seen(*, openai: Answer = GOOD, avaturn: Answer = NOTHING, path: str = "/v1", **settings: Any) -> dict[str, Seen]:
    """What a look tells, by service; its words name them as `openai` and `avaturn`."""

    async def looked() -> dict[str, Seen]:
        async with AsyncExitStack() as stack:
            origins = [await stack.enter_async_context(served(answer)) for answer in (openai, avaturn)]
            target = {"openai_base_url": f"http://{origins[0]}{path}", "avaturn_base_url": f"http://{origins[1]}"}
            made = Settings.model_validate({"target": target, **settings})
            found = {each.service: each for each in await look(made, KEYS)}
            return {
                name: _named(each, dict(zip(origins, ("openai", "avaturn"), strict=True)))
                for name, each in found.items()
            }

    return asyncio.run(looked())


def _named(each: Seen, names: dict[str, str]) -> Seen:
    def plain(texts: tuple[str, ...]) -> tuple[str, ...]:
        for origin, name in names.items():
            texts = tuple(text.replace(origin, name) for text in texts)
        return texts

    return Seen(
        service=each.service, url=each.url, took_s=each.took_s, clock_ahead_s=each.clock_ahead_s,
        stops=plain(each.stops), notes=plain(each.notes), models=each.models,
    )  # fmt: skip


def date(ahead_s: float) -> str:
    return email.utils.formatdate(time.time() + ahead_s, usegmt=True)


def test_services_that_are_as_they_should_be_are_passed_in_silence() -> None:
    found = seen()
    assert [(each.stops, each.notes) for each in found.values()] == [((), ()), ((), ())]
    models = found["openai"].models
    assert models is not None
    assert {name: str(day) for name, day in models.items()} == {
        "gpt-realtime": "2027-01-20",
        "new": "None",
        "x": "None",
    }


def test_one_call_each_with_its_key_that_creates_nothing() -> None:
    asked: list[str] = []

    def noting(answer: Answer) -> Answer:
        async def noted(request: web.Request) -> web.StreamResponse:
            asked.append(f"{request.method} {request.path} {request.headers['Authorization']}")
            return await answer(request)

        return noted

    seen(openai=noting(GOOD), avaturn=noting(NOTHING))
    seen(openai=noting(GOOD), avaturn=noting(NOTHING))
    models, deletes = sorted({each for each in asked if "models" in each}), [each for each in asked if "DELETE" in each]
    assert (models, len(asked)) == (["GET /v1/models Bearer sk-good"], 4)
    assert all(each.startswith("DELETE /api/v1/sessions/") and each.endswith(" Bearer good") for each in deletes)
    assert len(set(deletes)) == 2, "the id is of no session"


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (
            {"openai": answering(401, {})},
            "OPENAI_API_KEY: http://openai/v1 doesn't take it (HTTP 401): is it whole, still valid, of this service?",
        ),
        (
            {"openai": answering(407, PAGE)},
            "target.openai_base_url: http://openai/v1: a proxy on the way wants a password (HTTP 407): see --proxy",
        ),
        (
            {"avaturn": answering(401, PAGE)},
            "AVATURN_API_KEY: http://avaturn doesn't take it (HTTP 401): is it whole, still valid, of this service?",
        ),
        (
            {"openai": answering(200, PAGE)},
            "target.openai_base_url: http://openai/v1: a page in HTML where JSON was expected; is it the API's address,"
            " with /v1 once?",
        ),
        (
            {"avaturn": answering(200, PAGE)},
            "target.avaturn_base_url: http://avaturn: a page in HTML where JSON was expected; is it the API's address,"
            " without a path?",
        ),
        (
            {"openai": at("/v1/models", GOOD, NOTHING), "path": ""},
            "target.openai_base_url: http://openai: no API there, but at http://openai/v1: write that",
        ),
        (
            {"openai": at("/v1/models", GOOD, answering(200, PAGE)), "path": "/v1/v1"},
            "target.openai_base_url: http://openai/v1/v1: no API there, but at http://openai/v1: write that",
        ),
        (
            {"openai": at("/proxy/v1/models", answering(403, {}), NOTHING), "path": "/proxy"},
            "target.openai_base_url: http://openai/proxy: no API there, but at http://openai/proxy/v1: write that",
        ),
    ],
)
def test_what_is_to_be_changed_stops_the_start_in_one_sentence(answers: dict[str, Any], says: str) -> None:
    found = seen(**answers)
    assert [stop for each in found.values() for stop in each.stops] == [says]


@pytest.mark.parametrize("ahead_s", [-4000, 4000])
@pytest.mark.parametrize("service", ["openai", "avaturn"])
def test_a_clock_that_is_off_by_more_than_a_secret_has_to_spare_stops_it(service: str, ahead_s: int) -> None:
    status, body = (200, MODELS) if service == "openai" else (404, {})
    found = seen(**{service: answering(status, body, Date=date(ahead_s))})
    (stop,) = found[service].stops
    assert stop.startswith(f"target.{service}_base_url: the clock at http://{service}")
    assert (
        f"{'ahead of' if ahead_s > 0 else 'behind'} this machine's, more than the {SPARE_S} s that a secret has" in stop
    )
    assert found[service].clock_ahead_s == pytest.approx(ahead_s, abs=2)


def test_a_clock_that_is_off_by_less_is_only_told() -> None:
    found = seen(openai=answering(body=MODELS, Date=date(60)))["openai"]
    assert (found.stops, found.notes) == ((), ())
    assert found.clock_ahead_s == pytest.approx(60, abs=2)


@pytest.mark.parametrize(("ttl_s", "spare_s"), [(600, SPARE_S), (60, 30), (10, 5)])
def test_what_a_secret_has_to_spare_is_what_the_steps_leave_of_its_life(ttl_s: int, spare_s: int) -> None:
    assert margin_s(Settings.model_validate({"secret": {"ttl_s": ttl_s}})) == spare_s


@pytest.mark.parametrize("status", [403, 404, 405, 429, 500, 503])
@pytest.mark.parametrize("body", [{}, PAGE], ids=["JSON", "HTML"])
def test_what_restricted_keys_and_doubles_answer_is_a_note(status: int, body: Any) -> None:
    found = seen(openai=answering(status, body), avaturn=answering(status, body))
    assert [each.stops for each in found.values()] == [(), ()]
    assert found["openai"].notes == (
        f"openai: http://openai/v1/models answers HTTP {status}: whether the key is right is not known",
    )
    as_it_should = status == 404 and body == {}
    page = " with a page in HTML" if body else ""
    assert found["avaturn"].notes == (
        ()
        if as_it_should
        else (f"avaturn: http://avaturn answers the delete of a session that isn't there with HTTP {status}{page}",)
    )


@pytest.mark.parametrize("body", [[], "{", {"data": 5}, {}, "[" * 5000])
def test_an_answer_that_is_no_list_of_models_is_a_note(body: Any) -> None:
    (note,) = seen(openai=answering(200, body))["openai"].notes
    assert (
        note
        == "openai: http://openai/v1/models answers what is no list of models: whether the key is right is not known"
    )


def test_a_service_that_never_answers_is_a_note_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_look, "DEADLINE_S", 0.2)
    found = seen(openai=never, avaturn=never)
    assert [each.notes for each in found.values()] == [
        ("openai: http://openai/v1/models: no answer within 0.2 s",),
        ("avaturn: http://avaturn: no answer within 0.2 s",),
    ]


def test_a_service_where_nobody_listens_is_a_note() -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    settings = Settings.model_validate({"target": {"openai_base_url": f"{gone}/v1", "avaturn_base_url": gone}})
    found = asyncio.run(look(settings, KEYS))
    assert [each.stops for each in found] == [(), ()]
    assert all("Cannot connect" in note for each in found for note in each.notes)


def test_an_own_back_end_is_connected_to_and_not_called() -> None:
    asked: list[str] = []

    async def noting(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    async def looked(gone: str) -> list[Seen]:
        async with served(noting) as backend, served(NOTHING) as avaturn:
            found = []
            for url in (f"http://{backend}/token", gone):
                target = {"avaturn_base_url": f"http://{avaturn}", "backend": {"url": url}}
                found += await look(Settings.model_validate({"target": target}), KEYS)
            return found

    there, _, absent, _ = asyncio.run(looked(f"http://127.0.0.1:{free_port()}/token"))
    assert (there.service, there.stops, there.notes, asked) == ("backend", (), (), [])
    assert there.took_s is not None
    assert [note.rpartition(": ")[2] for note in absent.notes] == ["nobody listens there"]


def test_who_deletes_by_an_endpoint_of_his_own_needs_no_key_of_avaturns() -> None:
    async def looked() -> list[Seen]:
        async with served(answering(401, {})) as refusing:
            own = {"url": f"http://{refusing}/token", "delete": {"url": f"http://{refusing}/stop/{{session_id}}"}}
            target = {"avaturn_base_url": f"http://{refusing}", "backend": own}
            return await look(Settings.model_validate({"target": target}), {})

    found = asyncio.run(looked())
    assert [(each.service, each.stops, each.notes) for each in found] == [("backend", (), ()), ("avaturn", (), ())]


def test_no_word_of_a_look_tells_a_key() -> None:
    for answer in (answering(401, {"error": "sk-good"}), answering(500, "sk-good"), answering(200, "sk-good")):
        found = seen(openai=answer, avaturn=answer)
        assert "sk-good" not in str([(each.stops, each.notes) for each in found.values()])
