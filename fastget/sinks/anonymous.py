"""Files without a name: whatever kills the process, nothing is left of them. They get one when they are whole."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from fastget.sinks.names import new_token

if TYPE_CHECKING:
    from fastget.sinks.names import Names

# Network file systems, FUSE and other systems than Linux have none; /proc, by which they are named, may be missing.
_IMPOSSIBLE = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTSUP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.EPERM, errno.EXDEV, errno.ENOSYS}
)

# Two system calls of another process lie in between: seconds for each wait, and the number of them.
_MOMENT, _ATTEMPTS = 0.01, 40


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


def open_again(descriptor: int) -> int:
    """Another descriptor of the file, by which nobody can write to it. Raises OSError."""
    path = f"/proc/self/fd/{descriptor}"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)  # its mode lets not even its owner read it


def give_name(descriptor: int, name: str, directory: int) -> bool:
    """Let the file appear under a name that is free, at once; False where that is not possible here.

    Raises FileExistsError, OSError. It works once: a file whose last name was taken away gets no other.
    """
    try:
        name_it(descriptor, name, directory)
    except OSError as error:
        if error.errno in _IMPOSSIBLE:
            return False
        raise
    return True


def name_it(descriptor: int, name: str, directory: int) -> None:
    """`give_name` where there is no other way: every failure raises, as the system says it."""
    os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=directory, follow_symlinks=True)


def take_place(descriptor: int, names: Names) -> None:
    """Let the file replace the one that is there, by way of a name that one process has at a time. Raises OSError."""
    before = _there(names)
    name = names.finished
    for _ in range(_ATTEMPTS):
        try:
            name_it(descriptor, name, names.directory)
            break
        except FileExistsError:
            # Somebody else's for a moment; or forever, where that one was killed.
            is_clear = _clear_way(names)
            if is_clear is None:
                name = names.part(new_token(names.name))
            elif not is_clear:
                time.sleep(_MOMENT)
    try:
        _replace(name, names)
    except FileNotFoundError:
        # Another one has given this file its name, in place of its own; by now a third file may have replaced it.
        if not os.fstat(descriptor).st_nlink and _there(names) == before:
            raise
    except OSError:
        _take_back(name, os.fstat(descriptor), names)
        raise


def _take_back(name: str, file: os.stat_result, names: Names) -> None:
    """Remove a name in between of a file that cannot have its own; what others have put there meanwhile stays."""
    with suppress(OSError):
        if os.path.samestat(os.stat(name, dir_fd=names.directory, follow_symlinks=False), file):
            os.unlink(name, dir_fd=names.directory)


def _there(names: Names) -> tuple[int, int, int] | None:
    """Which file has the name at this moment: device, inode, nanoseconds of its last change."""
    try:
        there = os.stat(names.name, dir_fd=names.directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return there.st_dev, there.st_ino, there.st_ctime_ns


def _clear_way(names: Names) -> bool | None:
    """Take away what a killed process has left there. A living one that takes its place meanwhile gets its name.

    False where that one may be at work still; None for what no download has left, and what cannot be taken away.
    """
    with suppress(FileNotFoundError):
        there = os.stat(names.finished, dir_fd=names.directory, follow_symlinks=False)
        if stat.S_ISDIR(there.st_mode):
            return None
        if abs(time.time() - there.st_ctime) < _MOMENT * _ATTEMPTS / 2:
            return False
        aside = names.part(os.urandom(6).hex())
        try:
            os.rename(names.finished, aside, src_dir_fd=names.directory, dst_dir_fd=names.directory)
        except PermissionError:
            return None  # somebody else's, in a sticky directory
        if os.stat(aside, dir_fd=names.directory, follow_symlinks=False).st_ino == there.st_ino:
            os.unlink(aside, dir_fd=names.directory)
        else:
            _replace(aside, names)
    return True


def _replace(name: str, names: Names) -> None:
    os.replace(name, names.name, src_dir_fd=names.directory, dst_dir_fd=names.directory)
