"""What brings a complete file to the disk, and under its name."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress

# How a file is made that is this process' own from its first moment.
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})


def flush(descriptor: int) -> None:
    """Bring the file to the disk. An error is final: a second flush may claim success for lost data."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS, whose fsync leaves the data in the drive's cache
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL):
                raise
        else:
            return
    os.fsync(descriptor)


def rename_to_free(part: str, name: str, directory: int) -> None:
    """Take the name only if it is free, in one step: link(2) fails where rename(2) would replace.

    Where there are no links, the name is taken by an empty file for the moment before the rename. Raises
    FileExistsError, OSError.
    """
    try:
        os.link(part, name, src_dir_fd=directory, dst_dir_fd=directory)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_to_reserved(part, name, directory)
    else:
        with suppress(OSError):  # the file is published; a second name for it is only untidy
            os.unlink(part, dir_fd=directory)


def _rename_to_reserved(part: str, name: str, directory: int) -> None:
    os.close(os.open(name, CREATE, 0o600, dir_fd=directory))
    try:
        os.replace(part, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        os.unlink(name, dir_fd=directory)
        raise
