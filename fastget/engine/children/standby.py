"""A child that stands by: forked early, it has next to nothing left to load when there is work for it.

For a command, which owns its process, at its beginning: a fork copies what threads hold as it is, and what a program
has open would stay open. The library starts its children with `launch`, and so does a command where none stands by.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

# The number of the only descriptor that a child keeps.
_SOCKET = 3


class Standby:
    """A child that waits to be told what to do.

    `pid`, `returncode`, `poll`, `wait` and `kill` are those of `subprocess.Popen`, and safe in many threads.
    """

    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid = pid
        self.sock = sock
        self.returncode: int | None = None
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
        if self.poll() is None:
            with self._lock, suppress(ProcessLookupError):
                if self.returncode is None:
                    os.kill(self.pid, signal.SIGKILL)

    def _ended(self) -> int | None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # where SIGCHLD is ignored, the system waits, and tells nobody
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None


# By the module that each is to run.
_waiting: dict[str, Standby] = {}


@contextmanager
def standing_by(module: str) -> Iterator[None]:
    """Have a child stand by that is to run `main` of `module`, where that is possible, while this lasts."""
    try:
        _fork(module)
        yield
    finally:
        if (waiting := _waiting.pop(module, None)) is not None:
            waiting.dismiss()


def stands_by(module: str) -> bool:
    """Whether a child is there that needs no start."""
    return module in _waiting


def take(file: int, module: str) -> Standby | None:
    """The child that stands by, at work with the open descriptor `file`; None where there is none."""
    waiting = _waiting.pop(module, None)
    if waiting is None or waiting.begin(file):
        return waiting
    waiting.dismiss()
    return None


def _fork(module: str) -> None:
    if not _has_one_thread():
        return
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # A signal between the fork and the child's first line would be handled there as here.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid = os.fork()
            except BaseException:
                ours.close()
                raise
            if not pid:
                _stand_by(theirs.fileno(), module, parent)
        _waiting[module] = Standby(pid, ours)
    except OSError:
        return  # there will be none
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _has_one_thread() -> bool:
    """Elsewhere than on Linux the system's own libraries may not be used after a fork, and nothing is said here."""
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
    except OSError:
        return False


def _stand_by(sock: int, module: str, parent: int) -> NoReturn:
    """In the child: become what `launch` would have started, wait, and do the work."""
    try:
        os.dup2(sock, _SOCKET, inheritable=False)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in range(_SOCKET):
            os.dup2(nowhere, number)
        _close_all_above(_SOCKET)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        with socket.socket(fileno=_SOCKET) as line:
            _, files, _, _ = socket.recv_fds(line, 1, 1)  # nothing, where the parent is gone or wants nothing
            if files:
                import_module(module).main(line.detach(), files[0], parent)
    finally:
        os._exit(1)


def _close_all_above(least: int) -> None:
    """Not by the limit, which may be a thousand million, or have been lowered below what is open."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > least:
            with suppress(OSError):  # that of the listing itself is closed by now
                os.close(int(name))
