"""When bytes are sent: rates kept to a schedule, and the places where sending stops for a while."""

from __future__ import annotations

import time

from fastget.testing.content import BLOCK_SIZE

# Blocks a second under a rate limit: few enough for Python, many enough to look like a flow.
_BLOCKS_A_SECOND = 50


class Pace:
    """A schedule of bytes: which rate holds at which offset of the body, how long to wait before a block."""

    def __init__(self, rates: tuple[tuple[int, float | None], ...], edge: int | None) -> None:
        self._phases = sorted(dict(rates).items())
        self._edge = edge
        self._due: float | None = None
        self._position = 0

    @property
    def is_limited(self) -> bool:
        return any(rate is not None for _, rate in self._phases)

    def limit(self) -> int:
        """The size of the next block, in bytes."""
        rate, following = self._phase()
        size = BLOCK_SIZE if rate is None else max(1, min(BLOCK_SIZE, int(rate / _BLOCKS_A_SECOND)))
        edges = [edge for edge in (following, self._edge) if edge is not None and edge > self._position]
        return min(size, *(edge - self._position for edge in edges)) if edges else size

    def delay(self, length: int) -> float:
        """The seconds to wait before the next block of `length` bytes is sent."""
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
