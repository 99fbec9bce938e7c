"""Opening again what an earlier run has left."""

from __future__ import annotations

import errno
import os
import stat

_REOPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def reopen(name: str, directory: int, access: int) -> int | None:
    """A part file of an earlier run; None where it is not one that only this user could have made."""
    try:
        descriptor = os.open(name, access | _REOPEN, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return None
    there = os.fstat(descriptor)
    if stat.S_ISREG(there.st_mode) and there.st_uid == os.geteuid() and there.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    return None
