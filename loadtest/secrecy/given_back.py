"""Whether a server's answer holds a key, secret or token that was sent to it (SEC-2).

An answer is compared with what its session has sent so far, and with what other sessions of this process have sent:
who gives back the one puts it into logs that nobody guards, who gives back the other hands over somebody's session.
What an answer grants for the first time is not yet among what was sent. This is on the way of every answer and every
app-message: one glance (2 to 3 µs) asks whether anything could be in it, and only then is it searched for what and
where. Headers that can hold no secret, and that come again and again, are left out of it.
"""

import html
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final
from urllib.parse import unquote_to_bytes

from loadtest.events.vocabulary import SecretKind

MOST_REMEMBERED: Final = 8192
"""Secrets of other sessions, the latest: an ended session's are as bad to tell as a running one's."""
_SHORTEST: Final = 8
"""A shorter key, or one that is a word, is found in any text; it is no secret either."""
_CLOSELY_READ: Final = 64 * 1024
"""So much of an answer is looked through for other sessions' secrets, and for other spellings."""
_RUN: Final = re.compile(rb"[A-Za-z0-9_\-]{12,}")
_NOT_IN_RUNS: Final = bytes(code if _RUN.match(bytes([code]) * 12) else 32 for code in range(256))
_PLAIN_RUN: Final = re.compile(rb"[A-Za-z0-9]{8,}")
_MAY_TELL: Final = re.compile(rb"[%\\&]|(?=[A-Za-z]*[0-9])[A-Za-z0-9]{8,}")
"""Is in every text that holds a secret, however spelt, but for an odd one (`_core`)."""
_LESSONS: Final = 256
_LONGEST_LEARNT: Final = 256
_MOST_LEARNT: Final = 32
"""So many answers, and so many headers of each, teach what comes again and can hold no secret: the server's name."""
_ESCAPE: Final = re.compile(rb"\\u00([0-7][0-9A-Fa-f])|\\(/)")
_HEADER_NAME: Final = re.compile(rb"[A-Za-z0-9-]{1,40}")
_GRANTED: Final = re.compile(rb'"limited_access_token"\s*:\s*"[^"]*"')
"""The room's token, which this answer is there to tell; some targets have one token for both."""

Found = Callable[[SecretKind, str, bool], None]
"""Is told of which kind it is, in which place, and whether it is another session's."""


class Ledger:
    """What all sessions of one process have sent. `keys`: those that every one sends."""

    def __init__(self, keys: Iterable[tuple[SecretKind, str]] = ()) -> None:
        self.keys = [(kind, _bytes(value)) for kind, value in keys if is_telling(value)]
        self.cores = [_core(key) for _, key in self.keys]
        self._owners: OrderedDict[bytes, tuple[bytes, SecretKind, object]] = OrderedDict()
        self._runs = self._owners.keys()
        self._harmless: set[tuple[bytes, bytes]] = set()
        self._lessons = 0 if any(map(_is_odd, self.cores)) else _LESSONS

    def enter(self, kind: SecretKind, value: bytes, core: str, owner: object) -> None:
        """That session has sent it, or is about to."""
        if _is_odd(core):  # from now on no header is known to be harmless
            self._lessons = 0
            self._harmless.clear()
        runs = _RUN.findall(value)
        if runs:  # the last: what comes before a signature many tokens have in common, or it is the session's id
            self._owners[runs[-1]] = (value, kind, owner)
            if len(self._owners) > MOST_REMEMBERED:
                self._owners.popitem(last=False)

    def foreign(self, text: bytes, owner: object) -> SecretKind | None:
        """The kind of a secret in it that a session other than `owner` has sent."""
        runs = text.translate(_NOT_IN_RUNS).split()  # in a third of the time of `_RUN`
        if self._runs.isdisjoint(runs):
            return None
        for run in runs:
            entry = self._owners.get(run)
            if entry is not None and entry[2] is not owner and entry[1] in _OF_SESSIONS and entry[0] in text:
                return entry[1]
        return None

    def telling(self, headers: Iterable[tuple[bytes, bytes]]) -> set[tuple[bytes, bytes]]:
        """Those in which a secret may be, also one that is sent later."""
        rest = set(headers).difference(self._harmless)
        if self._lessons:
            self._lessons -= 1
            self._harmless.update(header for header in list(rest)[:_MOST_LEARNT] if _is_harmless(b"\n".join(header)))
        return rest


_OF_SESSIONS: Final = (SecretKind.CLIENT_SECRET, SecretKind.SESSION_TOKEN)
"""Two sessions that are let into one room have one token for it: that is told as TR-7."""


