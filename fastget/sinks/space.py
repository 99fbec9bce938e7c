"""Room on the disk for a file, looked for and taken before its first byte."""

from __future__ import annotations

import errno
import os
import resource

from fastget.errors import NoSpace

_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})
# Up to here the C library's imitation of an allocation, one byte written to every 4 KiB, costs nothing to
# speak of.
_CHEAP_TO_IMITATE = 1 << 20


def reserve(descriptor: int, size: int, path: str) -> None:
    """Make the file `size` bytes long, with its blocks allocated where the file system can do so.

    Raises NoSpace when the file-size limit or the free space says that it cannot fit, and OSError as the
    system does.
    """
    _check_limit(size, path)
    _check_free(descriptor, size, path)
    try:
        allocated = _allocate(descriptor, size)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        allocated = False
    if not allocated:
        os.ftruncate(descriptor, size)


def _check_limit(size: int, path: str) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY and size > limit:
        raise NoSpace(
            f"cannot write {path}: it needs {size} bytes, and files may have {limit}",
            path=path,
            hint="raise the limit on file sizes (`ulimit -f`)",
        )


def _check_free(descriptor: int, size: int, path: str) -> None:
    try:
        system = os.fstatvfs(descriptor)
    except OSError:
        return  # the allocation, or the writes, will tell
    if not system.f_blocks:
        return  # some network and FUSE file systems report no sizes at all
    missing = size - os.fstat(descriptor).st_blocks * 512  # a file that is gone on with has its blocks already
    free = (system.f_bfree if os.geteuid() == 0 else system.f_bavail) * system.f_frsize
    if missing > free:
        raise NoSpace(
            f"cannot write {path}: it needs {missing} bytes, and {free} are free",
            path=path,
            hint="free some space, or choose another disk",
        )


def _allocate(descriptor: int, size: int) -> bool:
    """Whether the blocks could be allocated without writing them."""
    if not hasattr(os, "posix_fallocate"):
        return False  # macOS
    if size > _CHEAP_TO_IMITATE and not _allocates(descriptor):
        return False
    os.posix_fallocate(descriptor, 0, size)
    return True


def _allocates(descriptor: int) -> bool:
    """Whether the file system itself allocates: that leaves a hole, the C library's imitation data."""
    os.posix_fallocate(descriptor, 0, 1)
    try:
        os.lseek(descriptor, 0, os.SEEK_DATA)
    except OSError as error:
        return error.errno == errno.ENXIO
    return False
