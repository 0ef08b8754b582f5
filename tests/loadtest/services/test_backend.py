"""The integrator's own endpoint: what is sent to it, and what its answers mean."""

import asyncio
import json
from typing import Any

import pytest

from loadtest.config.keys.backend import BackendTarget, Hidden
from loadtest.config.resolve import resolve
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError, StepError
from loadtest.errors.kinds import Code
from loadtest.services.backend import Backend
from loadtest.services.control import Control

TARGET = BackendTarget(
    url="http://127.0.0.1:1/{user}/start",
    headers={"X-Trace": "{trace_id}", "Authorization": "env:SHOP_TOKEN"},
    body={"who": "user {user}", "round": ["{iteration}", 7], "json": "{not a place}"},
    session_id="session.id",
    token="session.tokens.0",
    delete={"url": "http://127.0.0.1:1/stop/{session_id}", "method": "POST"},
)
GOOD = json.dumps({"session": {"id": "a/b", "tokens": ["t0"]}}).encode()


def request_of(backend: Backend, user: int) -> Any:
    return backend.create_request(user=user, iteration=3, trace_id="abc", traceparent="00-abc")


def test_the_request_is_the_template_filled_in_for_that_user() -> None:
    request = request_of(Backend(TARGET, {"SHOP_TOKEN": "Bearer s3cret"}), 5)
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:1/5/start")
    assert json.loads(request.body) == {"who": "user 5", "round": ["3", 7], "json": "{not a place}"}
    assert request.headers == {
        "X-Trace": "abc", "Authorization": "Bearer s3cret", "traceparent": "00-abc", "Content-Type": "application/json",
    }  # fmt: skip
    assert "s3cret" not in repr(request)


@pytest.mark.parametrize(
    ("said", "body", "kind"),
    [
        ({}, b"{}", "application/json"),
        ({"method": "PUT"}, b"{}", "application/json"),
        ({"body": []}, b"[]", "application/json"),
        ({"body": ""}, b'""', "application/json"),
        ({"method": "GET"}, None, None),
        ({"method": "GET", "body": {"a": 1}}, b'{"a": 1}', "application/json"),
    ],
    ids=str,
)
def test_an_endpoint_of_which_only_the_address_is_said_gets_an_empty_object(
    said: dict[str, Any], body: bytes | None, kind: str | None
) -> None:
    request = request_of(Backend(BackendTarget(url="http://127.0.0.1:1/start", **said), {}), 1)
    assert (request.body, request.headers.get("Content-Type")) == (body, kind)


def test_a_key_that_stands_in_the_scenario_is_one_that_no_answer_may_hold() -> None:
    headers = {
        "Authorization": "Bearer shop-key-0001",
        "X-Api-Key": "shop-{user}-key-0002",
        "Cookie": "sid=abcdef0123456789",
        "X-Version": "application/vnd.shop.v2",
    }
    backend = {"url": "http://localhost:9/start", "headers": headers, "body": {"api_key": "shop-key-0003"}}
    where = {"openai_base_url": "http://localhost:9/v1", "avaturn_base_url": "http://localhost:9"}
    settings = Settings.model_validate({"target": {**where, "backend": backend}})
    keys = {"OPENAI_API_KEY": "sk-of-openai-1", "AVATURN_API_KEY": "sk-of-avaturn-1"}

    async def main() -> set[bytes]:
        async with Control(settings, keys, connections=1) as control:
            return {key for _, key in control.ledger().keys}

    assert asyncio.run(main()) == {b"sk-of-openai-1", b"sk-of-avaturn-1", b"shop-key-0001", b"-key-0002"}


def test_a_value_with_braces_of_its_own_goes_with_the_delete_too() -> None:
    headers = {"X-Client": '{"app":"web"}', "Authorization": "env:SHOP_TOKEN", "X-User": "u-{user}", "X-Kind": "a"}
    target = TARGET.model_copy(update={"headers": {name: Hidden(value) for name, value in headers.items()}})
    backend = Backend(target, {"SHOP_TOKEN": "s3{user}cret"})
    always = {"X-Client": '{"app":"web"}', "Authorization": "s3{user}cret", "X-Kind": "a"}
    deleting = backend.delete_request("a/b", traceparent="00-x")
    assert deleting is not None
    assert deleting.headers == always | {"traceparent": "00-x"}
    sent = request_of(backend, 5).headers
    assert sent == always | {"X-User": "u-5", "traceparent": "00-abc", "Content-Type": "application/json"}


def test_what_stands_in_braces_of_its_own_is_hidden_like_the_rest() -> None:
    target = TARGET.model_copy(update={"headers": {"X-Key": Hidden('{"key":"h3ader-v4lue"} for {user}!')}})
    assert [value for name, value in target.literals if name == "X-Key"] == ['{"key":"h3ader-v4lue"} for ', "!"]


