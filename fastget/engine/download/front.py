"""Digests of whole objects that need their bytes in order (SHA, MD5, XXH), while the chunks land out of order.

A thread follows the contiguous front of what has landed and reads it back; the bytes are still in the page cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.buffers import shared_buffers
from fastget.core.checksums.algorithms import Algorithm, new_hasher
from fastget.engine.download.digesting import BUFFER_SIZE
from fastget.engine.threads import Thread
from fastget.errors import DestinationError, FastgetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastget.engine.pieces.job import Job
    from fastget.sinks.protocol import Sink


class Front:
    """A hasher thread behind the front of one job. `finish` joins it and gives the digests."""

    def __init__(self, job: Job, sink: Sink, algorithms: Sequence[Algorithm]) -> None:
        self._job = job
        self._sink = sink
        self._hashers = {algorithm: new_hasher(algorithm) for algorithm in algorithms}
        self._buffers = shared_buffers(job.task.config.max_memory)
        self._thread = Thread(self._follow, "fastget-front")
        self._thread.start()

    def finish(self) -> dict[Algorithm, bytes]:
        """Wait for the hashing of a job that is over; the digests of everything that has landed in order."""
        self._thread.join(None)
        return {algorithm: hasher.digest() for algorithm, hasher in self._hashers.items()}

    def _follow(self) -> None:
        position = 0
        try:
            with self._buffers.lend(BUFFER_SIZE) as lent:
                while (front := self._job.wait_for_front(position)) > position:
                    position = self._digest(lent.view, position, front)
        except FastgetError as error:
            self._job.fail(error)

    def _digest(self, buffer: memoryview, position: int, front: int) -> int:
        while position < front and not self._job.cancellation.is_cancelled:
            count = self._sink.read_at(position, buffer[: front - position])
            if count == 0:
                raise DestinationError(
                    f"{self._sink.path}: bytes that were written cannot be read back", path=self._sink.path
                )
            for hasher in self._hashers.values():
                hasher.update(buffer[:count])
            position += count
        return front
