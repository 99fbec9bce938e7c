"""The least rate of what is read by the thread that asked for it, with nobody else to watch (faults.md N7)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastget.core.straggler import FLOOR
from fastget.errors import Stalled

if TYPE_CHECKING:
    from fastget.engine.exchange.line import Line


class Floor:
    """Counts the bytes of one answer; `patience` seconds with less than the floor under the rate are a stall.

    A limit of the caller's own is no slow server: what is limited has the silence of a connection alone.
    """

    def __init__(self, line: Line, patience: float) -> None:
        self._patience = patience if not line.is_limited else float("inf")
        self._began = time.monotonic()
        self._count = 0

    def count(self, received: int) -> None:
        """So many bytes more. Raises Stalled."""
        self._count += received
        watched = time.monotonic() - self._began
        if watched < self._patience:
            return
        if self._count < FLOOR * watched:
            raise Stalled(f"less than {FLOOR:g} bytes a second came for {self._patience:g} s")
        self._began, self._count = time.monotonic(), 0


def receive(line: Line, data: memoryview, patience: float) -> None:
    """Fill `data` from the line's answer. Raises NetworkError where that ends early, or hardly comes."""
    floor, filled = None, 0
    while filled < len(data):
        count = line.read_some(len(data) - filled, data[filled:])
        filled += count
        if filled < len(data):  # most come in one go
            floor = floor or Floor(line, patience)
            floor.count(count)
