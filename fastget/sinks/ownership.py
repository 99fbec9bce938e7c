"""Which process owns a journal, and whether that process still lives."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING

from fastget.core.journal import Owner
from fastget.sinks.modes import set_mode
from fastget.sinks.names import new_token
from fastget.sinks.publishing import CREATE

if TYPE_CHECKING:
    from fastget.sinks.names import Names

# Who else may write to a file.
OF_OTHERS = 0o022

# File systems that only one running system can have mounted: an owner under another boot of it is gone.
_LOCAL = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "f2fs", "bcachefs", "apfs", "hfs"}
)

# Tokens of the journals that downloads of this process own.
_held: set[str] = set()


class Standing(Enum):
    """What is known of an owner."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"
    """It runs, or ran, where this system cannot see it."""


def this_process(token: str) -> Owner:
    """A record of this process."""
    pid = os.getpid()
    return Owner(
        token, os.uname().nodename, _read("/proc/sys/kernel/random/boot_id"), _namespace(), pid, _started(pid) or 0
    )


def hold(token: str) -> None:
    """A download of this process owns the journal with this token, until `let_go`."""
    _held.add(token)


def let_go(token: str) -> None:
    _held.discard(token)


def lock(journal: int) -> None:
    """Lock an open journal of this process, where the file system has locks; it lasts as long as the descriptor."""
    with suppress(OSError):
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)


def standing(owner: Owner, directory: int, *, is_locked: bool | None) -> Standing:
    """Whether `owner`, of a journal in the open `directory`, still lives.

    `is_locked` is what the lock of the journal says; None where locks say nothing.
    """
    here = this_process(owner.token)
    if here.boot and (owner.boot, owner.namespace) == (here.boot, here.namespace):
        return Standing.ALIVE if _runs(owner, here) else Standing.GONE
    # From here on the process cannot be seen.
    if is_locked:
        return Standing.ALIVE
    if (owner.boot or owner.host) == (here.boot or here.host):
        return _unseen(owner, here, is_locked)
    return Standing.GONE if here.boot and is_local(directory) else Standing.UNKNOWN


def is_locked(journal: int, path: str, directory: int) -> bool | None:
    """Whether someone holds the lock of an open journal; None where locks are not to be relied upon.

    On some file systems they are granted to everyone (faults.md X15): a lock counts where a second one is refused.
    """
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    try:
        other = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return None
    try:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return None
    finally:
        os.close(other)


def _unseen(owner: Owner, here: Owner, locked: bool | None) -> Standing:
    """An owner on this machine, but in another namespace, or on a system without /proc."""
    if locked is not None:
        return Standing.GONE
    if here.boot or owner.pid == here.pid:
        return Standing.UNKNOWN
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return Standing.GONE
    except OSError:
        return Standing.UNKNOWN
    return Standing.UNKNOWN


def _runs(owner: Owner, here: Owner) -> bool:
    if owner.pid == here.pid and owner.started == here.started:
        return owner.token in _held
    return _started(owner.pid) == owner.started


def _started(pid: int) -> int | None:
    """When a process began, in ticks since the boot; None where it does not run (any more)."""
    # The name, in parentheses, may hold anything: the fields are counted from its end.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def _namespace() -> str:
    with suppress(OSError):
        return str(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116  the engine's way of asking
    return ""


def ignores_modes(names: Names) -> bool:
    """Whether no file of this directory can be kept from others: SMB, vfat, WSL's drives. It is tried with one."""
    name = names.part(new_token(names.name))
    try:
        descriptor = os.open(name, CREATE, 0o600, dir_fd=names.directory)
    except OSError:
        return False
    try:
        return bool(set_mode(descriptor, 0o600) & OF_OTHERS)
    except OSError:
        return False
    finally:
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(name, dir_fd=names.directory)


def is_local(directory: int) -> bool:
    """Whether the directory is on a file system of this machine alone."""
    with suppress(OSError):
        device = os.fstat(directory).st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        for line in _read("/proc/self/mountinfo").splitlines():
            fields, _, source = line.partition(" - ")
            if fields.split()[2:3] == [wanted]:
                return source.split()[0] in _LOCAL
    return False


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
