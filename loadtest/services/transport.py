"""A call from its request to its whole answer, over the pool that both ways of asking share: the official clients', and
the lean one. What goes wrong below HTTP is told here, once.

The body is read whole: nothing here streams. Why a loopback run stays on loopback: loadtest/http_client/opening.py.
"""

import ssl
import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from loadtest.errors.causes import transport_failure
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Step
from loadtest.http_client.connection import (
    MAX_BODY_BYTES,
    Answer,
    BrokenAnswerError,
    LostConnectionError,
)
from loadtest.http_client.pool import Pool, UnreachableError, header_lines, host_of
from loadtest.http_client.user_agent import user_agent
from loadtest.secrecy.redact import redact
from loadtest.session.ports import Call
from loadtest.text.validation import whole_number

HANDLED_HEADER: Final = b"x-twin-handled-ns"
MAX_ERROR_BYTES: Final = 64 << 10
"""Of a refusal's body, the clients get no more: they take it apart, and print it into their exceptions."""
ENCODINGS: Final = "gzip, deflate"
"""What is unpacked here, for `Accept-Encoding`."""
_WITH_BODY: Final = ("POST", "PUT", "PATCH")

Headers = list[tuple[bytes, bytes]]


class Answered(NamedTuple):
    """A whole answer; `headers` as they came."""

    status: int
    headers: Headers
    body: bytes

    @property
    def is_good(self) -> bool:
        return self.status // 100 == 2

    def header(self, name: bytes) -> str | None:
        """The first one of that name, which is given in lower case."""
        return next((value.decode("latin-1") for each, value in self.headers if each.lower() == name), None)


def open_session(*, connections: int, verify: ssl.SSLContext | None, live: bool = False) -> Pool:
    """One pool for a process. `connections` must be above the calls in flight; waiting for one is measured. `verify`:
    whom TLS trusts; nobody: there is none."""
    return Pool(trust=verify or None, connections=connections, live=live)


async def fetch(
    session: Pool,
    call: Call,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    proxy: str | None,
    repeatable: bool = False,
) -> Answered:
    """A call that no client makes. Raises StepError for whatever went wrong below HTTP;
    `sent` says if the target may have seen the request."""
    said = {name.lower() for name in headers}
    more = {"host": host_of(url), "user-agent": user_agent(), "accept": "*/*"}
    if body is not None or method in _WITH_BODY:
        more |= {"content-length": str(len(body or b""))}
    sent = [*((name, value) for name, value in more.items() if name not in said), *headers.items()]
    return await exchange(
        session,
        call,
        method=method,
        url=url,
        lines=header_lines(sent),
        body=body,
        proxy=proxy,
        repeatable=repeatable,
    )


async def exchange(
    session: Pool,
    call: Call,
    *,
    method: str,
    url: str,
    lines: bytes,
    body: bytes | None = None,
    proxy: str | None,
    repeatable: bool = False,
) -> Answered:
    """The same with all headers as they are sent."""
    answer, whole = Answer(), False
    try:
        await session.ask(
            call, answer, method=method, url=url, lines=lines, body=body, proxy=proxy, repeatable=repeatable
        )
        whole = True
    except UnreachableError as error:
        raise transport_failure(error, Code.CONNECT_FAILED, redact(str(error)), sent=False) from error
    except BrokenAnswerError as error:
        if not _says_all(call, answer.status):
            what = str(error) if answer.status else f"no HTTP/1.1 answer ({error})"
            raise StepError(Kind.PROTOCOL, Code.BAD_SHAPE, redact(what), http_status=answer.status or None) from error
    except (LostConnectionError, OSError) as error:
        raise transport_failure(error, Code.CONNECTION_LOST, redact(str(error))) from error
    finally:
        unpacked = _received(call, method, answer, whole=whole)
    if isinstance(unpacked, StepError):
        raise unpacked
    for name, value in answer.headers:
        if name.lower() == HANDLED_HEADER:
            call.server_ns = whole_number(value.decode("latin-1"))
    return Answered(answer.status, answer.headers, unpacked)


def _received(call: Call, method: str, answer: Answer, *, whole: bool) -> bytes | StepError:
    """The body as far as it came, unpacked, or what is wrong with it; and what `call` is told of the answer."""
    if not answer.status:
        return b""
    call.http_status = answer.status
    packed = answer.pieces[0] if len(answer.pieces) == 1 else b"".join(answer.pieces)
    body, flaw = (packed, None) if not answer.encoding else _unpacked(packed, answer)
    if flaw is not None or not whole:
        call.body_so_far = body[:MAX_ERROR_BYTES]
    call.watch.look_at_answer(call.what or method, answer.status, answer.headers, body, mints=call.what == Step.MINT)
    if flaw is None or _says_all(call, answer.status):
        return body
    return flaw


def _says_all(call: Call, status: int) -> bool:
    """Whether an answer of that status has been understood, whatever its body is: a refusal, or one whose body nobody
    asked for."""
    return status != 0 and (status // 100 != 2 or not call.reads_body)


def _unpacked(packed: bytes, answer: Answer) -> tuple[bytes, StepError | None]:
    """At most MAX_BODY_BYTES, and what is wrong with it; what can't be unpacked as it came, for it may be a plain text
    that a proxy calls packed."""
    if not packed:
        return packed, None
    encoding = answer.encoding.decode("latin-1").strip().lower()
    if encoding in ("br", "zstd"):
        return packed, _badly_packed(answer, f"a body in an encoding that was not asked for ({encoding})")
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return packed, None
    is_raw = encoding == "deflate" and packed[:1] and packed[0] & 0xF != zlib.DEFLATED  # RFC 9110 8.4.1.2, and others
    unpacking = zlib.decompressobj(wbits=-zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS | 32)
    try:
        body = unpacking.decompress(packed, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        return packed, _badly_packed(answer, f"a body that its Content-Encoding does not unpack ({error})")
    if len(body) > MAX_BODY_BYTES:
        detail = f"HTTP {answer.status} with a body of more than {MAX_BODY_BYTES >> 20} MiB"
        return body[:MAX_BODY_BYTES], _badly_packed(answer, detail)
    return body, None


def _badly_packed(answer: Answer, detail: str) -> StepError:
    return StepError(Kind.PROTOCOL, Code.BAD_SHAPE, redact(detail), http_status=answer.status)
