"""The run's keys and the tokens that the Avaturn side hands out: all from the operating system, never from the seed."""

import hashlib
import hmac
import os
import secrets
from typing import Literal

TokenUse = Literal["session", "room"]


class Keys:
    """Both API keys of this run, and tokens that prove themselves, so that nothing must be remembered about them."""

    def __init__(self) -> None:
        self.openai = f"sk-twin-{secrets.token_hex(24)}"
        self.avaturn = f"avt-{secrets.token_hex(24)}"
        self._signing_key = os.urandom(32)

    def token(self, use: TokenUse, session_id: str) -> str:
        """The token of a session (for `/_sdk`) or of its room; one never passes for the other."""
        return f"{session_id}.{self._mac(use, session_id)}"

    def session_of(self, use: TokenUse, token: str) -> str | None:
        """The session that a genuine token belongs to, alive or long ended; None for any other text."""
        session_id, _, mac = token.partition(".")
        return session_id if _same(self._mac(use, session_id), mac) else None

    def is_openai(self, key: str) -> bool:
        """Whether this is the OpenAI key of the run."""
        return _same(self.openai, key)

    def is_avaturn(self, key: str) -> bool:
        """Whether this is the Avaturn key of the run."""
        return _same(self.avaturn, key)

    def _mac(self, use: TokenUse, session_id: str) -> str:
        return hashlib.blake2b(_bytes(f"{use}:{session_id}"), key=self._signing_key, digest_size=16).hexdigest()


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(_bytes(ours), _bytes(theirs))


def _bytes(text: str) -> bytes:
    # Headers may bring any text; what can't be encoded is no key of ours, but no error either.
    return text.encode(errors="replace")
