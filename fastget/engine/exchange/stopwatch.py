"""Time that one thread spends in something, for another to look at while it runs."""

from __future__ import annotations

import time
from typing import Self


class Stopwatch:
    """Runs inside of its `with` blocks, which do not nest. Seconds. `longest` is the longest time that it ran."""

    __slots__ = ("_since", "_total", "longest")

    def __init__(self) -> None:
        self.longest = 0.0
        self._total = 0.0
        self._since: float | None = None

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        return self

    def __exit__(self, *exc: object) -> None:
        since, self._since = self._since, None
        if since is not None:
            seconds = time.monotonic() - since
            self._total += seconds
            if seconds > self.longest:
                self.longest = seconds

    @property
    def is_running(self) -> bool:
        """Whether its thread is inside now; from any thread."""
        return self._since is not None

    def read(self, now: float) -> float:
        """The seconds up to `now`, on the monotonic clock; from any thread."""
        since = self._since
        return self._total + (max(0.0, now - since) if since is not None else 0.0)
