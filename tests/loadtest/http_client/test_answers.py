from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.http_client import answers, heads

STARTS = [b"HTTP/1.1 200 OK", b"HTTP/1.1 204", b"HTTP/1.1 103 Early Hints", b"HTTP/1.0 200", b"HTTP/1.1  200"]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"x", b"x: content-length"),
    *(b"Content-Length: 9", b"content-length : 9", b"CONTENT-LENGTH: 9, 9"),
]


@settings(max_examples=1000)
@given(
    st.builds(lambda start, rest: start + b"".join(rest), st.sampled_from(STARTS), st.lists(st.sampled_from(PIECES)))
)
def test_what_passes_as_usual_would_pass_unchanged_after_a_closer_look(data: bytes) -> None:
    if not answers._is_usual(data):
        return

    end = heads.END.search(data)
    assert end is not None
    head, rest = data[: end.end()], data[end.end() :]
    found = heads.STATUS.match(head)
    status = 0 if found is None else int(found[1])
    assert status // 100 != 1
    assert not rest or status not in (204, 304)
    assert heads.one_length(head) == head


def test_usual_answers_pass_as_usual() -> None:
    head = b"HTTP/1.1 201 Created\r\nDate: Mon, 30 Nov 2026 05:00:00 GMT\r\nContent-Length: 9\r\n\r\n"

    assert answers._is_usual(head + b'{"ok": 1}')
    assert answers._is_usual(b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n")
    assert not answers._is_usual(head[:-2])
    assert not answers._is_usual(b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\nand more")


def test_a_head_of_100_kb_with_a_length_that_never_ends_is_read_in_one_pass() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length:" + b"\t" * 100_000 + b"\rx\r\n\r\n"
    assert heads.one_length(head) == head
