"""How a mint fails when the profile says so: statuses, codes, limits (docs/contract.md#openais-errors)."""

from collections.abc import Callable

import pytest

from tests.loadtest.twin.process import RunningTwin

REALTIME = {"session": {"type": "realtime"}}
StartTwin = Callable[..., RunningTwin]


@pytest.mark.parametrize(
    ("name", "status", "kind", "code", "retry_after"),
    [
        ("429", 429, "requests", "rate_limit_exceeded", "1"),
        ("rate_limit_exceeded", 429, "requests", "rate_limit_exceeded", "1"),
        ("insufficient_quota", 429, "insufficient_quota", "insufficient_quota", None),
        ("403", 403, "request_forbidden", "unsupported_country_region_territory", None),
        ("account_deactivated", 401, "invalid_request_error", "account_deactivated", None),
        ("model_not_found", 404, "invalid_request_error", "model_not_found", None),
        ("500", 500, "server_error", None, None),
        ("503", 503, "server_error", None, None),
        ("418", 418, "invalid_request_error", None, None),
    ],
)
def test_an_injected_fault_looks_like_the_real_one(
    start_twin: StartTwin, name: str, status: int, kind: str, code: str | None, retry_after: str | None
) -> None:
    answer = start_twin("--set", f"fault.mint={name}:1").mint(REALTIME)

    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (kind, code, None)
    assert answer.headers.get("retry-after") == retry_after
    assert answer.headers["x-request-id"].startswith("req_")


def test_the_retry_after_of_an_injected_429_is_a_knob(start_twin: StartTwin) -> None:
    long = start_twin("--set", "fault.mint=429:1", "--set", "retry_after=120")
    without = start_twin("--set", "fault.mint=429:1", "--set", "retry_after=none")

    assert long.mint(REALTIME).headers["retry-after"] == "120"
    assert "retry-after" not in without.mint(REALTIME).headers


def test_several_faults_share_the_requests(start_twin: StartTwin) -> None:
    twin = start_twin("--seed", "3", "--set", "fault.mint=503:0.3,insufficient_quota:0.3")

    statuses = [twin.mint(REALTIME).status_code for _ in range(60)]

    assert {status: statuses.count(status) for status in set(statuses)} == {200: 22, 429: 15, 503: 23}


def test_a_limit_per_minute_counts_down_and_then_refuses(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "limit.rpm=3", "--clock-scale", "0.001")

    answers = [twin.mint(REALTIME) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["2", "1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"3"}
    assert answers[3].headers["retry-after"] == "20"
    assert answers[3].headers["x-ratelimit-reset-requests"] == "1m0s"
    assert answers[3].json()["error"]["code"] == "rate_limit_exceeded"


def test_the_limit_refills_on_the_services_clock(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "limit.rpm=600", "--clock-scale", "1000")

    assert {twin.mint(REALTIME).status_code for _ in range(50)} == {200}


def test_a_refused_key_costs_nothing(start_twin: StartTwin) -> None:
    twin = start_twin("--set", "limit.rpm=2", "--clock-scale", "0.001")

    for _ in range(5):
        assert twin.mint(REALTIME, key="sk-wrong").status_code == 401

    assert twin.mint(REALTIME).status_code == 200
