"""The limit of the machine: one object after the other, in each thread, received into memory and not looked at.

Usage: python -m benchmarks.clients.bare_reads URL FILE THREADS NAMES
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from benchmarks.clients.bare_loop import Origin
from benchmarks.clients.reads import read_all

if TYPE_CHECKING:
    from collections.abc import Callable


def reader(url: str) -> Callable[[str], bytes]:
    own = threading.local()

    def read(name: str) -> bytes:
        origin = Origin(f"{url}/{name}")
        connection = getattr(own, "connection", None)
        if connection is None:
            connection = own.connection = origin.connect()
        size, body = origin.ask(connection)
        memory = bytearray(size)
        origin.receive(connection, body, memoryview(memory))
        return bytes(memory)

    return read


if __name__ == "__main__":
    read_all(reader)
