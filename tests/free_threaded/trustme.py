"""trustme, asked of another interpreter: for interpreters that `cryptography` has no wheel for.

This folder is copied among the packages of such an interpreter, and TRUSTME_PYTHON names one that has the real trustme.
There are those of its names that the tests use. docs/performance.md, "Free-threaded CPython", tells what it is for.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

_PYTHON = os.environ["TRUSTME_PYTHON"]
_MADE_BY = """
import json, sys, trustme
from datetime import datetime
asked = json.load(sys.stdin)
days = {name: datetime.fromisoformat(day) for name, day in asked.pop("days", {}).items()}
made = trustme.CA() if not asked else trustme.CA.from_pem(*(asked[name].encode() for name in ("pem", "key")))
if asked:
    made = made.issue_cert(*asked["names"], **days)
pems = made.cert_chain_pems if asked else [made.cert_pem]
json.dump([made.private_key_pem.bytes().decode(), *(pem.bytes().decode() for pem in pems)], sys.stdout)
"""


def _made(**asked: object) -> list[Blob]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [_PYTHON, "-c", _MADE_BY]
    answer = subprocess.run(command, input=json.dumps(asked).encode(), env=clean, capture_output=True, check=True)
    return [Blob(pem.encode()) for pem in json.loads(answer.stdout)]


class Blob:
    """What is in a PEM file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def bytes(self) -> bytes:
        return self._data

    def write_to_path(self, path: str | os.PathLike[str], append: bool = False) -> None:
        with Path(path).open("ab" if append else "wb") as file:
            file.write(self._data)


class LeafCert:
    """A certificate of a server, its key, and what lies between it and the authority."""

    def __init__(self, key: Blob, chain: list[Blob]) -> None:
        self.private_key_pem = key
        self.cert_chain_pems = chain
        self.private_key_and_cert_chain_pem = Blob(b"".join(pem.bytes() for pem in (key, *chain)))

    def configure_cert(self, context: ssl.SSLContext) -> None:
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(self.private_key_and_cert_chain_pem.bytes())
            file.flush()
            context.load_cert_chain(file.name)


class CA:
    """An authority that no one else knows."""

    def __init__(self) -> None:
        self.private_key_pem, self.cert_pem = _made()

    def issue_cert(
        self, *identities: str, not_before: datetime | None = None, not_after: datetime | None = None
    ) -> LeafCert:
        days = {"not_before": not_before, "not_after": not_after}
        key, *chain = _made(
            pem=self.cert_pem.bytes().decode(),
            key=self.private_key_pem.bytes().decode(),
            names=identities,
            days={name: day.isoformat() for name, day in days.items() if day},
        )
        return LeafCert(key, chain)

    def configure_trust(self, context: ssl.SSLContext) -> None:
        context.load_verify_locations(cadata=self.cert_pem.bytes().decode())
