"""Nothing that a process knows gets past the redactor, in whatever spelling, and what is no secret stays readable."""

import base64
import random
from functools import cache
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.secrecy import redact as redacting
from loadtest.secrecy.decodings import readings
from loadtest.secrecy.redact import (
    HIDDEN,
    MAX_DETAIL,
    credentials,
    file_tells,
    know,
    know_environment,
    redact,
    redact_lines,
    remember,
    reveals,
)
from tests.spellings import PLACES, SECRETS, SPELLINGS, cuts, decoded, pieces_of, secret_of


@cache
def knowing_all() -> redacting._Process:
    """A process that holds all of SECRETS."""
    process = redacting._Process()
    process.is_primed = True
    redacting._process, before = process, redacting._process
    for secret in SECRETS:
        know(secret, name="X-Api-Key")
    redacting._process = before
    return process


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_known_secret_gets_past_in_any_spelling(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redacting, "_process", knowing_all())
    chance = random.Random(spelling)
    for secret in SECRETS:
        told = chance.choice(PLACES).format(SPELLINGS[spelling](secret))
        for safe in (redact(told), redact_lines(told)):
            assert HIDDEN in safe, (secret, told)
            assert not pieces_of(secret, decoded(safe)), (secret, told, safe)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    spelling=st.sampled_from(sorted(SPELLINGS)),
    place=st.sampled_from(PLACES),
    before=st.text(max_size=40),
    after=st.text(max_size=40),
)
def test_nor_anywhere_in_a_text(seed: int, spelling: str, place: str, before: str, after: str) -> None:
    secret = secret_of(seed)
    told = f"{before} {place.format(SPELLINGS[spelling](secret))} {after}"
    safe = redact(told, secret)
    assert not pieces_of(secret, decoded(safe)), (secret, told, safe)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_nor_where_the_text_was_cut(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redacting, "_process", knowing_all())
    secret = next(each for each in SECRETS if 20 <= sum(map(str.isalnum, each)) <= 30)
    for left in cuts(f"4001 {SPELLINGS[spelling](secret)}"):
        assert not pieces_of(secret, decoded(redact(left))), left


def test_a_piece_of_a_secret_is_one_too_where_a_text_was_cut() -> None:
    secret = "Zq8rT1vW3yB5nM7kL9pXcD2f"
    know(secret)
    for told in (f"so it was: {secret[:18]}", f"{secret[-18:]} was it", f"'{secret[3:20]}…'", f"{secret[:9]}"):
        hidden = redact(told)
        assert (HIDDEN in hidden) == (len(told) > 12), told
        assert secret[3:18] not in hidden


def test_a_body_value_that_is_a_short_word_blanks_nothing_but_itself_behind_its_name() -> None:
    know("en", name="language")
    know("1234", name="X-Pin")
    assert redact("when an engine opens, 12345 users listen") == "when an engine opens, 12345 users listen"
    assert redact('{"language": "en", "length": 3}') == '{"language": "[redacted]", "length": 3}'
    assert redact("X-PIN: 1234") == "X-PIN: [redacted]"


def test_what_every_request_says_of_itself_is_no_secret() -> None:
    know("application/json", name="Content-Type")
    assert redact("HTTP 415: application/json is not taken") == "HTTP 415: application/json is not taken"


def test_the_scheme_of_a_credential_and_the_names_of_cookies_do_not_hide_what_is_secret() -> None:
    know("Token Hq7wertzuiop", name="Authorization")
    know("theme=dark; sid=Kx81mmnQ4z77", name="Cookie")
    assert "Hq7wertzuiop" not in redact("unknown credential Hq7wertzuiop")
    assert "Kx81mmnQ4z77" not in redact("no session Kx81mmnQ4z77 here")


def test_the_environment_tells_keys_passwords_of_proxies_and_headers_of_the_collector() -> None:
    told = {
        "ANY_SECRET": "one-of-ours-1",
        "https_proxy": "http://me:two%2Dof-ours@proxy.example:1",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=three%20of%20ours,tenant=a",
        "SSL_CERT_FILE": "/etc/ssl/ca.pem",
        "KEY_FILE": "/etc/keys/long-name",
    }
    know_environment(told)
    text = "one-of-ours-1 | two-of-ours | three of ours | /etc/ssl/ca.pem | /etc/keys/long-name"
    assert redact(text) == f"{HIDDEN} | {HIDDEN} | {HIDDEN} | /etc/ssl/ca.pem | /etc/keys/long-name"


