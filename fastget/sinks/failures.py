"""What the operating system said about a destination, as fastget's errors."""

from __future__ import annotations

import errno
import os

from fastget.errors import DestinationError, NoSpace
from fastget.interrupts import is_of_handler

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DIRECTORY_HINT = "give the name of a file in it; the command takes a directory alone by -d"
_HINTS = {
    errno.ENOSPC: "free some space, or choose another disk",
    errno.EDQUOT: "the disk quota of this user is spent: free some space, or choose another disk",
    errno.EFBIG: "the file system, or `ulimit -f`, allows no file of this size",
    errno.EACCES: "check the permissions of the directory and of its parents",
    errno.EPERM: "check the permissions and attributes of the directory, and of a file that has the name already",
    errno.EROFS: "the file system is mounted read-only: choose another directory",
    errno.ENOENT: "create the directory first, or choose another one",
    errno.ENOTDIR: "a part of the path is a file, not a directory",
    errno.EISDIR: DIRECTORY_HINT,
    errno.ENAMETOOLONG: "choose a shorter file name",
    errno.EEXIST: "something else has that name: choose another one",
    errno.ELOOP: "the path runs through a loop of symbolic links",
    errno.EIO: "the disk reports a fault: look at the system log, and choose another disk",
    errno.EMFILE: "too many files are open: raise `ulimit -n`, or use fewer jobs",
    errno.ENFILE: "the system has too many open files",
    errno.EAGAIN: "give a writer that blocks until there is room",
    errno.EBADF: "it is closed, or not open for writing: redirect it to a file or a pipe",
    errno.EPIPE: "the reader of the stream has gone",
}
# What vfat, exFAT and NTFS allow nowhere in a name, and at no end of one.
_FORBIDDEN, _FORBIDDEN_ENDS = frozenset('"*:<>?\\|'), (".", " ")
_HINT_OF_A_NAME = 'choose another name: many disks and shares allow no " * : < > ? \\ | in one, and no dot at its end'


def destination_error(error: OSError, doing: str, path: str | None, *, shown: str = "the stream") -> DestinationError:
    """`error`, met while `doing` something to `path`, or to what is `shown` so, as the exception to raise from it.

    No room on the disk, in the quota or under the file-size limit is NoSpace; the rest is DestinationError. Raises
    `error` as it is where a signal's handler has raised it.
    """
    if error.args and is_of_handler(error):  # a caller's writer may give no words
        raise error
    code = error.errno
    text = os.strerror(code) if code is not None else str(error)
    kind = NoSpace if code in _NO_SPACE else DestinationError
    hint = _HINTS.get(code or 0)
    if code == errno.EINVAL and _is_special(os.path.basename(path or "")):  # noqa: PTH119
        hint = _HINT_OF_A_NAME
    return kind(f"cannot {doing} {path or shown}: {text}", path=path, hint=hint)


def _is_special(name: str) -> bool:
    """Whether some file systems take no such name; they say that an argument is invalid."""
    return not _FORBIDDEN.isdisjoint(name) or name.endswith(_FORBIDDEN_ENDS)
