"""Part files whose journal was lost: a power cut may leave the one without the other, and nothing then names them.

One is taken away only where that is certain to harm nobody. Its name is sealed: this program made it, for this
destination. It is a private file of this user with no other name. Whoever writes to such a file holds a lock on it, and
the lock is free, on a file system of this machine alone on which a second lock is seen to be refused. And it has not
been written to for a while: a new one is locked a moment after it has appeared.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from fastget.sinks.names import PART_SUFFIX, TOKEN_LENGTH, is_sealed
from fastget.sinks.ownership import is_local, is_locked
from fastget.sinks.reopening import reopen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastget.sinks.names import Names

# Seconds, as for a journal that is being born.
_BIRTH = 10.0
# Of a directory that holds more, some milliseconds are enough.
_MOST_ENTRIES = 10_000


def take_away_orphans(names: Names, own: str | None) -> None:
    """Remove the part files of this destination that nobody writes to, and no journal can name, but `own`.

    To be called by who owns the destination's journal, or where there can be none. Never fails.
    """
    with suppress(OSError):
        found = [name for name in _part_files(names) if name != own]
        if found and is_local(names.directory):
            for name in found:
                _take_away(name, names.directory)


def _part_files(names: Names) -> Iterator[str]:
    # Opened anew: a descriptor that others have too shares the place in the list with them.
    directory = os.open(os.curdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=names.directory)
    try:
        with os.scandir(directory) as entries:
            for entry in islice(entries, _MOST_ENTRIES):
                if entry.name.endswith(PART_SUFFIX) and _is_of(entry.name, names):
                    yield entry.name
    finally:
        os.close(directory)


def _is_of(name: str, names: Names) -> bool:
    token = name.removesuffix(PART_SUFFIX)[-TOKEN_LENGTH:]
    return is_sealed(names.name, token) and names.part(token) == name


def _take_away(name: str, directory: int) -> None:
    descriptor = reopen(name, directory, os.O_RDONLY)
    if descriptor is None:
        return
    try:
        there = os.fstat(descriptor)
        is_private, silence = not there.st_mode & 0o077, abs(time.time() - there.st_mtime)
        if is_private and silence >= _BIRTH and is_locked(descriptor, name, directory) is False:
            os.unlink(name, dir_fd=directory)
    finally:
        os.close(descriptor)
