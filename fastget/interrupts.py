"""What a call needs that a signal's handler, or another thread, may break into at any moment."""

from __future__ import annotations

import threading
from contextlib import suppress


def is_of_handler(error: BaseException) -> bool:
    """Whether a signal handler raised it, or another thread here, above all an error that a socket could have raised.

    Bytes that had just come are then lost, as the call that brought them did not return. A handler is given the frame
    that it interrupts, which is how it is known here; another thread can only name a class of errors
    (PyThreadState_SetAsyncExc), and a socket's are never without words.
    """
    if not error.args:
        return True
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        interrupted, step = step.tb_frame, step.tb_next
        for value in step.tb_frame.f_locals.values():
            if value is interrupted or (isinstance(value, tuple) and any(one is interrupted for one in value)):
                return True
    return False


class _Condition(threading.Condition):
    """One whose `wait` holds the lock again also where it was interrupted in the step after it had let go of it.

    Whoever leaves the lock then would be told that it is not held, in place of the interrupt.
    """

    def wait(self, timeout: float | None = None) -> bool:
        try:
            return super().wait(timeout)
        except BaseException:
            with suppress(RuntimeError):  # it is not held
                self.release()
            self.acquire()
            raise


def lock_and_condition() -> tuple[threading.RLock, threading.Condition]:
    """A lock, and the condition that goes with it.

    Who may be interrupted by a signal takes the lock, in one step of C: the condition is taken in several of Python,
    and an interrupt between them would leave it locked for ever. Who waits holds it once, not within itself.
    """
    lock = threading.RLock()
    return lock, _Condition(lock)


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
