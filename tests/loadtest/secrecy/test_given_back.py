import gc
import json
import weakref

import pytest

from loadtest.events.vocabulary import SecretKind
from loadtest.secrecy.given_back import MOST_REMEMBERED, Ledger, Watch
from loadtest.session.record import Record

KEY, SECRET, TOKEN, ROOM = "sk-proj-0123456789", "ek_00aa11bb22cc33dd", "tok.en-44ee55ff66", "room-77889900aabb"
Told = list[tuple[str, str, bool]]


def watched(ledger: Ledger | None = None) -> tuple[Watch, Told]:
    told: Told = []
    ledger = ledger or Ledger([(SecretKind.API_KEY, KEY)])
    watch = Watch(ledger, lambda kind, place, is_foreign: told.append((kind, place, is_foreign)))
    watch.sends(SecretKind.CLIENT_SECRET, SECRET)
    watch.sends(SecretKind.SESSION_TOKEN, TOKEN)
    watch.sends(SecretKind.ROOM_TOKEN, ROOM)
    return watch, told


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f'{{"detail":"Bearer {KEY} was refused"}}', "api_key"),
        (json.dumps({"input": {"client_secret": SECRET}}), "client_secret"),
        (f"<p>{TOKEN}</p>", "session_token"),
        (SECRET.replace("_", "%5F"), "client_secret"),
        (SECRET.replace("_", "%5f"), "client_secret"),
        ("".join(f"\\u{ord(letter):04x}" for letter in TOKEN), "session_token"),
        (KEY.replace("-", "&#45;"), "api_key"),
        ("x" * 3_000_000 + SECRET, "client_secret"),
    ],
)
def test_a_body_that_gives_back_what_was_sent_is_told_by_its_kind(body: str, kind: str) -> None:
    watch, told = watched()

    watch.look_at_answer("create", 422, [], body.encode())

    assert told == [(kind, "create: HTTP 422, body", False)]


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("Location", f"https://elsewhere.example/?token={TOKEN}", "header location"),
        ("Set-Cookie", f"session={TOKEN}; Path=/", "header set-cookie"),
        ("X-Debug", f"Bearer {TOKEN}", "header x-debug"),
        (TOKEN, "1", "headers"),
    ],
)
def test_so_is_a_header_by_its_name_unless_that_is_the_secret(name: str, value: str, where: str) -> None:
    watch, told = watched()

    watch.look_at_answer("look", 302, [(b"Date", b"today"), (name.encode(), value.encode())], b"")

    assert told == [("session_token", f"look: HTTP 302, {where}", False)]


@pytest.mark.parametrize("secret", [TOKEN, "tok.en-44-ee-55-ff", "ab.cd.12", "letters-and-signs"])
@pytest.mark.parametrize("spelt", ["{}", "Bearer {}", "https://elsewhere.example/?token={}&x"])
def test_a_header_that_came_before_the_secret_was_sent_is_told_afterwards(secret: str, spelt: str) -> None:
    told: Told = []
    watch = Watch(Ledger(), lambda *found: told.append(found))
    headers = [(b"Server", b"x"), (b"X-Debug", spelt.format(secret).encode())]
    for _ in range(3):
        watch.look_at_answer("mint", 200, headers, b"{}")
    assert told == []

    watch.sends(SecretKind.SESSION_TOKEN, secret)
    watch.look_at_answer("create", 201, headers, b"{}")

    assert told == [("session_token", "create: HTTP 201, header x-debug", False)]


def test_what_is_learnt_of_headers_is_bounded() -> None:
    ledger = Ledger()
    watch = Watch(ledger)
    for number in range(1000):
        watch.look_at_answer("mint", 200, [(b"X-%d-%d" % (number, each), b"y" * each) for each in range(500)], b"")

    assert len(ledger._harmless) <= 256 * 32
    assert max(len(value) for _, value in ledger._harmless) <= 256


