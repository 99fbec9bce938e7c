"""Many small objects: files that a server offers, lists of their names as each client reads them, and a check."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measurement import RunError
from benchmarks.objects import StoredObject, create_object, digest_of, has_content_of

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "many"


@dataclass(frozen=True, slots=True)
class Many:
    """So many objects of so many bytes each. All have the same content, under names of their own.

    `is_read`: into memory, one after the other in each thread, instead of into a directory.
    """

    count: int
    length: int
    is_read: bool = False

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return self.count * self.length

    def names(self) -> list[str]:
        """Their names below the bucket."""
        return [f"{FOLDER}/{number:06}.bin" for number in range(self.count)]


@dataclass(frozen=True, slots=True)
class Lists:
    """The same names as different clients want them, one a line."""

    urls: Path
    names: Path
    copies: Path

    @classmethod
    def write(cls, folder: Path, many: Many, bucket_url: str, bucket: str, destination: Path) -> Lists:
        """Write them into `folder`: URLs, names below the bucket, and commands of s5cmd."""
        folder.mkdir(exist_ok=True)
        lists = cls(folder / "urls.txt", folder / "names.txt", folder / "copies.txt")
        names = many.names()
        lists.urls.write_text("".join(f"{bucket_url}/{name}\n" for name in names))
        lists.names.write_text("".join(f"{name}\n" for name in names))
        lists.copies.write_text("".join(f"cp s3://{bucket}/{name} {destination}/\n" for name in names))
        return lists


def create_many(bucket: Path, many: Many) -> StoredObject:
    """The first of the objects; the others are hard links to it."""
    names = many.names()
    (bucket / FOLDER).mkdir()
    stored = create_object(bucket / names[0], many.length)
    for name in names[1:]:
        (bucket / name).hardlink_to(stored.path)
    return stored


def digest_of_many(stored: StoredObject, many: Many) -> str:
    """What a client has to come to that has read all of them, of which `stored` is one."""
    return digest_of([stored.path.read_bytes()] * many.count)


def check_many(destination: Path, stored: StoredObject, many: Many, *, by_content: bool) -> None:
    """Raise RunError unless every object is there, alone in its folder or below it."""
    found = {path.name: path for path in destination.rglob("*") if path.is_file()} if destination.exists() else {}
    missing = [name for name in many.names() if os.path.basename(name) not in found]  # noqa: PTH119
    if missing or len(found) != many.count:
        raise RunError(f"it made {len(found)} files of {many.count}")
    for path in found.values():
        if path.stat().st_size != many.length:
            raise RunError(f"its file {path.name} has {path.stat().st_size} bytes of {many.length}")
        if by_content and not has_content_of(path, stored):
            raise RunError(f"its file {path.name} holds wrong bytes")
