"""The file that stands under the final name before a download: is it what is to be downloaded?"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from fastget.core.objectinfo import names_content
from fastget.sinks.failures import destination_error

if TYPE_CHECKING:
    from fastget.core.journal import Identity

# An extended attribute of every published file: the version that it is a copy of, and its time of that moment.
_ATTRIBUTE = "user.fastget"
# Bytes: a file without a note that is smaller is fetched as soon as it is asked about.
WORTH_ASKING = 8 * 1024 * 1024


class OpenedFile:
    """An `ExistingFile`, open for reading."""

    def __init__(self, descriptor: int, path: str, at: int | None = None) -> None:
        self._descriptor = descriptor
        self._path = path
        self._at = at
        self._there = os.fstat(descriptor)

    @property
    def size(self) -> int:
        return self._there.st_size

    @property
    def is_regular(self) -> bool:
        return stat.S_ISREG(self._there.st_mode)

    def is_copy_of(self, identity: Identity) -> bool:
        fits = names_content(identity.etag, identity.version_id) and self.size == identity.size
        return fits and self._note() == _note(identity, self._there.st_mtime_ns)

    def may_be_from(self, place: Identity) -> bool:
        note = self._note()
        return self.size > WORTH_ASKING if not note else note.split()[1:2] == [place.place.encode()]

    def _note(self) -> bytes:
        if hasattr(os, "getxattr"):
            with suppress(OSError):
                return os.getxattr(self._descriptor, _ATTRIBUTE)
        return b""

    def read_at(self, offset: int, buffer: memoryview) -> int:
        try:
            return os.preadv(self._descriptor, [buffer], offset)
        except OSError as error:
            raise destination_error(error, "read", self._path) from error

    def is_unchanged(self) -> bool:
        try:
            now = os.stat(_seen_from(self._at, self._path), dir_fd=self._at, follow_symlinks=False)
        except OSError:
            return False
        return _facts(now) == _facts(self._there) == _facts(os.fstat(self._descriptor))

    def close(self) -> None:
        os.close(self._descriptor)


def open_existing(path: str, at: int | None = None) -> OpenedFile | None:
    """The regular file under this name; None where there is none, or it cannot be read.

    With `at`, an open directory that outlives it, the last part of the path alone counts, and is looked for in there.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(_seen_from(at, path), flags, dir_fd=at)
    except (OSError, ValueError):
        return None
    found = OpenedFile(descriptor, path, at)
    if found.is_regular:
        return found
    found.close()
    return None


def exists(name: str, directory: int) -> bool:
    """Whether anything has this name in an open directory, as far as can be seen."""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # what that is, the ordinary way finds out
    return True


def sign(descriptor: int, identity: Identity) -> None:
    """Leave a note on a complete file of what it is a copy of; where there is no place for notes, none is left."""
    if not (hasattr(os, "setxattr") and names_content(identity.etag, identity.version_id)):
        return
    try:
        os.setxattr(descriptor, _ATTRIBUTE, _note(identity, os.fstat(descriptor).st_mtime_ns))
    except OSError:
        return


def _seen_from(at: int | None, path: str) -> str:
    return path if at is None else os.path.basename(path)  # noqa: PTH119


def _note(identity: Identity, modified: int) -> bytes:
    return f"1 {identity.place} {identity.version} {modified}".encode()


def _facts(there: os.stat_result) -> tuple[int, ...]:
    return there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns
