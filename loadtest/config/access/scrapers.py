"""Who may read /metrics: anybody who reaches the port, unless the run has a certificate or a user for it."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from loadtest.config.environment import METRICS_PASSWORD
from loadtest.config.keys.output import Output
from loadtest.errors.exceptions import ConfigError

if TYPE_CHECKING:
    import ssl  # a command whose run has no certificates does without

PASSWORD: Final = METRICS_PASSWORD
"""Environment: the only place for it, as for every secret."""


def check_scrapers(output: Output, environ: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigError, a sentence per problem, where the certificate can't be used or half of a pair is lacking."""
    certificate, key = output.metrics_cert, output.metrics_key
    problems = []
    if (certificate is None) != (key is None):
        problems.append("output: metrics_cert and metrics_key belong together: give both, or neither")
    elif certificate is not None and key is not None:
        import ssl

        try:
            tls(certificate, key)
        except ssl.SSLError:
            problems.append(f"output.metrics_cert: {certificate}, {key}: not a certificate and its key in PEM format")
        except OSError as error:
            problems.append(f"output.metrics_cert: {error.filename or certificate}: {error.strerror}")
    if output.metrics_user is not None and not environ.get(PASSWORD):
        problems.append(f"output.metrics_user: {PASSWORD} is not set in the environment")
    elif output.metrics_user is not None and not environ[PASSWORD].isprintable():
        problems.append(f"{PASSWORD}: holds a line break or a control character")
    if problems:
        raise ConfigError(problems)


def tls(certificate: Path, key: Path) -> "ssl.SSLContext":
    """What a server speaks TLS with. Raises OSError, of which ssl.SSLError is one."""
    import ssl

    for path in (certificate, key):
        if path.is_fifo():  # OpenSSL would wait for it
            raise OSError(errno.EINVAL, "a pipe, not a file", str(path))
        path.open("rb").close()  # OpenSSL does not say which of the two it can't open
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key, password="")  # an encrypted key is refused, not asked about
    return context


def login(output: Output, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """User and password that a scraper has to give, if any."""
    return None if output.metrics_user is None else (output.metrics_user, environ.get(PASSWORD, ""))
