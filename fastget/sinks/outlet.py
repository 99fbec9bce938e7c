"""The far end of a stream: a descriptor, an opened device or pipe, or a caller's writer."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
from contextlib import suppress
from threading import Event, Lock
from typing import Protocol

from fastget.errors import Cancelled
from fastget.sinks.descriptor import SharedDescriptor

_WRITE = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY
# How often a named pipe without a reader is tried again: opening it tells, and nothing else does (seconds).
_READER_INTERVAL = 0.05


class RawWriter(Protocol):
    """What a caller may give as a stream: any file object for bytes whose `write` returns a count."""

    def write(self, data: memoryview, /) -> int | None: ...


class Outlet(Protocol):
    """A way out, used by one writer at a time. Fails with OSError, after `abort` with Cancelled."""

    def check(self) -> None: ...

    def open(self) -> None: ...

    def write(self, data: memoryview) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class DescriptorOutlet:
    """Writes to a descriptor of its own: an opened path, or a duplicate of the caller's.

    A reader that has stopped reading must not hold a thread for ever, so writing waits in poll(2), which
    `abort` ends. That needs a descriptor that does not block. The flag belongs to the open file, which other
    processes share, so a pipe is opened anew through /proc; where that cannot be, `abort` takes effect after
    the write(2).
    """

    def __init__(self, target: int | str) -> None:
        self._target = target
        self._file: SharedDescriptor | None = None
        self._lock = Lock()
        self._wake: tuple[int, int] | None = None
        self._aborted = Event()

    def check(self) -> None:
        """Raises the OSError that opening or writing would meet."""
        if isinstance(self._target, int):
            if fcntl.fcntl(self._target, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                raise OSError(errno.EBADF, "it is not open for writing")
        elif stat.S_ISDIR(os.stat(self._target).st_mode):  # noqa: PTH116  the path as it was given
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        elif not os.access(self._target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def open(self) -> None:
        """Open the path or duplicate the descriptor. A named pipe waits for its reader, until `abort`."""
        descriptor = _duplicate(self._target) if isinstance(self._target, int) else self._open_path(self._target)
        self._file = SharedDescriptor(descriptor)
        with self._lock:
            self._wake = os.pipe()

    def write(self, data: memoryview) -> None:
        """Write all of `data`. Raises OSError, Cancelled after `abort`."""
        file, wake = self._file, self._wake
        if file is None or wake is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        with file as descriptor:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.register(wake[0], select.POLLIN)
            self._check_running()
            while data:
                poll.poll()
                self._check_running()
                with suppress(BlockingIOError):
                    data = data[os.write(descriptor, data) :]

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        """Close what was opened here, after the running write. Safe to call twice. Raises OSError."""
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        finally:
            with self._lock:
                wake, self._wake = self._wake, None
            for end in wake or ():
                os.close(end)

    def abort(self) -> None:
        """From any thread: end the waiting of `open` and `write`."""
        with self._lock:
            if self._wake is not None and not self._aborted.is_set():
                os.write(self._wake[1], b"\0")
            self._aborted.set()

    def _check_running(self) -> None:
        if self._aborted.is_set():
            raise Cancelled("the transfer to the stream was told to stop")

    def _open_path(self, path: str) -> int:
        while True:
            try:
                return os.open(path, _WRITE | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO or not _is_pipe(os.stat(path)):  # noqa: PTH116  as above
                    raise
            if self._aborted.wait(_READER_INTERVAL):
                self._check_running()


class WriterOutlet:
    """Writes to a caller's file object, and closes nothing. `abort` takes effect after its running write."""

    def __init__(self, writer: RawWriter) -> None:
        self._writer = writer
        self._aborted = False

    def check(self) -> None:
        """Nothing is known of it before it is written to."""

    def open(self) -> None:
        """It is open already."""

    def write(self, data: memoryview) -> None:
        """Write all of `data`. Raises what the writer raises, BlockingIOError when it would wait."""
        while data:
            if self._aborted:
                raise Cancelled("the transfer to the stream was told to stop")
            count = self._writer.write(data)
            if not count:
                raise BlockingIOError(errno.EAGAIN, "the writer took no bytes")
            data = data[count:]

    def flush(self) -> None:
        """Flush the writer, if it can be. Raises what the writer raises."""
        flush = getattr(self._writer, "flush", None)
        if flush is not None:
            flush()

    def close(self) -> None:
        """The writer is its owner's to close."""

    def abort(self) -> None:
        """Refuse every later write."""
        self._aborted = True


def _duplicate(descriptor: int) -> int:
    """A descriptor of our own for the same file; for a pipe, where it can be had, one that does not block."""
    if _is_pipe(os.fstat(descriptor)):
        with suppress(OSError):
            return os.open(f"/proc/self/fd/{descriptor}", _WRITE | os.O_NONBLOCK)
    return os.dup(descriptor)


def _is_pipe(there: os.stat_result) -> bool:
    return stat.S_ISFIFO(there.st_mode)
