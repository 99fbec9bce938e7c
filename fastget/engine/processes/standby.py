"""A child that stands by: forked early, it has nothing left to load when there is work for it.

For a command, which owns its process, at its beginning: a fork copies what threads hold as it is, and what a program
has open would stay open. The library starts its children with `launch`, and so does a command where there is none of
these.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from fastget.engine.processes.lifetime import live_for

if TYPE_CHECKING:
    from collections.abc import Iterator

# The number of the only descriptor that a child keeps.
_SOCKET = 3


class Standby:
    """A child that waits to be told what to do. For one thread at a time.

    `pid`, `returncode`, `poll`, `wait` and `kill` are those of `subprocess.Popen`.
    """

    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid = pid
        self.sock = sock
        self.returncode: int | None = None
        # Who looks whether it has ended, and who waits for that, are different threads.
        self._lock = threading.Lock()

    def begin(self, file: int) -> bool:
        """Give it the open descriptor that it works with; whether it was still there."""
        try:
            socket.send_fds(self.sock, [b"\0"], [file])
        except OSError:
            return False
        return True

    def dismiss(self) -> None:
        """It is not needed."""
        self.sock.close()
        self.kill()
        self.wait()

    def poll(self) -> int | None:
        with self._lock:
            if self.returncode is None:
                self.returncode = self._ended()
            return self.returncode

    def wait(self) -> int | None:
        while self.poll() is None:
            with suppress(ChildProcessError):  # another thread was quicker
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        return self.returncode

    def kill(self) -> None:
        with self._lock, suppress(ProcessLookupError):
            if self.returncode is None:
                os.kill(self.pid, signal.SIGKILL)

    def _ended(self) -> int | None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # where SIGCHLD is ignored, the system waits, and tells nobody
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None


class _Place:
    """Where a child stands by, and for what."""

    waiting: Standby | None = None
    module = ""


@contextmanager
def standing_by(module: str) -> Iterator[None]:
    """Have a child stand by that is to run `main` of `module`, where that is possible, while this lasts."""
    _Place.waiting, _Place.module = _fork(module), module
    try:
        yield
    finally:
        waiting, _Place.waiting = _Place.waiting, None
        if waiting is not None:
            waiting.dismiss()


def stands_by(module: str) -> bool:
    """Whether a child is there that needs no start."""
    return _Place.waiting is not None and _Place.module == module


def take(file: int, module: str) -> Standby | None:
    """The child that stands by, at work with the open descriptor `file`; None where there is none."""
    if not stands_by(module):
        return None
    waiting, _Place.waiting = _Place.waiting, None
    if waiting is None or waiting.begin(file):
        return waiting
    waiting.dismiss()
    return None


def _fork(module: str) -> Standby | None:
    # Elsewhere the system's own libraries may not be used after a fork.
    if sys.platform != "linux" or threading.active_count() > 1:
        return None
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    # A signal between the fork and the child's first line would be handled there as here.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if not pid:
            _stand_by(theirs.fileno(), module, parent)
        return Standby(pid, ours)
    except OSError:
        ours.close()
        return None
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stand_by(sock: int, module: str, parent: int) -> NoReturn:
    """In the child: become what `launch` would have started, wait, and do the work."""
    try:
        _Place.waiting = None
        os.dup2(sock, _SOCKET, inheritable=False)
        os.closerange(_SOCKET + 1, os.sysconf("SC_OPEN_MAX"))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nowhere, number)
        os.close(nowhere)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        live_for(parent, lambda: _work(module, parent))
    finally:
        os._exit(1)


def _work(module: str, parent: int) -> None:
    child = import_module(module)
    with socket.socket(fileno=_SOCKET) as line:
        _, files, _, _ = socket.recv_fds(line, 1, 1)
        if files:
            child.main(line.detach(), files[0], parent)
