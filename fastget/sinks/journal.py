"""The journal of one destination on the disk: who owns it, and how it changes hands (docs/design/0006-resume.md).

A journal appears under its name in one step, with its header in it, and only where no other one stands. To take over
that of an owner who is gone, the new one is first put under a name made of the old one's token, which only one process
can do, and then renamed over it. No step rests on a lock: locks only tell of owners that cannot be seen otherwise.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from fastget.core.journal import MAXIMUM_JOURNAL, encode_claim, encode_farewell, encode_header, read_journal
from fastget.errors import DestinationError
from fastget.records import record
from fastget.sinks.anonymous import create_anonymous, give_name
from fastget.sinks.descriptor import SharedDescriptor
from fastget.sinks.modes import set_mode
from fastget.sinks.ownership import (
    OF_OTHERS,
    Standing,
    hold,
    ignores_modes,
    is_locked,
    let_go,
    lock,
    standing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastget.core.journal import Claim, Header, Journal
    from fastget.sinks.names import Names

# An owner that cannot be seen shows itself at least this often (seconds), and counts as gone after a few silences.
BEAT = 10.0
SILENCE = 60.0
# A journal is written in one go: one without a header is being born, or was torn by a crash.
BIRTH = 10.0
# What NotOurs says of it, for people.
NOT_OURS = "is no file that this user alone can write to: without it, downloads can be kept again"
_ATTEMPTS = 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class NotOurs(Exception):
    """What stands under the journal's name belongs to somebody else, or is no file: it is not touched."""


@record
class Found:
    """A journal that lies there. `mark` tells it from one that takes its place; `journal` is None where unreadable."""

    mark: str
    journal: Journal | None
    standing: Standing


class JournalFile:
    """A journal that this process owns, from `take` to `release` or `remove`. Records may come from any thread.

    A journal that cannot be written any more is left as it is: the download goes on without (faults.md X1).
    """

    def __init__(self, names: Names, token: str, descriptor: int, size: int) -> None:
        self._names = names
        self._token = token
        self._file = SharedDescriptor(descriptor)
        self._room = MAXIMUM_JOURNAL - size
        self._lock = threading.Lock()  # around the count of what there is room for
        self._beat = time.monotonic()
        hold(token)

    def append(self, record: bytes) -> None:
        """Write one record, with one call. A failure is nobody's concern: a journal is but a help."""
        with self._lock:
            self._room -= len(record)
            if self._room < 0:
                return
        try:
            with self._file as descriptor:
                written = os.write(descriptor, record)
        except OSError:
            written = 0
        if written != len(record):
            with self._lock:
                self._room = 0  # what follows a torn record is not read

    def beat(self) -> None:
        """Show that the owner lives, where nothing has been recorded for a while."""
        if time.monotonic() - self._beat >= BEAT:
            self._beat = time.monotonic()
            with suppress(OSError), self._file as descriptor:
                os.utime(descriptor)

    @property
    def is_taken_over(self) -> bool:
        """Whether another owner's stands in its place. One that somebody has removed or damaged is nobody's."""
        found = _seen(self._names)
        return found is not None and found.journal is not None and found.mark != self._token

    @property
    def is_private(self) -> bool:
        """Whether its mode keeps others away, as it does where modes can be changed."""
        with self._file as descriptor:
            return not os.fstat(descriptor).st_mode & 0o077

    @property
    def is_readable(self) -> bool:
        """Whether it says to whoever comes next what it ought to."""
        return _stands(self._names, self._token)

    def release(self) -> None:
        """Leave it to whoever comes next."""
        self.append(encode_farewell(self._token))
        self._close()

    def remove(self) -> None:
        """Take it away, if it is still this process's own."""
        if self.is_readable or self._stands_damaged():
            with suppress(OSError):
                os.unlink(self._names.journal, dir_fd=self._names.directory)
        self._close()

    def _stands_damaged(self) -> bool:
        """Whether it is this very file that lies there, and cannot be read."""
        with suppress(OSError), self._file as descriptor:
            there = os.stat(self._names.journal, dir_fd=self._names.directory, follow_symlinks=False)
            return os.path.samestat(there, os.fstat(descriptor)) and not self.is_taken_over
        return False

    def _close(self) -> None:
        with suppress(OSError):
            self._file.close()
        let_go(self._token)


def _stands(names: Names, token: str) -> bool:
    """Whether the journal that lies there is that of `token`."""
    found = _seen(names)
    return found is not None and found.mark == token


def _seen(names: Names) -> Found | None:
    """What lies there, as far as it can be seen."""
    try:
        return look(names, names.journal)
    except (NotOurs, OSError):
        return None


