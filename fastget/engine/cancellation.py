"""Stopping a transfer from another thread: one flag, and everything that has to be woken by it."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from fastget.errors import Cancelled
from fastget.interrupts import Latch

# Seconds. A signal that comes just before a wait does not end it, above all where threads run at once.
LOOK = 1.0


class Abortable(Protocol):
    """Something that blocks, and can be told from another thread to stop."""

    def abort(self) -> None: ...


class Cancellation:
    """A scope that can be cancelled once; scopes below it are cancelled with it."""

    def __init__(self) -> None:
        # One that its holder may take again: the garbage collector may cancel at any moment, in any thread.
        self._lock = threading.RLock()
        self.is_cancelled = False
        # Of whoever waits: few scopes are ever waited in.
        self._event: Latch | None = None
        self._targets: set[Abortable] = set()
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """How long ago it was cancelled, first; 0 where it was not."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def cancel(self) -> None:
        """Abort everything inside, now and later. Safe from any thread, and more than once."""
        self._since = self._since or time.monotonic()
        self.is_cancelled = True
        # Under the lock, so that a target that is taken out is never aborted afterwards, in someone else's hands.
        # Aborting blocks on nothing.
        with self._lock:
            if self._event is not None:
                self._event.set()
            for target in tuple(self._targets):
                target.abort()

    # The same under the name that a scope above calls.
    abort = cancel

    def check(self) -> None:
        """Raise Cancelled if the scope has been cancelled."""
        if self.is_cancelled:
            raise Cancelled("the transfer was stopped")

    def wait(self, seconds: float) -> None:
        """Sleep, but raise Cancelled as soon as the scope is cancelled."""
        event = self._waited_for()
        while not event.wait(min(seconds, LOOK)) and seconds > LOOK:
            seconds -= LOOK
        self.check()

    def _waited_for(self) -> Latch:
        with self._lock:
            if self._event is None:
                self._event = Latch()
                if self.is_cancelled:
                    self._event.set()
            return self._event

    def add(self, target: Abortable) -> None:
        """Abort `target` when the scope is cancelled; at once if it has been."""
        with self._lock:
            self._targets.add(target)
        if self.is_cancelled:
            target.abort()

    def abort_one(self, target: Abortable) -> None:
        """Abort `target` alone, if it is still inside: one that was taken out may be in someone else's hands."""
        with self._lock:
            if target in self._targets:
                target.abort()

    def remove(self, target: Abortable) -> None:
        """`target` is out of the scope's reach again."""
        with self._lock:
            self._targets.discard(target)