@pytest.mark.parametrize(
    "proxy",
    [
        "me:{}@proxy.example:1",
        "//me:{}@proxy.example:1",
        "http://me:{}#1@proxy.example:1",
        "http://me:a/b?{}@proxy.example",
        "http://me:{}@[::1",
        "http://{}@proxy.example",
    ],
)
def test_a_proxys_password_is_known_however_the_variable_is_written(proxy: str) -> None:
    password = f"n1ne-of-ours-{len(proxy)}"
    know_environment({"ALL_PROXY": proxy.format(password)})
    assert password not in redact(f"407 for {proxy.format(password)}")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "to https://a.example/in?lang=de&access_token=ab12&x=1",
            "to https://a.example/in?lang=de&access_token={}&x=1",
        ),
        ('<a href="/in?code=4711&amp;X-Amz-Signature=ab12">', '<a href="/in?code={}&amp;X-Amz-Signature={}">'),
        ("to wss://me:ab12@a.example/in#id_token=ab12", "to wss://me:{}@a.example/in#id_token={}"),
        ("http://[::1]:80/a?user=me: what a@b says", "http://[::1]:80/a?user=me: what a@b says"),
    ],
)
def test_what_a_url_holds_for_somebody_else_is_not_said_again(said: str, kept: str) -> None:
    assert redact(said) == kept.replace("{}", HIDDEN)


def test_the_latest_tokens_are_known_without_being_named() -> None:
    for number in range(1000):
        remember(f"token:{number:06}:of-a-session")
    assert "of-a-session" not in redact("what is token:000999:of-a-session?")


def test_what_is_told_again_and_again_crowds_nobody_out() -> None:
    remember("token:once:of-a-session")
    for _ in range(1000):
        redact("refused", "the-key-of-all-sessions", "its-header-value")
    assert "of-a-session" not in redact("what is token:once:of-a-session?")


def test_only_the_whole_of_a_secret_makes_a_text_unusable() -> None:
    know("abcdefgh12345678ijklmnop")
    assert reveals("id-abcdefgh12345678ijklmnop-1")
    assert not reveals("id-abcdefgh12345678ij-1")


TOKEN = "Q7mPz4Wk9TnX2vBs8RyL5dHc3FgJ6aUe"
COOKIE = "4e7c0a3d9b5f4c1e8a2d6b0f7c3e9a15"


@pytest.mark.parametrize(
    "unusable",
    [
        TOKEN,
        f"id-{TOKEN.lower()}",
        f"<p title='{TOKEN}'>",
        quote(TOKEN.replace("W", "%57")),
        base64.b64encode(TOKEN.encode()).decode(),
        TOKEN.encode().hex(),
        " ".join(TOKEN),
        f"id-{COOKIE}",
        COOKIE.upper(),
        "".join(f"%{ord(each):02x}" for each in COOKIE),
        "ek_FEDxmuwxE4Ef3maargqbbm6v6Dwzhq79",
    ],
)
def test_an_id_made_of_a_token_that_was_lately_given_is_unusable(unusable: str) -> None:
    remember(TOKEN)
    remember(COOKIE, is_cookie=True)
    assert reveals(unusable)


@pytest.mark.parametrize(
    "honest",
    [COOKIE, "0f8fad5b-d9cb-469f-a165-70867728950e", "sess_0123456789", "av:7/b", f"id-{TOKEN[:20]}", "x" * 80],
)
def test_an_id_that_only_looks_like_one_is_used(honest: str) -> None:
    remember(TOKEN)
    remember(COOKIE, is_cookie=True)
    assert not reveals(honest)


