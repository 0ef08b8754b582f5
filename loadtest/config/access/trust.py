"""Whose certificates are trusted: by every call of a run, and by `doctor`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loadtest.errors.exceptions import ConfigError

if TYPE_CHECKING:
    import ssl  # a command that only waits does without

_FILE: Final = "SSL_CERT_FILE"


def trust(ca_file: Path | None) -> "ssl.SSLContext":
    """Those of that file, else the system's, or of $SSL_CERT_FILE and $SSL_CERT_DIR. Raises OSError, of which
    ssl.SSLError is one."""
    import ssl

    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def check_trust(ca_file: Path | None, environ: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigError. OpenSSL says nothing of a file in the environment that it can't read, and trusts nobody."""
    setting, path = ("target.ca_file", ca_file) if ca_file is not None else (_FILE, Path(environ.get(_FILE, "")))
    if ca_file is None and not environ.get(_FILE):
        return
    import ssl

    if path.is_fifo():  # OpenSSL would wait for it
        raise ConfigError(f"{setting}: {path}: a pipe, not a file")
    try:
        trust(path)
    except ssl.SSLError as error:
        raise ConfigError(f"{setting}: {path}: no certificates in PEM format in it") from error
    except OSError as error:
        raise ConfigError(f"{setting}: {path}: {error.strerror}") from error
