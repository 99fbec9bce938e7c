"""A file that is written in one piece: it has no name, or a hidden one, until it is told to appear."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from fastget.errors import DestinationError
from fastget.sinks.anonymous import create_anonymous, give_name
from fastget.sinks.descriptor import write_all
from fastget.sinks.existing import exists, sign
from fastget.sinks.file import FileSink
from fastget.sinks.names import Names
from fastget.sinks.publishing import CREATE, flush, rename_to_free
from fastget.sinks.writeback import begin_write_back

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastget.core.journal import Identity

# That the umask makes the mode of, and a directory's default ACL.
_MODE = 0o666


class WholeFile:
    """A new file, not visible yet, in a directory that stays open for as long. Whoever made it closes it.

    Every method raises OSError.
    """

    __slots__ = ("_descriptor", "_names", "_part")

    def __init__(self, names: Names) -> None:
        self._names = names
        self._part: str | None = None
        made = create_anonymous(names.directory, os.O_WRONLY, _MODE)
        self._descriptor = self._create_part() if made is None else made

    def write(self, data: memoryview, identity: Identity | None) -> None:
        """Write all of it, and note of which object it is a copy."""
        write_all(self._descriptor, 0, data)
        if identity is not None:
            sign(self._descriptor, identity)

    def begin_flush(self) -> None:
        """Begin to bring it to the disk, and wait for nothing; it promises nothing."""
        begin_write_back(self._descriptor)

    def flush(self) -> None:
        """Bring it to the disk. After an error it must not appear."""
        flush(self._descriptor)

    def appear(self) -> bool:
        """Take its name, once; False where that is not free, or there is no way to."""
        try:
            if self._part is None:
                return give_name(self._descriptor, self._names.name, self._names.directory)
            rename_to_free(self._part, self._names.name, self._names.directory)
        except FileExistsError:
            return False
        self._part = None
        return True

    def close(self) -> None:
        """Let go of it; a file that has not appeared vanishes."""
        with suppress(OSError):
            os.close(self._descriptor)
        if self._part is not None:
            with suppress(OSError):
                os.unlink(self._part, dir_fd=self._names.directory)

    def _create_part(self) -> int:
        part = self._names.part(os.urandom(6).hex())
        descriptor = os.open(part, CREATE, _MODE, dir_fd=self._names.directory)
        self._part = part
        return descriptor


class WholeFileSink(FileSink):
    """A FileSink that takes a small object in one piece as well, as `WholeSink` has it; it writes no part file then."""

    def is_vacant(self) -> bool:
        with suppress(OSError), self._held_directory() as directory:
            journal = Names(directory, self._name, self._path).journal
            return not any(exists(name, directory) for name in (self._name, journal))
        return False

    def put(self, data: memoryview, identity: Identity | None) -> bool:
        self._check_aborted()
        try:
            if self._at is not None:
                return self._put_in(self._at, data, identity)
            with self._held_directory() as directory:
                return self._put_in(directory, data, identity)
        except DestinationError:
            raise
        except OSError as error:
            raise self._failure(error, "write") from error

    def _put_in(self, directory: int, data: memoryview, identity: Identity | None) -> bool:
        whole = self._write_whole(directory, data, identity)
        try:
            if self._fsync:
                whole.flush()
                self._check_aborted()
            if not whole.appear():
                return False
            if self._fsync and self._at is None:
                self._flush_directory_at(directory)
            return True
        finally:
            whole.close()

    def prepare(self, directory: int, data: memoryview, identity: Identity | None) -> WholeFile:
        """The first half of `put`: the file, written into its open directory, neither flushed nor named.

        Raises NoSpace, DestinationError, Cancelled after `abort`.
        """
        self._check_aborted()
        try:
            return self._write_whole(directory, data, identity)
        except OSError as error:
            raise self._failure(error, "write") from error

    def _write_whole(self, directory: int, data: memoryview, identity: Identity | None) -> WholeFile:
        whole = WholeFile(Names(directory, self._name, self._path))
        try:
            whole.write(data, identity)
        except BaseException:
            whole.close()
            raise
        return whole

    @contextmanager
    def _held_directory(self) -> Iterator[int]:
        """The open directory for a moment."""
        if self._at is not None:
            yield self._at
            return
        directory = self._open_directory()
        try:
            yield directory
        finally:
            os.close(directory)