def look(names: Names, name: str) -> Found | None:
    """What lies under `name`; None where nothing does. Raises NotOurs, and OSError where it cannot be read."""
    try:
        descriptor = os.open(name, _READ, dir_fd=names.directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise NotOurs from error
    try:
        there = os.fstat(descriptor)
        if not stat.S_ISREG(there.st_mode) or not _is_ours(there, names):
            raise NotOurs
        journal = read_journal(_read_all(descriptor))
        return Found(_mark(journal, there), journal, _standing(names, name, descriptor, there, journal))
    finally:
        os.close(descriptor)


def _is_ours(there: os.stat_result, names: Names) -> bool:
    """Whether what a file of this directory says is the word of this user alone."""
    # Where no mode keeps anybody away, neither does that of the finished file: docs/design/0006.
    return there.st_uid == os.geteuid() and (not there.st_mode & OF_OTHERS or ignores_modes(names))


def take(
    names: Names, compose: Callable[[Found | None], tuple[Header, Iterable[Claim]]], clear: Callable[[], None]
) -> tuple[JournalFile, int]:
    """Own the journal of a destination; its file and the mode that a new file has here.

    `compose` says what is to stand in it, given what lies there now; it is asked again when that changes meanwhile.
    `clear` is called once nobody else can take over what lies there, and before it is replaced.
    Raises DestinationError where another process owns it, NotOurs, and OSError.
    """
    newborn = Newborn(names)
    token, found = "", None
    try:
        for _ in range(_ATTEMPTS):
            found = look(names, names.journal)
            check_free(found, names)
            header, claims = compose(found)
            token = header.owner.token
            hold(token)  # before anyone can see it
            newborn.content = b"".join((encode_header(header), *(encode_claim(token, claim) for claim in claims)))
            if _place(newborn, names, names.journal, found, clear):
                return JournalFile(names, token, newborn.hand_over(), len(newborn.content)), newborn.mode
        raise _owned(names, None)
    except BaseException:
        # Interrupted after it had appeared; where it succeeds another one, what that one claims is worth keeping.
        if token and found is None and _stands(names, token):
            os.unlink(names.journal, dir_fd=names.directory)
        let_go(token)
        raise
    finally:
        newborn.close()


def check_free(found: Found | None, names: Names) -> None:
    """Raise DestinationError where the owner of what was found lives, or may live."""
    if found is None or found.standing is not Standing.ALIVE:
        return
    if found.journal is None:
        raise DestinationError(
            f"{names.journal} beside {names.path} was written a moment ago, and is no journal that can be read",
            path=names.path,
            hint="where another fastget has just begun there, wait for it; else delete that file",
        )
    raise _owned(names, found.journal)


class Newborn:
    """A journal that appears whole, where the file system has files without a name; else empty, and is filled then."""

    def __init__(self, names: Names) -> None:
        self.content = b""
        self.mode = 0o600
        self._names = names
        self._directory = names.directory
        self._descriptor: int | None = None

    def appear(self, name: str) -> None:
        """Stand under a name that is free. Raises FileExistsError, OSError."""
        self.close()  # one that had a name already cannot get another
        if not self._link(name):
            self._create(name)

    def hand_over(self) -> int:
        """The descriptor, which is the caller's now."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            raise RuntimeError("the journal has not appeared")
        return descriptor

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _link(self, name: str) -> bool:
        """Whether that is possible here; FileExistsError where the name is taken."""
        descriptor = create_anonymous(self._directory, os.O_WRONLY | os.O_APPEND, 0o666)
        if descriptor is None:
            return False
        self._fill(descriptor)
        if give_name(descriptor, name, self._directory):
            return True
        self.close()
        return False

    def _create(self, name: str) -> None:
        descriptor = os.open(name, _WRITE | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=self._directory)
        try:
            self._fill(descriptor)
        except BaseException:
            os.unlink(name, dir_fd=self._directory)
            raise

    def _fill(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        set_mode(descriptor, 0o600)
        if not _is_ours(os.fstat(descriptor), self._names):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))  # nobody would believe it
        lock(descriptor)
        if os.write(descriptor, self.content) != len(self.content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _place(
    newborn: Newborn, names: Names, name: str, found: Found | None, clear: Callable[[], None] | None = None
) -> bool:
    """Put the new journal in the place of what was found; False where that is not there any more."""
    if found is None:
        try:
            newborn.appear(name)
        except FileExistsError:
            return False
        return True
    successor = names.successor(found.mark)
    other = look(names, successor)
    check_free(other, names)
    if not _place(newborn, names, successor, other):
        return False
    # Whoever was faster has come and gone: what stands there now is not what was found to be left.
    now = look(names, name)
    if now is None or now.mark != found.mark:
        os.unlink(successor, dir_fd=names.directory)
        return False
    if clear is not None:
        clear()
    os.replace(successor, name, src_dir_fd=names.directory, dst_dir_fd=names.directory)
    return True


def _mark(journal: Journal | None, there: os.stat_result) -> str:
    return journal.header.owner.token if journal is not None else f"{there.st_ino & (1 << 48) - 1:012x}"


def _standing(names: Names, name: str, descriptor: int, there: os.stat_result, journal: Journal | None) -> Standing:
    if journal is not None and journal.is_released:
        return Standing.GONE
    silence = abs(time.time() - there.st_mtime)
    locked = is_locked(descriptor, name, names.directory)
    if journal is None:
        return Standing.ALIVE if locked or silence < BIRTH else Standing.GONE
    found = standing(journal.header.owner, names.directory, is_locked=locked)
    return Standing.ALIVE if found is Standing.UNKNOWN and silence < SILENCE else found


def _read_all(descriptor: int) -> bytes:
    found = bytearray()
    while len(found) < MAXIMUM_JOURNAL and (data := os.read(descriptor, MAXIMUM_JOURNAL - len(found))):
        found += data
    return bytes(found)


def _owned(names: Names, journal: Journal | None) -> DestinationError:
    owner = journal.header.owner if journal is not None else None
    who = f" (process {owner.pid} on {owner.host})" if owner is not None else ""
    return DestinationError(
        f"another fastget is downloading to {names.path}{who}",
        path=names.path,
        hint="wait for it, or choose another name",
    )