class Watch:
    """One session's view: `looked` counts the answers that were looked at."""

    def __init__(self, ledger: Ledger | None = None, on_found: Found | None = None) -> None:
        self._ledger = ledger or Ledger()
        self._on_found = on_found
        self._owner = object()  # not itself: the ledger would keep whole sessions that are over
        self._own = list(self._ledger.keys)
        self._cores = list(self._ledger.cores)
        self._for_rooms: list[tuple[SecretKind, bytes]] = []
        self._cores_in_room = list(self._ledger.cores)
        self._told: set[tuple[SecretKind, bool, str]] = set()
        self.looked = 0

    def sends(self, kind: SecretKind, value: str) -> None:
        """From now on an answer must not hold it."""
        if not is_telling(value):
            return
        secret = _bytes(value)
        core = _core(secret)
        self._cores_in_room.append(core)
        if kind is SecretKind.ROOM_TOKEN:  # every look at the session tells it again
            self._for_rooms.append((kind, secret))
        else:
            self._own.append((kind, secret))
            self._cores.append(core)
        self._ledger.enter(kind, secret, core, self._owner)

    def look(self, place: str, text: bytes | str, *, in_room: bool = False) -> None:
        """Look through something that a server said. `place` is words of ours, never the server's."""
        self.looked += 1
        plain = _bytes(text)
        if self._holds_nothing(plain, self._cores_in_room if in_room else self._cores):
            return
        if (found := self._find(plain, in_room=in_room)) is not None:
            self._tell(*found, place)

    def look_at_answer(
        self, what: str, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, *, mints: bool = False
    ) -> None:
        """The same of an HTTP answer to `what`. `mints`: it makes a client secret; one that others have is told as
        EXP-5."""
        self.looked += 1
        telling = self._ledger.telling(headers)
        text = b"\n".join((*chain.from_iterable(telling), body)) if telling else body
        if self._holds_nothing(text, self._cores, mints=mints):
            return
        place = f"{what}: HTTP {status}"
        head = b"\n".join([b"%b: %b" % header for header in headers])
        if (found := self._find(head)) is not None:
            self._tell(*found, f"{place}, {self._header(headers)}")
        if body and (found := self._find(body)) is not None and not (mints and found == _POOLED):
            self._tell(*found, f"{place}, body")

    def _holds_nothing(self, text: bytes, cores: Iterable[str], *, mints: bool = False) -> bool:
        """The glance. True: nothing that any session has sent is in it; False: it is to be searched."""
        read = text.decode("latin-1")  # a look for a word takes a quarter of the time that it takes in bytes
        for core in cores:
            if core in read:
                return False
        if len(read) > _CLOSELY_READ or "%" in read or "\\u00" in read or "&#" in read:
            return False
        return mints or self._ledger.foreign(text, self._owner) is None

    def _foreign(self, text: bytes) -> SecretKind | None:
        return self._ledger.foreign(text[:_CLOSELY_READ], self._owner)

    def _find(self, text: bytes, *, in_room: bool = False) -> tuple[SecretKind, bool] | None:
        """Which kind is in it, and whether it is another session's."""
        own = self._own + self._for_rooms if in_room else self._own
        begin = text[:_CLOSELY_READ]
        kind = _first(own, text)
        if kind is not None and _first(own, _GRANTED.sub(b"", begin) + text[_CLOSELY_READ:]) is None:
            kind = None
        if kind is None and (b"%" in begin or b"\\" in begin or b"&" in begin):
            kind = _first(own, _spelt_out(begin))
        if kind is not None:
            return kind, False
        kind = self._foreign(text)
        return None if kind is None else (kind, True)

    def _header(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        for name, value in headers:
            if self._find(value) is not None and _HEADER_NAME.fullmatch(name) and self._find(name) is None:
                return f"header {name.decode('ascii').lower()}"
        return "headers"

    def _tell(self, kind: SecretKind, is_foreign: bool, place: str) -> None:
        """Each once: what a server gives back it gives back in every answer."""
        if (kind, is_foreign, place) not in self._told:
            self._told.add((kind, is_foreign, place))
            if self._on_found is not None:
                self._on_found(kind, place, is_foreign)


_POOLED: Final = (SecretKind.CLIENT_SECRET, True)


def _bytes(text: bytes | str) -> bytes:
    return text.encode(errors="replace") if isinstance(text, str) else text


def _core(secret: bytes) -> str:
    """What of it is the same in every spelling, unless letters are written as numbers: the last run of letters and
    digits, a signature where it has one. An odd secret, which has no such run, is its own core."""
    runs = _PLAIN_RUN.findall(secret)
    return next((run for run in reversed(runs) if not run.isalpha()), secret).decode("latin-1")


def _is_harmless(header: bytes) -> bool:
    return len(header) <= _LONGEST_LEARNT and _MAY_TELL.search(header) is None


def _is_odd(core: str) -> bool:
    return not (core.isascii() and core.isalnum())


def is_telling(value: str) -> bool:
    """Whether finding it in a text means anything."""
    return len(value) >= _SHORTEST and not value.isalpha()


def _first(secrets: list[tuple[SecretKind, bytes]], text: bytes) -> SecretKind | None:
    for kind, secret in secrets:
        if secret in text:
            return kind
    return None


def _spelt_out(text: bytes) -> bytes:
    """The same without escapes of JSON, URLs and HTML."""
    plain = _ESCAPE.sub(lambda match: match[2] or bytes([int(match[1], 16)]), text)
    return html.unescape(unquote_to_bytes(plain).decode("latin-1")).encode("latin-1", "replace")
