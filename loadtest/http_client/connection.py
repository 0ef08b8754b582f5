"""One HTTP/1.1 connection: what is asked over it, one call after the other, and what `httptools` reads of each answer.

It is as lenient as the official clients are, and no answer takes more memory or time than these bounds allow.
"""

import asyncio
import re
import select
from typing import Any, Final, cast

import httptools

from loadtest.http_client.heads import MAX_INTERIM, with_one_length

MAX_HEAD_BYTES: Final = 100 << 10
"""Of an answer's headers in all, as the official clients have it."""
MAX_BODY_BYTES: Final = 4 << 20
"""Of an answer, unpacked. What these services answer has some kB; a longer one would be held for every session."""
MAX_PIECES: Final = 1 << 16
"""Of a body, in chunks of a few bytes: each costs what a kB costs."""
KEPT_S: Final = 4.0
"""How long a connection may wait for its next call. Many servers hang up after 5 s (Node, uvicorn), and what is sent in
that moment is lost: of a create nobody knows what it made."""
_KEPT_SHARE: Final = 0.8
"""Of the time that a server says it waits."""
_WAITS: Final = re.compile(rb"timeout\s*=\s*(\d{1,9})", re.IGNORECASE)
_FRAMING: Final = 8
"""Bytes around a byte of the body that are nothing special: a chunk of one byte has six."""
_BODYLESS: Final = (204, 304)
_SWITCHED: Final = 101
_NOT_ASKED_FOR: Final = "another protocol, which was not asked for"
_TOO_MUCH: Final = f"more than {MAX_HEAD_BYTES >> 10} kB of headers"
_TOO_MUCH_BESIDE: Final = f"more than {MAX_HEAD_BYTES >> 10} kB of trailers, or of words beside its chunks"


class BrokenAnswerError(Exception):
    """What came is no HTTP/1.1 answer, or one beyond the bounds."""


class LostConnectionError(Exception):
    """It ended before the answer did."""


class Answer:
    """Filled in while it comes. `status` is 0 until the headers are whole; `pieces`: of the body, as it was packed;
    `began`: a byte of it was there."""

    __slots__ = ("began", "encoding", "headers", "pieces", "size", "status")

    def __init__(self) -> None:
        self.status = self.size = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.encoding = b""
        self.began = False


