"""The life of a child: from its first line until it is told to end, or its parent is gone."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

# prctl(2): send this process a signal when the thread that started it ends.
_SET_DEATH_SIGNAL = 1


def live_for(parent: int, work: Callable[[], None]) -> NoReturn:
    """Do the `work` for process `parent`, and end.

    Nothing is printed; what goes wrong is said over the socket, if at all.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that the work is done for
    _die_with(parent)
    status = 1
    with suppress(BaseException):
        work()
        status = 0
    # The interpreter is not taken to pieces: the other process waits for this one's end.
    os._exit(status)


def check_parent(parent: int) -> None:
    """End where the parent is gone: its socket may live on in a process that it has forked."""
    if os.getppid() != parent:
        os._exit(1)


def _die_with(parent: int) -> None:
    """Have the system kill this process when `parent` ends, where it can; a closed socket says the same, but later."""
    with suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    check_parent(parent)
