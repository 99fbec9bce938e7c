"""A way out that leads to another thread of this process, block by block and without a copy."""

from __future__ import annotations

from contextlib import suppress

from fastget import buffers
from fastget.errors import Cancelled
from fastget.interrupts import lock_and_condition


class Handoff:
    """An outlet whose far end is `take`. A block belongs to the taker until it asks for the next one.

    So whoever writes waits for the taker: bytes come no faster than they are wanted. A view that is used later raises
    ValueError, rather than show other bytes, unless something else was made of its memory. Where threads run at once,
    it is of a copy.
    """

    def __init__(self) -> None:
        self._lock, self._changed = lock_and_condition()
        self._block: memoryview | None = None
        self._taken: memoryview | None = None
        self._is_over = False
        self._is_aborted = False

    def take(self) -> memoryview | None:
        """The next block, once it is there; None at the end. The one before it is given back."""
        self.give_back()
        with self._lock:
            while self._block is None and not self._is_over:
                self._changed.wait()
            if self._block is None or self._is_over:
                return None
            # Slices that the taker keeps would be counted with those of whoever fills the memory next: see `OwnViews`.
            self._taken = self._block.toreadonly() if buffers.HAS_LOCK else memoryview(bytes(self._block))
            return self._taken

    def give_back(self) -> None:
        """The taker is done with what it has taken."""
        taken, self._taken = self._taken, None
        if taken is not None:
            with suppress(BufferError):  # an array that was made of it
                taken.release()
            with self._lock:
                self._block = None
                self._changed.notify_all()

    def end(self) -> None:
        """No block comes any more."""
        with self._lock:
            self._is_over = True
            self._changed.notify_all()

    # The near end: what StreamSink asks of an outlet ---------------------------------------------------------------

    def check(self) -> None:
        """Nothing can be wrong with it."""

    def open(self) -> None:
        """It is open from the beginning."""

    def write(self, data: memoryview) -> None:
        """Hand over a block, and wait until it has been given back. Raises Cancelled after `abort`."""
        with self._lock:
            self._block = data
            self._changed.notify_all()
            while self._block is not None and not self._is_aborted:
                self._changed.wait()
            self._block = None
            if self._is_aborted:
                raise Cancelled("nobody takes the bytes any more")

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        """Whoever reads is told by `end`."""

    def abort(self) -> None:
        """From any thread: end the waiting of `write`."""
        with self._lock:
            self._is_aborted = True
            self._changed.notify_all()
