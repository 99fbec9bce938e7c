"""A file that is written in one piece: it has no name, or a hidden one, until it is told to appear."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from fastget.sinks.anonymous import create_anonymous, give_name
from fastget.sinks.descriptor import write_all
from fastget.sinks.existing import sign
from fastget.sinks.publishing import CREATE, flush, rename_to_free
from fastget.sinks.writeback import begin_write_back

if TYPE_CHECKING:
    from fastget.core.journal import Identity
    from fastget.sinks.names import Names

# That the umask makes the mode of, and a directory's default ACL.
_MODE = 0o666


class WholeFile:
    """A new file, not visible yet, in a directory that stays open for as long. Whoever made it closes it.

    Every method raises OSError.
    """

    __slots__ = ("_descriptor", "_names", "_part")

    def __init__(self, names: Names) -> None:
        self._names = names
        self._part: str | None = None
        made = create_anonymous(names.directory, os.O_WRONLY, _MODE)
        self._descriptor = self._create_part() if made is None else made

    def write(self, data: memoryview, identity: Identity | None) -> None:
        """Write all of it, and note of which object it is a copy."""
        write_all(self._descriptor, 0, data)
        if identity is not None:
            sign(self._descriptor, identity)

    def begin_flush(self) -> None:
        """Begin to bring it to the disk, and wait for nothing; it promises nothing."""
        begin_write_back(self._descriptor)

    def flush(self) -> None:
        """Bring it to the disk. After an error it must not appear."""
        flush(self._descriptor)

    def appear(self) -> bool:
        """Take its name, once; False where that is not free, or there is no way to."""
        try:
            if self._part is None:
                return give_name(self._descriptor, self._names.name, self._names.directory)
            rename_to_free(self._part, self._names.name, self._names.directory)
        except FileExistsError:
            return False
        self._part = None
        return True

    def close(self) -> None:
        """Let go of it; a file that has not appeared vanishes."""
        with suppress(OSError):
            os.close(self._descriptor)
        if self._part is not None:
            with suppress(OSError):
                os.unlink(self._part, dir_fd=self._names.directory)

    def _create_part(self) -> int:
        part = self._names.part(os.urandom(6).hex())
        descriptor = os.open(part, CREATE, _MODE, dir_fd=self._names.directory)
        self._part = part
        return descriptor