class Connection(asyncio.Protocol):
    """`is_over`: no further call can go over it. `good_until`: the loop's time from which on the target may hang up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.transport: asyncio.Transport | None = None
        self.is_over = False
        self.good_until = 0.0
        self._kept_s = KEPT_S
        self._hang_up = select.poll()
        self._parser: Any = None
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_tunnel = False
        self._head = b""
        self._head_bytes = self._interim = self._beside = 0
        self._length: bytes | None = None
        self._transfer: bytes | None = None
        self._flaw: str | None = None

    async def ask(self, request: bytes, answer: Answer, *, is_tunnel: bool = False) -> None:
        """Send these bytes and wait for the whole answer; `is_tunnel`: its headers are all. The caller aborts the
        connection after whatever is raised: BrokenAnswerError, LostConnectionError, a cancellation."""
        assert self.transport is not None
        if self._parser is None:
            self._parser = self._lenient_parser()
        self._waiter, self._answer, self._is_tunnel = self._loop.create_future(), answer, is_tunnel
        self._expect()
        self.transport.write(request)
        await self._waiter

    def has_hung_up(self) -> bool:
        """Whether the other end has closed it. The system is asked: the loop may not have been told yet."""
        return self.is_over or bool(self._hang_up.poll(0))

    def abort(self) -> None:
        """Close it now, whatever is under way. Idempotent."""
        self.is_over = True
        if self.transport is not None:
            self.transport.abort()

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._hang_up.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP)  # of an error, too

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked
            self.abort()
            return
        answer.began = True
        if answer.status:
            self._beside += len(data)
        else:
            self._head += data
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            self._flaw = _NOT_ASKED_FOR
        except httptools.HttpParserCallbackError as error:  # ours
            self._fail(error.__context__ or error)
        except httptools.HttpParserError as error:
            self.is_over, self._flaw = True, self._flaw or str(error)
        if self._answer is None:
            return
        if not answer.status and len(self._head) > MAX_HEAD_BYTES:
            self._flaw = self._flaw or _TOO_MUCH
        elif self._beside > MAX_HEAD_BYTES:
            self._flaw = self._flaw or f"HTTP {answer.status} with {_TOO_MUCH_BESIDE}"
        if self._flaw is not None:
            self._fail(BrokenAnswerError(self._flaw))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        answer = self._answer
        if answer is None:
            pass
        elif exc is None and answer.status and not self._is_framed:  # its end is the connection's
            self._finish()
        else:
            error = LostConnectionError("the other end closed it" if exc is None else str(exc))
            error.__cause__ = exc
            self._fail(error)
        self._parser = None  # it knows us

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._answer is None:  # a second answer to one call
            self.is_over = True

    def on_header(self, name: bytes, value: bytes) -> None:
        answer = self._answer
        if answer is None or answer.status:  # behind the end, or a trailer
            return
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD_BYTES:
            self._flaw = _TOO_MUCH
            return
        if b"\0" in value or b"\0" in name:
            self._flaw = "a NUL in a header"
            return
        answer.headers.append((name, value))
        match name.lower():
            case b"content-length":
                self._length = value
            case b"transfer-encoding":
                self._transfer = value
            case b"content-encoding":
                answer.encoding = value
            case b"keep-alive" if waits := _WAITS.search(value):
                self._kept_s = min(KEPT_S, int(waits[1]) * _KEPT_SHARE)

    def on_headers_complete(self) -> None:
        answer = self._answer
        if answer is None or self._flaw:
            return
        status = self._parser.get_status_code()
        if status == _SWITCHED:
            self._flaw = _NOT_ASKED_FOR
        elif status < 100:
            self._flaw = "a status below 100"
        elif status // 100 == 1:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self._flaw = f"more than {MAX_INTERIM} answers of 1xx"
            answer.headers.clear()
            answer.encoding, self._length, self._transfer = b"", None, None
        else:
            answer.status, self._head = status, b""
            if self._length is not None and self._transfer is not None:  # the chunks count, and no call follows
                self.is_over = True
                self._flaw = None if self._is_framed else f"HTTP {status} with a length besides its transfer"
            if self._is_tunnel or (status in _BODYLESS and self._is_framed):
                self.is_over = True  # nobody knows where the next answer would begin
                self._finish()

    def on_body(self, piece: bytes) -> None:
        answer = self._answer
        if answer is None or not answer.status:
            return
        answer.pieces.append(piece)
        answer.size += len(piece)
        self._beside = max(0, self._beside - _FRAMING * len(piece))
        if answer.size > MAX_BODY_BYTES:
            self._flaw = f"HTTP {answer.status} with a body of more than {MAX_BODY_BYTES >> 20} MiB"
        elif len(answer.pieces) > MAX_PIECES:
            self._flaw = f"HTTP {answer.status} with a body in more than {MAX_PIECES} pieces"

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer is not None and answer.status and not self._flaw:
            self.is_over = self.is_over or not self._parser.should_keep_alive()
            self._finish()

    # Inner workings

    def _lenient_parser(self) -> Any:
        parser = httptools.HttpResponseParser(self)
        parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        return parser

    def _expect(self) -> None:
        """Nothing is known of the answer yet."""
        self._head, self._head_bytes, self._interim, self._beside = b"", 0, 0, 0
        self._length = self._transfer = self._flaw = None

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            answer = self._answer
            if answer is None or answer.status or isinstance(error, httptools.HttpParserUpgrade):
                raise
            better = with_one_length(self._head)
            if better == self._head:
                raise
            self._parser = self._lenient_parser()
            self._expect()
            answer.headers.clear()
            self._parser.feed_data(better)

    @property
    def _is_framed(self) -> bool:
        """Whether the answer says where its body ends."""
        if self._transfer is not None:
            return b"chunked" in self._transfer.lower()
        return self._length is not None

    def _finish(self) -> None:
        waiter, self._waiter, self._answer = self._waiter, None, None
        self.good_until = self._loop.time() + self._kept_s
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: BaseException) -> None:
        waiter, self._waiter, self._answer = self._waiter, None, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        self.abort()
