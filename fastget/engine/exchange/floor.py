"""The least rate of what is read by the thread that asked for it, with nobody else to watch (faults.md N7)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastget.core.straggler import FLOOR
from fastget.errors import Stalled

if TYPE_CHECKING:
    from fastget.engine.exchange.line import Line


class Floor:
    """Counts the bytes of one answer; `patience` seconds of reading with less than the least rate are a stall.

    A context manager around each read: what passes between two of them is the caller's time. A limit of the caller's
    own is no slow server either: what is limited has the silence of a connection alone.
    """

    def __init__(self, line: Line, patience: float) -> None:
        self._patience = patience if not line.is_limited else float("inf")
        self._asked = self._watched = 0.0
        self._count = 0

    def __enter__(self) -> None:
        self._asked = time.monotonic()

    def __exit__(self, *exc: object) -> None:
        self._watched += time.monotonic() - self._asked

    def count(self, received: int) -> None:
        """So many bytes more. Raises Stalled."""
        self._count += received
        if self._watched < self._patience:
            return
        is_slow = self._count < FLOOR * self._watched
        self._watched, self._count = 0.0, 0
        if is_slow:
            raise Stalled(f"less than {FLOOR:g} bytes a second came for {self._patience:g} s")


def receive(line: Line, data: memoryview, patience: float) -> None:
    """Fill `data` from the line's answer. Raises NetworkError where that ends early, or hardly comes."""
    filled = line.read_some(len(data), data) if data else 0
    if filled == len(data):  # as most do
        return
    floor = Floor(line, patience)
    while filled < len(data):
        with floor:
            count = line.read_some(len(data) - filled, data[filled:])
        filled += count
        if filled < len(data):
            floor.count(count)
