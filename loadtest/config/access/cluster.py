"""The cluster token: one secret that makes a master and its workers known to each other.

Over several hosts the operator gives it, in the environment or in a file. A master on loopback and its workers can do
without: they share one that lies in the home directory, where no other account of the machine can read it. A run of
several load processes on this host makes a fresh one.
"""

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loadtest.config.environment import CLUSTER_TOKEN
from loadtest.errors.exceptions import ConfigError
from loadtest.system import disk
from loadtest.text.validation import is_loopback

TOKEN: Final = CLUSTER_TOKEN
MIN_CHARACTERS: Final = 12
MAX_CHARACTERS: Final = 4096
OF_ACCOUNT: Final = Path(".local", "state", "avaload", "cluster-token")
"""In the home directory; made when it is first needed."""
ADVICE: Final = f"set {TOKEN}, or give --token-file FILE (`openssl rand -hex 32` makes a token)"


def fresh_token() -> str:
    """For the processes of one run on this host."""
    return secrets.token_hex(32)


def cluster_token(host: str, *, file: Path | None, environ: Mapping[str, str], role: str) -> str:
    """The token for a master's port at `host`; `role`: "master" or "worker", for people.

    Raises ConfigError where there is none and the port is not on loopback, and for a token that can't be used.
    """
    if file is not None:
        return _checked(_read(file), f"{file}")
    if environ.get(TOKEN):
        return _checked(environ[TOKEN], TOKEN)
    if not is_loopback(f"tcp://[{host}]" if ":" in host else f"tcp://{host}"):
        where = "a port that other machines reach" if role == "master" else "a master on another machine"
        raise ConfigError(f"{where} needs the cluster token: {ADVICE}")
    return _of_account(environ)


def _checked(text: str, origin: str) -> str:
    token = text.strip()
    if not MIN_CHARACTERS <= len(token) <= MAX_CHARACTERS or not token.isprintable():
        raise ConfigError(f"{origin}: a cluster token has {MIN_CHARACTERS} to {MAX_CHARACTERS:,} printable characters")
    return token


def _read(path: Path) -> str:
    try:
        return disk.read_named(path).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"--token-file: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--token-file: {path}: not in UTF-8") from error


def _of_account(environ: Mapping[str, str]) -> str:
    """What the processes of this account share. Raises ConfigError."""
    path = Path(environ.get("HOME") or Path.home()) / OF_ACCOUNT
    try:
        if not path.is_symlink() and not path.exists():
            _make(path)
        return _checked(_own_text(path), str(path))
    except OSError as error:
        raise ConfigError(f"the cluster token: {path}: {error.strerror}; {ADVICE}") from error


def _make(path: Path) -> None:
    """It appears whole, and once: of several processes that make it at the same time one wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd, draft = tempfile.mkstemp(dir=path.parent)  # 0600
    try:
        with os.fdopen(fd, "w") as file:
            file.write(fresh_token())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()


def _own_text(path: Path) -> str:
    """Of a file that nobody else can have written or read. Raises ConfigError, OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ConfigError(f"the cluster token: {path}: not a file of this account alone (mode 0600); delete it")
        return file.read(MAX_CHARACTERS + 1)
