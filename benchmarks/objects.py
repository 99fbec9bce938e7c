"""The objects of a benchmark: random bytes in a file, with the digests declared or compared, or a sparse file."""

from __future__ import annotations

import hashlib
import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BLOCK = 4 * 1024 * 1024
# What ranges are read of: larger than any cache of a client, and next to nothing on the disk.
SPARSE_SIZE = 4 * 1024**3
# So far apart lie the numbers that tell one place of it from another: as the shortest range that a scenario reads.
_MARK = 128 * 1024


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


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges of one length in bytes, anywhere in the sparse object, the same ones in every process."""

    count: int
    length: int

    @property
    def size(self) -> int:
        return self.count * self.length

    def spans(self) -> list[tuple[int, int]]:
        """Start and stop of each, in the order in which they are to be read."""
        chance = random.Random(self.count)
        starts = (chance.randrange(SPARSE_SIZE - self.length + 1) for _ in range(self.count))
        return [(start, start + self.length) for start in starts]


def create_sparse_object(path: Path) -> None:
    """A file of holes, but for a number every 128 KiB, which says where it is."""
    with path.open("xb") as file:
        file.truncate(SPARSE_SIZE)
        for offset in range(0, SPARSE_SIZE, _MARK):
            os.pwrite(file.fileno(), offset.to_bytes(8, "big"), offset)


def digest_of(pieces: Iterable[bytes | bytearray | memoryview]) -> str:
    """One digest of the pieces one after another, in hex: 0.05 s for 1 GiB, so that it changes no figure."""
    import xxhash

    digest = xxhash.xxh3_128()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def digest_of_ranges(path: Path, ranges: Ranges) -> str:
    """What a client has to come to that has read `ranges` of the file at `path`."""
    with path.open("rb") as file:
        return digest_of(os.pread(file.fileno(), stop - start, start) for start, stop in ranges.spans())
