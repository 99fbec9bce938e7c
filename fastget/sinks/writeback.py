"""Writing to the disk what has landed while more is coming, so that little is left for the flush at the end.

Without it Linux begins when a tenth of the memory is dirty or the oldest page 30 s old: for most downloads, never.
"""

from __future__ import annotations

import errno
import os
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Bytes that land between two starts: large enough that a start costs nothing beside them, and small enough that a disk
# slower than the network holds a writer up for as long as it takes to write so many, no longer.
STRIDE = 8 * 1024 * 1024
_WRITE = 2  # SYNC_FILE_RANGE_WRITE: begin, and wait for nothing
# Anything else means that this file, or this system, cannot begin early; the flush at the end does it all then.
_LOSSES = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT})


class WriteBack:
    """Of one file. Threads that note at the same moment may lose a count, which only delays the next start."""

    __slots__ = ("_landed",)

    def __init__(self) -> None:
        self._landed = 0

    def note(self, descriptor: int, count: int) -> None:
        """`count` more bytes were written: begin to bring what is in memory to the disk, once they are enough.

        It is no flush and promises nothing, and takes no error away from the flush to come: those are of writes that
        end later, and only a flush, or a start that waits for them, asks for them. Raises OSError where bytes have no
        place on the disk.
        """
        landed = self._landed + count
        if landed < STRIDE:
            self._landed = landed
            return
        self._landed = 0
        begin_write_back(descriptor)


def begin_write_back(descriptor: int) -> None:
    """Begin to bring all of a file to the disk, where the system can; wait for nothing.

    Raises OSError where bytes have no place on the disk.
    """
    if (begin := _sync_file_range()) is not None:
        begin(descriptor)


@cache
def _sync_file_range() -> Callable[[int], None] | None:
    """sync_file_range(2) of a whole file, which the standard library does not offer; None where there is none."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        call = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (ImportError, OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def begin(descriptor: int) -> None:
        # 0 bytes: to the end of the file. Pages that are clean, or on their way, are not looked at.
        if call(descriptor, 0, 0, _WRITE) and (number := ctypes.get_errno()) in _LOSSES:
            raise OSError(number, os.strerror(number))

    return begin
