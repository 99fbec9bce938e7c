"""A certificate authority for one benchmark, trusted by the clients of that benchmark alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM form: the server's certificates, its private key, and the authority that clients trust."""

    chain: Path
    key: Path
    authority: Path


def issue_certificates(directory: Path) -> Certificates:
    """Write an authority and a certificate for 127.0.0.1 and localhost into `directory`."""
    import trustme

    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    files = Certificates(directory / "server.pem", directory / "server.key", directory / "authority.pem")
    for certificate in server.cert_chain_pems:
        certificate.write_to_path(str(files.chain), append=True)
    server.private_key_pem.write_to_path(str(files.key))
    authority.cert_pem.write_to_path(str(files.authority))
    return files
