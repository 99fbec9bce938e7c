"""Small files that are flushed together: many flushes, one after the other, cost little more than one (ext4, xfs).

Each is verified and written, and has no name, until its own flush has succeeded. So after a loss of power a file is
there whole, or not at all.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from fastget.engine.descriptors import room_for_connections
from fastget.records import state
from fastget.sinks.failures import destination_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastget.bulk.folder import Folder, Opened
    from fastget.core.journal import Identity
    from fastget.errors import DestinationError
    from fastget.sinks.kept import KeptFile
    from fastget.sinks.whole import WholeFile

# Files of one thread that wait at most, and seconds that the first of them waits while others come.
MOST, LONGEST = 64, 0.1
# Files that wait in all threads together: each is open, and keeps its directory open.
MOST_OPEN = 1024


def places() -> threading.Semaphore:
    """As many as files may wait in all threads together: of what may be opened, what the connections leave."""
    room = room_for_connections()
    return threading.Semaphore(MOST_OPEN if room is None else min(MOST_OPEN, room // 4))


@state
class Waiting:
    """A file that waits for its flush, its directory, and what has gone wrong with it."""

    path: str
    file: WholeFile
    directory: Opened
    failure: DestinationError | None = None

    def attempt(self, step: Callable[[], bool | None]) -> bool | None:
        """Take a step, unless one before it has failed."""
        if self.failure is None:
            try:
                return step()
            except OSError as error:
                self.failure = destination_error(error, "write", self.path)
                self.failure.__cause__ = error
        return None


class Batch:
    """What one thread has written and not flushed. Close it: what has not been settled then vanishes."""

    def __init__(self, folder: Folder, places: threading.Semaphore) -> None:
        self._folder = folder
        self._places = places
        self._waiting: deque[Waiting] = deque()
        self._began = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_due(self) -> bool:
        """Whether it should be settled before anything else is done."""
        count = len(self._waiting)
        return count >= MOST or (count > 0 and time.monotonic() - self._began > LONGEST)

    def add(self, sink: KeptFile, directory: Opened, data: memoryview, identity: Identity | None) -> bool:
        """Write a file that becomes the last one; False where there is no place for one more.

        Raises NoSpace, DestinationError.
        """
        if not self._places.acquire(blocking=False):
            return False
        try:
            file = sink.prepare(directory.descriptor, data, identity)
        except BaseException:
            self._places.release()
            raise
        self._folder.keep(directory)
        if not self._waiting:
            self._began = time.monotonic()
        self._waiting.append(Waiting(sink.path, file, directory))
        return True

    def flush(self, is_over: Callable[[], bool] = lambda: False) -> bool:
        """Flush all of them; every one is told to begin first, so that they reach the disk side by side.

        `is_over` is asked before each; False where that ended it, so that some are not flushed.
        """
        for waiting in self._waiting:
            waiting.attempt(waiting.file.begin_flush)
        for waiting in self._waiting:
            if is_over():
                return False
            waiting.attempt(waiting.file.flush)
        return True

    def publish(self) -> Iterator[bool | DestinationError]:
        """Give each its name, after `flush`: in the order in which they came, whether it is there now.

        False: the name is taken, or cannot be given. Then, or after an error, the file is gone.
        """
        while self._waiting:
            waiting = self._waiting.popleft()
            try:
                appeared = waiting.attempt(waiting.file.appear)
            finally:
                self._end(waiting)
            yield waiting.failure or bool(appeared)

    def close(self) -> None:
        """Let all of them vanish."""
        while self._waiting:
            self._end(self._waiting.pop())

    def _end(self, waiting: Waiting) -> None:
        waiting.file.close()
        self._folder.let_go(waiting.directory)
        self._places.release()
