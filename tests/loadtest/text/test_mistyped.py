"""The line on which somebody wrote what nobody knows, and what he may have meant."""

import pytest

from loadtest.text.mistyped import did_you_mean, line_of

TEXT = '''name = "x"

[load]
# users = 7
users = 3
"usres" = 4

[conversation]
turns = [
    {kind = "say"},
    {kind = "sya"},  # here
]
note = """
[load]
users = 9
"""

[[slo]]
indicator = "create.p95"
max = 1
[[slo]]
indicator = "create.p59"
max = 1

[realtime.audio]
output.voice = "marin"

[[mix]]
[mix.session]
model = "a"
[[mix]]
[mix.session]
model = "b"
'''


@pytest.mark.parametrize(
    ("loc", "word", "line"),
    [
        (("name",), "", 1),
        (("load",), "", 3),
        (("load", "users"), "", 5),
        (("load", "usres"), "", 6),
        (("load", "duration"), "", 3),
        (("conversation", "turns", 0, "say", "kind"), "", 9),
        (("conversation", "turns", 1), "sya", 11),
        (("conversation", "note"), "", 13),
        (("slo", 0, "max"), "", 20),
        (("slo", 1), "", 21),
        (("slo", 1, "indicator"), "", 22),
        (("realtime", "audio", "output", "voice"), "", 26),
        (("mix", 0, "session", "model"), "", 30),
        (("mix", 1, "session", "model"), "", 33),
        (("slo",), "create.p59", 22),
        (("slo",), "", 18),
        (("mix", 1, "session"), "", 32),
        (("realtime",), "", 25),
        (("slo",), "create.p99", None),
        (("colour",), "", None),
        ((), "", None),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_value_has_the_line_on_which_it_was_written(
    loc: tuple[str | int, ...], word: str, line: int | None, end: str
) -> None:
    assert line_of(TEXT.replace("\n", end), loc, word) == line


def test_what_is_no_toml_has_no_lines() -> None:
    assert line_of("users = = 3", ("users",)) is None


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("userz", " (did you mean users?)"),
        ("USERS", " (did you mean users?)"),
        ("--user", " (did you mean --users?)"),
        ("warm-up", " (did you mean warm_up?)"),
        ("zebra", ""),
    ],
)
def test_the_nearest_word_is_offered(word: str, says: str) -> None:
    assert did_you_mean(word, ["users", "rate", "warm_up", "--users"]) == says
