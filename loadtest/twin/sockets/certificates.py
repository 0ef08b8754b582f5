"""TLS for a twin: a certificate authority that is made for one run and forgotten with it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory


class CertificateError(Exception):
    """The message is one line."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the twin shows, and what it and its clients trust."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    """For the twin's own connections to itself."""
    ca_file: Path
    """The authority's certificate in PEM; its key is written nowhere."""


@contextmanager
def throw_away(*names: str) -> Iterator[Certificates]:
    """A fresh authority and a certificate of it for these hosts and addresses; its file is gone in the end.

    Raises CertificateError for a name that no certificate can bear, or where no file can be written.
    """
    import trustme  # 0.1 s, for those who want TLS

    authority = trustme.CA(organization_name="avaload twin, thrown away after this run")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        authority.issue_cert(*dict.fromkeys(names)).configure_cert(server)
    except ValueError:
        raise CertificateError(f"no certificate can be made for {', '.join(names)}") from None
    try:
        directory = TemporaryDirectory(prefix="avaload-twin-")
    except OSError as error:
        raise CertificateError(f"no file for the authority's certificate: {error.strerror}") from None
    with directory as folder:
        ca_file = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        client = ssl.create_default_context(cafile=str(ca_file))
        yield Certificates(server=server, client=client, ca_file=ca_file)
