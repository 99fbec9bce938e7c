"""The object that a benchmark downloads: random bytes in a file, with the digests declared or compared."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A file that a server offers; `size` in bytes, digests raw."""

    path: Path
    size: int
    sha256: bytes
    crc32c: bytes
    crc64nvme: bytes


def create_object(path: Path, size: int) -> StoredObject:
    """Write `size` random bytes to a new file."""
    from awscrt import checksums

    sha256, crc32c, crc64nvme = hashlib.sha256(), 0, 0
    with path.open("xb") as file:
        for offset in range(0, size, _BLOCK):
            block = os.urandom(min(_BLOCK, size - offset))
            file.write(block)
            sha256.update(block)
            crc32c = checksums.crc32c(block, crc32c)
            crc64nvme = checksums.crc64nvme(block, crc64nvme)
    return StoredObject(path, size, sha256.digest(), crc32c.to_bytes(4, "big"), crc64nvme.to_bytes(8, "big"))


def has_content_of(path: Path, stored: StoredObject) -> bool:
    """Whether the file at `path` holds exactly the object's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest() == stored.sha256