def test_of_a_long_page_no_more_is_read_than_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    found = redacting.Spellings.spans
    monkeypatch.setattr(redacting.Spellings, "spans", lambda self, text: read.append(len(text)) or found(self, text))
    know("one-of-ours-1")
    page = "<p>%41&#66;\\u0043 nothing to see</p>" * 10_000
    assert len(redact(page)) == MAX_DETAIL
    assert max(read) <= redacting.MAX_READ


@pytest.mark.parametrize("spelling", sorted(set(SPELLINGS) - {"UTF-16"}))
def test_a_file_that_holds_the_real_value_is_told_whatever_its_spelling(spelling: str) -> None:
    secret = "Zq8-rT1v.W3yB5nM7kL9pX"
    rest = b'{"kind": "step_finished", "detail": "HTTP 500"}\n' * 30_000
    clean = b"x" * 50 + rest
    planted = rest + SPELLINGS[spelling](secret).encode() + rest
    assert file_tells(clean, [secret]) is None
    assert file_tells(planted, [secret]) == "holds a key, header value or password of this run"


def test_words_numbers_and_sentences_are_no_values_to_look_for() -> None:
    named = [
        ("model", "gpt-realtime"),
        ("instructions", "You are a helpful assistant, 24 hours a day"),
        ("SECRET_NAME", "production"),
        ("API_KEY_HEADER", "Authorization"),
        ("KEYCLOAK_TOKEN_HOST", "10.43.70.12"),
    ]
    assert credentials(named) == set()
    assert credentials([("Authorization", "Bearer one-of-ours-1"), ("Cookie", "a=dark; sid=Kx81mmnQ4z77")]) == {
        "Bearer one-of-ours-1",
        "one-of-ours-1",
        "a=dark; sid=Kx81mmnQ4z77",
        "Kx81mmnQ4z77",
    }


def test_what_this_process_knows_beside_is_not_looked_for_in_a_file() -> None:
    know("a-build-of-2026", name="DEPLOY_KEY")
    assert file_tells(b'{"tags": {"build": "a-build-of-2026"}}') is None


@pytest.mark.parametrize(
    "name",
    [
        "refs/heads/feature/sk-localization",
        "sk_SK-lili-medium.wav",
        "sk-callcentre-night-2026-11-30-at-last",
        "runner-7d9f8b6c5d-sk-bratislava-prod-x2x9z.internal.example",
        "we issue bearer certificates-of-2026-and-later",
    ],
)
def test_a_name_that_begins_like_a_key_is_none(name: str) -> None:
    assert file_tells(f'{{"name": "{name}"}}'.encode()) is None


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-Ab_9xZ-q7mPz4Wk9TnX2vBs8_RyL5dHc3FgJ6aUe",
        "sk-twin-4e7c0a3d9b5f4c1e8a2d6b0f7c3e9a15",
        "ek_4e7c0a3d9b5f4c1e8a2d6b0f7c3e9a15",
        "Bearer q7mPz4Wk9TnX2vBs8RyL5dHc3FgJ6aUe",
        "bearer 0f8fad5b-d9cb-469f-a165-70867728950e",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
    ],
)
def test_what_looks_like_a_key_is_told_of_a_file(key: str) -> None:
    assert file_tells(f"sent {key} there".encode()) == "holds something that looks like a key or a token"


def test_ever_so_many_backslashes_are_one_escape_or_none() -> None:
    many = "\\" * 300_000
    assert list(readings(many + " ")) == [many + " "]
    assert list(readings(many + "u0041b")) == [many + "u0041b", "Ab"]


@pytest.mark.parametrize(
    ("before", "told"), [("a ", "holds something that looks like a key or a token"), ("a ta", None)]
)
@pytest.mark.parametrize("key", ["sk-q7mPz4Wk9TnX2vBs8RyL5dHc3FgJ6aUe", "Bearer q7mPz4Wk9TnX2vBs8RyL5dHc3FgJ6aUe"])
def test_a_file_is_searched_in_pieces_and_where_they_meet_nothing_is_lost_or_begun(
    key: str, before: str, told: str | None
) -> None:
    piece = 2**20
    text = before.rjust(piece).encode() + key.encode()
    assert file_tells(text.ljust(3 * piece)) == told
    assert file_tells(text[len(key) // 2 :].ljust(3 * piece)) == told
