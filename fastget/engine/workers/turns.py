"""A few large buffers that many workers take turns at: who has waited for its bytes needs one for a moment only.

Each read, digest and write gives up the interpreter's lock and has to get it back, among dozens of threads that want
it. With these there are fewer of them, and no more threads at it than there are buffers (docs/design/0003).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastget.buffers import Buffer
    from fastget.engine.exchange.stopwatch import Stopwatch


class Turns:
    """A context manager for the crew and for each of its workers: the last one to leave gives the buffers back."""

    def __init__(self) -> None:
        self._buffers: list[Buffer] = []
        self._lock = threading.Lock()
        self._users = 0
        self._free: SimpleQueue[memoryview] = SimpleQueue()

    def add(self, buffer: Buffer) -> None:
        """One more to take turns at. To be called by a user."""
        self._buffers.append(buffer)
        self._free.put(buffer.view)

    def __len__(self) -> int:
        return len(self._buffers)

    def __enter__(self) -> Self:
        with self._lock:
            self._users += 1
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._users -= 1
            is_last = not self._users
        if is_last:
            for buffer in self._buffers:
                buffer.close()

    @contextmanager
    def take(self, pauses: Stopwatch) -> Iterator[memoryview]:
        """One of the buffers; `pauses` while others have all of them."""
        with pauses:
            buffer = self._free.get()
        try:
            yield buffer
        finally:
            self._free.put(buffer)
