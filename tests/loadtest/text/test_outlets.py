"""Whatever text is shown, a terminal, a page or a CI server obeys none of it."""

import io
import json
import logging
import subprocess
import sys
import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtest.text import outlets

ANSI, OSC, C1, BIDI, HALF = "\x1b[2J\x1b[31m", "\x1b]0;owned\x07", "\x9b31m", "\u202etxt.exe\u2066", "\ud800"
NASTY = st.text(st.characters() | st.sampled_from("\x1b\x07\x9b\r\n\t:#[]|<>!`*_\\@&%\u202e\u2028\ud800\x00")) | (
    st.sampled_from(
        [
            "::error::x",
            " ::add-mask::key",
            "##[error]x",
            "##vso[task]",
            "![i](http://e/p.png)",
            "<script>",
            "a|b",
            "@user",
        ]
    )
)


def unshowable(text: str, *, besides: str = "") -> list[str]:
    """Characters that no output may have."""
    bidi = {"\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
    odd = [sign for sign in text if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in bidi]
    return [sign for sign in odd if sign not in besides]


@given(NASTY)
@example(ANSI + OSC + C1 + BIDI + HALF)
@example("verdict: pass\r\x1b[1Averdict: fail")
def test_no_output_has_a_character_that_anything_obeys(words: str) -> None:
    assert unshowable(outlets.text(words), besides="\n\t") == []
    for one_line in (
        outlets.line,
        outlets.markdown,
        outlets.code,
        lambda text: outlets.annotation("error", text, text),
    ):
        assert unshowable(one_line(words), besides="\t") == []
    assert unshowable(outlets.json_line(words)) == []
    assert unshowable(json.loads(outlets.json_line(words)), besides="\n\t") == []
    assert unshowable(outlets.json_text({words: [words]}, indent=1), besides="\n") == []
    outlets.json_text({words: words}).encode()


@given(NASTY)
@example("\n::error::x")
@example("x\n \t::add-mask::key\n")
@example("a ##[add-mask]b")
def test_no_line_on_a_terminal_is_a_command_to_a_ci_server(words: str) -> None:
    for shown in (outlets.terminal(words), outlets.json_line(words)):
        for line in shown.splitlines():
            assert not line.lstrip().startswith("::")
            assert "##[" not in line
            assert "##vso[" not in line


@given(NASTY, NASTY)
def test_an_annotation_is_one_command_and_says_what_it_was_given(title: str, message: str) -> None:
    said = outlets.annotation("error", title, message)
    head, _, rest = said.removeprefix("::").partition("::")
    assert (said[:2], head.count("title=")) == ("::", 1 + title.count("title="))
    assert "\n" not in said
    assert "," not in head.partition("title=")[2]
    assert ":" not in head
    shown = outlets.text(message).replace("##[", "# #[").replace("##vso[", "# #vso[")
    assert rest.replace("%0A", "\n").replace("%25", "%") == shown


@given(NASTY)
def test_xml_holds_it(words: str) -> None:
    element = ElementTree.Element("failure", message=outlets.xml(words))
    element.text = outlets.xml(words)
    again = ElementTree.fromstring(ElementTree.tostring(element))
    assert again.text or outlets.xml(words) == ""


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("![x](http://evil/p.png)", "!\\[x\\](http:<!-- -->//evil/p.png)"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("a | b", "a \\| b"),
        ("a\n\n# b", "a # b"),
        ("# heading", "\\# heading"),
        ("1. first", "1\\. first"),
        ("- item", "\\- item"),
        ("> quote", "\\> quote"),
        ("`code` *bold* _em_ ~~gone~~", "\\`code\\` \\*bold\\* \\_em\\_ \\~\\~gone\\~\\~"),
        ("&#x202e;x &amp;", "&amp;#x202e;x &amp;amp;"),
        ("see www.evil.example, @someone", "see www<!-- -->.evil.example, @<!-- -->someone"),
        ("back\\slash \\| pipe", "back\\\\slash \\\\\\| pipe"),
        ("mint.p95_s: 1.2 s, 3 of 4 & more (HTTP 500)", "mint.p95_s: 1.2 s, 3 of 4 & more (HTTP 500)"),
    ],
)
def test_markdown_shows_the_text_as_it_is(words: str, shown: str) -> None:
    assert outlets.markdown(words) == shown


def test_text_of_people_is_left_alone() -> None:
    words = "Grüße, 你好, мир, שלום, 👩‍💻 – naïve…\n\tnext"
    assert outlets.text(words) == words
    assert outlets.terminal("a :: b: std::vector #1 ## two") == "a :: b: std::vector #1 ## two"


@given(st.lists(NASTY))
def test_a_stream_is_safe_however_its_text_is_cut(pieces: list[str]) -> None:
    buffer = io.BytesIO()
    stream = outlets.Outlet(buffer, encoding="utf-8", errors="backslashreplace")
    assert [stream.write(piece) for piece in pieces] == [len(piece) for piece in pieces]
    stream.flush()
    shown = buffer.getvalue().decode()
    assert unshowable(shown, besides="\n\t") == []


def test_a_stream_obeys_what_is_ours() -> None:
    buffer = io.BytesIO()
    stream = outlets.Outlet(buffer, encoding="utf-8")
    outlets.obeyed(stream).write("::error title=a::b\n\x1b[1m")
    print("middle ::notice::no\n::error::yes", file=stream, end="")
    stream.flush()
    assert buffer.getvalue().decode() == "::error title=a::b\n\x1b[1mmiddle ::notice::no\n: :error::yes"


def test_a_record_of_a_log_file_is_one_line() -> None:
    script = (
        "import logging\n"
        "from loadtest.text.outlets import keep_safe\n"
        "keep_safe()\n"
        "logging.basicConfig(format='[%(levelname)s] %(message)s')\n"
        "logging.warning('host %s', 'a\\n[INFO] all is well\\x1b[31m\\u202e')\n"
        "print('out\\x9b')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert done.stderr == "[WARNING] host a [INFO] all is well\ufffd[31m\ufffd\n"
    assert done.stdout == "out\ufffd\n"
    assert logging.getLogRecordFactory() is logging.LogRecord


def test_a_command_behind_ever_so_many_empty_lines_is_none() -> None:
    assert outlets.terminal("\n" * 200_000 + " \t::error::x") == "\n" * 200_000 + " \t: :error::x"


@pytest.mark.parametrize(
    ("words", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("-1 is too few", "'-1 is too few"),
        ("a;=1+1;@b", "a;'=1+1;'@b"),
        ("a\n+1\tb\t-2", "a\n'+1\tb\t'-2"),
        ("a=1, b+c; d-e", "a=1, b+c; d-e"),
    ],
)
def test_no_cell_of_a_table_begins_with_a_formula_whichever_sign_divides_cells(words: str, cell: str) -> None:
    assert outlets.csv_cell(words) == cell
