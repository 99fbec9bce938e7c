"""Waiting for what happens once, in a thread that a signal or another thread may interrupt."""

from __future__ import annotations

import threading
from contextlib import suppress


class Latch:
    """As threading.Event, which holds a condition: an interrupt within might leave that locked, for ever."""

    __slots__ = ("_is_set", "_lock")

    def __init__(self) -> None:
        self._is_set = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let everybody go, now and later. Never blocks; safe to call again."""
        self._is_set = True
        self._open()

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, at most `seconds`; whether it is."""
        if not self._is_set and self._lock.acquire(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX))):
            self._open()  # for whoever else waits
        return self._is_set

    def _open(self) -> None:
        with suppress(RuntimeError):  # it is open
            self._lock.release()
