"""A file that appears under its name only when it is whole."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from os import PathLike
from threading import Lock
from typing import TYPE_CHECKING

from fastget.errors import Cancelled, ConfigError, DestinationError
from fastget.interrupts import is_of_handler
from fastget.sinks.descriptor import SharedDescriptor, write_all
from fastget.sinks.failures import DIRECTORY_HINT, destination_error
from fastget.sinks.modes import set_mode
from fastget.sinks.names import Names
from fastget.sinks.publishing import CREATE, flush, rename_to_free
from fastget.sinks.replacing import check_replaceable
from fastget.sinks.space import reserve
from fastget.sinks.writeback import WriteBack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastget.sinks.protocol import Resumable

NO_DIRECTORY_FLUSH = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EBADF})
_DIRECTORY_HINT_OF_A_PULL = "move it away, or download the object alone, to a name of its own"


class FileSink:
    """Writes a hidden part file beside the destination and renames it when it is complete.

    The part file is `.NAME.RANDOM.fastget-part` (mode 0600, never an existing file, never through a symbolic
    link); being beside the destination, it is on the same file system. A destination that is there stays as
    it is until the rename, and readers that hold it open, and other hard links to it, keep the old content. A
    symbolic link to a file is itself replaced; what it points to is left alone. A replaced file hands on its
    permission bits, but not owner, ACL or extended attributes; a new one has the mode that the umask gives.

    `at` is an open directory that holds the file, and outlives this; `path`, up to its last part, is then for people
    alone. `fsync` flushes the file before the rename and the directory after it, unless that is `at`. With
    `overwrite=False` a destination that is there, or appears meanwhile, is an error; where the file system has no hard
    links, the name is taken by an empty file for the moment before the rename.
    """

    is_seekable = True

    def __init__(
        self, path: str | PathLike[str], *, fsync: bool = True, overwrite: bool = True, at: int | None = None
    ) -> None:
        self._path = path if isinstance(path, str) else os.fsdecode(path)
        if not self._path or "\0" in self._path:
            raise ConfigError(f"{self._path!r} is not a file name", hint="give the path of the file to write")
        folder, slash, self._name = self._path.rpartition("/")
        self._folder = folder.rstrip("/") or slash or os.curdir
        self._at = at
        self._fsync = fsync
        self._write_back = WriteBack()
        self._overwrite = overwrite
        self._mode = 0o600
        self._taking = Lock()
        self._directory: int | None = None
        self._part: str | None = None
        self._file: SharedDescriptor | None = None
        self._aborted = False

    @property
    def path(self) -> str:
        """The destination as it was given."""
        return self._path

    @property
    def resumable(self) -> Resumable | None:
        """None: what this one has written goes with it."""
        return None

    def check(self) -> None:
        """Refuse a destination that cannot work; nothing is created. Raises DestinationError."""
        try:
            if self._at is None:
                _check_folder(self._folder)
            self._replaced_mode(self._at)
        except DestinationError:
            raise
        except OSError as error:
            raise self._failure(error, "write") from error

    def open(self, size: int | None) -> None:
        """Create the part file and take `size` bytes of the disk for it. Raises NoSpace, DestinationError."""
        self._make(size, self._create_part)

    def _make(self, size: int | None, make: Callable[[int], int]) -> None:
        """Open the directory, and in it the part file that `make` gives the descriptor of."""
        if self._part is not None or self._directory is not None:
            raise DestinationError(f"{self._path} is already being written by this transfer", path=self._path)
        try:
            self._directory = self._open_directory()
            check_replaceable(self._name, self._directory, self._path)
            descriptor = make(self._directory)
            if size:
                reserve(descriptor, size, self._path)
        except BaseException as error:
            self._give_up(error)
            if isinstance(error, OSError) and not isinstance(error, DestinationError):
                raise self._failure(error, "create") from error
            raise

    def write_at(self, offset: int, data: memoryview) -> None:
        """Write all of `data` at `offset`. Raises NoSpace, DestinationError, Cancelled after `abort`."""
        file = self._opened()
        try:
            with file as descriptor:
                write_all(descriptor, offset, data)
                if self._fsync:
                    self._write_back.note(descriptor, len(data))
        except OSError as error:
            raise self._failure(error, "write") from error

    def read_at(self, offset: int, buffer: memoryview) -> int:
        """Read back into `buffer`; returns the bytes read, 0 at the end. Raises DestinationError."""
        file = self._opened()
        try:
            with file as descriptor:
                return os.preadv(descriptor, [buffer], offset)
        except OSError as error:
            raise self._failure(error, "read back") from error

    @contextmanager
    def lend(self) -> Iterator[int]:
        """The descriptor of the part file, for a child process to inherit while the context lasts (LentFile)."""
        with self._opened() as descriptor:
            yield descriptor

    def publish(self, size: int) -> None:
        """Give the file its size, mode and name. Raises NoSpace, DestinationError, Cancelled after `abort`.

        On failure the destination is as it was and the part file is gone. The exception is a directory that
        cannot be flushed after the rename: the file then stands complete, and the error says so.
        """
        try:
            self._finish(size)
        except BaseException as error:
            self._give_up(error)
            if isinstance(error, OSError) and not isinstance(error, DestinationError):
                raise self._failure(error, "finish") from error
            raise
        self._close_directory()

    def _open_directory(self) -> int:
        return open_directory(self._folder) if self._at is None else os.dup(self._at)

    def _give_up(self, error: BaseException) -> None:
        """Opening or publishing has failed."""
        del error
        self.discard()

    def discard(self) -> None:
        """Remove the part file, if there is one. A published file stays. Safe to call at any time."""
        with self._taking:
            file, self._file = self._file, None
            part, self._part = self._part, None
            directory, self._directory = self._directory, None
        # Nobody is left to hear about a failure here, and the one that led here is the one to report.
        if file is not None:
            with suppress(OSError):
                file.close()
        if directory is not None:
            if part is not None:
                with suppress(OSError):
                    os.unlink(part, dir_fd=directory)
            self._leave()
            with suppress(OSError):
                os.close(directory)

    def _leave(self) -> None:
        """The directory is about to be closed, and holds no part file of this download any more."""

    def abort(self) -> None:
        """Refuse every later write, and publishing, with Cancelled. No write waits here for another."""
        self._aborted = True

    def _failure(self, error: OSError, doing: str) -> DestinationError:
        return destination_error(error, doing, self._path)

    def _check_aborted(self) -> None:
        if self._aborted:
            raise Cancelled(f"the transfer to {self._path} was told to stop")

    def _opened(self) -> SharedDescriptor:
        self._check_aborted()
        file = self._file
        if file is None:
            raise DestinationError(f"{self._path} is not open for writing", path=self._path)
        return file

    def _replaced_mode(self, directory: int | None) -> int | None:
        """Permission bits of the regular file that is going to be replaced, None where there is none.

        Raises DestinationError for what must not be replaced.
        """
        target = self._path if directory is None else self._name
        if self._name in ("", os.curdir, os.pardir):
            raise DestinationError(f"{self._path} is a directory", path=self._path, hint=DIRECTORY_HINT)
        try:
            there = os.stat(target, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not self._overwrite:
            raise self._exists()
        if stat.S_ISLNK(there.st_mode):
            self._check_link(target, directory)
            return None
        self._check_kind(there)
        return stat.S_IMODE(there.st_mode) & 0o777

    def _check_link(self, target: str, directory: int | None) -> None:
        try:
            self._check_kind(os.stat(target, dir_fd=directory))
        except DestinationError:
            raise
        except OSError:
            return  # a link that leads nowhere is replaced like any other

    def _check_kind(self, there: os.stat_result) -> None:
        if stat.S_ISDIR(there.st_mode):
            hint = DIRECTORY_HINT if self._at is None else _DIRECTORY_HINT_OF_A_PULL
            raise DestinationError(f"{self._path} is a directory", path=self._path, hint=hint)
        if not stat.S_ISREG(there.st_mode):
            raise DestinationError(
                f"{self._path} is a device, pipe or socket, which a file must not replace", path=self._path
            )

    def _exists(self) -> DestinationError:
        hint = "leave out --no-clobber (overwrite=False), or choose another name"
        return DestinationError(f"{self._path} exists", path=self._path, hint=hint)

    def _create_part(self, directory: int) -> int:
        replaced = self._replaced_mode(directory)
        # Only the system knows what the umask and the directory's default ACL make of 0666, so a new file is
        # made with that, and shut at once: who could open it in between may open the finished file as well.
        wanted = 0o666 if replaced is None else replaced
        descriptor = self._create_unique(directory, wanted)
        self._own(descriptor, replaced)
        return descriptor

    def _own(self, descriptor: int, replaced: int | None) -> None:
        """Write to this part file, new and made with the mode of a new file, or with `replaced`, that of one there."""
        self._file = SharedDescriptor(descriptor)
        self._mode = stat.S_IMODE(os.fstat(descriptor).st_mode) if replaced is None else replaced
        set_mode(descriptor, 0o600)

    def _create_unique(self, directory: int, mode: int) -> int:
        """Create a part file and give its descriptor; the name is kept before: an interrupt may come as it appears."""
        attempts = 16
        while True:
            self._part = Names(directory, self._name, self._path).part(os.urandom(6).hex())
            try:
                return os.open(self._part, CREATE, mode, dir_fd=directory)
            except FileExistsError:
                self._part = None  # somebody else's
                attempts -= 1
                if not attempts:
                    raise

    def _finish(self, size: int) -> None:
        file = self._opened()
        with file as descriptor:
            written = os.fstat(descriptor).st_size
            if written < size:
                raise DestinationError(
                    f"cannot finish {self._path}: {written} of {size} bytes were written", path=self._path
                )
            if written > size:
                os.ftruncate(descriptor, size)
            set_mode(descriptor, self._mode)
            self._sign(descriptor)
            if self._fsync:
                flush(descriptor)
        file.close()  # before the name is visible: no writer may hold a published file
        self._check_aborted()  # flushing takes long, and who was told that it stopped must not find the file later
        self._rename()
        if self._fsync:
            self._flush_directory()

    def _sign(self, descriptor: int) -> None:
        """The part file holds all of its bytes, and is about to be flushed."""

    def _rename(self) -> None:
        part, directory = self._part, self._directory
        if part is None or directory is None:
            raise DestinationError(f"{self._path} was discarded while it was being finished", path=self._path)
        try:
            if self._overwrite:
                os.replace(part, self._name, src_dir_fd=directory, dst_dir_fd=directory)
            else:
                self._rename_to_new(part, directory)
        except FileNotFoundError as error:
            raise DestinationError(
                f"cannot finish {self._path}: the hidden file beside it, which had all of it, has been taken away",
                path=self._path,
                hint="see whether its directory is still there, and whether another fastget has finished it",
            ) from error
        self._part = self._file = None

    def _rename_to_new(self, part: str, directory: int) -> None:
        try:
            rename_to_free(part, self._name, directory)
        except FileExistsError:
            raise self._exists() from None

    def _flush_directory(self) -> None:
        if self._directory is not None and self._at is None:
            self._flush_directory_at(self._directory)

    def _flush_directory_at(self, directory: int) -> None:
        try:
            os.fsync(directory)
        except OSError as error:
            if is_of_handler(error):
                raise
            if error.errno in NO_DIRECTORY_FLUSH:
                return  # FUSE and network file systems without such a flush, directories that cannot be read
            raise DestinationError(
                f"{self._path} is complete, but its directory cannot be flushed: {error.strerror or error}",
                path=self._path,
                hint="a power failure may undo the new name",
            ) from error

    def _close_directory(self) -> None:
        self._leave()
        with self._taking:
            directory, self._directory = self._directory, None
        if directory is not None:
            with suppress(OSError):
                os.close(directory)


def _check_folder(folder: str) -> None:
    if not stat.S_ISDIR(os.stat(folder).st_mode):  # noqa: PTH116  a Path would lose the trailing slash
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not _is_writable(folder):
        # Python keeps to itself why access(2) has refused it.
        code = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, os.strerror(code))


def _is_writable(folder: str) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)


def open_directory(folder: str) -> int:
    flags = os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(folder, os.O_RDONLY | flags)
    except PermissionError:
        if not hasattr(os, "O_PATH"):
            raise
        return os.open(folder, os.O_PATH | flags)  # writable and searchable is enough, a directory need not be readable
