"""Whether the system is going to refuse a file its name, as far as it tells that before the first byte."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from fastget.errors import DestinationError

# FS_IOC_GETFLAGS with FS_IMMUTABLE_FL and FS_APPEND_FL, of most Linux machines; others know no such request.
_GET_FLAGS = 0x80086601 if sys.maxsize > 2**32 else 0x80046601
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20
# The same as st_flags of macOS, the user's own and the system's.
_FIXED = stat.UF_IMMUTABLE | stat.UF_APPEND | stat.SF_IMMUTABLE | stat.SF_APPEND
_CAP_FOWNER = 1 << 3
_HINT_OF_FLAGS = "see `lsattr` (macOS: `ls -lO`) and `chattr -i -a` (`chflags`), or choose another name"
_HINT_OF_STICKY = "ask its owner to take it away, or choose another name or directory"


def check_replaceable(name: str, directory: int, path: str) -> None:
    """Refuse a file under the name, in an open directory, that no rename could replace. Raises DestinationError.

    What cannot be found out is left to the rename.
    """
    try:
        there = os.stat(name, dir_fd=directory, follow_symlinks=False)
        folder = os.fstat(directory)
    except OSError:
        return
    if _is_fixed(there, name, directory):
        raise _refusal(path, "it is immutable or append-only", _HINT_OF_FLAGS)
    if getattr(folder, "st_flags", 0) & _FIXED or _flags(directory) & (_IMMUTABLE | _APPEND_ONLY):
        raise _refusal(path, "its directory is immutable or append-only", _HINT_OF_FLAGS)
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in (there.st_uid, folder.st_uid) and not _may_as_owner():
        raise _refusal(path, "it is another user's, in a directory with the sticky bit", _HINT_OF_STICKY)


def _refusal(path: str, reason: str, hint: str) -> DestinationError:
    return DestinationError(f"cannot replace {path}: {reason}", path=path, hint=hint)


def _is_fixed(there: os.stat_result, name: str, directory: int) -> bool:
    if getattr(there, "st_flags", 0) & _FIXED:
        return True
    if sys.platform != "linux" or not stat.S_ISREG(there.st_mode):
        return False
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return False
    try:
        return bool(_flags(descriptor) & (_IMMUTABLE | _APPEND_ONLY))
    finally:
        os.close(descriptor)


def _flags(descriptor: int) -> int:
    """The attributes of a file as `lsattr` shows them; 0 where it has none, or nobody may know."""
    if sys.platform == "linux":
        with suppress(OSError):
            return int.from_bytes(fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))[:4], sys.byteorder)
    return 0


def _may_as_owner() -> bool:
    """Whether this process may do what only owners may."""
    if sys.platform != "linux":
        return os.geteuid() == 0
    with suppress(OSError):
        for line in Path("/proc/self/status").read_bytes().splitlines():
            if line.startswith(b"CapEff:"):
                return bool(int(line.split()[1], 16) & _CAP_FOWNER)
    return True
