"""The part file of another process's download."""

from __future__ import annotations

from fastget.sinks.descriptor import SharedDescriptor
from fastget.sinks.file import FileSink


class LentFile(FileSink):
    """Writes into a part file by a descriptor that was inherited.

    The process that has lent it makes, flushes, publishes and discards it; `path` is for messages, and `fsync` says
    that it is going to be flushed.
    """

    def __init__(self, path: str, descriptor: int, *, fsync: bool) -> None:
        super().__init__(path, fsync=fsync)
        self._file = SharedDescriptor(descriptor)
