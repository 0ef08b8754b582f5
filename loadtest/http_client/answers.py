"""HTTP answers as the official clients take them (h11), where aiohttp's parser is stricter than they are.

A length that is said twice, and the same, is a length. An answer that has no body (204, 304) has none, whatever is sent
behind it. Answers of 1xx are none; only so many are passed over. Whatever else is wrong is the parser's to say.
"""

import asyncio
from typing import Any, Final

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from loadtest.http_client.heads import END, MAX_INTERIM, STATUS, one_length

MAX_HEAD_BYTES: Final = 1 << 20
"""A longer one is refused, as the parser's limits have it."""
_SWITCHED: Final = 101
_BODYLESS: Final = (204, 304)
_ONE: Final = ord("1")


class Answers(ResponseHandler):
    """One connection's. Looks at the head of each answer before the parser does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._head: bytearray | None = None
        """Of an answer that is awaited, as far as it has come; None while there is none to look at."""
        self._interim = 0

    def set_response_params(self, **params: Any) -> None:
        self._head, self._interim = bytearray(), 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if self._head is None:
            super().data_received(data)
            return
        if not self._head and _is_usual(data):
            self._head = None
            super().data_received(data)
            return
        begin = max(0, len(self._head) - 3)
        self._head += data
        while (end := END.search(self._head, begin)) is not None:
            found = STATUS.match(self._head)
            status = 0 if found is None else int(found[1])
            if status // 100 != 1 or status == _SWITCHED:
                head, rest = bytes(self._head[: end.end()]), bytes(self._head[end.end() :])
                self._head = None
                self._take(status, one_length(head), rest)
                return
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self._refuse(f"more than {MAX_INTERIM} answers of 1xx")
                return
            del self._head[: end.end()]
            begin = 0
        if len(self._head) > MAX_HEAD_BYTES or not b"HTTP/".startswith(self._head[:5]):
            self._pass_on()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._pass_on()
        super().connection_lost(exc)

    def _take(self, status: int, head: bytes, rest: bytes) -> None:
        if status not in _BODYLESS or not rest:
            super().data_received(head + rest)
            return
        super().data_received(head)
        self.force_close()  # nobody knows where the next answer would begin

    def _pass_on(self) -> None:
        """To the parser, what is no head, or not yet one."""
        if self._head:
            told, self._head = bytes(self._head), None
            super().data_received(told)

    def _refuse(self, why: str) -> None:
        self._head = None
        self.set_exception(HttpProcessingError(message=why))
        if self.transport is not None:
            self.transport.close()


def _is_usual(data: bytes) -> bool:
    """Whether the whole head of an answer is there and has nothing in it of what this module is for, as nearly always.
    In a fifth of the time of the closer look; where in doubt, False."""
    end = data.find(b"\r\n\r\n")
    status = data[9:12]
    if end < 0 or not data.startswith(b"HTTP/1.1 ") or not status.isdigit() or status[0] == _ONE:
        return False
    if status in (b"204", b"304") and end + 4 < len(data):
        return False
    head = data[: end + 1].lower()
    if b"\n\r" in head or b"\n\n" in head:  # it ends there already
        return False
    at = head.find(b"content-length")
    return at < 0 or (head.rfind(b"content-length") == at and b"," not in head[at : head.find(b"\r", at)])