def test_what_another_session_sent_is_told_as_its() -> None:
    ledger = Ledger()
    watched(ledger)
    other, told = Watch(ledger, lambda *found: told.append(found)), []

    other.look_at_answer("connect", 200, [], json.dumps({"id": "a", "other": SECRET}).encode())
    other.look("room: app-message", f'{{"type":"x","y":"{TOKEN}"}}', in_room=True)

    assert told == [
        ("client_secret", "connect: HTTP 200, body", True),
        ("session_token", "room: app-message", True),
    ]


def test_a_mint_that_gives_a_secret_that_others_have_is_the_business_of_another_rule() -> None:
    ledger = Ledger()
    watched(ledger)
    other, told = Watch(ledger, lambda *found: told.append(found)), []

    other.look_at_answer("mint", 200, [], json.dumps({"value": SECRET}).encode(), mints=True)

    assert told == []


def test_the_rooms_token_may_be_told_by_every_look_but_not_in_the_room() -> None:
    watch, told = watched()

    watch.look_at_answer("look", 200, [], json.dumps({"limited_access_token": ROOM}).encode())
    assert told == []
    watch.look("room: close reason", f"bye {ROOM}", in_room=True)
    assert told == [("room_token", "room: close reason", False)]


def test_a_target_with_one_token_for_both_may_grant_it() -> None:
    watch, told = watched()

    watch.look_at_answer("connect", 200, [], json.dumps({"limited_access_token": TOKEN}).encode())

    assert told == []


@pytest.mark.parametrize("body", [b"", b"null", b'{"detail":"Invalid API key sk-proj-****6789"}', b"ek_00aa11bb22cc33"])
def test_other_answers_tell_nothing(body: bytes) -> None:
    watch, told = watched()

    watch.look_at_answer("delete", 401, [(b"WWW-Authenticate", b"Bearer")], body)

    assert (told, watch.looked) == ([], 1)


@pytest.mark.parametrize("key", ["", "none", "anything", "localkey", "short1"])
def test_a_key_that_is_a_word_is_not_looked_for(key: str) -> None:
    told: Told = []
    watch = Watch(Ledger([(SecretKind.API_KEY, key)]), lambda *found: told.append(found))

    watch.look_at_answer("mint", 401, [], f"anything goes, none: {key}".encode())

    assert told == []


def test_the_same_place_is_told_once_and_the_ledger_is_bounded() -> None:
    ledger = Ledger()
    watch, told = watched(ledger)
    for _ in range(3):
        watch.look("room: app-message", SECRET, in_room=True)
    assert len(told) == 1

    for number in range(MOST_REMEMBERED + 5):
        watch.sends(SecretKind.CLIENT_SECRET, f"ek_{number:020}")
    assert len(ledger._owners) == MOST_REMEMBERED


def test_tokens_with_a_common_beginning_are_told_apart_by_their_signatures() -> None:
    ledger, told = Ledger(), list[object]()
    head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9-the-same-for-all"
    first, second, third = (Watch(ledger, lambda *found: told.append(found)) for _ in range(3))
    first.sends(SecretKind.SESSION_TOKEN, f"{head}.first-signature-0001")
    second.sends(SecretKind.SESSION_TOKEN, f"{head}.second-signature-002")

    third.look_at_answer("create", 201, [], f"{head}.third-signature-0003".encode())
    assert told == []
    third.look_at_answer("connect", 200, [], f"{head}.first-signature-0001".encode())
    assert told == [("session_token", "connect: HTTP 200, body", True)]


def test_the_ledger_keeps_secrets_and_no_session_that_is_over() -> None:
    ledger = Ledger()
    gc.disable()  # nothing goes in circles, either
    try:
        record = Record(emit=lambda _: None, lag_ns=lambda: 0, scenario="x", purpose="load", ledger=ledger)
        record.watch.sends(SecretKind.CLIENT_SECRET, SECRET)
        gone = weakref.ref(record)
        del record
        assert gone() is None
    finally:
        gc.enable()
    assert len(ledger._owners) == 1
