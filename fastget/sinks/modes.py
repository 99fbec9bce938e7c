"""Permission bits of files that this program has made. Some mounts let nobody change them."""

from __future__ import annotations

import errno
import os
import stat

# Mounts that name one owner for all files, and file systems without modes: FUSE, network shares, vfat for other users.
_REFUSED = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def set_mode(descriptor: int, mode: int) -> int:
    """Give an open file this mode, where the file system lets it; the mode that it has then. Raises OSError.

    A file that keeps what it was made with is no more open to others than any that a program makes there.
    """
    try:
        os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
    return stat.S_IMODE(os.fstat(descriptor).st_mode)
