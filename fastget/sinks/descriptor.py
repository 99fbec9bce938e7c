"""A file descriptor that many threads use and one closes."""

from __future__ import annotations

import errno
import os
import threading

from fastget.interrupts import lock_and_condition

# Linux moves at most 0x7ffff000 bytes a call, and macOS refuses more than 2 GiB - 1.
_LARGEST_WRITE = 1 << 30


class SharedDescriptor:
    """Open while threads are inside its `with` blocks, which give the descriptor's number.

    A number that is closed under a writer may already belong to another file, and the bytes would land there.
    So `close` waits for the blocks that others have begun; later ones meet OSError(EBADF). One of its own thread was
    left by an interrupt, as it was entered or left. The lock is held for the list of users alone.
    """

    __slots__ = ("_closed", "_descriptor", "_idle", "_lock", "_users")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock, self._idle = lock_and_condition()
        self._users: list[int] = []
        self._closed = False

    def __enter__(self) -> int:
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._users.append(threading.get_ident())
            return self._descriptor

    def __exit__(self, *failure: object) -> None:
        with self._lock:
            self._users.remove(threading.get_ident())
            if self._closed:
                self._idle.notify_all()

    def close(self) -> None:
        """Close it once the running uses have ended. Safe to call twice. Raises the OSError of close(2)."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            own = threading.get_ident()
            self._idle.wait_for(lambda: all(user == own for user in self._users))
        os.close(self._descriptor)


def write_all(descriptor: int, offset: int, data: memoryview) -> None:
    """Write all of `data`, a view of bytes, at `offset`, in as many writes as it takes. Raises OSError."""
    done = 0
    while done < len(data):
        count = os.pwrite(descriptor, data[done : done + _LARGEST_WRITE], offset + done)
        if count == 0:
            raise OSError(errno.EIO, "the system wrote nothing")
        done += count
