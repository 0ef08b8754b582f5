"""CURVE keys from the cluster token: http://rfc.zeromq.org/spec:26.

Both key pairs, the master's and the one that all workers share, come from the token. A peer without it can't say the
first word: the master's public key is never sent. The master also looks whether the worker's key is the right one
(`sockets`), so each side proves that it knows the token. What is sent is encrypted, with keys that are made anew for
each connection: a listener can neither read, nor send it again, nor read it later when the token has become known.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

import zmq
from zmq.utils import z85

MAX_MESSAGE_BYTES: Final = 4 << 20
"""Settings, clips and journals travel in pieces of 512 KiB at most; a report of a load process has some 100 KiB. What
claims to be larger ends the connection before room is made for it."""
HANDSHAKE_MS: Final = 10_000
"""Who connects and does not come to the end of the handshake is cut off."""
NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,200}", re.ASCII)
"""Of a worker, and of a host."""
ZAP_DOMAIN: Final = b"avaload"

_SALT: Final = b"avaload cluster token"
_SCRYPT: Final = {"n": 1 << 14, "r": 8, "p": 1}
"""50 ms and 16 MiB for a guess: the first packet lets a listener try guesses, so they must cost something."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Secret keys of both sides, in libzmq's text form (Z85)."""

    master: bytes
    worker: bytes

    @classmethod
    def of(cls, token: str) -> Self:
        """Takes 50 ms."""
        seed = hashlib.scrypt(token.encode(), salt=_SALT, dklen=64, **_SCRYPT)
        return cls(master=z85.encode(seed[:32]), worker=z85.encode(seed[32:]))

    @property
    def worker_public(self) -> bytes:
        """32 bytes: what a worker's handshake shows to the master alone."""
        return bytes(z85.decode(zmq.curve_public(self.worker)))

    def guard_master(self, socket: "zmq.Socket[bytes]") -> None:
        """Before `bind`. Whoever answers for the domain at ZAP's address has the last word; without him nobody gets
        in."""
        _bound(socket)
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.master)
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def guard_worker(self, socket: "zmq.Socket[bytes]") -> None:
        """Before `connect`."""
        _bound(socket)
        socket.setsockopt(zmq.CURVE_SERVERKEY, zmq.curve_public(self.master))
        socket.setsockopt(zmq.CURVE_PUBLICKEY, zmq.curve_public(self.worker))
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.worker)


def _bound(socket: "zmq.Socket[bytes]") -> None:
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
