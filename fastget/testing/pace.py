"""When bytes are sent: rates kept to a schedule, and the places where sending stops for a while."""

from __future__ import annotations

import threading
import time

from fastget.testing.content import BLOCK_SIZE

# Blocks a second under a rate limit: few enough for Python, many enough to look like a flow.
_BLOCKS_A_SECOND = 50


class Link:
    """What all connections of a server share: its rate in bytes a second, as it is at the moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due = 0.0

    def delay(self, length: int, rate: float) -> float:
        """The seconds to wait before a block of `length` bytes is sent."""
        with self._lock:
            now = time.monotonic()
            self._due = max(self._due, now) + length / rate
            return self._due - now


class Pace:
    """A schedule of bytes: which rate holds at which offset of the body, how long to wait before a block.

    `link` is what is shared with other connections, `shared_rate` how much that gives to all of them.
    """

    def __init__(
        self,
        rates: tuple[tuple[int, float | None], ...],
        edge: int | None,
        link: Link | None = None,
        shared_rate: float | None = None,
    ) -> None:
        self._link = link or Link()
        self._shared_rate = shared_rate
        self._phases = sorted(dict(rates).items())
        self._edge = edge
        self._due: float | None = None
        self._position = 0

    @property
    def is_limited(self) -> bool:
        return self._shared_rate is not None or any(rate is not None for _, rate in self._phases)

    def limit(self) -> int:
        """The size of the next block, in bytes."""
        rate, following = self._phase()
        slowest = min((each for each in (rate, self._shared_rate) if each is not None), default=None)
        size = BLOCK_SIZE if slowest is None else max(1, min(BLOCK_SIZE, int(slowest / _BLOCKS_A_SECOND)))
        edges = [edge for edge in (following, self._edge) if edge is not None and edge > self._position]
        return min(size, *(edge - self._position for edge in edges)) if edges else size

    def delay(self, length: int) -> float:
        """The seconds to wait before the next block of `length` bytes is sent."""
        shared = 0.0 if self._shared_rate is None else self._link.delay(length, self._shared_rate)
        return max(shared, self._own_delay(length))

    def begin_anew(self) -> None:
        """What was not sent in a pause is not caught up with."""
        self._due = None

    def _own_delay(self, length: int) -> float:
        rate, _ = self._phase()
        self._position += length
        if rate is None:
            self._due = None
            return 0.0
        now = time.monotonic()
        self._due = (now if self._due is None else self._due) + length / rate
        return max(0.0, self._due - now)

    def _phase(self) -> tuple[float | None, int | None]:
        rate: float | None = None
        for start, value in self._phases:
            if start > self._position:
                return rate, start
            rate = value
        return rate, None
