"""What ends while it is in use, and is had anew by one thread for all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from fastget.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable


class _Outcome:
    __slots__ = ("error", "is_over")

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.error: Exception | None = None


class Renewal:
    """One of the threads that need it does it, the others wait; no lock is held meanwhile."""

    __slots__ = ("_coming", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._coming: _Outcome | None = None

    def run(self, is_needed: Callable[[], bool], renew: Callable[[], None]) -> None:
        """Do it, or wait for whoever does, unless it is done by now. Raises what `renew` does, in all who wait."""
        with self._lock:
            if not is_needed():
                return
            coming, is_mine = self._coming, self._coming is None
            if coming is None:
                coming = self._coming = _Outcome()
        if is_mine:
            self._do(renew, coming)
        coming.is_over.wait()
        if coming.error is not None:
            raise coming.error

    def _do(self, renew: Callable[[], None], coming: _Outcome) -> None:
        try:
            renew()
        except BaseException as error:
            coming.error = error if isinstance(error, Exception) else Cancelled("interrupted")
            raise
        finally:
            with self._lock:
                self._coming = None
            coming.is_over.set()
