"""Files without a name: whatever kills the process, nothing is left of them. They get one when they are whole."""

from __future__ import annotations

import errno
import os
from functools import cache

# Network file systems, FUSE and other systems than Linux have none; /proc, by which they are named, may be missing.
_IMPOSSIBLE = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTSUP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.EPERM, errno.EXDEV, errno.ENOSYS}
)


def create_anonymous(directory: int, flags: int, mode: int) -> int | None:
    """A descriptor of a new file in `directory`; None where there are no such files. Raises OSError."""
    if not _can_be_named():
        return None
    try:
        return os.open(os.curdir, os.O_TMPFILE | flags | os.O_CLOEXEC, mode, dir_fd=directory)
    except OSError as error:
        if error.errno in _IMPOSSIBLE:
            return None
        raise


@cache
def _can_be_named() -> bool:
    return hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")  # noqa: PTH112


def give_name(descriptor: int, name: str, directory: int) -> bool:
    """Let the file appear under a name that is free, at once; False where that is not possible here.

    Raises FileExistsError, OSError. It works once: a file whose last name was taken away gets no other.
    """
    try:
        os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=directory, follow_symlinks=True)
    except OSError as error:
        if error.errno in _IMPOSSIBLE:
            return False
        raise
    return True
