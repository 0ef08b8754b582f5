"""TOML that a person wrote: what is wrong with it, and what to write instead."""

import pytest

from loadtest.text.toml_text import parse


@pytest.mark.parametrize(
    "raw", [b'name = "x"\r\n[load]\r\nusers = 3\r\n', '\ufeffname = "x"\n[load]\nusers = 3\n'.encode()]
)
def test_line_ends_and_marks_of_other_systems_are_let_pass(raw: bytes) -> None:
    assert parse(raw)[0] == {"name": "x", "load": {"users": 3}}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ('name = "x"'.encode("utf-16"), "it is in UTF-16; save it as UTF-8"),
        ('name = "x"\n\n# é'.encode("latin-1"), "line 3 is not in UTF-8; save it as UTF-8"),
        (b"RIFF\x24\x00\x00\x00WAVE\xff\xfe", "it is no text"),
        (b'[{"users": 3}]', "it is JSON: in TOML it would be `[load]` and, below, `users = 3`"),
        (b"\n<html>", "it is HTML or XML"),
        ("a = 1\nname = ‘x’".encode(), '; quotes are straight: "…"'),
        (b"load:\n  users: 3\n", "; a key is followed by =, not by :"),
        (b"name = my-test", '; text stands in quotes: "…"'),
        (b"clip = ./hello.wav", '; text stands in quotes: "…"'),
        (b"[load]\na = 1\n[load]\nb = 2\n", "; all keys of a table stand below one header"),
        (b"users = 3\nusers = 4\n", "; a key is given once"),
        (b"users = 3,\n", "(at line 1, column 10)"),
        (b"a = " + b"[" * 100_000, "it is nested too deep"),
    ],
)
def test_what_is_no_toml_is_told_with_what_to_write(raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match="not valid TOML: ") as caught:
        parse(raw)
    assert str(caught.value).endswith(said)
