"""The head of an HTTP answer, where the official clients (h11) take what a parser is stricter about.

A length that is said twice, and the same, is a length. Answers of 1xx are none; only so many are passed over.
"""

import re
from typing import Final

MAX_INTERIM: Final = 100
"""Answers of 1xx before the one that counts: 20,000 would hold up all other sessions."""
_ONE: Final = ord("1")
END: Final = re.compile(rb"\r?\n\r?\n")
STATUS: Final = re.compile(rb"HTTP/\d\.\d +(\d{3})\b")
_LENGTH: Final = re.compile(rb"^content-length[ \t]*+:[ \t]*+([^\r\n]*+)\r?\n", re.IGNORECASE | re.MULTILINE)


def with_one_length(data: bytes) -> bytes:
    """The same beginning of an answer, those of 1xx before it included, where it says its length more than once without
    contradicting itself."""
    begin = 0
    while (end := END.search(data, begin)) is not None:
        found = STATUS.match(data, begin)
        if found is None or found[1][0] != _ONE:
            return data[:begin] + one_length(data[begin : end.end()]) + data[end.end() :]
        begin = end.end()
    return data


def one_length(head: bytes) -> bytes:
    """The same head, where it says its length more than once without contradicting itself."""
    lines = _LENGTH.findall(head)
    values = {value.strip() for line in lines for value in line.split(b",")}
    if len(values) != 1 or lines == [*values]:
        return head
    left = iter([b"Content-Length: " + values.pop() + b"\r\n"])
    return _LENGTH.sub(lambda _: next(left, b""), head)