def test_cookies_are_each_users_own_and_go_with_the_delete() -> None:
    backend = Backend(TARGET, {})
    backend.keep_cookies(
        1, "http://127.0.0.1:1/start", [(b"Set-Cookie", b"sid=one; Path=/; HttpOnly"), (b"set-cookie", b"b=2")]
    )
    backend.keep_cookies(1, "http://127.0.0.1:1/start", [(b"Set-Cookie", b"b=; Max-Age=0")])
    assert request_of(backend, 1).headers["Cookie"] == "sid=one"
    assert "Cookie" not in request_of(backend, 2).headers
    assert backend.created(user=1, body=GOOD).target_session_id == "a/b"
    deleting = backend.delete_request("a/b", traceparent="00-x")
    assert deleting is not None
    assert (deleting.method, deleting.url) == ("POST", "http://127.0.0.1:1/stop/a%2Fb")
    assert deleting.headers["Cookie"] == "sid=one"
    assert deleting.body is None


def test_cookies_go_beside_one_that_the_operator_gave() -> None:
    backend = Backend(TARGET.model_copy(update={"headers": {"cookie": Hidden("beta=on")}}), {})
    backend.keep_cookies(1, request_of(backend, 1).url, [(b"Set-Cookie", b"sid=one; Path=/")])
    sent = {name.lower(): value for name, value in request_of(backend, 1).headers.items()}
    assert sent["cookie"] == "beta=on; sid=one"


def test_id_and_token_are_found_where_the_scenario_says() -> None:
    created = Backend(TARGET, {}).created(user=1, body=GOOD)
    assert (created.target_session_id, created.token) == ("a/b", "t0")


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        (b"<html>", Code.BAD_JSON, "not JSON"),
        (b'{"session": {"tokens": ["t"]}}', Code.BAD_SHAPE, "lacks a text at session.id"),
        (b'{"session": {"id": [5], "tokens": ["t"]}}', Code.BAD_SHAPE, "session id is missing or no text"),
        (b"[]", Code.BAD_SHAPE, "lacks a text at session.id"),
    ],
)
def test_an_answer_without_an_id_is_a_failure_of_the_target(body: bytes, code: Code, told: str) -> None:
    with pytest.raises(StepError, match=told) as caught:
        Backend(TARGET, {}).created(user=1, body=body)
    assert caught.value.code is code


def test_an_answer_with_an_id_and_no_token_is_of_a_session_that_must_be_deleted() -> None:
    created = Backend(TARGET, {}).created(user=1, body=b'{"session": {"id": "x", "tokens": []}}')
    assert (created.target_session_id, created.token) == ("x", "")


OWN = {"target.backend.url": "http://127.0.0.1:1/x", "target.avaturn_base_url": "http://127.0.0.1:2"}


@pytest.mark.parametrize(
    ("options", "environ", "told"),
    [
        (OWN, {}, ["AVATURN_API_KEY is not set in the environment"]),
        (
            OWN | {"target.backend.headers": {"A": "env:MY_TOKEN"}},
            {"AVATURN_API_KEY": "k"},
            ["MY_TOKEN is not set in the environment"],
        ),
        (
            OWN | {"target.backend.url": "http://backend.example/x"},
            {"AVATURN_API_KEY": "k"},
            ["http://backend.example/x: not on this machine; a run against it needs --live and --max-sessions N"],
        ),
        (
            {"target.backend.url": "http://127.0.0.1:1/x"},
            {},
            ["target: a backend needs avaturn_base_url, where its sessions are joined and looked at"],
        ),
        (
            OWN | {"target.backend.body": {"a": "{usr}"}},
            {},
            ["target.backend: {usr} is not known here; known: user, iteration, trace_id"],
        ),
        (
            OWN | {"target.backend.headers": {"A": "Bearer env:MY_TOKEN"}},
            {},
            ["target.backend: headers.A: env:MY_TOKEN has to be all of the value: the variable holds the rest too"],
        ),
        (
            OWN | {"target.backend.body": {"a": ["env:MY_TOKEN"], "tag": "env:prod"}},
            {},
            ["target.backend: body: env:MY_TOKEN is read in headers alone"],
        ),
        *(
            (OWN | {"target.backend.url": url}, {}, ["target.backend.url: is not an http(s) URL with a host"])
            for url in ("http://127.0.0.1:99999/x", "http://127.0.0.1:0/x", "http://[::1/x", "http://{user}/x")
        ),
        (
            OWN | {"target.backend.delete": {"url": "http://127.0.0.1:99999/{session_id}"}},
            {},
            ["target.backend.delete.url: is not an http(s) URL with a host"],
        ),
        (OWN | {"target.backend.url": "ftp://x"}, {}, ["target.backend.url: is not an http(s) URL with a host"]),
    ],
)
def test_what_can_not_work_is_refused_before_anything_is_sent(
    options: dict[str, Any], environ: dict[str, str], told: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(None, options, environ)
    assert caught.value.problems == told


def test_with_an_own_delete_no_key_of_ours_is_needed() -> None:
    delete = {"target.backend.delete": {"url": "http://127.0.0.1:1/stop/{session_id}"}}
    assert resolve(None, OWN | delete, {}).target.backend is not None
