"""Ctrl-C and SIGTERM: the first asks for a clean stop, a second one ends the process at once."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal asked for a clean stop. It is a KeyboardInterrupt, so that every download cleans up for it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


@contextmanager
def clean_stop() -> Iterator[None]:
    """Raise Interrupted in the main thread for the first signal; leave a second one to the system."""
    # A signal that is ignored stays so: a shell asks for that, for commands in the background.
    heeded = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def for_us_alone() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach, though a terminal sends it to all of them.

    It is held back here until the end of the block, and never seen by what was started inside.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def interrupt_main_thread() -> None:
    """Stop the main thread, from any thread, as Ctrl-C would: it may be waiting for the others."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _stop(signal_number: int, _: FrameType | None) -> Never:
    for number in _STOPPING:
        signal.signal(number, signal.SIG_DFL)
    raise Interrupted(signal_number)
