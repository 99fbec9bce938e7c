"""The directory that a pull lands in. Everything below it is reached through open directories, never by a path.

Each component is opened from the one above it and no symbolic link is followed, so that none that is planted there,
before or meanwhile, leads out (faults.md S7). The directory itself is the caller's word, and may be a link.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from fastget.engine.descriptors import room_for_connections
from fastget.errors import ConfigError, DestinationError
from fastget.records import state
from fastget.sinks.failures import destination_error
from fastget.sinks.file import NO_DIRECTORY_FLUSH
from fastget.sinks.names import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Directories that are kept open; those in use are, however many.
MOST_OPEN = 64
_PROBE = ".fastget-probe-\u00e9"


@state
class Opened:
    """An open directory. `is_new`: it was empty when it was opened first, so that all of it is of this pull."""

    descriptor: int
    is_new: bool
    users: int = 0


class Folder:
    """The open directory `path`; it is made where it is missing. Safe in many threads; close it.

    `is_durable`: the names of new files and directories are flushed to disk, in `flush` at the latest.

    Raises ConfigError for an empty name or what is none, DestinationError where it cannot be made or opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, is_durable: bool = True) -> None:
        self._is_durable = is_durable
        self.path = name_of(path, "give the name of a directory")
        if not self.path or "\0" in self.path:
            raise ConfigError(f"{self.path!r} is not the name of a directory", hint="give the path of a directory")
        try:
            os.makedirs(self.path, exist_ok=True)  # noqa: PTH103  bytes that are no text are kept
            self._root = os.open(self.path, _OPEN)
            with os.scandir(self._root) as entries:
                self._is_new = next(entries, None) is None
        except OSError as error:
            raise destination_error(error, "use the directory", self.path) from error
        self._begin()

    @classmethod
    def lent(cls, descriptor: int, path: str, *, is_new: bool, is_durable: bool) -> Self:
        """The same in another process, which has inherited the open directory, and takes it over."""
        folder = cls.__new__(cls)
        folder.path, folder._root, folder._is_new, folder._is_durable = path, descriptor, is_new, is_durable
        folder._begin()
        return folder

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        room = room_for_connections()
        self._most_open = MOST_OPEN if room is None else min(MOST_OPEN, room // 4)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every directory that nobody uses."""
        with self._lock:
            opened, self._opened = self._opened, OrderedDict()
            root, self._root = self._root, -1
        for found in opened.values():
            os.close(found.descriptor)
        if root >= 0:
            os.close(root)

    @property
    def descriptor(self) -> int:
        """That of the open directory, for a process to inherit."""
        return self._root

    @property
    def is_new(self) -> bool:
        """Whether it was empty when it was opened."""
        return self._is_new

    def shown(self, path: str) -> str:
        """A path below this directory as people write it."""
        return f"{self.path.rstrip('/')}/{path}"

    @contextmanager
    def directory(self, path: str) -> Iterator[Opened]:
        """See `hold`."""
        found = self.hold(path)
        try:
            yield found
        finally:
            self.let_go(found)

    def hold(self, path: str) -> Opened:
        """The open directory `path` below this one (empty: this one), made where it is missing; it is let go of later.

        Raises DestinationError where a part of it is a file or a link, or cannot be made.
        """
        with self._lock:
            if (found := self._opened.get(path)) is not None:
                found.users += 1
                self._opened.move_to_end(path)
                return found
        opened = self._open(path)
        with self._lock:
            found = self._opened.setdefault(path, opened)
            found.users += 1
            dropped = self._take_unused()
        if found is not opened:
            os.close(opened.descriptor)  # another thread was quicker
        for unused in dropped:
            try:
                self._flush(unused.descriptor)
            finally:
                os.close(unused.descriptor)
        return found

    def keep(self, found: Opened) -> None:
        """Leave a directory that is in use open until it is let go of once more."""
        with self._lock:
            found.users += 1

    def let_go(self, found: Opened) -> None:
        """See `hold` and `keep`."""
        with self._lock:
            found.users -= 1

    def flush(self) -> None:
        """Bring the names in the directories that were in use to the disk, as far as the file system can.

        Those that were closed meanwhile have been flushed. Raises DestinationError.
        """
        with self._lock:
            held = list(self._opened.values())
            for found in held:
                found.users += 1
        try:
            for found in held:
                self._flush(found.descriptor)
        finally:
            with self._lock:
                for found in held:
                    found.users -= 1

    def folds_names(self) -> bool:
        """Whether this file system takes `A` and `a`, or the two ways to write `é`, for one name (faults.md S5)."""
        try:
            os.close(os.open(_PROBE, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=self._root))
        except FileExistsError:
            pass
        except (OSError, UnicodeEncodeError):
            return self._seems_to_fold()
        try:
            return self._has(_PROBE.upper()) or self._has(_PROBE.replace("\u00e9", "e\u0301"))
        finally:
            with suppress(OSError):
                os.unlink(_PROBE, dir_fd=self._root)

    def _seems_to_fold(self) -> bool:
        """The same where nothing can be written: told by a name that is there; without one, assume the worse."""
        with suppress(OSError), os.scandir(self._root) as entries:
            for entry in entries:
                if entry.name.isascii() and (other := entry.name.swapcase()) != entry.name:
                    there = entry.stat(follow_symlinks=False)
                    try:
                        return os.path.samestat(there, os.stat(other, dir_fd=self._root, follow_symlinks=False))
                    except FileNotFoundError:
                        return False
        return True

    def _has(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._root, follow_symlinks=False)
        except OSError:
            return False
        return True

    # Open directories ----------------------------------------------------------------------------------------------

    def _take_unused(self) -> list[Opened]:
        surplus = len(self._opened) - self._most_open
        unused = [path for path, found in self._opened.items() if not found.users] if surplus > 0 else []
        return [self._opened.pop(path) for path in unused[:surplus]]

    def _open(self, path: str) -> Opened:
        if not path:
            return Opened(os.dup(self._root), self._is_new)
        above, _, name = path.rpartition("/")
        with self.directory(above) as directory:
            try:
                return _enter(directory.descriptor, name)
            except OSError as error:
                raise self._failure(error, path) from error

    def _failure(self, error: OSError, path: str) -> DestinationError:
        shown = self.shown(path)
        # Of a link, O_NOFOLLOW with O_DIRECTORY says ENOTDIR as well.
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            return DestinationError(
                f"{shown} is a file or a symbolic link, where a directory is needed",
                path=shown,
                hint="move it away; links below the directory of a pull are not followed",
            )
        return destination_error(error, "make the directory", shown)

    def _flush(self, descriptor: int) -> None:
        if not self._is_durable:
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in NO_DIRECTORY_FLUSH:
                raise destination_error(error, "flush the directory", self.path) from error


def _enter(above: int, name: str) -> Opened:
    with suppress(FileNotFoundError):
        return Opened(os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=above), is_new=False)
    is_new = False
    with suppress(FileExistsError):  # another thread, or another process, was quicker
        os.mkdir(name, dir_fd=above)
        is_new = True
    return Opened(os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=above), is_new)
