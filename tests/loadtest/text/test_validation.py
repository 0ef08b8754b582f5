import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.errors.exceptions import StepError
from loadtest.text import validation

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(tree=TREES, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]), ascii_only=st.booleans())
@example(tree=10**30, encoding="utf-8", ascii_only=True)
@example(tree=["\ud83d", 1e300], encoding="utf-8", ascii_only=True)
def test_json_is_read_as_the_standard_library_reads_it(tree: Any, encoding: str, ascii_only: bool) -> None:
    body = json.dumps(tree, ensure_ascii=ascii_only).encode(encoding)

    found = validation.json_value(body, "it")

    assert found == json.loads(body)
    assert repr(found) == repr(json.loads(body))  # 1 is no 1.0 and no True


@pytest.mark.parametrize(
    ("body", "value"),
    [(b"1e400", float("inf")), (b'"\\ud83d"', "\ud83d"), (b'{"a":1,"a":2}', {"a": 2}), (b"\xef\xbb\xbf[1]", [1])],
)
def test_so_is_what_stricter_readers_refuse(body: bytes, value: Any) -> None:
    assert validation.json_value(body, "it") == value


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"NaN", "is not JSON"), (b"[1,]", "is not JSON"), (b"", "is not JSON"), (b'"\xff"', "is not JSON"),
     (b"[" * 200_000, "nests too deep"), (b"[" * 101 + b"]" * 101, "nests too deep"),
     (b"[" + b"[0]," * 20_000 + b"0]", "more than 20000 lists and objects"),
     (b"[" + b"0," * (1 << 19) + b"0]", "1 MiB")],
)  # fmt: skip
def test_what_is_no_json_is_the_targets(body: bytes, why: str) -> None:
    with pytest.raises(StepError, match=why):
        validation.json_value(body, "it")


@pytest.mark.parametrize(
    "body", [b"[" * 100 + b"]" * 100, b"[" + b"{}," * 19_998 + b"{}]", b'"' + b"x" * 1_000_000 + b'"']
)
def test_json_of_up_to_the_bounds_is_taken(body: bytes) -> None:
    assert validation.json_value(body, "it") == json.loads(body)


@pytest.mark.parametrize(
    "address",
    ["ws://127.0.0.1:40123/rooms/1?token=a%20b#x", "https://room.daily.co/avatar", "wss://a:59999", "http://h:8080/["],
)
def test_an_address_is_kept_as_it_is(address: str) -> None:
    assert validation.address(address, "room_url") == address


@pytest.mark.parametrize(
    "address",
    ["ws://host:0/", "ws://host:99999/", "ws://[evil", "ws:///room", "room", "ws://host/a b", "ws://host/\n",
     "ws://" + "a" * 64 + ".example/", "ws://user@", "ws://a..b/", ""],
)  # fmt: skip
def test_what_is_no_address_is_the_targets(address: str) -> None:
    with pytest.raises(StepError, match="room_url"):
        validation.address(address, "room_url")


@given(st.from_regex(validation._USUAL_ADDRESS, fullmatch=True))
def test_nothing_passes_as_usual_that_a_closer_look_would_refuse(address: str) -> None:
    parts = validation.urlsplit(address)

    assert (parts.hostname or "").encode("idna")
    assert parts.port != 0


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that isn't set to UTC."""
    monkeypatch.setenv("TZ", "CET-1CEST")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("date", "expected_s"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
        ("Sun Nov  6 08:49:37 1994", 784_111_777),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 784_111_777),
        ("Sun, 06 Nov 1994 08:49:37", 784_111_777),
        ("Sun, 06 Nov 1994 09:49:37 +0100", 784_111_777),
        ("Wed, 01 Jul 2026 12:00:00", 1_782_907_200),
        ("Thu Jan  1 00:00:00 1960", None),
        ("Fri Dec 31 23:59:59 9999", validation.LATEST_S),
        ("yesterday", None),
    ],
)
def test_a_date_is_utc_wherever_it_is_read(date: str, expected_s: int | None) -> None:
    assert validation.http_date_s(date) == expected_s


@pytest.mark.parametrize("value", [0, 1_764_000_000, 1_764_000_000.0, 253_402_300_799.0])
def test_a_time_in_whole_unix_seconds_may_be_written_with_a_point(value: float) -> None:
    found = validation.unix_s(value, "it")
    assert (found, type(found)) == (value, int)


@pytest.mark.parametrize("value", [None, True, "1764000000", 1.5, -1.0, 1e12, float("inf"), float("nan")])
def test_what_is_no_such_time_is_the_targets(value: Any) -> None:
    with pytest.raises(StepError, match="it is missing or no time in unix seconds"):
        validation.unix_s(value, "it")


@pytest.mark.parametrize("value", ["🧪" * 6_000, "é" * 10_001, "%" * 20_000, "a" * 16_385, "..", "\ud83d"])
def test_an_id_that_no_client_could_put_into_a_url_is_none(value: str) -> None:
    with pytest.raises(StepError, match="the id can't be a part of a URL"):
        validation.session_id(value, "the id")
