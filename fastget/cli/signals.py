"""Ctrl-C, SIGTERM and SIGHUP: the first asks for a clean stop, a later one ends the process at once."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds in which a second one is the same request: timeout(1) signals the process and then its group, and what runs
# a command for somebody passes on the Ctrl-C that the terminal has sent to all of them.
_TOGETHER = 0.05


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
    hook, sys.unraisablehook = sys.unraisablehook, _raise_again(sys.unraisablehook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt_main_thread() -> None:
    """Stop the main thread, from any thread, as Ctrl-C would: it may be waiting for the others."""
    # Commands in the background have SIGINT ignored.
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM if is_ignored else signal.SIGINT)


def _raise_again(otherwise: Callable[[sys.UnraisableHookArgs], object]) -> Callable[[sys.UnraisableHookArgs], None]:
    """A hook for what nobody can catch: where a finalizer was interrupted, whatever runs next is."""

    def hook(found: sys.UnraisableHookArgs, /) -> None:
        if not isinstance(found.exc_value, Interrupted):
            otherwise(found)
            return
        # From here it would meet the same finalizer.
        is_coming = False
        while not is_coming:  # on a busy machine it came before the thread that sends it was seen to run
            is_coming = _is_raised_later(found.exc_value.signal_number)

    return hook


def _is_raised_later(number: int) -> bool:
    signal.signal(number, _stop)
    try:
        threading.Timer(0.01, signal.pthread_kill, (threading.main_thread().ident, number)).start()
    except Interrupted:
        return False
    return True


def _stop(signal_number: int, _: FrameType | None) -> Never:
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    if signal_number == signal.SIGHUP:
        _leave_terminal()
    sleep(_TOGETHER)
    # SIGHUP stays ignored: a closed terminal sends it, and so does the shell in it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    raise Interrupted(signal_number)


def _leave_terminal() -> None:
    """Whoever writes to a terminal that is gone fails; what is said from here on nobody can read."""
    for descriptor in (1, 2):
        if _is_hung_up(descriptor):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def _is_hung_up(descriptor: int) -> bool:
    """Whether it is a terminal without anyone behind it: that one answers everything with EIO."""
    try:
        os.tcgetpgrp(descriptor)
    except OSError as error:
        return error.errno == errno.EIO
    return False
