"""Cookies of a virtual user: kept and sent as a browser would."""

import pytest

from loadtest.secrecy.recent import MOST_ENDED
from loadtest.secrecy.redact import redact, remember, reveals
from loadtest.services.cookies import MAX_COOKIE_BYTES, MAX_COOKIES, Cookies

HERE = "http://127.0.0.1:8080/api/start"


def sent(set_cookie: str | bytes, *, url: str = HERE, to: str | None = None) -> str | None:
    """What goes with the next request to the same place, or `to` another one."""
    cookies = Cookies()
    cookies.keep(url, [(b"SET-cookie", set_cookie if isinstance(set_cookie, bytes) else set_cookie.encode())])
    return cookies.header(to or url)


@pytest.mark.parametrize(
    "pair",
    [
        'q="quoted, with a comma"',
        'j={"user":1,"roles":["a","b"]}',
        "b64=a+b/c==",
        "e=",
        "name=a, b",
        "u=caf\u00e9",
        "long=" + "x" * 9000,
    ],
)
def test_a_value_comes_back_as_it_was_set(pair: str) -> None:
    assert sent(f"{pair}; Path=/; HttpOnly; SameSite=Lax; Partitioned") == pair


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ("Expires=Wed, 01 Jan 2020 00:00:00 GMT", False),
        ("Expires=Wed, 01-Jan-2020 00:00:00 GMT", False),
        ("Expires=Wed, 01 Jan 2098 00:00:00 GMT", True),
        ("Expires=some day", True),
        ("Max-Age=0", False),
        ("Max-Age=-1", False),
        ("Max-Age=60", True),
        ("Max-Age=60; Expires=Wed, 01 Jan 2020 00:00:00 GMT", True),
        ("Max-Age=0; Expires=Wed, 01 Jan 2098 00:00:00 GMT", False),
        ("Version=1", True),
    ],
)
def test_a_cookie_lives_as_long_as_it_was_told(attributes: str, kept: bool) -> None:
    assert sent(f"sid=1; Path=/; {attributes}") == ("sid=1" if kept else None)


def test_a_cookie_that_has_expired_is_taken_from_those_that_are_held() -> None:
    cookies = Cookies()
    cookies.keep(HERE, [(b"Set-Cookie", b"a=1; Path=/"), (b"Set-Cookie", b"b=2; Path=/")])
    cookies.keep(HERE, [(b"Set-Cookie", b"a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT")])
    assert cookies.header(HERE) == "b=2"


@pytest.mark.parametrize(
    ("set_cookie", "url", "to", "kept"),
    [
        ("a=1", HERE, "http://127.0.0.1:8080/api/stop/1", True),
        ("a=1", HERE, "http://127.0.0.1:8080/other", False),
        ("a=1; Path=/", HERE, "http://127.0.0.1:8080/other", True),
        ("a=1; Path=/", HERE, "http://127.0.0.1:9090/", True),
        ("a=1; Path=/", "https://shop.example/", "https://api.shop.example/", False),
        ("a=1; Path=/; Domain=shop.example", "https://api.shop.example/", "https://shop.example/", True),
        ("a=1; Path=/; Domain=evil.example", "https://shop.example/", "https://shop.example/", False),
        ("a=1; Path=/; Domain=localhost", "http://localhost:1/", "http://localhost:1/", True),
        ("a=1; Path=/; Domain=127.0.0.1", HERE, HERE, True),
        ("a=1; Path=/", "http://[::1]:1/", "http://[::1]:1/x", True),
        ("a=1; Path=/; Secure", "https://shop.example/", "http://shop.example/", False),
        ("a=1; Path=/; Secure", "https://shop.example/", "https://shop.example/", True),
        ("a=1; Path=/; Secure", HERE, HERE, True),
    ],
)
def test_a_cookie_goes_where_a_browser_would_send_it(set_cookie: str, url: str, to: str, kept: bool) -> None:
    assert sent(set_cookie, url=url, to=to) == ("a=1" if kept else None)


def test_a_user_keeps_as_many_cookies_as_a_browser_and_those_that_came_last() -> None:
    cookies = Cookies()
    for at in range(0, 1_000, 100):
        cookies.keep(HERE, [(b"Set-Cookie", f"c{number}=1; Path=/".encode()) for number in range(at, at + 100)])
    kept = (cookies.header(HERE) or "").split("; ")
    assert kept == [f"c{number}=1" for number in range(1_000 - MAX_COOKIES, 1_000)]


def test_of_an_answer_that_sets_thousands_only_the_last_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr("loadtest.services.cookies.remember", lambda value, **_: taken.append(value))
    cookies = Cookies()
    cookies.keep(HERE, [(b"Set-Cookie", f"c{number}={number}; Path=/".encode()) for number in range(5_000)])
    assert taken == [str(number) for number in range(5_000 - MAX_COOKIES, 5_000)]
    assert len((cookies.header(HERE) or "").split("; ")) == MAX_COOKIES


def test_a_cookie_that_no_server_would_take_back_is_passed_over() -> None:
    assert sent("long=" + "x" * MAX_COOKIE_BYTES) is None


def test_what_is_no_cookie_harms_nobody() -> None:
    assert [sent(text) for text in (b"", b";", b"=", b"\xff\xfe=\xff; Path=/", b"a=1; Max-Age=soon")] != []


def test_what_a_jar_holds_is_hidden_wherever_it_is_told_again() -> None:
    """Also long after others have come, and in another spelling; what was replaced is forgotten in its time."""
    cookies = Cookies()
    cookies.keep(HERE, [(b"Set-Cookie", b"sid=Kx81mmnQ4z77Wb3v; Path=/")])
    for number in range(MOST_ENDED + 1):
        remember(f"token-{number:08}")
    assert redact("no session %4bx81mmnQ4z77Wb3v") == "no session [redacted]"
    assert not reveals("Kx81mmnQ4z77Wb3v")
    cookies.keep(HERE, [(b"Set-Cookie", b"sid=another-one-now; Path=/")])
    for number in range(MOST_ENDED + 1):
        remember(f"later-{number:08}")
    assert redact("no session Kx81mmnQ4z77Wb3v") == "no session Kx81mmnQ4z77Wb3v"
    assert redact("no session another-one-now") == "no session [redacted]"
